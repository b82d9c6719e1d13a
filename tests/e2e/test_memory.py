#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The memory of tiny guests: given, taken back, lost."""

import os
import pathlib
import sys
import time

from rig import SILENCE, heard, main, resident, wait_until
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


BALLOON = "/machine/peripheral/balloon0"
PART = 16
THP = pathlib.Path("/sys/kernel/mm/transparent_hugepage/enabled")


def with_balloon(t, *args, options="", **more):
    guest = t.guest("giver", "-device",
                    f"virtio-balloon-pci,id=balloon0,disable-legacy=on{options}",
                    *args, cpus=1, **more)
    assert guest.qmp
    heard(guest, "R")
    return guest


def order(guest, letter, mib, depth=256):
    """What was done, and what failed."""
    start = len(guest.console.text)
    guest.type(f"{letter} {depth} {mib} 0\n")
    match = guest.console.wait(r"(\d+) \d+ (\d+) \d+\r?\n", start, SILENCE)
    return int(match[1]), int(match[2])


def stats(guest):
    return guest.qmp.command("qom-get", path=BALLOON, property="guest-stats")


def check_given(t, guest, letter, mib, name):
    """RSS falls by 95% of what the guest gives, and what comes again is zeros."""
    pages = mib << 8
    t.equal(f"{name}: filled", order(guest, "f", mib), (pages, 0))
    before = resident(guest.process.pid)
    order(guest, letter, mib)
    fell = before - resident(guest.process.pid)
    t.check(f"{name}: the host has it back", fell >= 0.95 * mib * MIB,
            f"{fell} of {mib * MIB}")
    t.equal(f"{name}: zeros came", order(guest, "z", 1), (256, 0))


def thp():
    """As far as the host has transparent huge pages, which thp=on insists on."""
    try:
        return "off" if "[never]" in THP.read_text() else "on"
    except OSError:
        return "off"


def test_balloon_gives_half_back(t):
    path = t.folder / "memory"
    half = SIZE // 2 // MIB
    for name, backend in (
            ("private", f"ram,size={SIZE}"), ("shared", f"ram,size={SIZE},share=on"),
            ("huge", f"ram,size={SIZE},thp={thp()}"), ("memfd", f"memfd,size={SIZE}"),
            ("file", f"file,size={SIZE},mem-path={path},share=on")):
        guest = with_balloon(
            t, "-object", f"memory-backend-{backend},id=ram",
            "-machine", "memory-backend=ram", options=",free-page-reporting=on")
        mib = half if name in ("private", "memfd") else PART
        check_given(t, guest, "i", mib, f"{name}, in order")
        order(guest, "d", mib)
        check_given(t, guest, "r", PART, f"{name}, free pages")
        if name == "private":
            check_given(t, guest, "x", PART, f"{name}, every other")
        t.equal(f"{name}: all was taken",
                guest.qmp.command("query-balloon")["x-failed"], 0)
        if name == "file":
            blocks = os.stat(path).st_blocks * 512
            t.check("the file has holes", blocks < SIZE - PART * MIB, blocks)
        guest.qmp.command("quit")
        t.equal(f"{name}: quits", guest.wait_exit(), 0)


def test_balloon_is_told(t):
    guest = with_balloon(t, "-object", "iothread,id=io", options=",iothread=io")
    qmp = guest.qmp
    t.equal("all is left", qmp.command("query-balloon")["actual"], SIZE)
    qmp.command("balloon", value=SIZE - 8 * MIB)
    t.check("the guest is asked", wait_until(lambda: order(guest, "q", 0)[0] == 2048))
    order(guest, "i", 8)
    t.equal("event", qmp.wait_event("BALLOON_CHANGE", SILENCE),
            {"actual": SIZE - 8 * MIB})
    t.equal("info balloon", qmp.command("human-monitor-command",
                                        command_line="info balloon"),
            "balloon: actual=120\r\n")
    qmp.command("human-monitor-command", command_line="balloon 96")
    t.check("the monitor for people asks, too",
            wait_until(lambda: order(guest, "q", 0)[0] == 8192))
    order(guest, "d", 8)
    t.check("all is left again", wait_until(
        lambda: qmp.command("query-balloon")["actual"] == SIZE))


