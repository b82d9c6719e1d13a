#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Speed of a disk: berth beside an installed QEMU and fio, on the same file.

    tests/perf/bench_disks.py [--vmm PATH] [--folder FOLDER] [--rounds N] [--seconds S]

Both VMMs have the same tiny guest, which polls its ring and takes no interrupts, on this
machine's KVM: a raw file of 1 GiB on the file system of FOLDER, O_DIRECT and Linux AIO,
requests on an iothread, memory as libvirt asks for it; fio does the same on the host.  In
each round each contender has its turn at each load, the other machines stopped, so that
what disturbs one disturbs the others: read the ratios.  Numbers are medians of the
rounds.  Then the same of a qcow2 image with all clusters allocated, of images that have
none yet, one for each VMM, and of a file on tmpfs, through the page cache.  Of the VMM's
own path tells null-co, which does nothing.

CPU is that of all threads but the vCPUs', a request.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

from turns import ROOT, TIMEOUT, Machine, measure, table

SIZE = 1 << 30
# The guest's letter, fio's word, requests under way, bytes of one.
DEPTHS = (1, 8, 32, 64)
READS = [("r", "randread", depth, 4096) for depth in DEPTHS]
WRITES = [("w", "randwrite", depth, 4096) for depth in DEPTHS]
LOADS = READS + WRITES + [("s", "read", 8, 131072), ("S", "write", 8, 131072)]
FEW_LOADS = [READS[0], READS[2], WRITES[0], WRITES[2]]
CACHED_SIZE = SIZE // 4
# So large that what is written at random is written for the first time.
FRESH_SIZE = 64 * SIZE
FRESH_LOADS = [("a", "first write", 8, 4096), ("a", "first write", 32, 4096),
               ("a", "first write", 8, 65536)]


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
        return side["iops"], used * 1e6 / max(side["total_ios"], 1)

    def close(self):
        pass


def make_image(folder, size=SIZE):
    """A file that is all there: no hole, nothing to allocate."""
    image = pathlib.Path(folder) / "disk.img"
    with open(image, "wb") as file:
        block = os.urandom(1 << 20)
        for _ in range(size >> 20):
            file.write(block)
        os.fsync(file.fileno())
    return image


def make_field(options, folder, node_of):
    def machine(name, path):
        return Machine(
            name, path, folder, "disk", "-object", "iothread,id=io",
            "-blockdev", json.dumps({"node-name": "disk", **node_of(name)}),
            "-device", "virtio-blk-pci,drive=disk,iothread=io,disable-legacy=on")

    field = [machine("berth", options.vmm)]
    qemu = shutil.which("qemu-system-x86_64")
    if qemu:
        field.append(machine("QEMU", qemu))
    node = node_of("fio")
    if node and node.get("aio") == "native" and shutil.which("fio"):
        field.append(Fio(node["filename"]))
    return field


def run(title, node_of, loads, options):
    """@node_of: the node of a contender, by its name."""
    if isinstance(node_of, dict):
        node_of = {"berth": node_of, "QEMU": node_of, "fio": node_of}.get
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as folder:
        field = make_field(options, folder, node_of)
        try:
            lines = table(measure(field, loads, options), field,
                          lambda load: f"{load[1]} {load[3] >> 10}k")
        finally:
            for contender in field:
                contender.close()
    print(title)
    print("\n".join(lines), flush=True)


def native(image):
    return {"driver": "file", "filename": str(image), "locking": "off", "aio": "native",
            "cache": {"direct": True}}


def bench_files(options, folder):
    image = make_image(folder)
    run("a raw file, O_DIRECT, Linux AIO:", native(image), LOADS, options)
    if not shutil.which("qemu-img"):
        return
    qcow2 = pathlib.Path(folder) / "disk.qcow2"
    subprocess.run(["qemu-img", "convert", "-O", "qcow2", image, qcow2], check=True)
    run("qcow2 with all clusters allocated, the same:",
        {"driver": "qcow2", "file": native(qcow2)}, FEW_LOADS, options)


def bench_fresh(options, folder):
    """First writes: in sequence, which makes neighbours, and at random."""
    if not shutil.which("qemu-img"):
        return
    for title, loads in (("in sequence", FRESH_LOADS), ("at random", WRITES)):
        with tempfile.TemporaryDirectory(dir=folder) as images:
            nodes = {}
            for name in ("berth", "QEMU"):
                image = pathlib.Path(images) / name
                subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image,
                                str(FRESH_SIZE)], check=True)
                nodes[name] = {"driver": "qcow2", "file": native(image)}
            run(f"qcow2 without clusters, first writes {title}:", nodes.get, loads,
                options)


def bench_cached(options):
    if not os.path.isdir("/dev/shm") or \
            shutil.disk_usage("/dev/shm").free < 2 * CACHED_SIZE:
        return
    with tempfile.TemporaryDirectory(prefix="bench-disks-", dir="/dev/shm") as folder:
        run("a raw file on tmpfs, through the page cache, threads:",
            {"driver": "file", "filename": str(make_image(folder, CACHED_SIZE)),
             "locking": "off", "aio": "threads"}, READS + WRITES, options)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vmm", type=pathlib.Path,
                        default=os.environ.get("VMM") or ROOT / "build" / "berth")
    parser.add_argument("--folder", type=pathlib.Path, default=ROOT / "build",
                        help="where the file is made")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=0.5)
    options = parser.parse_args()
    options.vmm = options.vmm.resolve()
    with tempfile.TemporaryDirectory(prefix="bench-disks-", dir=options.folder) as folder:
        bench_files(options, folder)
        bench_fresh(options, folder)
    bench_cached(options)
    run("null-co:", {"driver": "null-co", "size": SIZE, "read-zeroes": False}, READS,
        options)
    return 0


if __name__ == "__main__":
    sys.exit(main())
