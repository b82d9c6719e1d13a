# SPDX-License-Identifier: Apache-2.0
"""Media that boot by themselves: SeaBIOS, GRUB, and a stock kernel with the tables that
firmware placed.  As with an installer it is the CD once, where the guest is woken from
suspend to RAM with a vCPU that came since, then the disk after the guest's reboot; when
that disk is unplugged, the other one.  With lab.py --beside both VMMs take turns in
coming to the boot loader."""

import pathlib
import re
import time

from guest import shown

SECONDS = 80
BOOT_DISK = BOOT_CD = True
ROUNDS = 5
DMI = "cat /sys/class/dmi/id/bios_vendor /sys/class/dmi/id/sys_vendor"
TABLES = "ls /sys/firmware/acpi/tables"
# Each function's BARs are where the host bridge's windows are, or it would be told.
BAD = "dmesg | grep -ciE 'no compatible bridge window|BAR.*(failed|claim)|firmware bug'"


def scenario(lab):
    guest = lab.disk_guest(
        "-drive", f"file={lab.boot_cd},if=none,format=raw,id=cd,media=cdrom",
        "-drive", f"file={lab.boot_disk},if=none,format=raw,id=d0,readonly=on",
        "-drive", f"file={lab.boot_disk},if=none,format=raw,id=d1,readonly=on",
        "-smp", "maxcpus=3,cores=3",
        "-device", "pcie-root-port,id=port,chassis=1,addr=5",
        "-device", "virtio-blk-pci,id=blk,drive=d0,bus=port",
        "-device", "virtio-scsi-pci,id=scsi,addr=6",
        "-device", "scsi-cd,drive=cd,bus=scsi.0",
        "-device", "scsi-hd,drive=d1,bus=scsi.0", "-boot", "order=c,once=d",
        "-device", "virtio-rng-pci", "-device",
        "vmgenid,guid=43dc0cf8-809b-4adb-9bea-a9abb5f3d90e").boot()
    lab.equal("the CD is booted once", medium(guest), "cd")
    check_machine(lab, guest)
    check_hotplug(lab, guest)
    check_sleep(lab, guest)
    check_reboot(lab, guest)
    lab.equal("no call was forbidden", guest.forbidden_call(), None)
    if lab.options.beside:
        compare(lab)


def compare(lab):
    """Seconds from the start of a VMM to the first word of the boot loader."""
    seconds = {lab.options.vmm: [], lab.options.beside: []}
    for _ in range(ROUNDS):
        for vmm, found in seconds.items():
            began = time.monotonic()
            guest = lab.disk_guest(
                "-drive", f"file={lab.boot_disk},if=none,format=raw,id=d,readonly=on",
                "-device", "virtio-blk-pci,drive=d,bootindex=1", "-machine",
                "graphics=off", cpus=1, vmm=vmm).start()
            guest.console.wait(shown("GRUB"))
            found.append(time.monotonic() - began)
            guest.close()
    for vmm, found in seconds.items():
        median = sorted(found)[ROUNDS // 2]
        lab.out(f"# {pathlib.Path(vmm).name}: to the boot loader in {median:.2f} s "
                f"(median), {min(found):.2f} s (least)")


def medium(guest):
    """What the boot loader was read from."""
    return re.search(r"medium=(\w+)", guest.run("cat /proc/cmdline"))[1]


def check_machine(lab, guest):
    lab.equal("it is SeaBIOS that describes itself, and berth the machine",
              guest.run(DMI).split(), ["SeaBIOS", "berth"])
    tables = guest.run(TABLES).split()
    lab.equal("the kernel found the tables",
              [name for name in ("APIC", "DSDT", "FACP", "FACS", "MCFG")
               if name not in tables], [])
    lab.equal("both processors run", guest.run("nproc"), "2")
    lab.equal("resources are where ACPI says", guest.run(f"{BAD} || true"), "0")
    lab.match("the ECAM is used", guest.run("dmesg | grep -i MMCONFIG; cat /proc/iomem"),
              "b0000000-bfffffff : (PCI )?(MMCONFIG|ECAM)")
    told = guest.qmp.command("query-vm-generation-id")
    lab.equal("the generation ID is the operator's", told["guid"],
              "43dc0cf8-809b-4adb-9bea-a9abb5f3d90e")


def check_hotplug(lab, guest):
    guest.qmp.command("device_add", driver="host-x86_64-cpu", id="vcpu2", **{
        "socket-id": 0, "core-id": 2, "thread-id": 0})
    guest.run("cd /sys/devices/system/cpu; until [ -e cpu2/online ]; do usleep 10000; "
              "done; echo 1 > cpu2/online")
    lab.equal("a vCPU comes", guest.run("taskset -c 2 nproc"), "1")


def check_sleep(lab, guest):
    """Woken, the machine starts firmware, which goes on where the guest said."""
    guest.run("echo deep > /sys/power/mem_sleep")
    guest.type("echo mem > /sys/power/state; echo woken $?\n")
    guest.qmp.wait_event("SUSPEND")
    guest.qmp.command("system_wakeup")
    found = guest.console.wait(r"woken (\d+)\r?\n", guest.mark)
    guest.mark = found.end()
    lab.equal("it wakes from suspend to RAM by firmware", found[1], "0")
    lab.equal("with the processor that came", guest.run("nproc"), "3")


def check_reboot(lab, guest):
    guest.type("reboot\n")
    guest.wait_up()
    lab.equal("after the guest's reboot it is the disk", medium(guest), "disk")
    guest.qmp.command("device_del", id="blk")
    guest.qmp.wait_event("DEVICE_DELETED",
                         accept=lambda data: data.get("device") == "blk")
    guest.qmp.command("system_reset")
    guest.wait_up()
    lab.equal("without that disk it is the one behind virtio-scsi", medium(guest), "disk")
    lab.equal("each time by firmware", guest.console.text.count("SeaBIOS (version"), 3)
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)
