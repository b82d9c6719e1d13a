#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The memory of tiny guests: given, taken back, lost."""

import sys

from rig import SILENCE, heard, main, wait_until
from poke import Poke
from qmp import QmpError

MIB = 1 << 20
SIZE = 128 * MIB
HIGH = 96 * MIB
RESET_IS_DUE = "Resetting the Virtual Machine is required"


def refused(qmp, command):
    try:
        qmp.command(command)
    except QmpError as error:
        return error.text
    return None


def in_file(t, image, *args, share=True, **options):
    """A guest whose memory is a file that is there with its size."""
    path = t.folder / f"memory-{len(t.guests)}"
    with open(path, "wb") as file:
        file.truncate(SIZE)
    guest = t.guest(image, "-object", f"memory-backend-file,id=ram,size={SIZE},"
                    f"mem-path={path},share={'on' if share else 'off'}",
                    "-machine", "memory-backend=ram", *args, **options)
    return guest, path


def resize(path, size):
    with open(path, "r+b") as file:
        file.truncate(size)


def check_lost(t, guest, size):
    """The guest's file has that size: the machine stopped, and clients know why."""
    event = guest.qmp.wait_event("MEMORY_FAILURE", SILENCE)
    t.equal("whose memory", (event["recipient"], event["action"]), ("guest", "fatal"))
    t.equal("it was needed", event["flags"],
            {"action-required": True, "recursive": False})
    t.equal("which", event["x-memory"], "ram")
    t.equal("why", event["x-reason"], "the file has become too short: it has "
            f"{size} bytes, and needs {SIZE}")
    t.equal("STOP event", guest.qmp.wait_event("STOP", SILENCE), {})
    t.equal("stopped", guest.status, "internal-error")
    t.equal("cont", refused(guest.qmp, "cont"), RESET_IS_DUE)
    t.check("the process lives", guest.process.poll() is None)
    t.check("and says so", "the file has become too short" in guest.stderr, guest.stderr)


def test_file_shrinks_under_the_guest(t):
    for share in (True, False):
        guest, path = in_file(t, "poke", share=share)
        assert guest.qmp
        driver = Poke(guest)
        driver.write(HIGH, 0x12345678)
        t.equal("memory is memory", driver.read(HIGH), 0x12345678)
        resize(path, HIGH)
        driver.order("M", HIGH)
        check_lost(t, guest, HIGH)
        resize(path, SIZE)
        guest.qmp.command("system_reset")
        guest.qmp.wait_event("RESET", SILENCE)
        guest.qmp.command("cont")
        driver.heard("!")
        t.equal("after a reset it goes on with what the file has", driver.read(HIGH), 0)
        guest.qmp.command("quit")
        t.equal("quits", guest.wait_exit(), 0)


def test_file_shrinks_under_the_monitor(t):
    guest, path = in_file(t, "poke")
    assert guest.qmp
    driver = Poke(guest)
    resize(path, HIGH)
    t.equal("zeros are read", guest.qmp.command("human-monitor-command",
                                                command_line=f"xp /xw {HIGH}"),
            f"{HIGH:016x}: 0x00000000\r\n")
    check_lost(t, guest, HIGH)
    resize(path, SIZE)
    guest.qmp.command("system_reset")
    guest.qmp.command("cont")
    driver.heard("!")


def test_file_shrinks_under_a_busy_disk(t):
    """The vCPU, the thread of the queues and its requests lose all they have."""
    for round in range(3):
        disk = t.folder / f"disk-{round}"
        with open(disk, "wb") as file:
            file.truncate(16 * MIB)
        guest, path = in_file(
            t, "disk", "-object", "iothread,id=io",
            "-blockdev", f"file,filename={disk},node-name=d",
            "-device", "virtio-blk-pci,drive=d,disable-legacy=on,iothread=io", cpus=1)
        assert guest.qmp
        heard(guest, "R")
        guest.type("r 32 4096 4000000000000\n")
        t.check("it reads", wait_until(lambda: guest.qmp.command(
            "query-blockstats")[0]["stats"]["rd_operations"] > 1000))
        resize(path, 0)
        check_lost(t, guest, 0)
        t.check("the client is answered", guest.qmp.command("query-status"))
        guest.qmp.command("quit")
        t.equal("quits", guest.wait_exit(), 0)


TESTS = [test_file_shrinks_under_the_guest, test_file_shrinks_under_the_monitor,
         test_file_shrinks_under_a_busy_disk]

if __name__ == "__main__":
    sys.exit(main(TESTS, __doc__))