def test_balloon_statistics(t):
    guest = with_balloon(t)
    qmp = guest.qmp
    nothing = 2 ** 64 - 1
    first = stats(guest)
    t.equal("none at first", set(first["stats"].values()), {nothing})
    t.equal("never", first["last-update"], 0)
    names = {p["name"]: p["type"] for p in qmp.command("qom-list", path=BALLOON)}
    t.equal("where clients look for them", names.get("guest-stats"), "guest statistics")
    order(guest, "s", 7)
    t.check("as told", wait_until(
        lambda: stats(guest)["stats"]["stat-free-memory"] == 7 * MIB))
    t.equal("the last of Linux 6.12", stats(guest)["stats"]["stat-direct-reclaims"], 1)
    t.equal("what is not told", stats(guest)["stats"]["stat-swap-in"], nothing)
    t.check("when", abs(stats(guest)["last-update"] - time.time()) < 60)
    for value in (-1, 1 << 32, "x"):
        try:
            qmp.command("qom-set", path=BALLOON,
                        property="guest-stats-polling-interval", value=value)
            t.check(f"{value} is refused", False)
        except QmpError as error:
            t.match(f"{value} is refused", error.text, "interval")
    qmp.command("qom-set", path=BALLOON, property="guest-stats-polling-interval", value=5)
    t.equal("how often", qmp.command("qom-get", path=BALLOON,
                                     property="guest-stats-polling-interval"), 5)
    guest.qmp.command("system_reset")
    qmp.wait_event("RESET", SILENCE)
    t.check("a reset guest has told nothing",
            wait_until(lambda: stats(guest)["last-update"] == 0))


def smaps(pid):
    """Resident and private bytes of a process, as the kernel tells."""
    sums = {"Rss": 0, "Private_Clean": 0, "Private_Dirty": 0}
    with open(f"/proc/{pid}/smaps") as file:
        for line in file:
            name, _, rest = line.partition(":")
            if name in sums:
                sums[name] += int(rest.split()[0]) * 1024
    return sums["Rss"], sums["Private_Clean"] + sums["Private_Dirty"]


def near(value, expected):
    return abs(value - expected) <= 0.05 * expected


def test_ledger(t):
    """The ledger's owners sum up to what the kernel counts, within 5%."""
    disk = t.folder / "disk"
    with open(disk, "wb") as file:
        file.truncate(16 * MIB)
    guest = with_balloon(
        t, "-object", f"memory-backend-ram,id=ram,size={SIZE},thp=off",
        "-machine", "memory-backend=ram",
        "-object", "memory-backend-memfd,id=spare,size=16M", "-object", "iothread,id=io",
        "-blockdev", f"file,filename={disk},node-name=d",
        "-device", "virtio-blk-pci,drive=d,iothread=io", "-device", "virtio-serial-pci",
        "-device", "virtio-rng-pci")
    qmp = guest.qmp
    order(guest, "f", 32)
    ledger = qmp.command("x-query-memory-ledger")
    resident_now, private_now = smaps(guest.process.pid)
    entries = {(e["owner"], e.get("id")): e for e in ledger["entries"]}
    heap = {(e["owner"], e.get("id")): e for e in ledger["heap"]}
    for name, told, counted in (("resident", ledger["resident"], resident_now),
                                ("private", ledger["private"], private_now)):
        t.check(f"{name}: told and counted", near(told, counted), (told, counted))
        t.equal(f"{name}: the sum", told, sum(e[name] for e in ledger["entries"]))
    ram = entries["guest-ram", "ram"]
    t.check("what the guest has touched", 32 * MIB <= ram["private"] < 34 * MIB, ram)
    t.equal("what it can touch", ram["worst-case"], SIZE)
    t.equal("what nobody has touched", entries["guest-ram", "spare"]["resident"], 0)
    for owner in ("heap", "stacks", "program", "libraries", "kvm"):
        t.check(f"{owner} has some", entries[owner, None]["resident"] > 0)
    balloon = heap["device", BALLOON]
    t.check("its queues run", 16384 < balloon["allocated"] <= balloon["worst-case"],
            balloon)
    t.check("page tables", 64 << 10 <= ledger["page-tables"] < MIB, ledger["page-tables"])
    t.check("the heap has what its parts say", sum(
        e["allocated"] for e in ledger["heap"]) < 2 * entries["heap", None]["mapped"])


