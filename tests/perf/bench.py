#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Numbers of berth beside an installed QEMU: start, memory, QMP, idle wake-ups.

    tests/perf/bench.py [--vmm PATH] [--runs N] [--fleet N] [--check]

All use the same tiny guests on this machine's KVM and take turns, so that what disturbs
one disturbs the others: read the ratios.  What is a matter of many short questions is
measured with the client on the VMM's own CPU: else it is a matter of how long this
machine takes to wake another one.  Private dirty and resident memory are sums over
/proc/PID/smaps without the guest's RAM.  With --check it is a test: it writes TAP, with
limits that leave times room for a busy machine and memory none.
"""

import argparse
import contextlib
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE.parent / name) for name in ("kit", "e2e", "qmp")]
import density  # noqa: E402
import tasks  # noqa: E402
from qmp import Qmp  # noqa: E402
from replay import SESSIONS, steps  # noqa: E402
from test_metrics import ask, connect  # noqa: E402
from rig import context_switches  # noqa: E402
from tap import Checks  # noqa: E402

GUESTS = ROOT / "build" / "guests"
FILL = ROOT / "build" / "tests" / "perf" / "fill"
RAM_MIB = 128
ROUND_TRIPS = 500
PLUGS = 8
PAIRS = 200
CHANNEL_MIB = 32
POLLERS, POLL_HERTZ, POLL_SECONDS = 10, 100, 2
POLLED = ["query-status", "query-cpus-fast", "query-blockstats", "query-block",
          "query-chardev", "query-iothreads"]
LARGE, MOST, DISKS, ASKED = 64, 255, 30, 9
FEW, MANY = 2, 10
TIMEOUT = 60
QBOOT = ["/usr/share/qemu/qboot.rom", "/usr/share/seabios/qboot.rom"]


class Contender:
    """A VMM and the arguments that make it a machine; slow ones run less often."""

    def __init__(self, name, path, *machine, slow=False, pci=True):
        self.name = name
        self.path = str(path)
        self.argv = [str(path), *machine, "-nodefaults", "-no-user-config",
                     "-display", "none", "-accel", "kvm", "-m", str(RAM_MIB)]
        self.slow = slow
        self.pci = pci


def contenders(options):
    found = [Contender("berth", options.vmm, "-machine", "q35")]
    qemu = shutil.which("qemu-system-x86_64")
    qboot = next((path for path in QBOOT if os.path.exists(path)), None)
    if qemu and qboot:
        found.append(Contender("microvm", qemu, "-machine", "microvm", "-bios", qboot,
                               pci=False))
    if qemu:
        found.append(Contender("q35", qemu, "-machine", "q35", slow=True))
    return found


class Machine:
    """A process with its QMP connection, made before it was, and its serial output."""

    def __init__(self, contender, folder, guest, *args, ram_mib=RAM_MIB):
        path = pathlib.Path(folder) / "qmp"
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        listener.listen(1)
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.connect(str(path))
        self.serial, output = os.pipe()
        argv = [*contender.argv, "-m", str(ram_mib),
                "-kernel", str(GUESTS / f"{guest}.elf"), *args, "-serial", "stdio",
                "-chardev", "socket,id=m,fd=3,server=on,wait=off",
                "-mon", "chardev=m,mode=control"]
        actions = [(os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
                   (os.POSIX_SPAWN_DUP2, output, 1),
                   (os.POSIX_SPAWN_DUP2, listener.fileno(), 3),
                   (os.POSIX_SPAWN_OPEN, 2, "/dev/null", os.O_WRONLY, 0)]
        self.began = time.monotonic()
        self.pid = os.posix_spawn(argv[0], argv, os.environ, file_actions=actions)
        os.close(output)
        listener.close()
        self.qmp = Qmp(client, timeout=TIMEOUT)
        self.text = b""
        self.ram_mib = ram_mib

    def greeting(self):
        """Seconds from exec to the greeting."""
        self.qmp.receive_line()
        return time.monotonic() - self.began

    def heard(self, text):
        """Seconds from exec until the guest has written that."""
        deadline = self.began + TIMEOUT
        while text not in self.text:
            ready, _, _ = select.select([self.serial], [], [],
                                        max(0, deadline - time.monotonic()))
            data = os.read(self.serial, 4096) if ready else b""
            if not data:
                raise RuntimeError(f"the guest wrote {self.text!r}, not {text!r}")
            self.text += data
        return time.monotonic() - self.began

    def negotiate(self):
        self.qmp.receive_line()
        self.qmp.command("qmp_capabilities")

    def end(self):
        os.kill(self.pid, signal.SIGKILL)
        _, _, used = os.wait4(self.pid, 0)
        self.cpu = used.ru_utime + used.ru_stime
        self.qmp.close()
        os.close(self.serial)

    def memory(self):
        """KiB of all mappings but the guest's RAM: private dirty, resident, private."""
        dirty = resident = clean = 0
        ram = False
        with open(f"/proc/{self.pid}/smaps") as file:
            for line in file:
                name, _, rest = line.partition(":")
                if name == "Size":
                    ram = ram or int(rest.split()[0]) == self.ram_mib << 10
                elif name == "Rss" and not ram:
                    resident += int(rest.split()[0])
                elif name == "Private_Dirty" and not ram:
                    dirty += int(rest.split()[0])
                elif name == "Private_Clean" and not ram:
                    clean += int(rest.split()[0])
                elif name == "VmFlags":
                    ram = False
                elif " " in name:
                    ram = "memfd:" in line
        return dirty, resident, dirty + clean


