#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Dumps of tiny guests on this machine's own /dev/kvm, read by the tools of the field."""

import os
import resource
import shutil
import subprocess
import sys
import threading
import time

from rig import SILENCE, heard, main
from qmp import QmpError

PATTERN = 0x1000000
PATTERN_PAGES = 256
HIGH = 0xffffffff80000000
FORMATS = ("elf", "kdump-zlib", "kdump-raw-zlib")
FULL_SIZE = 1 << 18
PLACES = [PATTERN + page * 4096 for page in (0, 4, PATTERN_PAGES - 4)]
# Reads 64 bytes of each physical address through libkdumpfile.
READER = """
import sys, kdumpfile
file = kdumpfile.kdumpfile(sys.argv[1])
for gpa in sys.argv[2:]:
    data = file.read(kdumpfile.KDUMP_MACHPHYSADDR, int(gpa), 64)
    sys.stdout.buffer.write(bytes(data[:64]))
"""


def paged(t, *args, **options):
    guest = t.guest("paged", "-device", "vmcoreinfo", *args, **options)
    heard(guest, "P")
    assert guest.qmp        # hears of everything from now on
    return guest


def dump(guest, path, **options):
    guest.qmp.command("dump-guest-memory", paging=options.pop("paging", False),
                      protocol=f"file:{path}", **options)
    return path


def read_memory(path, places):
    return subprocess.run(["/usr/bin/python3", "-c", READER, str(path),
                           *map(str, places)], stdout=subprocess.PIPE).stdout


def pattern_at(gpa, size):
    return b"".join((gpa + i).to_bytes(8, "little") for i in range(0, size, 8))


def has_reader():
    return subprocess.run(["/usr/bin/python3", "-c", "import kdumpfile"],
                          stderr=subprocess.DEVNULL).returncode == 0