def test_balloon_that_moves_by_itself(t):
    guest = with_balloon(t, "-object", "berth-autoballoon,id=auto,device=balloon0,"
                         "min=32M,headroom=64M,interval=1")
    qmp = guest.qmp

    def decided():
        return qmp.wait_event("X_AUTOBALLOON_DECISION", SILENCE)

    order(guest, "s", 110)
    event = decided()
    t.check("what is free is asked for", event["target"] < event["previous"] == SIZE,
            event)
    order(guest, "i", (SIZE - event["target"]) // MIB)
    order(guest, "s", 7)
    while event["target"] < SIZE:
        event = decided()
        # One that is slow to answer gets its memory back for that.
        t.check("less than headroom", event["reason"] in ("guest-low", "silent"), event)
    state = qmp.command("x-query-autoballoon")[0]["state"]
    t.check("what it did", state["steps-down"] and state["steps-up"], state)
    t.check("of what the host says", state["host"]["total"] > 0, state)
    t.equal("also as properties",
            qmp.command("qom-get", path="/objects/auto", property="last-step")["target"],
            SIZE)
    t.match("for people", qmp.command("human-monitor-command",
                                      command_line="info autoballoon"),
            r"auto: device=balloon0 on\r\n  min=32 max=128 headroom=64 target=128 ")
    qmp.command("object-del", id="auto")
    qmp.command("object-add", **{"qom-type": "berth-autoballoon", "id": "other",
                                 "device": "balloon0"})
    t.equal("again, in the sandbox", qmp.command(
        "qom-get", path="/objects/other", property="max"), SIZE)
    t.match("of a balloon that is not there", t.run(
        "-nodefaults", "-display", "none", "-S",
        "-object", "berth-autoballoon,id=a,device=none").stderr,
            "option '-object': parameter 'device': there is no balloon 'none'")


def of_vmm(guest):
    """Private bytes of the process without the guest's memory, and without files' pages:
    those are its own or shared by who else runs at the moment."""
    ledger = guest.qmp.command("x-query-memory-ledger")
    return sum(e["private"] for e in ledger["entries"]
               if e["owner"] not in ("guest-ram", "program", "libraries"))


def test_hostile_guest_makes_nothing_grow(t):
    """BERTH_HOSTILE_SECONDS says for how long: some minutes once in a while."""
    seconds = float(os.environ.get("BERTH_HOSTILE_SECONDS", "2"))
    disk = t.folder / "disk"
    with open(disk, "wb") as file:
        file.truncate(16 * MIB)
    guest = t.guest(
        "storm", "-object", "iothread,id=io",
        "-blockdev", f"file,filename={disk},node-name=d",
        "-device", "virtio-blk-pci,drive=d,iothread=io",
        "-device", "virtio-scsi-pci,id=scsi", "-blockdev", "null-co,node-name=n,size=1M",
        "-device", "scsi-hd,drive=n", "-device", "virtio-net-pci",
        "-device", "virtio-serial-pci", "-chardev", "null,id=c",
        "-device", "virtserialport,chardev=c",
        "-device", "virtio-balloon-pci,free-page-reporting=on",
        "-device", "virtio-rng-pci", cpus=1)
    heard(guest, r"R\.{16}")
    warm = of_vmm(guest)
    start = len(guest.console.text)
    most, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        time.sleep(min(seconds / 4, 5))
        most = max(most, of_vmm(guest))
    guest.console.wait(r"\.{16}", start, SILENCE)
    most = max(most, of_vmm(guest))
    rounds = len(guest.console.text) - start
    print(f"# {rounds * 1024} things done, {warm} bytes, then {most}", flush=True)
    t.check("no more than a queue's room is taken", most - warm < MIB // 2, (warm, most))
    guest.qmp.command("quit")
    t.equal("quits", guest.wait_exit(), 0)


def of_mapping(pid, name, size):
    """What the kernel tells of the mappings of a file: the sum of that size, in bytes."""
    total, found = 0, False
    with open(f"/proc/{pid}/smaps") as file:
        for line in file:
            if not line[0].isupper():
                found = line.rstrip().endswith(str(name))
            elif found and line.startswith(f"{size}:"):
                total += int(line.split()[1]) * 1024
    return total


def test_firmware_is_shared(t):
    """Two machines have a ROM in memory once: the file's pages, and none of their own."""
    rom = t.folder / "rom"
    rom.write_bytes(b"\xf4" * (256 << 10))
    guests = [t.guest(None, "-bios", rom, cpus=1) for _ in range(2)]
    for guest in guests:
        pid = guest.process.pid
        t.check("it is used", wait_until(lambda: of_mapping(pid, rom, "Rss") > 0))
        t.equal("as the file's", of_mapping(pid, rom, "Anonymous"), 0)
        entry = next(e for e in guest.qmp.command("x-query-memory-ledger")["entries"]
                     if e["owner"] == "rom")
        t.check("the ledger knows it", 0 < entry["resident"] <= entry["mapped"], entry)


KSM = pathlib.Path("/sys/kernel/mm/ksm")
SHARED = 4
KSM_SECONDS = 60
KSM_SETTINGS = {"pages_to_scan": "20000", "sleep_millisecs": "10", "run": "1"}


def tune_ksm(settings):
    """The settings before; None where the host does not let us."""
    try:
        before = {name: (KSM / name).read_text() for name in settings}
        for name, value in settings.items():
            (KSM / name).write_text(value)
    except OSError:
        return None
    return before


def scans():
    return int((KSM / "full_scans").read_text())


def test_ten_guests_share_what_is_equal(t):
    """Pages that are equal in ten guests are in memory once (KSM)."""
    before = tune_ksm(KSM_SETTINGS)
    if before is None:
        t.skip("KSM merges", "the host has no KSM, or it is not ours to run")
        return
    try:
        guests = [with_balloon(t) for _ in range(10)]
        for guest in guests:
            order(guest, "f", SHARED)
        merged, begin, end = [0], scans(), time.monotonic() + KSM_SECONDS
        while min(merged) < 0.9 * SHARED * MIB and time.monotonic() < end:
            time.sleep(0.1)
            merged = [sum(e["merged"] for e in guest.qmp.command(
                "x-query-memory-ledger")["entries"]) for guest in guests]
        if min(merged) < 0.9 * SHARED * MIB and scans() < begin + 4:
            t.skip("most of it is merged in each", "the host's KSM is too slow")
            return
        t.check("most of it is merged in each", min(merged) > 0.9 * SHARED * MIB, merged)
        t.check("the kernel says so", int((KSM / "pages_sharing").read_text()) >
                9 * 0.9 * SHARED * MIB // 4096)
    finally:
        tune_ksm(before)


TESTS = [test_ledger, test_hostile_guest_makes_nothing_grow,
         test_firmware_is_shared, test_ten_guests_share_what_is_equal,
         test_balloon_gives_half_back, test_balloon_is_told, test_balloon_statistics,
         test_balloon_that_moves_by_itself,
         test_file_shrinks_under_the_guest, test_file_shrinks_under_the_monitor,
         test_file_shrinks_under_a_busy_disk]

if __name__ == "__main__":
    sys.exit(main(TESTS, __doc__))