def start_times(contender, folder):
    machine = Machine(contender, folder, "first-byte", "-S")
    greeting = machine.greeting()
    machine.end()
    machine = Machine(contender, folder, "first-byte")
    first_byte = machine.heard(b"B")
    machine.end()
    return {"greeting": greeting * 1e3, "first byte": first_byte * 1e3}


def probe(contender, folder):
    """A management daemon's questions to a new binary: a process in the background that
    it connects to when the parent has ended."""
    folder = pathlib.Path(folder)
    path, pidfile = folder / "probe", folder / "pid"
    session = json.loads(SESSIONS.read_text())["probe"]
    requests = [json.dumps({name: step[name] for name in ("execute", "arguments")
                            if name in step}).encode() for step in steps(session)]
    began = time.monotonic()
    subprocess.run([contender.path, *session["machine"], "-qmp",
                    f"unix:{path},server=on,wait=off", "-pidfile", pidfile, "-daemonize"],
                   check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL, timeout=TIMEOUT)
    qmp = Qmp.connect(path, timeout=TIMEOUT, negotiate=False)
    for request in requests:
        qmp.sock.sendall(request + b"\r\n")
        qmp.receive_line()
    elapsed = time.monotonic() - began
    pid = int(pidfile.read_text())
    os.kill(pid, signal.SIGTERM)
    qmp.close()
    while os.path.exists(f"/proc/{pid}") and time.monotonic() < began + TIMEOUT:
        time.sleep(0.01)
    return {"probe": elapsed * 1e3}


