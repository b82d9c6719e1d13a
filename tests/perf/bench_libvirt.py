#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""`virsh start` of a bare domain: berth beside an installed QEMU, under one libvirtd.

    tests/perf/bench_libvirt.py [--vmm PATH] [--rounds N] [--check]

The domain has two vCPUs, 128 MiB, and a tiny guest that halts.  The two take turns; times
are of the whole command, until libvirt says that the domain runs.  What libvirt and virsh
need for themselves is in both: beside them is what `virsh list` takes.  With --check it
is a test, with a limit that leaves room for a busy machine.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE.parent / name) for name in ("kit", "e2e")]
import libvirtd  # noqa: E402
from tap import Checks  # noqa: E402

TARGET, BUSY = 3, 2             # times faster than QEMU
DOMAIN = """<domain type='kvm'>
  <name>{name}</name>
  <memory unit='MiB'>128</memory>
  <vcpu>2</vcpu>
  <os><type arch='x86_64' machine='q35'>hvm</type><kernel>{kernel}</kernel></os>
  <features><acpi/></features>
  <devices>
    <emulator>{vmm}</emulator>
    <controller type='usb' model='none'/>
    <memballoon model='none'/>
  </devices>
</domain>
"""


def seconds(libvirt, *command):
    began = time.monotonic()
    libvirt.virsh(*command)
    return time.monotonic() - began


def measure(libvirt, field, rounds):
    """Medians by name, of the starts and of `virsh list`."""
    found = {name: [] for name in (*field, "virsh list")}
    for name, vmm in field.items():
        libvirt.virsh("define", libvirt.write(f"{name}.xml", DOMAIN.format(
            name=name, vmm=vmm, kernel=ROOT / "build" / "guests" / "idle.elf")))
        # The first time libvirt asks what the emulator can do.
        seconds(libvirt, "start", name)
        libvirt.virsh("destroy", name)
    for turn in range(rounds):
        for name in list(field) if turn % 2 else reversed(field):
            found[name].append(seconds(libvirt, "start", name))
            libvirt.virsh("destroy", name)
        found["virsh list"].append(seconds(libvirt, "list"))
    return {name: statistics.median(times) * 1e3 for name, times in found.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vmm", type=pathlib.Path,
                        default=os.environ.get("VMM") or ROOT / "build" / "berth")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--check", action="store_true", help="be a test")
    options = parser.parse_args()
    checks = Checks("bench_libvirt")
    qemu = shutil.which("qemu-system-x86_64")
    reason = libvirtd.why_not() or (None if qemu else "there is no QEMU to compare with")
    if reason:
        checks.skip("virsh start", reason)
        print("1..1")
        return 0

    folder = pathlib.Path(tempfile.mkdtemp(prefix="berth-bench-"))
    vmm = options.vmm.resolve()
    libvirt = libvirtd.Libvirtd(folder / "libvirt", vmm, log=False)
    try:
        found = measure(libvirt, {"berth": vmm, "QEMU": qemu},
                        options.rounds or (5 if options.check else 25))
    finally:
        libvirt.close()
        shutil.rmtree(folder)
    ratio = found["QEMU"] / found["berth"]
    text = ", ".join(f"{name} {value:.1f} ms" for name, value in found.items())
    if not options.check:
        print(f"virsh start: {text}; {ratio:.1f} times faster than QEMU, target {TARGET}")
        return 0
    checks.check(f"virsh start is {BUSY} times faster than with QEMU", ratio >= BUSY,
                 text)
    print(f"1..{checks.count}")
    return 1 if checks.failed else 0


if __name__ == "__main__":
    sys.exit(main())
