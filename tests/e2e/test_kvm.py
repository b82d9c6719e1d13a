#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Tiny guests on this machine's own /dev/kvm: boot, devices, life cycle, signals."""

import pathlib
import re
import signal
import socket
import sys
import time

from rig import GUESTS, SILENCE, Guest, context_switches, heard, main, stays, wait_until


DEBUG_EXIT = ("-device", "isa-debug-exit,iobase=0xf4,iosize=4")
CYCLES = 100
RESETS = 20
LARGE = 288
SOON = 20                       # seconds in which what is not held up is done


def test_first_byte(t):
    guest = t.guest("first-byte", *DEBUG_EXIT)
    t.equal("isa-debug-exit with 0 exits with 1", guest.wait_exit(SILENCE), 1)
    guest.console.thread.join(SILENCE)
    t.equal("the guest's byte came out", guest.console.text, "B")


def test_exit_code(t):
    guest = t.guest("echo", *DEBUG_EXIT)
    heard(guest, "B")
    guest.type("hello X")
    t.equal("isa-debug-exit with 7 exits with 15", guest.wait_exit(SILENCE), 15)
    guest.console.thread.join(SILENCE)
    t.equal("what was typed came back", guest.console.text, "Bhello X")


def test_serial(t):
    guest = t.guest("echo")
    heard(guest, "B")
    text = "".join(chr(97 + i % 26) for i in range(2000))
    guest.type(text + ".")
    heard(guest, r"\.")
    t.check("2,000 bytes come back in order", guest.console.text == f"B{text}.",
            guest.console.text)


def test_start_info(t):
    initrd = t.folder / "initrd"
    initrd.write_bytes(bytes(range(1, 101)))
    guest = t.guest("start-info", "-initrd", initrd, append="one two=3")
    heard(guest, "end\n")
    text = guest.console.text
    t.match("the magic", text, r"^magic 00000000336ec578\n")
    t.match("the command line", text, r"\ncmdline one two=3\n")
    t.match("the initrd", text, r"\nmodule 0{14}64 0807060504030201\n")
    ram = [(int(a, 16), int(b, 16)) for a, b in re.findall(r"ram (\w+) (\w+)", text)]
    total = sum(size for _, size in ram)
    t.check("nearly all of 128 MiB is RAM", 120 << 20 < total <= 128 << 20, ram)


def test_two_vcpus(t):
    guest = t.guest("idle", cpus=2)
    heard(guest, "HA")
    threads = [cpu["thread-id"] for cpu in guest.qmp.command("query-cpus-fast")]
    task = pathlib.Path(f"/proc/{guest.process.pid}/task")
    tasks = {int(path.name) for path in task.iterdir()}
    good = len(set(threads)) == 2 and set(threads) <= tasks
    t.check("vCPUs' thread ids are real", good, f"{threads} of {tasks}")
    names = [(task / str(tid) / "comm").read_text().strip() for tid in threads]
    t.equal("their names", names, ["CPU 0/KVM", "CPU 1/KVM"])


def test_idle_wakeups(t):
    guest = t.guest("idle", cpus=2)
    heard(guest, "HA")
    time.sleep(0.5)
    t.check("threads of a halted VM do not wake in 3 s",
            stays(lambda: context_switches(guest.process.pid), 3))


def test_interrupt_chips(t):
    for where in "on", "split", "split,hpet=on":
        guest = t.guest("chips", "-machine", f"kernel-irqchip={where}", cpus=2)
        heard(guest, r"piln\.")
        guest.type("a")
        heard(guest, r"piln\.a")
        guest.qmp.command("stop")
        guest.type("b")
        guest.qmp.command("cont")
        heard(guest, r"piln\.ab")
        guest.qmp.command("system_reset")
        heard(guest, r"piln\.abpiln\.")
        guest.type("c")
        heard(guest, r"piln\.abpiln\.c")
        t.equal(f"kernel-irqchip={where}: PIC, IOAPIC and timer, over stop and reset",
                guest.console.text, "piln.abpiln.c")
        time.sleep(0.5)
        t.check(f"kernel-irqchip={where}: no wake-ups in 3 s when it sleeps again",
                stays(lambda: context_switches(guest.process.pid), 3))
        guest.qmp.command("quit")
        t.equal(f"kernel-irqchip={where}: it quits", guest.wait_exit(SILENCE), 0)


def private_dirty(pid):
    """The process's memory that is its own, in bytes."""
    text = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
    return int(re.search(r"Private_Dirty: *(\d+) kB", text)[1]) * 1024