@contextlib.contextmanager
def one_cpu():
    """This process, and what it starts meanwhile, on one CPU."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def round_trip(contender, folder):
    machine = Machine(contender, folder, "idle")
    machine.negotiate()
    machine.heard(b"H")
    request = b'{"execute":"query-status"}\r\n'
    times = []
    for _ in range(ROUND_TRIPS):
        began = time.perf_counter()
        machine.qmp.sock.sendall(request)
        machine.qmp.receive_line()
        times.append(time.perf_counter() - began)
    machine.end()
    return {"round trip": statistics.median(times) * 1e6}


def properties(contender, folder):
    """What libvirt asks of a vCPU at each start: its properties one by one."""
    machine = Machine(contender, folder, "idle")
    machine.negotiate()
    machine.heard(b"H")
    path = machine.qmp.command("query-cpus-fast")[0]["qom-path"]
    requests = [json.dumps({"execute": "qom-get", "arguments": {
        "path": path, "property": found["name"]}}).encode() + b"\r\n"
        for found in machine.qmp.command("qom-list", path=path)
        if found["type"] == "bool"]
    began = time.perf_counter()
    for request in requests:
        machine.qmp.sock.sendall(request)
        machine.qmp.receive_line()
    elapsed = time.perf_counter() - began
    machine.end()
    return {"properties": elapsed * 1e3}


def polling(contender, folder):
    """Clients that ask again and again, each by a socket of its own."""
    paths = [pathlib.Path(folder) / f"qmp{i}" for i in range(POLLERS)]
    args = []
    for path in paths:
        args += ["-qmp", f"unix:{path},server=on,wait=off"]
    machine = Machine(contender, folder, "idle", *args)
    machine.negotiate()
    machine.heard(b"H")
    clients = [Qmp.connect(path, timeout=TIMEOUT) for path in paths]
    cpu = cpu_of_vmm(machine.pid)
    began = time.monotonic()
    for turn in range(POLL_SECONDS * POLL_HERTZ * POLLERS):
        client = clients[turn % POLLERS]
        client.sock.sendall(b'{"execute":"query-status"}\r\n')
        client.receive_line()
        time.sleep(max(0, began + turn / POLL_HERTZ / POLLERS - time.monotonic()))
    cpu = cpu_of_vmm(machine.pid) - cpu
    elapsed = time.monotonic() - began
    for client in clients:
        client.close()
    machine.end()
    return {"polling": cpu / elapsed / 1e7}


def undisturbed(contender, folder):
    """How often clients that ask for all sorts of things make a busy vCPU leave its guest
    to wait; what the first question of all costs comes before."""
    machine = Machine(contender, folder, "poke")
    machine.negotiate()
    machine.heard(b"!")
    request = {"target": "vcpu", "providers": [
        {"provider": "berth", "names": ["user_interrupted"]}]}

    def interrupted():
        found = machine.qmp.command("query-stats", **request)
        return found[0]["stats"][0]["value"]

    machine.qmp.command("query-stats", target="vcpu")
    before = interrupted()
    for turn in range(ROUND_TRIPS):
        machine.qmp.command(POLLED[turn % len(POLLED)])
        if turn % 10 == 0:
            machine.qmp.command("query-stats", target="vcpu")
    count = interrupted() - before
    machine.end()
    return {"undisturbed": count}


def statistics_of(contender, folder, cpus):
    """All that the kernel counts of many vCPUs."""
    machine = Machine(contender, folder, "idle", "-smp", str(cpus))
    machine.negotiate()
    machine.heard(b"H" + b"A" * (cpus - 1))
    request = b'{"execute":"query-stats","arguments":{"target":"vcpu"}}\r\n'
    times = []
    for _ in range(ASKED):
        began = time.perf_counter()
        machine.qmp.sock.sendall(request)
        reply = machine.qmp.receive_line()
        times.append(time.perf_counter() - began)
    machine.end()
    found = json.loads(reply)["return"]
    return {f"stats {cpus}": statistics.median(times) * 1e3} if found else {}


def scrape(contender, folder):
    """Metrics of many vCPUs and disks: CPU of all threads but the vCPUs'."""
    args = ["-smp", str(LARGE), "-name", "bench,debug-threads=on",
            "-object", f"berth-metrics,id=m,path={folder}/metrics"]
    for i in range(DISKS):
        args += ["-blockdev", f"null-co,node-name=n{i}", "-device", "virtio-blk-pci,"
                 f"drive=n{i},multifunction=on,addr={1 + i // 8:x}.{i % 8}"]
    machine = Machine(contender, folder, "idle", *args)
    machine.negotiate()
    machine.heard(b"H" + b"A" * (LARGE - 1))
    spent = []
    for _ in range(ASKED):
        cpu = cpu_of_vmm(machine.pid)
        with connect(f"{folder}/metrics") as sock:
            ask(sock)
        spent.append(cpu_of_vmm(machine.pid) - cpu)
    machine.end()
    return {"scrape": statistics.median(spent) / 1e6}