def tool(*argv):
    done = subprocess.run([str(a) for a in argv], stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
    return done.stdout.decode(errors="replace")


def loads_of(path):
    """Offset, virtual and physical address, and size of each part of an ELF file."""
    lines = [line.split() for line in tool("readelf", "-lW", path).splitlines()]
    return [tuple(int(word, 16) for word in words[1:5]) for words in lines
            if words[:1] == ["LOAD"]]


def refused(t, guest, what, pattern, command="dump-guest-memory", **arguments):
    try:
        guest.qmp.command(command, **arguments)
        t.check(what, False, "accepted")
    except QmpError as error:
        t.match(what, error.text, pattern)


def names(events):
    return [event["event"] for event in events]


def test_tools_read_every_format(t):
    guest = paged(t)
    for form in FORMATS:
        path = dump(guest, t.folder / form, format=form)
        events = names(guest.qmp.events)
        guest.qmp.events.clear()
        t.equal(f"{form}: what is told", events, ["STOP", "DUMP_COMPLETED", "RESUME"])
        if shutil.which("crash"):
            t.equal(f"crash reads {form}", tool("crash", "--osrelease", path).strip(),
                    "1.2.3-tiny")
    guest.type("x")
    heard(guest, "Px")
    t.equal("the guest goes on", guest.status, "running")
    if not shutil.which("makedumpfile") or not has_reader():
        t.skip("memory", "makedumpfile or python3-libkdumpfile is not installed")
        return
    with open(t.folder / "kdump-zlib", "rb") as flat:
        subprocess.run(["makedumpfile", "-R", t.folder / "whole"], stdin=flat,
                       stdout=subprocess.DEVNULL, check=True)
    for name in ("elf", "kdump-raw-zlib", "whole"):
        t.equal(f"libkdumpfile reads {name}", read_memory(t.folder / name, PLACES),
                b"".join(pattern_at(gpa, 64) for gpa in PLACES))


def test_elf_notes_and_registers(t):
    guest = paged(t, cpus=2)
    path = dump(guest, t.folder / "elf", paging=True)
    notes = tool("readelf", "-n", path)
    t.equal("a status of each vCPU", notes.count("NT_PRSTATUS"), 2)
    t.equal("and one of QEMU's form", notes.count("QEMU "), 2)
    t.check("the guest's note", "VMCOREINFO" in notes, notes)
    t.equal("the guest's virtual addresses", [load[1:] for load in loads_of(path)],
            [(0, 0, guest_memory(guest)), (HIGH, 0, 8 << 20)])
    if shutil.which("gdb"):
        text = tool("gdb", "-nx", "-batch", "-c", path, "-ex", "info registers",
                    "-ex", f"x/2gx {PATTERN}", "-ex", f"x/1gx {HIGH + 0x200000:#x}")
        t.match("gdb finds the registers", text, r"r9 +0x909090909090909")
        t.match("and the memory", text, r"0x1000000:\s+0x0*1000000\s+0x0*1000008")
        t.match("at high addresses, too", text,
                rf"{HIGH + 0x200000:#x}:\s+0x0*2010[0-9a-f]3")


def guest_memory(guest):
    return guest.qmp.command("query-memory-size-summary")["base-memory"]


def test_detached(t):
    guest = paged(t)
    reader, writer = os.pipe()
    with open(reader, "rb") as pipe:
        guest.qmp.command("getfd", fds=[writer], fdname="dump")
        os.close(writer)
        guest.qmp.command("dump-guest-memory", paging=False, protocol="fd:dump",
                          detach=True, format="elf")
        t.equal("it is stopped", guest.status, "save-vm")
        other = guest.new_session()
        longest = 0
        for _ in range(20):
            began = time.monotonic()
            state = other.command("query-dump")
            longest = max(longest, time.monotonic() - began)
        t.equal("and active", state["status"], "active")
        t.check("its progress", 0 <= state["completed"] < state["total"] ==
                guest_memory(guest), state)
        t.at_most("a writer that waits keeps nobody waiting, seconds", longest, 20)
        refused(t, guest, "one at a time", "There is a dump in process",
                paging=False, protocol="file:/dev/null")
        refused(t, guest, "no cont", "There is a dump in process", command="cont")
        refused(t, guest, "no stop", "There is a dump in process", command="stop")
        guest.qmp.command("system_reset")
        data = pipe.read()
    done = guest.qmp.wait_event("DUMP_COMPLETED", SILENCE)
    t.equal("it completes", done["result"]["status"], "completed")
    guest.qmp.wait_event("RESUME")
    guest.qmp.wait_event("RESET", SILENCE)
    heard(guest, "PP")
    t.check("all of it came", len(data) > guest_memory(guest) and data[:4] == b"\x7fELF")
    t.equal("the end is remembered", guest.qmp.command("query-dump")["status"],
            "completed")
    other.close()


def test_a_paused_guest_stays_paused(t):
    guest = paged(t)
    guest.qmp.command("stop")
    guest.qmp.wait_event("STOP")
    dump(guest, t.folder / "elf")
    t.equal("no more is told", names(guest.qmp.events), ["DUMP_COMPLETED"])
    t.equal("it is paused", guest.status, "paused")
    guest.qmp.command("cont")
    guest.type("y")
    heard(guest, "Py")


def test_ends_in_the_middle(t):
    for how in ("quit", "client", "signal"):
        guest = paged(t)
        reader, writer = os.pipe()
        session = guest.new_session()
        session.command("getfd", fds=[writer], fdname="dump")
        os.close(writer)
        session.send({"execute": "dump-guest-memory", "id": 1,
                      "arguments": {"paging": False, "protocol": "fd:dump"}})
        guest.qmp.wait_event("STOP")
        if how == "client":
            session.close()
            threading.Thread(target=drain, args=[reader], daemon=True).start()
            guest.qmp.wait_event("DUMP_COMPLETED", SILENCE)
            guest.type("z")
            heard(guest, "Pz")
            continue
        if how == "quit":
            guest.qmp.command("quit")
        else:
            guest.process.terminate()
        reply = session.receive_reply()
        t.match(f"{how}: the client that waits hears of it", reply["error"]["desc"],
                "the machine ends")
        t.equal(f"{how}: and it ends", guest.wait_exit(SILENCE), 0)
        os.close(reader)
    t.check("a client that goes leaves the dump to its end", True)


def drain(fd):
    while os.read(fd, 1 << 16):
        pass
    os.close(fd)


def small_file_system(t):
    """A folder with little room; None where that cannot be made."""
    folder = t.folder / "small"
    folder.mkdir()
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={FULL_SIZE}", "none",
                           str(folder)], stderr=subprocess.DEVNULL)
    return folder if done.returncode == 0 else None


def test_no_room(t):
    guest = paged(t)
    folder = small_file_system(t)
    if not folder:
        t.skip("no room", "a file system cannot be mounted here")
        return
    try:
        for form in FORMATS:
            refused(t, guest, f"{form}: no room", "No space left on device",
                    paging=False, protocol=f"file:{folder}/dump", format=form)
            event = guest.qmp.wait_event("DUMP_COMPLETED")
            t.equal(f"{form}: the event", (event["result"]["status"], event["error"]),
                    ("failed", "cannot write the dump: No space left on device"))
            t.equal(f"{form}: remembered", guest.qmp.command("query-dump")["status"],
                    "failed")
            (folder / "dump").unlink()
        refused(t, guest, "memsave: no room", "No space left", command="memsave", val=0,
                size=64 << 20, filename=f"{folder}/dump")
    finally:
        subprocess.run(["umount", str(folder)], check=True)
    guest.type("w")
    heard(guest, "Pw")


