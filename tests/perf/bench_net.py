#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Speed of a network device on a tap: berth beside an installed QEMU.

    tests/perf/bench_net.py [--vmm PATH] [--rounds N] [--seconds S]

Both VMMs have the same tiny guest, which polls its rings and takes no interrupts, on this
machine's KVM, and a tap each in a network namespace of this program's own.  "send" is
frames that the host drops at once; "echo" is echo requests that the host's kernel answers
by itself, so that as many frames are received as are sent; "ping" is one of them at a
time, and its rate is the round trip's inverse.  They take turns, the other machine
stopped: read the ratios.  Numbers are medians of the rounds, CPU is that of all threads
but the vCPUs', a frame or a pair of them.

Then how often threads of an idle machine with such a device are woken in a second.
"""

import argparse
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from turns import ROOT, Machine, measure, table

PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
IN_NAMESPACE = "--in-namespace"
# The guest's letter, a word, frames under way, bytes of one.
LOADS = [("s", "send", 128, 64), ("s", "send", 128, 1514),
         ("e", "echo", 128, 64), ("e", "echo", 128, 1514), ("e", "ping", 1, 64)]
HOST, HOST_MAC = "10.77.0.1/24", "02:00:00:00:77:01"
GUEST, GUEST_MAC = "10.77.0.2", "52:54:00:77:00:02"


def ip(*words):
    subprocess.run(["ip", *words], check=True, env={**os.environ, "PATH": PATH})


class NetMachine(Machine):
    """Its tap has the host's address in its turns only."""

    def __init__(self, name, path, folder):
        self.tap = f"{name.lower()}0"
        super().__init__(
            name, path, folder, "nic",
            "-netdev", f"tap,id=n,ifname={self.tap},script=no,downscript=no",
            "-device", f"virtio-net-pci,netdev=n,mac={GUEST_MAC},disable-legacy=on")
        ip("link", "set", self.tap, "address", HOST_MAC)

    def take_turn(self, on):
        if on:
            ip("link", "set", self.tap, "up")
            ip("address", "add", HOST, "dev", self.tap)
            ip("neighbour", "replace", GUEST, "lladdr", GUEST_MAC, "dev", self.tap)
        else:
            ip("address", "del", HOST, "dev", self.tap)

    def run(self, load, seconds):
        self.take_turn(True)
        try:
            return super().run(load, seconds)
        finally:
            self.take_turn(False)

    def wake_ups(self, seconds):
        """Context switches a second of all threads but the vCPUs', the guest idle."""
        self.take_turn(True)
        self.qmp.command("cont")
        time.sleep(0.2)
        before = self.switches()
        time.sleep(seconds)
        found = (self.switches() - before) / seconds
        self.qmp.command("stop")
        self.take_turn(False)
        return found

    def switches(self):
        total = 0
        for task in pathlib.Path(f"/proc/{self.process.pid}/task").iterdir():
            if "KVM" in (task / "comm").read_text():
                continue
            for line in (task / "status").read_text().splitlines():
                name, _, rest = line.partition(":")
                total += int(rest) if name.endswith("ctxt_switches") else 0
        return total


def run(options, folder):
    field = [NetMachine("berth", options.vmm, folder)]
    qemu = shutil.which("qemu-system-x86_64")
    if qemu:
        field.append(NetMachine("QEMU", qemu, folder))
    try:
        lines = table(measure(field, LOADS, options), field,
                      lambda load: f"{load[1]} {load[3]}")
        idle = [f"{machine.name} {machine.wake_ups(options.seconds):.0f}"
                for machine in field]
    finally:
        for machine in field:
            machine.close()
    print("a tap:")
    print("\n".join(lines))
    print(f"wake-ups a second, idle: {', '.join(idle)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vmm", type=pathlib.Path,
                        default=os.environ.get("VMM") or ROOT / "build" / "berth")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1)
    parser.add_argument(IN_NAMESPACE, action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    options.vmm = options.vmm.resolve()
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        print("a tap: not measured, not root or there is no /dev/net/tun")
        return 0
    if not options.in_namespace:
        return subprocess.run(["unshare", "-n", sys.executable, "-B", *sys.argv,
                               IN_NAMESPACE], check=False).returncode
    with tempfile.TemporaryDirectory(prefix="berth-bench-") as folder:
        run(options, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
