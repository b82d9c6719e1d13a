# SPDX-License-Identifier: Apache-2.0
"""Contenders that take turns at loads: VMMs with a guest that takes orders."""

import os
import pathlib
import socket
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE.parent / name) for name in ("kit",)]
from qmp import Qmp  # noqa: E402

TIMEOUT = 60


def cpu_of_vmm(pid):
    """CPU time of all threads but the vCPUs', in nanoseconds."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            if "KVM" not in (task / "comm").read_text():
                total += int((task / "schedstat").read_text().split()[0])
        except FileNotFoundError:
            continue
    return total


class Machine:
    """A VMM with a guest that takes orders, stopped but for its turns."""

    def __init__(self, name, path, folder, guest, *args):
        self.name = name
        folder = pathlib.Path(tempfile.mkdtemp(dir=folder))
        self.process = subprocess.Popen(
            [str(path), "-nodefaults", "-no-user-config", "-display", "none",
             "-accel", "kvm", "-m", "512", "-name", "bench,debug-threads=on",
             "-object", "memory-backend-ram,id=pc.ram,size=512M",
             "-machine", "q35,memory-backend=pc.ram",
             "-kernel", str(ROOT / "build" / "guests" / f"{guest}.elf"), *args,
             "-chardev", f"socket,id=s,path={folder}/serial,server=on,wait=off",
             "-serial", "chardev:s", "-S",
             "-qmp", f"unix:{folder}/qmp,server=on,wait=off"],
            stdin=subprocess.DEVNULL)
        self.qmp = Qmp.connect(f"{folder}/qmp", timeout=TIMEOUT)
        self.serial = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.serial.connect(f"{folder}/serial")
        self.lines = self.serial.makefile("r")
        self.qmp.command("cont")
        assert self.lines.readline() == "R\n"
        self.hertz = self.measure_tsc()
        self.qmp.command("stop")

    def ask(self, order):
        self.serial.sendall(order.encode() + b"\n")
        return [int(word) for word in self.lines.readline().split()]

    def measure_tsc(self):
        found = []
        for _ in range(3):
            before, first = time.monotonic(), self.ask("t 0 0 0")[3]
            time.sleep(0.1)
            after, second = time.monotonic(), self.ask("t 0 0 0")[3]
            found.append((second - first) / (after - before))
        return statistics.median(found)

    def run(self, load, seconds):
        """Requests a second, and microseconds of CPU a request."""
        letter, _, depth, size = load
        self.qmp.command("cont")
        cpu = cpu_of_vmm(self.process.pid)
        done, ticks, failed, _ = self.ask(
            f"{letter} {depth} {size} {int(seconds * self.hertz)}")
        cpu = cpu_of_vmm(self.process.pid) - cpu
        self.qmp.command("stop")
        if failed:
            raise RuntimeError(f"{self.name}: {failed} of {load} failed")
        return done * self.hertz / ticks, cpu / done / 1e3

    def close(self):
        self.process.kill()
        self.process.wait()
        self.qmp.close()


def measure(field, loads, options):
    """Medians of rate and CPU by load and contender."""
    found = {}
    for turn in range(options.rounds):
        # Who is first has the host as the one before has left it.
        first = turn % len(field)
        order = field[first:] + field[:first]
        for load in loads:
            for contender in order:
                result = contender.run(load, options.seconds)
                found.setdefault(load, {}).setdefault(contender.name, []).append(result)
    return {load: {name: tuple(map(statistics.median, zip(*results)))
                   for name, results in by_name.items()}
            for load, by_name in found.items()}


def table(results, field, name_of):
    """Lines of text; a load is called what @name_of says."""
    names = [contender.name for contender in field]
    heads = ["load", "depth"]
    for name in names:
        heads += [f"{name} k/s", "us CPU"]
    heads += [f"/ {name}" for name in names[1:]]
    rows = [heads]
    for load, by_name in results.items():
        row = [name_of(load), str(load[2])]
        for name in names:
            rate, cpu = by_name[name]
            row += [f"{rate / 1e3:.1f}", f"{cpu:.2f}"]
        row += [f"{by_name['berth'][0] / by_name[name][0]:.2f}" for name in names[1:]]
        rows.append(row)
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths))
            for row in rows]
