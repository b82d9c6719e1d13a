#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A disk that does not answer, beneath a guest that runs: nobody else waits for it.  By
the whole program in its sandbox, with requests held on an iothread and on workers."""

import json
import shutil
import subprocess
import sys

from rig import SILENCE, heard, main, wait_until
from qmp import QmpError

SIZE = 8 << 20
NEVER = [{"ops": ["read", "write"], "delay-ns": (1 << 64) - 1}]
DEPTH = 4
QUERIES = ("query-block", "query-blockstats", "query-named-block-nodes", "query-status",
           "query-jobs", "query-iothreads", "query-pci", "query-fdsets")


def start(t, top, name, order):
    """A guest on the node that @top makes of "stuck", with requests that do not end."""
    path = t.folder / f"{name}.img"
    if top:
        subprocess.run(["qemu-img", "create", "-q", "-f", top, path, str(SIZE)],
                       check=True)
    else:
        path.write_bytes(bytes(SIZE))
    nodes = ["-blockdev", json.dumps({"driver": "inject", "node-name": "stuck", "file":
                                      {"driver": "file", "filename": str(path)}})]
    if top:
        nodes += ["-blockdev", f"{top},node-name=top,file=stuck"]
    guest = t.guest("disk", "-object", "iothread,id=io", *nodes, "-device",
                    f"virtio-blk-pci,drive={'top' if top else 'stuck'},id=vda,"
                    "iothread=io", "-device", "pcie-root-port,id=port", cpus=1)
    heard(guest, r"R\r?\n")
    guest.qmp.command("x-block-inject-set", node_name="stuck", rules=NEVER)
    guest.type(f"{order}\n")
    t.check(f"{name}: requests are stuck", wait_until(lambda: n_stuck(guest) > 0))
    return guest


def n_stuck(guest):
    told = guest.qmp.command("x-query-block-inject", node_name="stuck")
    return sum(rule["acted"] for rule in told["rules"])


def refused(qmp, command, **arguments):
    try:
        qmp.command(command, **arguments)
    except QmpError as error:
        return error.text
    return None


def test_the_machine_goes_on(t):
    guest = start(t, None, "raw", f"r {DEPTH} 4096 1000")
    qmp = guest.qmp
    for query in QUERIES:
        qmp.command(query)
    qmp.command("blockdev-add", driver="null-co", node_name="other")
    qmp.command("device_add", driver="virtio-blk-pci", drive="other", id="vdb",
                bus="port")
    t.match("the disk is in use", refused(qmp, "blockdev-del", node_name="stuck") or "",
            "in use")

    qmp.command("stop")
    t.equal("stopped", guest.status, "paused")
    for query in QUERIES:
        qmp.command(query)
    qmp.command("cont")
    t.equal("running", guest.status, "running")
    t.check("the requests wait all the while", wait_until(
        lambda: n_stuck(guest) == DEPTH), n_stuck(guest))

    # What is under way would write to the memory of the guest that boots: it is awaited.
    mark = len(guest.console.text)
    qmp.command("system_reset")
    qmp.command("system_reset")
    for query in QUERIES:
        qmp.command(query)
    qmp.command("stop")
    t.equal("stopped before the reset", guest.status, "paused")
    qmp.command("cont")
    t.equal("no reset yet", [e for e in qmp.events if e["event"] == "RESET"], [])
    t.check("nothing has ended",
            qmp.command("query-blockstats")[0]["stats"]["rd_operations"] == 0)
    qmp.command("x-block-inject-set", node_name="stuck", rules=[])
    qmp.wait_event("RESET")
    guest.console.wait(r"R\r?\n", mark, SILENCE)
    guest.type(f"r {DEPTH} 4096 1000\n")
    done, _, failed, _ = map(int, guest.console.wait(
        r"(\d+ \d+ \d+ \d+)\r?\n", mark, SILENCE)[1].split())
    t.check("the disk is there again", done >= DEPTH and failed == 0)
    qmp.command("quit")
    t.equal("it ends", guest.wait_exit(), 0)


def test_commands_that_wait_for_it(t):
    """They keep their own session waiting; another goes on, and can end the machine."""
    if not shutil.which("qemu-img"):
        t.skip("commands", "qemu-img is not here")
        return
    guest = start(t, "qcow2", "qcow2", f"w {DEPTH} 4096 1000")
    waits = guest.new_session()
    waits.send({"execute": "block_resize",
                "arguments": {"node-name": "top", "size": 2 * SIZE}})
    qmp = guest.qmp
    t.check("the node is busy", wait_until(lambda: "busy" in (refused(
        qmp, "block_resize", node_name="top", size=SIZE) or "")))
    for query in QUERIES:
        qmp.command(query)
    qmp.command("stop")
    qmp.command("system_reset")
    qmp.command("cont")
    t.equal("running", guest.status, "running")
    qmp.command("quit")
    t.equal("it ends", guest.wait_exit(), 0)
    told = subprocess.run(["qemu-img", "check", "-q", t.folder / "qcow2.img"],
                          check=False)
    t.equal("the image is clean", told.returncode, 0)


def test_sigterm(t):
    guest = start(t, None, "raw", f"w {DEPTH} 4096 1000")
    guest.process.terminate()
    t.equal("it ends", guest.wait_exit(), 0)


TESTS = [test_the_machine_goes_on, test_commands_that_wait_for_it, test_sigterm]


if __name__ == "__main__":
    sys.exit(main(TESTS, __doc__))