def test_many_vcpus(t):
    def start(cpus):
        began = time.monotonic()
        guest = t.guest("many", "-machine", "kernel-irqchip=split", cpus=cpus)
        heard(guest, "[xX]")
        return guest, time.monotonic() - began

    def count(guest):
        """How many vCPUs beside the first the guest counts now."""
        mark = len(guest.console.text)
        guest.type("?")
        return int(guest.console.wait("[0-9a-f]{4}", mark, silence=SILENCE)[0], 16)

    def running(guest, wanted):
        """How many there are when so many were, and those that are too many had time."""
        wait_until(lambda: count(guest) >= wanted)
        time.sleep(0.2)
        return count(guest)

    small, _ = start(2)
    t.equal("two vCPUs run, in xAPIC mode", running(small, 1), 1)
    few = private_dirty(small.process.pid)
    small.qmp.command("quit")
    most = t.run("--check-host").stdout
    if int(re.search(r"most vCPUs +(\d+)", most)[1]) < LARGE:
        t.skip(f"{LARGE} vCPUs", "this host's KVM allows fewer")
        return
    guest, took = start(LARGE)
    t.at_most(f"seconds from the start to the first byte with {LARGE} vCPUs", took, SOON)
    t.equal(f"all {LARGE} run, in x2APIC mode", running(guest, LARGE - 1), LARGE - 1)
    t.equal("the mode is x2APIC", guest.console.text[0], "X")
    mark = len(guest.console.text)
    guest.type("I")
    guest.console.wait("i", mark, silence=SILENCE)
    t.check("an interrupt of the IOAPIC reaches the last", True)
    each = (private_dirty(guest.process.pid) - few) // (LARGE - 2)
    t.at_most("private bytes for each", each, 64 << 10)
    t.out(f"# first byte after {took * 1000:.0f} ms, {each >> 10} KiB for each")
    mark = len(guest.console.text)
    guest.qmp.command("stop")
    guest.qmp.command("system_reset")
    guest.qmp.command("cont")
    guest.console.wait("X", mark, silence=SILENCE)
    t.equal("all again after a reset", running(guest, LARGE - 1), LARGE - 1)
    guest.qmp.command("quit")
    t.equal("it quits", guest.wait_exit(SILENCE), 0)
    refused = t.run("-machine", "q35", "-nodefaults", "-display", "none", "-smp", LARGE,
                    "-kernel", GUESTS / "many.elf")
    t.check("the kernel's IOAPIC does not do it",
            refused.returncode == 1 and "kernel-irqchip=split" in refused.stderr,
            refused.stderr)


def test_hammer(t):
    guest = t.guest("hammer", "-chardev", "null,id=nul",
                    "-device", "isa-debugcon,iobase=0xe9,chardev=nul",
                    "-device", "virtio-rng-pci", "-device", "pcie-root-port,id=port")
    heard(guest, "D")
    t.equal("random accesses leave the machine running", guest.status, "running")
    t.check("the log is bounded", len(guest.stderr) < 20000, f"{len(guest.stderr)} bytes")
    guest.qmp.command("quit")
    t.equal("it quits", guest.wait_exit(SILENCE), 0)


def test_triple_fault(t):
    guest = t.guest("echo")
    qmp = guest.qmp
    heard(guest, "B")
    qmp = guest.qmp
    guest.type("T")
    t.equal("a triple fault resets", qmp.wait_event("RESET", SILENCE),
            {"guest": True, "reason": "guest-reset"})
    heard(guest, "TB")
    guest.type("R")
    t.equal("port 0xcf9 resets", qmp.wait_event("RESET", SILENCE),
            {"guest": True, "reason": "guest-reset"})
    heard(guest, "RB")
    t.equal("and it runs on", guest.status, "running")


def test_no_reboot(t):
    guest = t.guest("echo", "-no-reboot")
    qmp = guest.qmp
    heard(guest, "B")
    guest.type("T")
    t.equal("a reset shuts down", qmp.wait_event("SHUTDOWN", SILENCE),
            {"guest": True, "reason": "guest-reset"})
    t.equal("and exits", guest.wait_exit(SILENCE), 0)


def test_set_action(t):
    guest = t.guest("echo")
    heard(guest, "B")
    guest.qmp.command("set-action", reboot="shutdown", shutdown="pause")
    guest.type("R")
    t.equal("a reset is now a shutdown", guest.qmp.wait_event("SHUTDOWN", SILENCE),
            {"guest": True, "reason": "guest-reset"})
    guest.qmp.wait_event("STOP", SILENCE)
    t.equal("that pauses", guest.status, "shutdown")


