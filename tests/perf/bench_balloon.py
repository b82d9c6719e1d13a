#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Speed of the balloon: berth beside an installed QEMU.

    tests/perf/bench_balloon.py [--vmm PATH] [--rounds N]

Both have the same tiny guest, which polls its rings and takes no interrupts, on this
machine's KVM, and 512 MiB of private memory, of which it has touched every page that it
gives: in requests of 256 pages that are neighbours, the same but every other page first,
and as free pages in blocks of 2 MiB; then it takes them back.  In each round each has its
turn at each, the other stopped: read the ratios.  Numbers are thousands of pages a
second, and microseconds of CPU a page of all threads but the vCPU's; medians of the
rounds.

QEMU does it on the vCPU's thread, so its CPU is not in that column, and no guest runs
meanwhile.  Beside a guest that runs, as this one does, each call to the kernel has to
interrupt it, which is what pages without neighbours cost here.
"""

import argparse
import os
import pathlib
import shutil
import tempfile

from turns import ROOT, Machine, cpu_of_vmm, measure, table

MIB = 384
# The guest's letter, what it is, pages of a request, MiB.
LOADS = [("i", "give", 256, MIB), ("x", "give every other", 256, MIB),
         ("r", "report", 8192, MIB), ("d", "take", 256, MIB)]


class Giver(Machine):
    """A machine whose guest gives memory."""

    def run(self, load, seconds):
        letter, _, depth, mib = load
        self.qmp.command("cont")
        self.ask(f"f 0 {mib} 0")
        if letter == "d":
            self.ask(f"i {depth} {mib} 0")
        cpu = cpu_of_vmm(self.process.pid)
        _, ticks, _, _ = self.ask(f"{letter} {min(depth, 256)} {mib} 0")
        cpu = cpu_of_vmm(self.process.pid) - cpu
        if letter in "ix":
            self.ask(f"d 256 {mib} 0")
        self.qmp.command("stop")
        pages = mib << 8
        return pages * self.hertz / ticks, cpu / pages / 1e3


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vmm", type=pathlib.Path,
                        default=os.environ.get("VMM") or ROOT / "build" / "berth")
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    options.vmm = options.vmm.resolve()
    options.seconds = 0
    device = ("-device", "virtio-balloon-pci,disable-legacy=on,free-page-reporting=on")
    qemu = shutil.which("qemu-system-x86_64")
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as folder:
        field = [Giver("berth", options.vmm, folder, "giver", *device)]
        if qemu:
            field.append(Giver("QEMU", qemu, folder, "giver", *device))
        try:
            lines = table(measure(field, LOADS, options), field, lambda load: load[1])
        finally:
            for contender in field:
                contender.close()
    print("\n".join(lines))


if __name__ == "__main__":
    main()
