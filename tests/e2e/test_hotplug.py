#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Devices that come and go while a tiny guest runs, by the whole program in its sandbox:
every kind that can come, a guest that lets go, hundreds of cycles that leave nothing."""

import os
import pathlib
import sys

from rig import main, private_kib, wait_until
import tasks
from poke import Poke
from qmp import QmpError

PORT = 4 << 3                   # where the port is: 00:04.0
PORTS = ["-device", "pcie-root-port,id=p0,chassis=1,addr=4",
         "-device", "pcie-root-port,id=p1,chassis=2,addr=5"]
BRIDGE = ["-device", "pcie-root-port,id=p2,chassis=3,addr=6",
          "-device", "pcie-pci-bridge,id=conv,bus=p2"]
SLTCTL, SLTSTA = 0x18, 0x1a
ATTENTION_ON, BLINK, OFF, POWER_OFF = 0x100, 0x200, 0x300, 0x400
BUTTON, PRESENT = 0x1, 0x40
SLOTS_UP, SLOTS_DOWN, SLOTS_EJECT, SLOTS_SELECT = 0xae00, 0xae04, 0xae08, 0xae10
GPE_STATUS, GPE_PCI, GPE_CPU = 0x620, 1 << 1, 1 << 2
CPU_SELECT, CPU_STATUS = 0xcd8, 0xcdc
CPU_THERE, CPU_CAME, CPU_GOES, CPU_EJECT = 1, 2, 4, 8
ICR, ICR_DESTINATION = 0xfee00300, 0xfee00310
ICR_INIT, ICR_STARTUP = 0x4500, 0x4600
# Where a processor starts: movb $0x5a, %cs:0x100; hlt; jmp to the hlt.
AP_START, AP_MARK, AP_ANSWER = 0x8000, 0x100, 0x5a
AP_CODE = (0x0006c62e, 0xebf45a01, 0xfd)
# What a machine has once is this run's: there may be others.
INTERFACE = f"bhp{os.getpid()}"
CONTEXT_ID = 1000 + os.getpid()
CYCLES = 200
CYCLES_KIB = 64               # less than a page every nine cycles
VCPU_CYCLES = 30


def started(t, *args):
    guest = t.guest("poke", *PORTS, *args)
    return guest, guest.qmp, Poke(guest)


def express(driver):
    """Where the capability of the port is."""
    at = driver.config_read(PORT, 0x34, 1)
    while driver.config_read(PORT, at, 1) != 0x10:
        at = driver.config_read(PORT, at + 1, 1)
    return at


def gone(qmp, name):
    qmp.wait_event("DEVICE_DELETED", accept=lambda data: data.get("device") == name)


def refused(t, title, words, qmp, command, **arguments):
    try:
        qmp.command(command, **arguments)
        t.check(title, False, "it is accepted")
    except QmpError as error:
        t.match(title, error.text, words)


def come_and_go(qmp, name, **options):
    qmp.command("device_add", id=name, **options)
    qmp.command("x-device-del-force", id=name)
    gone(qmp, name)


def test_kinds(t):
    disk = t.folder / "disk"
    with open(disk, "wb") as file:
        file.truncate(1 << 20)
    guest, qmp, _ = started(t)
    qmp.command("object-add", **{"qom-type": "iothread"}, id="io")
    qmp.command("blockdev-add", driver="file", node_name="a", filename=str(disk))
    come_and_go(qmp, "blk", driver="virtio-blk-pci", drive="a", iothread="io")
    come_and_go(qmp, "blk", driver="virtio-blk-pci", drive="a", **{"num-queues": "4"})
    come_and_go(qmp, "rng", driver="virtio-rng-pci")
    come_and_go(qmp, "dog", driver="i6300esb")
    come_and_go(qmp, "panic", driver="pvpanic-pci")
    if os.path.exists("/dev/vhost-vsock"):
        come_and_go(qmp, "vsock", driver="vhost-vsock-pci", **{"guest-cid": CONTEXT_ID})
    else:
        t.skip("vhost-vsock-pci", "there is no /dev/vhost-vsock")
    if os.geteuid() == 0 and os.path.exists("/dev/net/tun"):
        qmp.command("netdev_add", type="tap", id="n", ifname=f"{INTERFACE}a", script="no",
                    downscript="no")
        come_and_go(qmp, "nic", driver="virtio-net-pci", netdev="n")
        qmp.command("netdev_del", id="n")
    else:
        t.skip("virtio-net-pci", "not root, or there is no /dev/net/tun")

    qmp.command("device_add", driver="virtio-scsi-pci", id="hba", bus="p0")
    qmp.command("device_add", driver="scsi-hd", id="hd", drive="a")
    qmp.command("device_add", driver="virtio-serial-pci", id="vs", bus="p1")
    qmp.command("chardev-add", id="c", backend={"type": "null", "data": {}})
    qmp.command("device_add", driver="virtserialport", id="port", chardev="c")
    refused(t, "a disk in use stays", "use", qmp, "blockdev-del", node_name="a")
    refused(t, "no slot is left", "pcie-root-port", qmp, "device_add",
            driver="virtio-rng-pci")
    qmp.command("device_del", id="port")
    gone(qmp, "port")
    qmp.command("chardev-remove", id="c")
    qmp.command("x-device-del-force", id="hba")
    gone(qmp, "hd")
    gone(qmp, "hba")
    qmp.command("blockdev-del", node_name="a")
    qmp.command("x-device-del-force", id="vs")
    gone(qmp, "vs")
    qmp.command("quit")
    t.equal("the VMM ends well", guest.wait_exit(), 0)


def test_slot_by_acpi(t):
    guest, qmp, driver = started(t, *BRIDGE)
    qmp.command("device_add", driver="virtio-rng-pci", id="rng", bus="p1")
    t.equal("the event is there", driver.inp(GPE_STATUS, 1) & GPE_PCI, GPE_PCI)
    driver.out(SLOTS_SELECT, 1, 4)
    t.equal("the slot has a device", driver.inp(SLOTS_UP, 4), 1)
    qmp.command("device_del", id="rng")
    t.equal("it is asked for", driver.inp(SLOTS_DOWN, 4), 1)
    driver.out(SLOTS_EJECT, 1, 4)
    gone(qmp, "rng")

    qmp.command("device_add", driver="i6300esb", id="dog", bus="conv", addr="0x1f")
    driver.out(SLOTS_SELECT, 3, 4)
    t.equal("a slot of the bridge has a device", driver.inp(SLOTS_UP, 4), 1 << 31)
    qmp.command("device_del", id="dog")
    t.equal("that is asked for", driver.inp(SLOTS_DOWN, 4), 1 << 31)
    driver.out(SLOTS_EJECT, 1 << 31, 4)
    gone(qmp, "dog")
    qmp.command("quit")
    t.equal("the VMM ends well", guest.wait_exit(), 0)


def test_guest_lets_go(t):
    guest, qmp, driver = started(
        t, *BRIDGE, "-global", "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off")
    at = express(driver)
    refused(t, "there is no button for conventional slots", "'conv' takes no devices",
            qmp, "device_add", driver="virtio-rng-pci", bus="conv")
    qmp.command("device_add", driver="virtio-rng-pci", id="rng", bus="p0")
    t.equal("the guest sees it", driver.config_read(PORT, at + SLTSTA, 2) & PRESENT,
            PRESENT)
    driver.config_write(PORT, at + SLTCTL, ATTENTION_ON, 2)
    qmp.command("device_del", id="rng")
    state, = qmp.command("x-query-unplug")
    t.equal("it is asked for", state, {"device": "rng", "state": "asked",
                                       "path": "/machine/peripheral/rng"})
    t.equal("by the button", driver.config_read(PORT, at + SLTSTA, 2) & BUTTON, BUTTON)
    driver.config_write(PORT, at + SLTCTL, BLINK | POWER_OFF, 2)
    driver.config_write(PORT, at + SLTCTL, OFF | POWER_OFF, 2)
    gone(qmp, "rng")
    t.equal("it is not there any more",
            driver.config_read(PORT, at + SLTSTA, 2) & PRESENT, 0)

    qmp.command("device_add", driver="virtio-rng-pci", id="rng", bus="p0")
    driver.config_write(PORT, at + SLTCTL, ATTENTION_ON, 2)
    qmp.command("device_del", id="rng")
    qmp.command("system_reset")
    gone(qmp, "rng")
    driver.heard("!")
    qmp.command("stop")
    qmp.command("device_add", driver="virtio-rng-pci", id="rng", bus="p0")
    qmp.command("cont")
    come_and_go(qmp, "two", driver="virtio-rng-pci")
    qmp.command("quit")
    t.equal("the VMM ends well", guest.wait_exit(), 0)


def test_cycles(t):
    disk = t.folder / "disk"
    with open(disk, "wb") as file:
        file.truncate(1 << 20)
    guest, qmp, _ = started(t)
    qmp.command("blockdev-add", driver="file", node_name="a", filename=str(disk))
    fds = pathlib.Path(f"/proc/{guest.process.pid}/fd")
    netdev = {"type": "null"}
    if os.geteuid() == 0 and os.path.exists("/dev/net/tun"):
        netdev = {"type": "tap", "ifname": f"{INTERFACE}b", "queues": 2}
    for cycle in range(CYCLES):
        come_and_go(qmp, "blk", driver="virtio-blk-pci", drive="a")
        qmp.command("netdev_add", id="n", **netdev)
        come_and_go(qmp, "nic", driver="virtio-net-pci", netdev="n", mq=True)
        qmp.command("netdev_del", id="n")
        if cycle == CYCLES // 4:
            before, memory = len(list(fds.iterdir())), private_kib(guest)
    t.check("no descriptor is left behind", wait_until(
        lambda: len(list(fds.iterdir())) == before), len(list(fds.iterdir())))
    grown = private_kib(guest) - memory
    t.check("and no memory", grown < CYCLES_KIB, f"{grown} KiB more")
    t.equal("and no device", qmp.command("x-query-unplug"), [])
    t.check("and no interface", not os.path.exists(f"/sys/class/net/{INTERFACE}b"))
    qmp.command("quit")
    t.equal("the VMM ends well", guest.wait_exit(), 0)


def test_vcpus(t):
    guest = t.guest("poke", "-smp", "1,maxcpus=3,cores=3", "-device",
                    "host-x86_64-cpu,id=cold,socket-id=0,core-id=2,thread-id=0")
    qmp, driver = guest.qmp, Poke(guest)
    fds = pathlib.Path(f"/proc/{guest.process.pid}/fd")
    place = {"socket-id": 0, "core-id": 1, "thread-id": 0}
    driver.out(CPU_SELECT, 2, 4)
    t.equal("what -device adds is there", driver.inp(CPU_STATUS), CPU_THERE)
    driver.out(CPU_SELECT, 1, 4)
    t.equal("and the other is not", driver.inp(CPU_STATUS), 0)
    started_threads = len(tasks.lasting(guest.process.pid))
    for cycle in range(VCPU_CYCLES):
        qmp.command("device_add", driver="host-x86_64-cpu", id="one", **place)
        if cycle == 0:
            t.equal("the event is there", driver.inp(GPE_STATUS) & GPE_CPU, GPE_CPU)
            t.equal("it came", driver.inp(CPU_STATUS), CPU_THERE | CPU_CAME)
            ids = [cpu["thread-id"] for cpu in qmp.command("query-cpus-fast")]
            t.equal("three have threads of their own", len(set(ids)), 3)
        if cycle % 2:
            qmp.command("stop")
        qmp.command("device_del", id="one")
        if cycle % 2:
            qmp.command("cont")
        driver.out(CPU_STATUS, CPU_EJECT)
        gone(qmp, "one")
        if cycle == 1:
            before = len(list(fds.iterdir()))
    t.check("no descriptor is left behind", wait_until(
        lambda: len(list(fds.iterdir())) == before), len(list(fds.iterdir())))
    t.check("and no thread", wait_until(
        lambda: len(tasks.lasting(guest.process.pid)) == started_threads),
            tasks.lasting(guest.process.pid))
    qmp.command("device_add", driver="host-x86_64-cpu", id="one", **place)
    qmp.command("system_reset")
    driver.heard("!")
    driver.out(CPU_SELECT, 1, 4)
    t.equal("it is there after a reset, and no news", driver.inp(CPU_STATUS), CPU_THERE)
    refused(t, "the first stays", "not found", qmp, "device_del",
            id="/machine/unattached/device[0]")
    qmp.command("quit")
    t.equal("the VMM ends well", guest.wait_exit(), 0)


def test_first_vcpu_to_come_starts(t):
    """KVM finds it by its APIC id, though nothing else has happened to it."""
    guest = t.guest("poke", "-smp", "1,maxcpus=3,cores=3")
    qmp, driver = guest.qmp, Poke(guest)
    for at, code in enumerate(AP_CODE):
        driver.write(AP_START + 4 * at, code)
    for index in (2, 1):
        qmp.command("device_add", driver="host-x86_64-cpu", id=f"vcpu{index}",
                    **{"socket-id": 0, "core-id": index, "thread-id": 0})
        driver.write(AP_START + AP_MARK, 0)
        for command in (ICR_INIT, ICR_STARTUP | AP_START >> 12):
            driver.write(ICR_DESTINATION, index << 24)
            driver.write(ICR, command)
        t.check(f"vCPU {index} runs the guest's code", wait_until(
            lambda: driver.read(AP_START + AP_MARK) == AP_ANSWER))
    qmp.command("quit")
    t.equal("the VMM ends well", guest.wait_exit(), 0)


TESTS = [test_kinds, test_slot_by_acpi, test_guest_lets_go, test_cycles,
         test_vcpus, test_first_vcpu_to_come_starts]

if __name__ == "__main__":
    sys.exit(main(TESTS, __doc__))