def test_life_cycle(t):
    guest = t.guest("echo", "-S")
    qmp = guest.qmp
    t.equal("prelaunch", guest.status, "prelaunch")
    t.equal("silent", guest.console.text, "")
    qmp.command("cont")
    t.equal("RESUME", qmp.wait_event("RESUME"), {})
    heard(guest, "B")
    qmp.command("stop")
    t.equal("STOP", qmp.wait_event("STOP"), {})
    t.equal("paused", guest.status, "paused")
    guest.type("z")
    time.sleep(0.3)
    t.equal("a paused guest does not echo", guest.console.text, "B")
    qmp.command("cont")
    heard(guest, "Bz")
    qmp.command("system_reset")
    t.equal("RESET", qmp.wait_event("RESET"),
            {"guest": False, "reason": "host-qmp-system-reset"})
    heard(guest, "BzB")
    qmp.command("quit")
    t.equal("SHUTDOWN", qmp.wait_event("SHUTDOWN"),
            {"guest": False, "reason": "host-qmp-quit"})
    t.equal("exit code", guest.wait_exit(SILENCE), 0)
    t.check("the socket is removed", not guest.qmp_path.exists())


def test_reset_by_all_vcpus(t):
    guest = t.guest("swarm", "-device", "virtio-rng-pci,addr=1", cpus=4)
    qmp = guest.qmp
    for i in range(RESETS):
        heard(guest, "H" * (i + 1))
        guest.type("RK"[i % 2])
        qmp.wait_event("RESET", SILENCE)
    heard(guest, "H" * (RESETS + 1))
    t.equal("and it runs on", guest.status, "running")
    more = [event for event in qmp.events if event["event"] == "RESET"]
    t.equal("what all ask for at once is done once", more, [])
    guest.type("P")
    qmp.wait_event("SHUTDOWN", SILENCE)
    t.equal("all power it off", guest.wait_exit(SILENCE), 0)


def test_busy_vcpus_keep_nobody_waiting(t):
    for order, what in ("D", "memory decoding toggled"), ("V", "serial output"):
        guest = t.guest("swarm", "-device", "virtio-rng-pci,addr=1", cpus=4)
        heard(guest, "H")
        guest.type(order)
        time.sleep(0.3)
        longest = 0
        for command in ("query-pci", "query-chardev", "stop", "cont", "query-status") * 4:
            began = time.monotonic()
            guest.qmp.command(command)
            longest = max(longest, time.monotonic() - began)
        t.at_most(f"{what}: seconds of the longest command", longest, SOON)
        guest.qmp.command("quit")
        t.equal(f"{what}: it quits", guest.wait_exit(SILENCE), 0)


def test_spinning_guest(t):
    guest = t.guest("echo")
    heard(guest, "B")
    guest.type("S")
    heard(guest, "S")
    began = time.monotonic()
    guest.qmp.command("stop")
    guest.qmp.wait_event("STOP")
    t.at_most("stop reaches a spinning vCPU, seconds", time.monotonic() - began, SOON)
    guest.qmp.command("cont")
    guest.qmp.command("system_reset")
    heard(guest, "BSB")
    guest.qmp.command("quit")
    t.equal("quit too", guest.wait_exit(SILENCE), 0)


def values(results):
    return {stat["name"]: stat["value"] for stat in results[0]["stats"]}


def test_statistics(t):
    guest = t.guest("echo", "-device", "virtio-rng-pci,id=rng0", cpus=2)
    heard(guest, "B")
    qmp = guest.qmp
    schemas = {(s["provider"], s["target"]): {v["name"]: v["type"] for v in s["stats"]}
               for s in qmp.command("query-stats-schemas")}
    machine = qmp.command("query-stats", target="vm")
    vcpus = qmp.command("query-stats", target="vcpu")
    t.equal("one entry of the machine", len(machine), 1)
    t.equal("with what the schema says", set(values(machine)), set(schemas["kvm", "vm"]))
    paths = [cpu["qom-path"] for cpu in qmp.command("query-cpus-fast")]
    t.equal("one of each vCPU", [entry["qom-path"] for entry in vcpus], paths)
    known = schemas["kvm", "vcpu"]
    t.equal("with what the schema says", set(values(vcpus)), set(known))
    kinds = {known[name] for name, value in values(vcpus).items() if type(value) is list}
    t.check("histograms are lists", kinds <= {"linear-histogram", "log2-histogram"},
            kinds)

    own = {"target": "vcpu", "vcpus": paths[:1],
           "providers": [{"provider": "berth", "names": ["user_io", "user_exits"]}]}
    results = qmp.command("query-stats", **own)
    first = second = values(results)
    t.equal("one vCPU, two names", (len(results), sorted(first)),
            (1, ["user_exits", "user_io"]))
    deadline = time.monotonic() + SILENCE
    while second["user_io"] == first["user_io"] and time.monotonic() < deadline:
        second = values(qmp.command("query-stats", **own))
    t.check("exits for I/O go on", 0 < first["user_io"] < second["user_io"], second)
    t.check("and are among all", first["user_io"] <= first["user_exits"], first)
    queues = qmp.command("query-stats", target="virtqueue")
    t.equal("a queue of a device", [(q["qom-path"], q["queue"]) for q in queues],
            [("/machine/peripheral/rng0", 0)])
    monitors = qmp.command("query-stats", target="monitor")
    t.equal("the monitor", monitors[0]["qom-path"], "/chardevs/compat_monitor0")
    qmp.command("quit")
    t.equal("quit exits with 0", guest.wait_exit(SILENCE), 0)


