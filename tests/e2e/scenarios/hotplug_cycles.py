# SPDX-License-Identifier: Apache-2.0
"""A disk and a network device come to a stock guest, are used and go, 200 times; every
other disk is written while it goes.  The VMM has the same before and after.  With lab.py
--beside it is measured instead how long a disk takes to come and to go; the two VMMs take
turns, and one is stopped while the other is measured."""

import fcntl
import os
import pathlib
import socket
import struct
import time

import tasks

SECONDS = 190
KIB = 1 << 10
CYCLES = 200
WARM = 40                       # cycles after which all code has run
# What the VMM may have more after the rest: allocated, and private pages.
BOUND_ALLOCATED, BOUND_PRIVATE = 64 * KIB, 256 * KIB
LAST_TIME = 300
TURNS_BESIDE = 25
SECTOR = 512
INTERFACE, HOST, GUEST = "berthhp3", "192.168.79.1", "192.168.79.2"
SIOCSIFFLAGS, SIOCSIFADDR, IFF_UP = 0x8914, 0x8916, 1
MODULES = "virtio_blk failover net_failover virtio_net"
# For each pair: waits for it, without a process for each look; says hello to the host;
# writes the disk until that fails if it is an even one; answers by copying the second
# sector of the disk to the first; waits until the writer has failed.
WAIT_DISK = 'read s < /sys/block/vda/serial; [ "$s" = S$i ]'
WAIT = (f"until {{ {WAIT_DISK}; }} && [ -d /sys/class/net/eth0 ]; do "
        "read -t 0.02 s <&9; done 2> /dev/null")
HELLO = f"ifconfig eth0 {GUEST}; ping -c 1 -W 30 {HOST} > /dev/null || lost=$((lost+1))"
WRITE = ("exec 3<> /dev/vda; while dd if=/dev/zero of=/proc/self/fd/3 bs=65536 seek=1 "
         "count=4 conv=notrunc,fsync; do :; done > /dev/null 2>&1 & exec 3>&-")
ANSWER = (f"dd if=/dev/vda of=/dev/vda bs={SECTOR} skip=1 count=1 "
          "conv=notrunc,fsync 2> /dev/null")
LOOP = (f"i=0; lost=0; while [ $i -lt {CYCLES} ]; do {WAIT}; {HELLO}; "
        f"if [ $((i % 2)) = 0 ]; then {WRITE}; fi; {ANSWER}; wait; i=$((i+1)); done; "
        "echo $lost > lost")
LOOP_DISK = (f"i=0; while [ $i -lt {TURNS_BESIDE} ]; do until {WAIT_DISK}; do "
             f"read -t 0.002 s <&9; done 2> /dev/null; {ANSWER}; i=$((i+1)); done")


def interface_up():
    """The netdev's; as ip(8) does it, which would be started hundreds of times."""
    name = INTERFACE.encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        address = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(HOST))
        fcntl.ioctl(sock, SIOCSIFADDR, struct.pack("16s16s", name, address))
        fcntl.ioctl(sock, SIOCSIFFLAGS, struct.pack("16sH14x", name, IFF_UP))


def possessions(guest):
    process = pathlib.Path(f"/proc/{guest.process.pid}")
    ledger = guest.qmp.command("x-query-memory-ledger")
    return {"descriptors": len(list((process / "fd").iterdir())),
            "threads": len(tasks.lasting(guest.process.pid)),
            "allocated": sum(part["allocated"] for part in ledger["heap"]
                             if part["owner"] != "free"),
            "private": sum(entry["private"] for entry in ledger["entries"]
                           if entry["owner"] != "guest-ram")}


def ask(disk, number):
    mark = b"%-512d" % number
    os.pwrite(disk.fileno(), bytes(SECTOR) + mark, 0)
    return mark


def wait_answer(disk, mark, pause=0.02):
    end = time.monotonic() + LAST_TIME
    while os.pread(disk.fileno(), SECTOR, 0) != mark:
        if time.monotonic() > end:
            raise TimeoutError(f"the guest does not answer {mark.decode().strip()}")
        time.sleep(pause)


def remove(qmp, *names):
    for name in names:
        qmp.command("device_del", id=name)
    for name in names:
        qmp.wait_event("DEVICE_DELETED", timeout=LAST_TIME,
                       accept=lambda data, name=name: data.get("device") == name)


