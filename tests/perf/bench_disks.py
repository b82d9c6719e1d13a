#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Speed of a disk: berth beside an installed QEMU and fio, on the same file.

    tests/perf/bench_disks.py [--vmm PATH] [--folder FOLDER] [--rounds N] [--seconds S]

Both VMMs have the same tiny guest, which polls its ring and takes no interrupts, on this
machine's KVM: a raw file of 1 GiB on the file system of FOLDER, O_DIRECT and Linux AIO,
requests on an iothread, memory as libvirt asks for it; fio does the same on the host.  In
each round each contender has its turn at each load, the other machines stopped, so that
what disturbs one disturbs the others: read the ratios.  Numbers are medians of the
rounds.  Of the VMM's own path tells null-co, which does nothing.

CPU is that of all threads but the vCPUs', a request.
"""

import argparse
import json
import os
import pathlib
import shutil
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

GUEST = ROOT / "build" / "guests" / "disk.elf"
SIZE = 1 << 30
TIMEOUT = 60
# The guest's letter, fio's word, requests under way, bytes of one.
LOADS = [("r", "randread", 1, 4096), ("r", "randread", 32, 4096),
         ("w", "randwrite", 1, 4096), ("w", "randwrite", 32, 4096),
         ("s", "read", 8, 131072), ("S", "write", 8, 131072)]
NULL_LOADS = [("r", "randread", depth, 4096) for depth in (1, 8, 32, 64)]


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
    """A VMM with the guest, stopped but for its turns."""

    def __init__(self, name, path, folder, node):
        self.name = name
        folder = pathlib.Path(folder) / f"{name}-{node['driver']}"
        folder.mkdir()
        self.process = subprocess.Popen(
            [str(path), "-nodefaults", "-no-user-config", "-display", "none",
             "-accel", "kvm", "-m", "512", "-name", "bench,debug-threads=on",
             "-object", "memory-backend-ram,id=pc.ram,size=512M",
             "-machine", "q35,memory-backend=pc.ram",
             "-kernel", str(GUEST), "-object", "iothread,id=io",
             "-blockdev", json.dumps({"node-name": "disk", **node}),
             "-device", "virtio-blk-pci,drive=disk,iothread=io,disable-legacy=on",
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
            raise RuntimeError(f"{self.name}: {failed} requests of {load} failed")
        return done * self.hertz / ticks, cpu / done / 1e3

    def close(self):
        self.process.kill()
        self.process.wait()
        self.qmp.close()


class Fio:
    """The host's own way to the file."""

    name = "fio"

    def __init__(self, image):
        self.image = image

    def run(self, load, seconds):
        _, word, depth, size = load
        found = subprocess.run(
            ["fio", "--name=x", f"--filename={self.image}", "--direct=1",
             "--ioengine=libaio", f"--iodepth={depth}", f"--rw={word}", f"--bs={size}",
             f"--size={SIZE}", "--time_based", f"--runtime={int(seconds * 1000)}ms",
             "--thread", "--norandommap", "--output-format=json"],
            check=True, stdout=subprocess.PIPE, timeout=TIMEOUT)
        job = json.loads(found.stdout)["jobs"][0]
        side = job["write" if "write" in word else "read"]
        used = (job["usr_cpu"] + job["sys_cpu"]) / 100 * job["job_runtime"] / 1e3
        return side["iops"], used * 1e6 / side["total_ios"]

    def close(self):
        pass


def make_image(folder):
    """A file that is all there: no hole, nothing to allocate."""
    image = pathlib.Path(folder) / "disk.img"
    with open(image, "wb") as file:
        block = os.urandom(1 << 20)
        for _ in range(SIZE >> 20):
            file.write(block)
        os.fsync(file.fileno())
    return image


def make_field(options, folder, node):
    field = [Machine("berth", options.vmm, folder, node)]
    qemu = shutil.which("qemu-system-x86_64")
    if qemu:
        field.append(Machine("QEMU", qemu, folder, node))
    if node["driver"] == "file" and shutil.which("fio"):
        field.append(Fio(node["filename"]))
    return field


def measure(field, loads, options):
    """Medians of rate and CPU by load and contender."""
    found = {}
    for turn in range(options.rounds):
        # Who is first has the disk as the one before has left it.
        first = turn % len(field)
        order = field[first:] + field[:first]
        for load in loads:
            for contender in order:
                result = contender.run(load, options.seconds)
                found.setdefault(load, {}).setdefault(contender.name, []).append(result)
    return {load: {name: tuple(map(statistics.median, zip(*results)))
                   for name, results in by_name.items()}
            for load, by_name in found.items()}


def table(results, field):
    names = [contender.name for contender in field]
    heads = ["load", "depth"]
    for name in names:
        heads += [f"{name} k/s", "us CPU"]
    heads += [f"/ {name}" for name in names[1:]]
    rows = [heads]
    for (_, word, depth, size), by_name in results.items():
        row = [f"{word} {size >> 10}k", str(depth)]
        for name in names:
            rate, cpu = by_name[name]
            row += [f"{rate / 1e3:.1f}", f"{cpu:.1f}"]
        row += [f"{by_name['berth'][0] / by_name[name][0]:.2f}" for name in names[1:]]
        rows.append(row)
    widths = [max(len(row[i]) for row in rows) for i in range(len(heads))]
    return ["  ".join(cell.rjust(width) for cell, width in zip(row, widths))
            for row in rows]


def run(title, node, loads, options, folder):
    field = make_field(options, folder, node)
    try:
        lines = table(measure(field, loads, options), field)
    finally:
        for contender in field:
            contender.close()
    print(title)
    print("\n".join(lines), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vmm", type=pathlib.Path,
                        default=os.environ.get("VMM") or ROOT / "build" / "berth")
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "build",
                        help="where the file is made")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1)
    options = parser.parse_args()
    options.vmm = options.vmm.resolve()
    with tempfile.TemporaryDirectory(prefix="bench-disks-", dir=options.folder) as folder:
        image = make_image(folder)
        with tempfile.TemporaryDirectory(prefix="berth-bench-") as sockets:
            run("a raw file, O_DIRECT, Linux AIO:",
                {"driver": "file", "filename": str(image), "locking": "off",
                 "aio": "native", "cache": {"direct": True}}, LOADS, options, sockets)
            run("null-co:", {"driver": "null-co", "size": SIZE, "read-zeroes": False},
                NULL_LOADS, options, sockets)
    return 0


if __name__ == "__main__":
    sys.exit(main())