def plug(contender, folder):
    """A disk comes to a slot; at the reply its interrupt was raised."""
    args = []
    for i in range(PLUGS):
        args += ["-device", f"pcie-root-port,id=p{i},chassis={i + 1}",
                 "-blockdev", f"null-co,node-name=n{i}"]
    machine = Machine(contender, folder, "idle", *args)
    machine.negotiate()
    machine.heard(b"H")
    times = []
    for i in range(PLUGS):
        began = time.perf_counter()
        machine.qmp.command("device_add", driver="virtio-blk-pci", drive=f"n{i}",
                            bus=f"p{i}")
        times.append(time.perf_counter() - began)
    machine.end()
    return {"plug": statistics.median(times) * 1e3}


def pairs(contender, folder):
    """A device comes and is taken out, again and again; QEMU has no such removal."""
    machine = Machine(contender, folder, "idle", "-device", "pcie-root-port,id=p")
    machine.negotiate()
    machine.heard(b"H")
    times = []
    for _ in range(PAIRS):
        began = time.perf_counter()
        machine.qmp.command("device_add", driver="virtio-rng-pci", id="d", bus="p")
        machine.qmp.command("x-device-del-force", id="d")
        times.append(time.perf_counter() - began)
    machine.end()
    return {"pair": statistics.median(times) * 1e6}


def memory(contender, folder):
    sizes = {}
    for cpus in (FEW, MANY):
        machine = Machine(contender, folder, "idle", "-smp", str(cpus))
        machine.negotiate()
        machine.heard(b"H" + b"A" * (cpus - 1))
        time.sleep(0.2)
        sizes[cpus] = machine.memory()
        machine.end()
    return {"dirty": sizes[FEW][0], "resident": sizes[FEW][1],
            "per vCPU": (sizes[MANY][0] - sizes[FEW][0]) / (MANY - FEW)}


def cpu_of_vmm(pid):
    """CPU time of all threads but the vCPUs', in nanoseconds."""
    total = 0
    for task in tasks.living(pid):
        if "KVM" not in (tasks.text_of(task, "comm") or "KVM"):
            total += int((tasks.text_of(task, "schedstat") or "0").split()[0])
    return total


def channel(contender, folder, way):
    """What it costs to move bytes "out" of the guest or "in" by virtio-serial."""
    path = pathlib.Path(folder) / "channel"
    machine = Machine(contender, folder, "channel", "-append", f"{way} {CHANNEL_MIB}",
                      "-name", "bench,debug-threads=on",
                      "-chardev", f"socket,id=c,path={path},server=on,wait=off",
                      "-device", "virtio-serial-pci,disable-legacy=on",
                      "-device", "virtserialport,chardev=c,nr=1")
    machine.negotiate()
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.connect(str(path))
    machine.heard(b"R")
    before = cpu_of_vmm(machine.pid)
    size = CHANNEL_MIB << 20
    if way == "out":
        while size > 0:
            size -= len(client.recv(1 << 18))
    else:
        client.sendall(bytes(size))
    machine.heard(b"D")
    spent = cpu_of_vmm(machine.pid) - before
    client.close()
    machine.end()
    return {f"channel {way}": spent / (CHANNEL_MIB << 10)}


def idle(field, folder, seconds, tries):
    """Voluntary context switches of all threads of a halted VM, all VMs at once: the
    least that was seen, since what is left of the start may take its time."""
    machines = []
    for contender in field:
        machine = Machine(contender, folder, "idle", "-smp", "2")
        machine.heard(b"HA")
        machines.append(machine)
    time.sleep(1)
    least = [float("inf")] * len(field)
    while tries > 0 and least[0] > 0:
        before = [context_switches(machine.pid) for machine in machines]
        time.sleep(seconds)
        counts = [context_switches(machine.pid) - count
                  for machine, count in zip(machines, before)]
        least = list(map(min, least, counts))
        tries -= 1
    for machine in machines:
        machine.end()
    return {contender.name: count for contender, count in zip(field, least)}


def fleet(contender, folder, options):
    """Many of them: what one costs when it is not the only one."""
    return density.fleet(lambda: Machine(contender, folder, "idle"), options.fleet,
                         1 if options.check else options.idle_seconds)