def connect(path):
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.settimeout(SILENCE)
    client.connect(str(path))
    return client


def channel_guest(t, order):
    """A guest that moves bytes through a port of virtio-serial; its first client."""
    path = t.folder / "channel"
    guest = t.guest("channel", "-chardev", f"socket,id=c,path={path},server=on,wait=off",
                    "-device", "virtio-serial-pci,disable-legacy=on", "-device",
                    "virtserialport,chardev=c,nr=1,id=port", "-S", append=order)
    guest.qmp.command("cont")
    client = connect(path)
    heard(guest, "R")
    return guest, path, client


def test_channel_to_a_host_that_does_not_read(t):
    guest, path, client = channel_guest(t, "out 16")
    t.equal("the port is open", guest.qmp.wait_event("VSERPORT_CHANGE"),
            {"id": "port", "open": True})
    before = -1
    while context_switches(guest.process.pid) != before:
        before = context_switches(guest.process.pid)
        time.sleep(0.2)
    t.check("it comes to rest, the guest in the middle", "D" not in guest.console.text)
    t.equal("the VM runs", guest.status, "running")
    size = 0
    while size < 8 << 20:
        size += len(client.recv(1 << 18))
    client.close()
    t.check("without a reader the rest is thrown away", heard(guest, "D"))
    guest.qmp.command("quit")
    t.equal("quit exits with 0", guest.wait_exit(SILENCE), 0)


def test_channel_from_clients_that_come_and_go(t):
    guest, path, client = channel_guest(t, "in 8")
    for _ in range(8):
        client.sendall(bytes(1 << 20))
        client.close()
        client = connect(path)
    t.check("each byte of each client arrives", heard(guest, "D"))
    client.close()
    guest.qmp.command("quit")
    t.equal("quit exits with 0", guest.wait_exit(SILENCE), 0)


def test_signals(t):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        guest = t.guest("echo")
        heard(guest, "B")
        qmp = guest.qmp
        guest.process.send_signal(number)
        t.equal(f"{number.name} is an event", qmp.wait_event("SHUTDOWN"),
                {"guest": False, "reason": "host-signal"})
        t.equal(f"{number.name} exits with 0", guest.wait_exit(SILENCE), 0)


def test_start_stop_cycles(t):
    began = time.monotonic()
    codes = set()
    for _ in range(CYCLES):
        guest = Guest(t.vmm, t.folder, "-S", cpu=None, kernel=GUESTS / "echo.elf")
        guest.start()
        guest.qmp.command("quit")
        codes.add(guest.wait_exit(SILENCE))
        guest.close()
        left = [p.name for p in guest.folder.iterdir() if p.name != "stderr"]
        if left:
            t.check("nothing is left behind", False, left)
            return
    t.equal("100 cycles end with 0", codes, {0})
    t.out(f"# a cycle took {(time.monotonic() - began) / CYCLES * 1000:.0f} ms")


TESTS = [
    test_first_byte, test_exit_code, test_serial, test_start_info, test_two_vcpus,
    test_idle_wakeups, test_interrupt_chips, test_hammer, test_triple_fault,
    test_many_vcpus,
    test_no_reboot, test_set_action, test_life_cycle, test_reset_by_all_vcpus,
    test_busy_vcpus_keep_nobody_waiting, test_spinning_guest, test_statistics,
    test_channel_to_a_host_that_does_not_read, test_channel_from_clients_that_come_and_go,
    test_signals,
    test_start_stop_cycles,
]


if __name__ == "__main__":
    sys.exit(main(TESTS, __doc__))