def add_disk(qmp, number):
    qmp.command("device_add", driver="virtio-blk-pci", id="disk", drive="a", bus="p0",
                serial=f"S{number}")


def cycle(guest, disk, number):
    qmp = guest.qmp
    mark = ask(disk, number)
    qmp.command("netdev_add", type="tap", id="n", ifname=INTERFACE, script="no",
                downscript="no")
    interface_up()
    add_disk(qmp, number)
    qmp.command("device_add", driver="virtio-net-pci", id="nic", netdev="n")
    wait_answer(disk, mark)
    remove(qmp, "disk", "nic")
    qmp.command("netdev_del", id="n")


def booted(lab, path, loop, **options):
    path.write_bytes(bytes(8 << 20))
    guest = lab.guest("-device", "pcie-root-port,id=p0,chassis=1,addr=4",
                      "-device", "pcie-root-port,id=p1,chassis=2,addr=5",
                      "-blockdev", f"file,node-name=a,filename={path}", cpus=1,
                      tools=True, **options).boot()
    guest.run(f"for m in {MODULES}; do insmod /lib/$m.ko; done; cd /tmp; mkfifo never; "
              "exec 9<> never")
    guest.run(f"({loop}) & true")
    return guest


def end(lab, guest):
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)


def scenario(lab):
    if lab.options.beside:
        compare(lab)
        return
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        lab.skip("200 pairs come and go", "not root, or there is no /dev/net/tun")
        return
    path = lab.folder / "disk"
    guest = booted(lab, path, LOOP)
    began = time.monotonic()
    with open(path, "r+b", buffering=0) as disk:
        for number in range(CYCLES):
            if number == WARM:
                before = possessions(guest)
            cycle(guest, disk, number)
    lab.out(f"#   {CYCLES} pairs in {time.monotonic() - began:.0f} s")
    guest.run("until [ -s lost ]; do usleep 10000; done")
    lab.equal("the guest has used them all", guest.run("cat lost"), "0")
    check_possessions(lab, before, possessions(guest))
    lab.equal("nothing is left of them", guest.qmp.command("x-query-unplug"), [])
    lab.equal("nor for the guest", guest.run("ls /sys/block; ls /sys/class/net"), "lo")
    lab.check("no interface is left", not os.path.exists(f"/sys/class/net/{INTERFACE}"))
    end(lab, guest)


def check_possessions(lab, before, after):
    more = {name: after[name] - before[name] for name in before}
    lab.out(f"#   {after}, more than after {WARM} pairs: {more}")
    lab.equal("no descriptor is left behind", more["descriptors"], 0)
    lab.equal("and no thread", more["threads"], 0)
    lab.check("nothing stays allocated", more["allocated"] < BOUND_ALLOCATED, more)
    lab.check("and no page", more["private"] < BOUND_PRIVATE, more)


class Side:
    """A VMM with its guest, and how long its disks took to answer and to go."""

    def __init__(self, lab, vmm):
        self.name = pathlib.Path(vmm).name
        self.path = lab.folder / self.name
        self.guest = booted(lab, self.path, LOOP_DISK, vmm=vmm)
        self.guest.qmp.command("stop")
        self.came, self.went = [], []

    def take_turn(self, number):
        qmp = self.guest.qmp
        qmp.command("cont")
        with open(self.path, "r+b", buffering=0) as disk:
            mark = ask(disk, number)
            times = [time.monotonic()]
            add_disk(qmp, number)
            wait_answer(disk, mark, 0.002)
            times.append(time.monotonic())
            remove(qmp, "disk")
            times.append(time.monotonic())
        qmp.command("stop")
        self.came.append(times[1] - times[0])
        self.went.append(times[2] - times[1])


def compare(lab):
    sides = [Side(lab, vmm) for vmm in (lab.options.vmm, lab.options.beside)]
    for number in range(TURNS_BESIDE):
        for side in sides:
            side.take_turn(number)
    for side in sides:
        for what, times in (("to come", side.came), ("to go", side.went)):
            times = sorted(1000 * t for t in times)
            lab.out(f"#   {side.name}: a disk takes {times[len(times) // 2]:.0f} ms "
                    f"{what} ({times[0]:.0f} at least)")
        end(lab, side.guest)