def test_refusals(t):
    guest = paged(t)
    to = f"file:{t.folder}/x"
    bad = [
        ("unknown protocol", "Parameter 'protocol'", dict(protocol="tcp:1")),
        ("unknown name", "named 'none' not found", dict(protocol="fd:none")),
        ("no folder", "No such file", dict(protocol=f"file:{t.folder}/no/x")),
        ("begin alone", "'length' is missing", dict(protocol=to, begin=0)),
        ("length alone", "'begin' is missing", dict(protocol=to, length=1)),
        ("no memory there", "no memory between", dict(protocol=to, begin=1 << 40,
                                                      length=1)),
        ("kdump with paging", "doesn't support paging", dict(protocol=to, paging=True,
                                                             format="kdump-zlib")),
        ("kdump with filter", "doesn't support paging", dict(
            protocol=to, format="kdump-raw-zlib", begin=0, length=1)),
        ("lzo", "zlib only", dict(protocol=to, format="kdump-lzo")),
        ("snappy", "zlib only", dict(protocol=to, format="kdump-raw-snappy")),
        ("Windows", "vmcoreinfo driver", dict(protocol=to, format="win-dmp")),
        ("set that is not there", "/dev/fdset/7", dict(protocol="file:/dev/fdset/7")),
    ]
    for what, pattern, arguments in bad:
        refused(t, guest, what, pattern, **{"paging": False, **arguments})
    refused(t, guest, "memsave of what is not mapped", "Invalid addr", command="memsave",
            val=1 << 40, size=1, filename=str(t.folder / "x"))
    refused(t, guest, "memsave of another vCPU", "CPU number", command="memsave", val=0,
            size=1, filename=str(t.folder / "x"), cpu_index=7)
    t.equal("nothing was begun", guest.qmp.command("query-dump"),
            {"status": "none", "completed": 0, "total": 0})
    t.equal("it runs", guest.status, "running")
    t.equal("what is offered", guest.qmp.command("query-dump-guest-memory-capability"),
            {"formats": list(FORMATS)})


def test_filter(t):
    guest = paged(t)
    path = dump(guest, t.folder / "part", begin=PATTERN + 8, length=4096)
    loads = loads_of(path)
    t.equal("one part", [load[2:] for load in loads], [(PATTERN + 8, 4096)])
    data = path.read_bytes()[loads[0][0]:]
    t.equal("its first word", int.from_bytes(data[:8], "little"), PATTERN + 8)


def test_memsave_of_a_running_guest(t):
    guest = paged(t)
    virtual, physical = t.folder / "virtual", t.folder / "physical"
    guest.qmp.command("memsave", val=HIGH + 0x200000 - (1 << 64), size=8192,
                      filename=str(virtual))
    guest.qmp.command("pmemsave", val=0x200000, size=8192, filename=str(physical))
    t.check("the same by virtual and physical addresses",
            virtual.read_bytes() == physical.read_bytes() and
            len(virtual.read_bytes()) == 8192)
    guest.qmp.command("pmemsave", val=PATTERN, size=4096, filename=str(physical))
    t.check("the pattern", physical.read_bytes() == pattern_at(PATTERN, 4096))
    guest.qmp.command("pmemsave", val=0xc0000000, size=4096, filename=str(physical))
    t.check("what is no memory is zeros", physical.read_bytes() == bytes(4096))
    t.equal("nobody was told", names(guest.qmp.events), [])
    guest.type("v")
    heard(guest, "Pv")


def test_fd_sets(t):
    guest = paged(t)
    with open(t.folder / "set", "wb") as file:
        guest.qmp.command("add-fd", fds=[file.fileno()], fdset_id=1)
    dump(guest, "/dev/fdset/1")
    t.equal("a file of a set", (t.folder / "set").read_bytes()[:4], b"\x7fELF")


def test_memory_does_not_grow(t):
    guest = paged(t, memory=4096)
    dump(guest, t.folder / "warm", format="kdump-zlib", paging=False)
    before = rss(guest)
    for form in FORMATS:
        dump(guest, t.folder / form, format=form)
    t.at_most("growth of resident memory over dumps of 4 GiB, KiB",
              (rss(guest) - before) / 1024, 1024)
    t.at_most("an idle guest's dump is small, MiB",
              os.stat(t.folder / "elf").st_blocks / 2048, 16)


def rss(guest):
    with open(f"/proc/{guest.process.pid}/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


TESTS = [test_tools_read_every_format, test_elf_notes_and_registers, test_detached,
         test_a_paused_guest_stays_paused, test_ends_in_the_middle, test_no_room,
         test_refusals, test_filter, test_memsave_of_a_running_guest, test_fd_sets,
         test_memory_does_not_grow]


if __name__ == "__main__":
    sys.exit(main(TESTS, __doc__))
