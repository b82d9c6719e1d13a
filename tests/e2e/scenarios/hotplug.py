# SPDX-License-Identifier: Apache-2.0
"""A stock guest whose devices come and go by ACPI and by the port: a disk with I/O
under way at its removal, a network device, a SCSI disk on a controller that came itself,
two at a time, a removal before the guest's first instruction, some while it boots."""

import os
import re
import time

SECONDS = 45
MIB = 1 << 20
MODULES = ("virtio_blk failover net_failover virtio_net scsi_common scsi_mod virtio_scsi "
           "sd_mod")
CYCLES = 1                      # Of 200 is `hotplug_cycles`.
BRIDGES = ["-device", "pcie-root-port,id=fixed,chassis=9,addr=7,hotplug=off",
           "-device", "pcie-pci-bridge,id=conv,bus=fixed",
           "-device", "pci-bridge,id=deep,bus=conv,addr=0x2,chassis_nr=1"]


# Before the guest's kernel runs, and while it looks for its devices.
MOMENTS = {"p0": 0.2, "p1": 2.5}
# The names of the ports with a random number generator behind them: 00:04.0 is p0.
FUNCTIONS = ("for d in /sys/bus/virtio/drivers/virtio_rng/virtio*; do [ -e $d ] || "
             "continue; d=$(readlink -f $d); d=${d#*/0000:00:0}; "
             "echo p$((${d%%.*} - 4)); done | sort")


def deleted(guest, *names):
    """Waits until all of these are gone."""
    for name in names:
        guest.qmp.wait_event("DEVICE_DELETED",
                             accept=lambda data, name=name: data.get("device") == name)


def scenario(lab):
    with open(lab.folder / "disk", "wb") as disk:
        disk.truncate(64 * MIB)
    ports = []
    for i in range(3):
        ports += ["-device", f"pcie-root-port,id=p{i},chassis={i + 1},addr={4 + i}"]
    guest = lab.guest(*ports, *BRIDGES, "-S",
                      "-device", "virtio-rng-pci,id=asked,bus=conv,x-unplug-timeout=600",
                      "-blockdev", f"file,node-name=a,filename={lab.folder}/disk",
                      "-device", "virtio-rng-pci,id=early,bus=p2", tools=True)
    guest.start()
    guest.qmp.command("device_del", id="early")
    deleted(guest, "early")
    guest.qmp.command("cont")
    guest.qmp.command("device_del", id="asked")
    add_during_boot(guest)
    guest.wait_up()
    lab.equal("what went before the boot is not seen, what came since is",
              guest.run(f"until [ $({FUNCTIONS} | wc -l) = 2 ]; do usleep 10000; done; "
                        f"{FUNCTIONS}").split(), ["p0", "p1"])
    deleted(guest, "asked")
    lab.equal("what was asked for before its drivers were up goes, asked for once",
              guest.qmp.command("x-query-unplug"), [])
    for port in MOMENTS:
        guest.qmp.command("device_del", id=f"boot-{port}")
        deleted(guest, f"boot-{port}")
    lab.equal("and goes", guest.run(FUNCTIONS), "")
    guest.run(f"for m in {MODULES}; do insmod /lib/$m.ko; done; cd /tmp")
    for cycle in range(CYCLES):
        check_disk(lab, guest, cycle)
    check_two(lab, guest)
    check_bridges(lab, guest)
    check_scsi(lab, guest)
    lab.equal("nothing is left of them", guest.qmp.command("x-query-unplug"), [])
    complaints = guest.run("dmesg | grep -iE 'pcieport|pciehp|acpi' | grep -iE "
                           "'fail|error|timeout|stuck' || true")
    lab.equal("the guest has nothing to complain of", complaints, "")
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)

    guest = lab.guest(*ports[:2], "-global",
                      "ICH9-LPC.acpi-pci-hotplug-with-bridge-support=off",
                      "-blockdev", f"file,node-name=a,filename={lab.folder}/disk",
                      tools=True).boot()
    guest.run("insmod /lib/virtio_blk.ko; cd /tmp")
    check_disk(lab, guest, CYCLES)
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)


def add_during_boot(guest):
    for port, moment in MOMENTS.items():
        time.sleep(moment)
        guest.qmp.command("device_add", driver="virtio-rng-pci", id=f"boot-{port}",
                          bus=port)


