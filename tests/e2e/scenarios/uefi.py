# SPDX-License-Identifier: Apache-2.0
"""OVMF in flash memory boots from a disk and a CD on each controller, in the order of
bootindex whatever -boot says; GRUB and a stock kernel from a CD behind virtio-scsi, from
a virtio disk, and from an ATA one when that is taken away and the guest reboots.  A
variable that the guest sets outlives the VMM, which is killed, and reboots; the machine's
share of the firmware's pages is the page cache's.  OVMF as a ROM starts a kernel by
itself.  With lab.py --beside both VMMs take turns in coming to the shell."""

import pathlib
import re
import shutil
import time

SECONDS = 110
BOOT_DISK = BOOT_CD = PROBES = True
CODE = pathlib.Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
VARS = pathlib.Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
WHOLE = pathlib.Path("/usr/share/ovmf/OVMF.fd")
WAITS = "any other key"
ROUNDS = 5
# QEMU's SVM ends the emulator when an interrupt comes just as the guest sets CR8, which
# OVMF does at the end of each tick.  KVM can make ticks rarer: 200 ms in place of 10.
TIMERS = pathlib.Path("/sys/module/kvm/parameters/min_timer_period_us")
RARE = "200000"
# What the guest sets, and how it reads it: 4 bytes of attributes come first.
VARIABLE = "/sys/firmware/efi/efivars/berth-158def5a-f656-419c-b027-7a3192c079d2"
MOUNT = "insmod /lib/efivarfs.ko; mount -t efivarfs vars /sys/firmware/efi/efivars"
STARTED = re.compile(r'BdsDxe: starting Boot\w+ "[^"]*" from (\S+)')
# Where a probe is, in the order of bootindex.
DRIVES = {
    "virtio scsi cd": "scsi-cd,bus=scsi.0",
    "ahci disk": "ide-hd,bus=ide.0",
    "ahci cd": "ide-cd,bus=ide.1",
    "virtio scsi disk": "scsi-hd,bus=scsi.0",
    "virtio blk": "virtio-blk-pci",
}
CD = "scsi-cd,bus=scsi.0,channel=0,scsi-id=7"
CD_PATH = "PciRoot(0x0)/Pci(0x6,0x0)/Scsi(0x7,0x0)"
# Disks, in the order of bootindex, and what OVMF calls each.
DISKS = {
    "blk": ("virtio-blk-pci,bus=port", "PciRoot(0x0)/Pci(0x5,0x0)/Pci(0x0,0x0)"),
    "ahci": ("ide-hd,bus=ide.0", "PciRoot(0x0)/Pci(0x1F,0x2)/Sata(0x0,0xFFFF,0x0)"),
}


def scenario(lab):
    usual = TIMERS.read_text()
    try:
        if lab.emulated:
            TIMERS.write_text(RARE)
        check(lab)
        if lab.options.beside:
            compare(lab)
    finally:
        if lab.emulated:
            TIMERS.write_text(usual)


def check(lab):
    variables = pathlib.Path(lab.folder) / "vars.fd"
    shutil.copy(VARS, variables)
    check_first(lab, start(
        lab, variables, *probes(lab), "-drive",
        f"file={lab.boot_cd},if=none,format=raw,id=cd,media=cdrom", "-device",
        f"{CD},drive=cd,bootindex={len(DRIVES)}", "-boot", "order=n,once=c", memory=512))
    check_disks(lab, start(lab, variables, *disks(lab), memory=512))
    check_rom(lab)


def drive(lab, where, index):
    """Its arguments, with a probe in it that says where it is."""
    is_cd = where.endswith("cd")
    name = where.replace(" ", "-")
    medium = ",media=cdrom" if is_cd else ""
    return ["-drive", f"file={lab.probe(where, is_cd)},if=none,format=raw,id={name}"
            f"{medium}", "-device", f"{DRIVES[where]},drive={name},bootindex={index}"]


def probes(lab):
    words = ["-device", "virtio-scsi-pci,id=scsi,addr=6"]
    for index, where in enumerate(DRIVES):
        words += drive(lab, where, index)
    return words


def disks(lab):
    """That on the ATA controller can be written to, so it is one of its own."""
    own = pathlib.Path(lab.folder) / "own.img"
    shutil.copyfile(lab.boot_disk, own)
    words = ["-device", "pcie-root-port,id=port,chassis=1,addr=5"]
    for index, (name, (device, _)) in enumerate(DISKS.items()):
        file = own if name == "ahci" else f"{lab.boot_disk},readonly=on"
        words += ["-drive", f"if=none,format=raw,id={name}-drive,file={file}", "-device",
                  f"{device},id={name},drive={name}-drive,bootindex={index}"]
    return words


