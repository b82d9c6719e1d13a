#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A monitor with readonly=on: each command of the schema, in turn, at a running machine.
Queries answer it as they answer others, all else is refused, and nothing changes."""

import sys

from rig import SILENCE, heard, main
from qmp import Qmp, QmpError

MAC, MODEL = "52:54:00:12:34:56", {"name": "host"}
# What queries need, or what makes them tell all.
ARGUMENTS = {
    "query-cpu-model-expansion": {"type": "static", "model": MODEL},
    "query-cpu-model-comparison": {"modela": MODEL, "modelb": MODEL},
    "query-cpu-model-baseline": {"modela": MODEL, "modelb": MODEL},
    "query-stats": {"target": "vcpu", "providers": [{"provider": "berth"}]},
}
# What tells a moment.
MOMENTS = {"query-stats", "query-cpus-fast", "query-blockstats"}
# What would change something, with arguments that are right.
CHANGES = {
    "stop": {}, "quit": {}, "system_reset": {}, "inject-nmi": {},
    "balloon": {"value": 64 << 20}, "set_link": {"name": "nic", "up": False},
    "device_del": {"id": "nic"}, "object-add": {"qom-type": "iothread", "id": "x"},
    "blockdev-add": {"driver": "null-co", "node-name": "x"},
    "human-monitor-command": {"command-line": "info status"},
    "trace-event-set-state": {"name": "*", "enable": True},
    "trace-event-get-state": {"name": "*"},
    "qom-get": {"path": "/machine", "property": "type"},
    "qom-list": {"path": "/machine"}, "qom-list-types": {},
    "qom-set": {"path": "/machine", "property": "type", "value": "x"},
    "device-list-properties": {"typename": "virtio-net-pci"},
    "x-query-memory-ledger": {}, "x-query-unplug": {},
    "pmemsave": {"val": 0, "size": 1, "filename": "/dev/null"},
    "ringbuf-read": {"device": "ring", "size": 1},
    "transaction": {"actions": []}, "yank": {"instances": []},
    "set-action": {"reboot": "shutdown"},
}


def start(t):
    path = t.folder / "reader"
    guest = t.guest(
        "echo", "-qmp", f"unix:{path},server=on,wait=off,readonly=on",
        "-chardev", "ringbuf,id=ring", "-device", "virtio-balloon-pci",
        "-device", f"virtio-net-pci,id=nic,mac={MAC}", "-device", "vmgenid,guid=auto",
        "-blockdev", "null-co,node-name=n", "-device", "virtio-blk-pci,drive=n")
    heard(guest, "B")
    return guest, path


def ask(client, name, arguments, execute="execute"):
    """What a command returns, or the class of its error."""
    client.send({execute: name, "arguments": arguments})
    reply = client.receive_reply()
    return reply["error"]["class"] if "error" in reply else reply["return"]


def snapshot(qmp, names):
    """What all queries tell of the machine, but for moments."""
    return {name: ask(qmp, name, ARGUMENTS.get(name, {})) for name in names
            if name not in MOMENTS}


def test_each_command(t):
    guest, path = start(t)
    reader = Qmp.connect(path, timeout=SILENCE)
    names = [entry["name"] for entry in guest.qmp.command("query-commands")]
    queries = [name for name in names if name.startswith("query-")]
    t.check("there are queries and others", len(queries) > 40 and len(names) > 100)
    before = snapshot(guest.qmp, queries)
    for name in names:
        if name == "qmp_capabilities":
            continue
        told = ask(reader, name, ARGUMENTS.get(name, CHANGES.get(name, {})))
        if name not in queries:
            t.equal(f"{name} is refused", told, "CommandNotFound")
        elif name in MOMENTS:
            t.check(f"{name} tells", isinstance(told, list) and told, told)
        else:
            t.check(f"{name} tells what others hear", told == before[name] and
                    not isinstance(told, str), told)
    t.check("nothing has changed", snapshot(guest.qmp, queries) == before)
    t.equal("the machine runs", guest.status, "running")
    reader.close()


def test_ways_around(t):
    """Out of band, again and again negotiated, in other words, several at once."""
    guest, path = start(t)
    reader = Qmp.connect(path, timeout=SILENCE, negotiate=False)
    t.equal("nothing before the negotiation", ask(reader, "query-status", {}),
            "CommandNotFound")
    reader.command("qmp_capabilities", enable=["oob"])
    t.equal("one negotiation", ask(reader, "qmp_capabilities", {"enable": []}),
            "CommandNotFound")
    names = [entry["name"] for entry in reader.command("query-commands")]
    for name in names:
        if not name.startswith("query-") and name != "qmp_capabilities":
            t.equal(f"{name}, out of band", ask(reader, name, CHANGES.get(name, {}),
                                                "exec-oob"), "CommandNotFound")
    for name in ("query-", "query-stop", "Stop", " stop", "query-../stop", "stop\\0",
                 "query-status ", "human-monitor-command"):
        t.equal(repr(name), ask(reader, name, {}), "CommandNotFound")
    # What is behind a query in the same bytes.
    reader.send_raw(b'{"execute":"query-status"}{"execute":"stop"}'
                    b'[{"execute":"stop"}]{"execute":"query-status","execute":"stop"}'
                    b'{"execute":"query-name"}')
    told = [reader.receive_reply() for _ in range(5)]
    t.equal("several at once", [next(iter(set(reply) & {"return", "error"}))
                                for reply in told],
            ["return", "error", "error", "error", "return"])
    t.equal("the machine runs", guest.status, "running")
    t.equal("a monitor for people is none", t.run(
        "-S", "-machine", "none", "-monitor",
        f"unix:{path}2,server=on,wait=off,readonly=on").returncode, 1)


TESTS = [test_each_command, test_ways_around]

if __name__ == "__main__":
    sys.exit(main(TESTS, __doc__))