def prealloc(field, folder, mib):
    """The time of all memory at the start, of that of a plain parallel memset: the best
    of some of each, since hosts are not always as quick to find memory."""
    best = {}
    for _ in range(5):
        plain = density.parallel_memset(FILL, mib)
        best["memset"] = min(plain, best.get("memset", plain))
        for contender in field:
            machine = Machine(contender, folder, "first-byte", "-S", "-mem-prealloc",
                              ram_mib=mib)
            machine.negotiate()
            machine.qmp.command("query-status")
            seconds = time.monotonic() - machine.began
            best[contender.name] = min(seconds, best.get(contender.name, seconds))
            machine.end()
    plain = best.pop("memset")
    return {name: seconds / plain for name, seconds in best.items()}


def measure(field, options):
    """Values by quantity and contender, each a list over the runs."""
    values = {}

    def add(contender, found):
        for quantity, value in found.items():
            values.setdefault(quantity, {}).setdefault(contender.name, []).append(value)

    with tempfile.TemporaryDirectory(prefix="berth-bench-") as folder:
        for run in range(options.runs):
            for contender in field:
                if not contender.slow or run < 2:
                    add(contender, start_times(contender, folder))
        for run in range(min(3, options.runs)):
            for contender in field:
                if not contender.slow or run < 1:
                    add(contender, probe(contender, folder))
                    with one_cpu():
                        add(contender, round_trip(contender, folder))
                        add(contender, properties(contender, folder))
                        add(contender, polling(contender, folder))
                        add(contender, statistics_of(contender, folder, LARGE))
                    add(contender, memory(contender, folder))
                if contender.pci:
                    add(contender, plug(contender, folder))
                if contender.name == "berth":
                    add(contender, pairs(contender, folder))
                    add(contender, undisturbed(contender, folder))
                    with one_cpu():
                        add(contender, statistics_of(contender, folder, MOST))
                        add(contender, scrape(contender, folder))
                if contender.pci and (not contender.slow or run < 1):
                    add(contender, channel(contender, folder, "out"))
                    add(contender, channel(contender, folder, "in"))
        for _ in range(1 if options.check else 3):
            for contender in field:
                if not contender.slow:
                    add(contender, fleet(contender, folder, options))
        if not options.check:
            quick = [contender for contender in field if not contender.slow]
            for name, ratio in prealloc(quick, folder, options.prealloc).items():
                values.setdefault("prealloc", {})[name] = [ratio]
        for name, count in idle(field, folder, options.idle_seconds,
                                5 if options.check else 1).items():
            values.setdefault("wake-ups", {})[name] = [count]
    return {quantity: {name: statistics.median(found) for name, found in by_name.items()}
            for quantity, by_name in values.items()}


# Quantity, unit, what it is, most of it, and how many times less than QEMU's least; then
# two such limits for a busy machine, of which one has to be kept: on one that is so busy
# that the first is missed, QEMU takes as much longer.  None: no such limit.
TARGETS = [
    ("greeting", "ms", "exec to the QMP greeting", 5, 10, None, 2),
    ("first byte", "ms", "exec to the guest's first byte", None, 6, None, 2),
    ("probe", "ms", "a client's probe, exec to the last reply", 100, None, 100, 3),
    ("round trip", "us", "query-status round trip", 100, None, None, 1.2),
    ("properties", "ms", "a vCPU's properties, one by one", 10, None, 50, 2),
    ("polling", "%", f"{POLLERS} clients at {POLL_HERTZ} Hz of a core", 2, None, 4, 4),
    ("undisturbed", "", "interruptions of a vCPU by clients that ask", 0, None, 0, None),
    (f"stats {LARGE}", "ms", f"query-stats of {LARGE} vCPUs", 5, None, 20, 3),
    (f"stats {MOST}", "ms", f"query-stats of {MOST} vCPUs", 30, None, 200, None),
    ("scrape", "ms", f"VMM's CPU of metrics, {LARGE} vCPUs, {DISKS} disks", 30, None,
     200, None),
    ("plug", "ms", "device_add of a disk to a slot", 2, 1, 50, None),
    ("pair", "us", "device_add and x-device-del-force", 500, None, 20000, None),
    ("dirty", "KiB", "private dirty above RAM, 2 vCPUs", 1024, None, 1024, None),
    ("resident", "KiB", "resident above RAM, 2 vCPUs", 5120, None, 5120, None),
    ("per vCPU", "KiB", "private dirty of a further vCPU", 64, None, 64, None),
    ("channel out", "ns", "VMM's CPU a KiB from a port to the host", None, 1, 2000, None),
    ("channel in", "ns", "VMM's CPU a KiB from the host to a port", None, 1, 20000, None),
    ("fleet start", "ms", "start of one VM of many", None, 5, None, 3),
    ("fleet stop", "ms", "stop of one VM of many", None, 1, None, None),
    ("fleet work", "ms", "CPU of both", None, 5, None, 3),
    ("fleet private", "KiB", "private above RAM of one of many", 1024, None, 1024, None),
    ("fleet CPU", "ms", "CPU of many idle VMs", 0, None, 20, None),
    ("prealloc", "", "prealloc / parallel memset", 1.2, None, None, None),
    ("wake-ups", "", "context switches of a halted VM", 0, None, 0, None),
]