def start(lab, variables, *args, **options):
    """As libvirt has it: a node for each flash."""
    return lab.disk_guest(
        "-global", "kvm-pit.lost_tick_policy=discard",
        "-blockdev", f"driver=file,filename={CODE},node-name=f0,read-only=on",
        "-blockdev", "driver=raw,file=f0,node-name=code,read-only=on",
        "-blockdev", f"driver=file,filename={variables},node-name=f1",
        "-blockdev", "driver=raw,file=f1,node-name=vars",
        "-machine", "pflash0=code,pflash1=vars", *args, cpus=1, **options).start()


def compare(lab):
    """Seconds from the start of a VMM to the first words of the shell."""
    seconds = {lab.options.vmm: [], lab.options.beside: []}
    for _ in range(ROUNDS):
        for vmm, found in seconds.items():
            variables = pathlib.Path(lab.folder) / "fresh.fd"
            shutil.copy(VARS, variables)
            began = time.monotonic()
            guest = start(lab, variables, vmm=vmm)
            guest.console.wait(WAITS)
            found.append(time.monotonic() - began)
            guest.close()
    for vmm, found in seconds.items():
        median = sorted(found)[ROUNDS // 2]
        lab.out(f"# {pathlib.Path(vmm).name}: to the shell in {median:.2f} s "
                f"(median), {min(found):.2f} s (least)")


def mapped(guest, name):
    """Of the mappings of a file, how many KiB the process has of its own and shared."""
    own = shared = 0
    inside = False
    for line in pathlib.Path(f"/proc/{guest.process.pid}/smaps").read_text().splitlines():
        if re.match("[0-9a-f]+-", line):
            inside = line.endswith(name)
        elif inside and line.startswith("Private_Dirty:"):
            own += int(line.split()[1])
        elif inside and line.startswith("Rss:"):
            shared += int(line.split()[1])
    return own, shared - own


def booted(guest):
    """What firmware started last."""
    return STARTED.findall(guest.console.text[:guest.mark])[-1]


def check_first(lab, guest):
    guest.wait_up()
    found = re.findall(r"^({})\b".format("|".join(DRIVES)), guest.console.text,
                       re.MULTILINE)
    lab.equal("each drive is booted from, in the order of bootindex", found, list(DRIVES))
    lab.equal("then the CD, which GRUB is on", booted(guest), CD_PATH)
    lab.match("it boots a stock kernel",
              guest.run("cat /proc/cmdline; ls /sys/firmware/efi"),
              r"medium=cd[^\0]*systab")
    guest.run(f"{MOUNT}; printf '\\7\\0\\0\\0kept' > {VARIABLE}")
    own, shared = mapped(guest, CODE.name)
    lab.check(f"the code is shared: {shared} KiB, and {own} KiB of its own",
              own == 0 and shared > 0)
    own, _ = mapped(guest, "vars.fd")
    lab.check(f"of the variables {own} KiB are its own", 0 < own <= 528)
    disks = {disk["qdev"]: disk["inserted"] for disk in guest.qmp.command("query-block")
             if "flash" in disk["qdev"]}
    lab.equal("both are told of",
              {path: (disk["node-name"], disk["ro"]) for path, disk in disks.items()},
              {"/machine/system.flash0": ("code", True),
               "/machine/system.flash1": ("vars", False)})
    # The guest does not wait for the file, which is a moment behind.
    guest.qmp.command("stop")
    guest.process.kill()
    guest.wait_exit()


def check_disks(lab, guest):
    for name, (_, path) in DISKS.items():
        guest.wait_up()
        lab.equal(f"firmware boots from {name}", booted(guest), path)
        lab.match("GRUB for UEFI boots a stock kernel from there",
                  guest.run("cat /proc/cmdline; ls /sys/firmware/efi"),
                  r"medium=disk[^\0]*systab")
        if name == "ahci":
            break
        guest.qmp.command("device_del", id=name)
        guest.qmp.wait_event("DEVICE_DELETED",
                             accept=lambda data: data.get("device") == name)
        guest.type("reboot\n")
    lab.match("a variable is there after the VMM was killed, and reboots",
              guest.run(f"{MOUNT}; cat {VARIABLE}"), "kept$")
    end(lab, guest)


def check_rom(lab):
    if not WHOLE.exists():
        lab.skip("firmware and variables in one ROM", "OVMF.fd is not there")
        return
    guest = lab.guest("-bios", WHOLE, "-global", "kvm-pit.lost_tick_policy=discard",
                      kernel=lab.bzimage, cpus=1, memory=512).start()
    guest.wait_up()
    lab.match("OVMF as a ROM starts the kernel of -kernel",
              guest.run("cat /proc/cmdline; ls /sys/firmware/efi"),
              r"shell=plain[^\0]*systab")
    end(lab, guest)


def end(lab, guest):
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)
    lab.equal("no call was forbidden", guest.forbidden_call(), None)