def check_disk(lab, guest, cycle):
    guest.qmp.command("device_add", driver="virtio-blk-pci", id="disk", drive="a",
                      serial=f"S{cycle}")
    guest.run("until [ -b /dev/vda ]; do usleep 10000; done")
    lab.equal(f"disk {cycle} is the one that was added",
              guest.run("cat /sys/block/vda/serial"), f"S{cycle}")
    guest.run(f"echo {cycle} > mark; dd if=mark of=/dev/vda conv=fsync 2> /dev/null; "
              "exec 3<> /dev/vda; while dd if=/dev/zero of=/proc/self/fd/3 bs=65536 "
              "count=64 seek=1 conv=notrunc,fsync; do :; done > /dev/null 2>&1 & "
              "exec 3>&-")
    guest.qmp.command("device_del", id="disk")
    deleted(guest, "disk")
    lab.equal(f"disk {cycle} is gone for the guest",
              guest.run("until [ ! -b /dev/vda ]; do usleep 10000; done; echo gone"),
              "gone")
    with open(lab.folder / "disk", "rb") as disk:
        lab.equal(f"disk {cycle} has what was written", disk.read(2), b"%d\n" % cycle)


def check_two(lab, guest):
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        lab.skip("a network device comes and goes",
                 "not root, or there is no /dev/net/tun")
        return
    guest.qmp.command("netdev_add", type="tap", id="n0", ifname="berthhp0", script="no",
                      downscript="no")
    guest.qmp.command("device_add", driver="virtio-net-pci", id="nic", netdev="n0",
                      mac="52:54:00:00:00:07", acpi_index=5)
    guest.qmp.command("device_add", driver="virtio-blk-pci", id="disk", drive="a")
    guest.run("until [ -b /dev/vda ] && [ -d /sys/class/net/eth0 ]; do usleep 10000; "
              "done; ip link set eth0 up")
    lab.equal("two come at once", guest.run("cat /sys/class/net/eth0/address"),
              "52:54:00:00:00:07")
    lab.equal("the network device has its number",
              guest.run("cat /sys/class/net/eth0/device/../acpi_index"), "5")
    guest.qmp.command("device_del", id="nic")
    guest.qmp.command("device_del", id="disk")
    deleted(guest, "nic", "disk")
    guest.qmp.command("netdev_del", id="n0")
    lab.equal("and go",
              guest.run("ls /sys/class/net; ls /dev/vda 2> /dev/null || true"), "lo")


def check_bridges(lab, guest):
    for bus in ("conv", "deep"):
        guest.qmp.command("device_add", driver="virtio-blk-pci", id="disk", drive="a",
                          bus=bus, addr="0x1f", serial=bus)
        guest.run("until [ -b /dev/vda ]; do usleep 10000; done")
        lab.equal(f"a disk on bridge {bus}",
                  guest.run("cat /sys/block/vda/serial; dd if=/dev/vda bs=1M count=1 "
                            "2> /dev/null | wc -c; readlink -f /sys/block/vda | "
                            "grep -c ':1f.0/virtio'"), f"{bus}{MIB}\n1")
        guest.qmp.command("stop")
        guest.qmp.command("device_del", id="disk")
        guest.qmp.command("cont")
        deleted(guest, "disk")
        guest.run("until [ ! -b /dev/vda ]; do usleep 10000; done")


def check_scsi(lab, guest):
    guest.qmp.command("device_add", driver="virtio-scsi-pci", id="hba")
    guest.run("until ls /sys/class/scsi_host/host* > /dev/null 2>&1; do usleep 10000; "
              "done")
    for _ in range(CYCLES):
        guest.qmp.command("device_add", driver="scsi-hd", id="hd", drive="a", serial="HD")
        guest.run("until [ -b /dev/sda ]; do usleep 10000; done")
        lab.match("a SCSI disk comes", guest.run("cat /sys/block/sda/size"),
                  re.escape(str(64 * MIB // 512)))
        guest.qmp.command("device_del", id="hd")
        deleted(guest, "hd")
        guest.run("until [ ! -b /dev/sda ]; do usleep 10000; done")
    guest.qmp.command("device_del", id="hba")
    deleted(guest, "hba")