def number(value):
    return f"{value:.1f}" if value < 100 and value != int(value) else f"{value:.0f}"


def verdict(found, most, times, enough=all):
    """Whether the limits are kept, all or any of them, and the limits in words."""
    ours = found["berth"]
    others = [value for name, value in found.items() if name != "berth"]
    words, kept = [], []
    if most is not None:
        words.append(f"<= {most}")
        kept.append(ours <= most)
    if times is not None:
        words.append(f"QEMU/{times}")
        if others:
            kept.append(ours * times <= min(others))
    return not kept or enough(kept), (" or " if enough is any else ", ").join(words)


def table(field, results, seconds):
    names = [contender.name for contender in field]
    heads = ["", "unit", "berth", "target", ""]
    for name in names[1:]:
        heads += [f"QEMU {name}", "ratio"]
    rows = [heads]
    for quantity, unit, title, most, times, _, _ in TARGETS:
        found = results.get(quantity)
        if not found:
            continue
        good, target = verdict(found, most, times)
        if quantity == "wake-ups":
            title += f", {seconds} s"
        row = [title, unit, number(found["berth"]), target, "pass" if good else "MISS"]
        for name in names[1:]:
            theirs = found.get(name)
            row.append("-" if theirs is None else number(theirs))
            ours = found["berth"]
            row.append(f"{theirs / ours:.1f}" if theirs and ours else "-")
        rows.append(row)
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
            for row in rows]


def check(results):
    checks = Checks("bench")
    for quantity, unit, title, _, _, most, times in TARGETS:
        if quantity not in results or (most is None and times is None):
            continue
        good, limits = verdict(results[quantity], most, times, any)
        if most is None and len(results[quantity]) == 1:
            checks.skip(title, "no QEMU to compare with")
            continue
        found = {name: round(value, 2) for name, value in results[quantity].items()}
        checks.check(f"{title}: {limits} {unit}".strip(), good, found)
    return checks


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vmm", type=pathlib.Path,
                        default=os.environ.get("VMM") or ROOT / "build" / "berth")
    parser.add_argument("--runs", type=int, help="runs of each start")
    parser.add_argument("--fleet", type=int, help="how many VMs at once")
    parser.add_argument("--prealloc", type=int, default=4096,
                        help="MiB that are taken before the start")
    parser.add_argument("--check", action="store_true", help="be a test")
    options = parser.parse_args()
    options.vmm = options.vmm.resolve()
    options.runs = options.runs or (7 if options.check else 25)
    options.idle_seconds = 3 if options.check else 10
    options.fleet = options.fleet or (30 if options.check else 100)
    # Pages of a program that was just linked count as private dirty ones.
    os.sync()
    field = contenders(options)
    if options.check:
        field = [contender for contender in field if not contender.slow]
    results = measure(field, options)
    lines = table(field, results, options.idle_seconds)
    if not options.check:
        print("\n".join(lines))
        return 0
    print("\n".join(f"# {line}" for line in lines))
    checks = check(results)
    print(f"1..{checks.count}")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
