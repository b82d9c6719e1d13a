#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The log and trace points of a running VMM; the names of its threads."""

import re
import sys
import time

from rig import SILENCE, heard, main
import tasks
from qmp import QmpError


def wait_for(path, pattern):
    """The text of a file, when it has the pattern."""
    deadline = time.monotonic() + SILENCE
    while time.monotonic() < deadline:
        text = path.read_text() if path.exists() else ""
        if re.search(pattern, text):
            return text
        time.sleep(0.01)
    return f"no {pattern!r} in: {text}"


def test_help(t):
    items = t.run("-d", "help").stdout
    t.match("-d help lists items", items, r"^Log items \(comma separated\):\nguest_e")
    for item in ("unimp", "int", "cpu_reset", "invalid_mem", "trace:PATTERN"):
        t.match(f"with {item}", items, rf"(?m)^{item} +\w")
    points = t.run("-trace", "help").stdout.split()
    t.equal("-trace help lists points in order", points, sorted(points))
    t.check("many", len(points) > 30, points)


def test_log_items(t):
    log = t.folder / "log.%d"
    guest = t.guest("echo", "-D", log, "-d", "cpu_reset,invalid_mem", "-d", "int",
                    "-msg", "timestamp=on")
    heard(guest, "B")
    path = t.folder / f"log.{guest.process.pid}"
    text = wait_for(path, "cpu_reset: .*")
    t.match("registers before a reset, with the time", text,
            r"(?m)^20\d\d-\S+Z berth: trace: cpu_reset: vCPU 0: [ER]?AX=")
    guest.type("R")
    heard(guest, "RB")
    guest.qmp.command("system_powerdown")
    t.match("interrupts", wait_for(path, "irq_gsi"), r"irq_gsi: gsi \d+ level [01]")
    t.equal("nothing on stderr", guest.stderr, "")
    guest.qmp.command("quit")
    t.equal("quit exits with 0", guest.wait_exit(SILENCE), 0)


def test_trace_options(t):
    events, traces = t.folder / "events", t.folder / "traces"
    events.write_text("# the machine's\nrunstate_*\n\n device_plug \n-irq_*\n")
    guest = t.guest("echo", "-trace", "irq_*", "-trace",
                    f"events={events},file={traces}", "-trace", "enable=qmp_command")
    heard(guest, "B")
    guest.qmp.command("query-status")
    text = wait_for(traces, "qmp_command: query-status")
    t.match("points of the file are on", text, r"runstate_set: prelaunch -> running\n")
    t.match("and those beside them", text, r"device_plug: isa-serial: /machine/serial0\n")
    t.check("one of its lines switched some off", "irq_" not in text, text)
    t.equal("nothing on stderr", guest.stderr, "")
    guest.qmp.command("quit")
    t.equal("quit exits with 0", guest.wait_exit(SILENCE), 0)


def states(qmp, name):
    return {e["name"]: e["state"]
            for e in qmp.command("trace-event-get-state", name=name)}


def test_trace_commands(t):
    guest = t.guest("echo")
    heard(guest, "B")
    qmp = guest.qmp
    every = states(qmp, "*")
    t.equal("all points are off", set(every.values()), {"disabled"})
    t.check("there are many", len(every) > 30, every)
    qmp.command("trace-event-set-state", name="runstate_*", enable=True)
    t.equal("a pattern switches several", states(qmp, "runstate_*"),
            {"runstate_request": "enabled", "runstate_set": "enabled"})
    t.equal("and no others", states(qmp, "qmp_event"), {"qmp_event": "disabled"})
    qmp.command("stop")
    path = guest.folder / "stderr"
    t.match("lines come", wait_for(path, "-> paused"), "runstate_set: running -> paused")
    qmp.command("trace-event-set-state", name="*", enable=False, ignore_unavailable=True)
    qmp.command("cont")
    qmp.wait_event("RESUME")
    t.check("and end", "-> running" not in path.read_text(), path.read_text())
    t.equal("a pattern may match nothing", states(qmp, "no_such*"), {})
    for command, more in (("get", {}), ("set", {"enable": True})):
        try:
            qmp.command(f"trace-event-{command}-state", name="no_such", **more)
            t.check(f"{command}: an unknown name is an error", False)
        except QmpError as error:
            t.match(f"{command}: an unknown name is an error", str(error), "no_such")
    qmp.command("quit")
    t.equal("quit exits with 0", guest.wait_exit(SILENCE), 0)


def test_thread_names(t):
    guest = t.guest("idle", "-name", "guest=g,debug-threads=on", "-object",
                    "iothread,id=iothread1", "-device", "virtio-rng-pci", cpus=2)
    heard(guest, "A")
    names = {int(task.name): (tasks.text_of(task, "comm") or "").strip()
             for task in tasks.lasting(guest.process.pid)}
    own = sorted(name for name in names.values() if not name.startswith("kvm-"))
    t.equal("threads have the names that tools know", own,
            ["CPU 0/KVM", "CPU 1/KVM", "IO iothread1", "IO queues", "berth"])
    for cpu in guest.qmp.command("query-cpus-fast"):
        t.equal(f"thread of vCPU {cpu['cpu-index']}", names[cpu["thread-id"]],
                f"CPU {cpu['cpu-index']}/KVM")
    for iothread in guest.qmp.command("query-iothreads"):
        t.equal("thread of the iothread", names[iothread["thread-id"]], "IO iothread1")
    guest.qmp.command("quit")
    t.equal("quit exits with 0", guest.wait_exit(SILENCE), 0)


TESTS = [test_help, test_log_items, test_trace_options, test_trace_commands,
         test_thread_names]


if __name__ == "__main__":
    sys.exit(main(TESTS, __doc__))
