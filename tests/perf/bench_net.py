#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Speed of a network device on a tap: berth beside an installed QEMU.

    tests/perf/bench_net.py [--vmm PATH] [--calls PATH] [--rounds N] [--seconds S]

Both VMMs have the same tiny guest, which polls its rings and takes no interrupts, on this
machine's KVM, and a tap each in a network namespace of this program's own.  "send" is
frames that the host drops at once; "receive" is frames of which the host's kernel makes
16 for each that the guest sends (tc); "echo" is echo requests that the kernel answers by
itself, so that as many frames are received as are sent; "ping" is one of them at a time,
and its rate is the round trip's inverse; "ask" is the same, but a process answers, this
one.  "calls" is a program that makes the same calls and nothing else (tap-calls.c): what
it takes no VMM can save.  They take turns, the other machines stopped: read the ratios.
Numbers are medians of the rounds, CPU is that of all threads but the vCPUs', a frame or a
pair of them.

Then how often threads of an idle machine with such a device are woken in a second.
"""

import argparse
import fcntl
import os
import pathlib
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

from turns import ROOT, TIMEOUT, Machine, measure, table

PATH = os.environ["PATH"] + ":/usr/sbin:/sbin"
IN_NAMESPACE = "--in-namespace"
# The guest's letter, a word, frames under way, bytes of one.
LOADS = [("s", "send", 128, 64), ("s", "send", 128, 1514),
         ("r", "receive", 128, 64), ("r", "receive", 128, 1514),
         ("e", "echo", 128, 64), ("e", "echo", 128, 1514),
         ("e", "ping", 1, 64), ("a", "ask", 1, 64)]
TYPE_ANSWERED, TYPE_COPIED, COPIES = 0x88b6, 0x88b7, 16
HOST, HOST_MAC = "10.77.0.1/24", "02:00:00:00:77:01"
GUEST, GUEST_MAC = "10.77.0.2", "52:54:00:77:00:02"
TYPES = {"s": 0x88b5, "a": TYPE_ANSWERED, "r": TYPE_COPIED}
ANSWERS = {"s": 0, "r": COPIES, "e": 1, "a": 1}
TUNSETIFF, TUNSETVNETHDRSZ = 0x400454ca, 0x400454d8
IFF_TAP, IFF_NO_PI, IFF_VNET_HDR, HEADER = 0x0002, 0x1000, 0x4000, 12


def run_tool(tool, words):
    """Whether it succeeded."""
    try:
        return subprocess.run([tool, *words], check=False, stderr=subprocess.DEVNULL,
                              env={**os.environ, "PATH": PATH}).returncode == 0
    except FileNotFoundError:
        return False


def ip(*words):
    assert run_tool("ip", words), words


def copy_frames(tap, on):
    """Has the kernel send back COPIES of a frame of that type; whether it can."""
    mirror = f"action mirred egress mirror dev {tap}".split()
    rule = f"filter add dev {tap} ingress protocol {TYPE_COPIED}".split()
    match = "u32 match u32 0 0".split()
    if not on:
        return run_tool("tc", ["qdisc", "del", "dev", tap, "ingress"])
    return (run_tool("tc", ["qdisc", "add", "dev", tap, "ingress"]) and
            run_tool("tc", rule + match + COPIES * mirror))


def answer_frames(tap):
    """Sends each frame of that type back, for ever."""
    with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as wire:
        wire.bind((tap, TYPE_ANSWERED))
        while True:
            try:
                frame, (_, _, direction, *_) = wire.recvfrom(2048)
                if direction != socket.PACKET_OUTGOING:
                    wire.send(frame[6:12] + frame[0:6] + frame[12:])
            except OSError:
                pass            # the interface is down, or gone


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return struct.pack(">H", ~total & 0xffff)


def make_frame(letter, size):
    """The one that the guest makes (tests/e2e/guests/nic.c), with a header in front."""
    ends = bytes.fromhex((HOST_MAC + GUEST_MAC).replace(":", ""))
    kind = TYPES.get(letter, 0x0800)
    frame = bytearray(ends + struct.pack(">H", kind) + bytes(size - 14))
    if letter == "e":
        frame[14:34] = struct.pack(">BxHxxxxBBxx8B", 0x45, size - 14, 64, 1,
                                   10, 77, 0, 2, 10, 77, 0, 1)
        frame[24:26] = checksum(frame[14:34])
        frame[34] = 8
        frame[36:38] = checksum(frame[34:])
    return bytes(HEADER) + bytes(frame)


class Tap:
    """One that has the host's address in its owner's turns only."""

    def __init__(self, name):
        self.name = name
        ip("link", "set", name, "address", HOST_MAC)
        self.can_copy = copy_frames(name, True)
        copy_frames(name, False)
        threading.Thread(target=answer_frames, args=(name,), daemon=True).start()

    def take_turn(self, on, letter=None):
        if on:
            ip("link", "set", self.name, "up")
            ip("address", "add", HOST, "dev", self.name)
            ip("neighbour", "replace", GUEST, "lladdr", GUEST_MAC, "dev", self.name)
        else:
            ip("address", "del", HOST, "dev", self.name)
        if letter == "r":
            copy_frames(self.name, on)


class Calls:
    """The program that makes the calls of a VMM."""

    name = "calls"

    def __init__(self, path):
        self.path = path
        self.fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
        flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR
        fcntl.ioctl(self.fd, TUNSETIFF, struct.pack("16sH14x", b"calls0", flags))
        fcntl.ioctl(self.fd, TUNSETVNETHDRSZ, struct.pack("i", HEADER))
        self.tap = Tap("calls0")

    def run(self, load, seconds):
        letter, _, depth, size = load
        words = [self.fd, depth, ANSWERS[letter], int(seconds * 1e9)]
        self.tap.take_turn(True, letter)
        try:
            found = subprocess.run([self.path, *map(str, words)], pass_fds=[self.fd],
                                   input=make_frame(letter, size), check=True,
                                   stdout=subprocess.PIPE, timeout=TIMEOUT)
        finally:
            self.tap.take_turn(False, letter)
        done, passed, cpu = map(int, found.stdout.split())
        return done * 1e9 / passed, cpu / done / 1e3

    def close(self):
        os.close(self.fd)


class NetMachine(Machine):
    """One with a tap."""

    def __init__(self, name, path, folder):
        tap = f"{name.lower()}0"
        super().__init__(
            name, path, folder, "nic",
            "-netdev", f"tap,id=n,ifname={tap},script=no,downscript=no",
            "-device", f"virtio-net-pci,netdev=n,mac={GUEST_MAC},disable-legacy=on")
        self.tap = Tap(tap)

    def run(self, load, seconds):
        self.tap.take_turn(True, load[0])
        try:
            return super().run(load, seconds)
        finally:
            self.tap.take_turn(False, load[0])

    def wake_ups(self, seconds):
        """Context switches a second of all threads but the vCPUs', the guest idle."""
        self.tap.take_turn(True)
        self.qmp.command("cont")
        time.sleep(0.2)
        before = self.switches()
        time.sleep(seconds)
        found = (self.switches() - before) / seconds
        self.qmp.command("stop")
        self.tap.take_turn(False)
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
    machines = list(field)
    if options.calls.exists():
        field.append(Calls(options.calls))
    loads = [load for load in LOADS if load[0] != "r" or field[0].tap.can_copy]
    try:
        lines = table(measure(field, loads, options), field,
                      lambda load: f"{load[1]} {load[3]}")
        idle = [f"{machine.name} {machine.wake_ups(options.seconds):.0f}"
                for machine in machines]
    finally:
        for contender in field:
            contender.close()
    print("a tap:")
    print("\n".join(lines))
    print(f"wake-ups a second, idle: {', '.join(idle)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vmm", type=pathlib.Path,
                        default=os.environ.get("VMM") or ROOT / "build" / "berth")
    parser.add_argument("--calls", type=pathlib.Path,
                        default=ROOT / "build" / "tests" / "perf" / "tap-calls")
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
