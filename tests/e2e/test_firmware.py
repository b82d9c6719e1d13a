#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Firmware on this machine's own /dev/kvm: SeaBIOS, and boot sectors of disks.

A disk's first sector writes a letter to COM1, then does as the host says: 'r' resets the
machine by port 0xcf9.
"""

import os
import fcntl
import pathlib
import shutil
import subprocess
import sys

from rig import main

SEABIOS = pathlib.Path("/usr/share/seabios/bios-256k.bin")
LINUXBOOT = pathlib.Path("/usr/share/qemu/linuxboot_dma.bin")
IPXE = pathlib.Path("/usr/lib/ipxe/qemu/efi-virtio.rom")
KVM_CHECK_EXTENSION = 0xae03
KVM_CAP_X86_SMM = 117
# A software KVM interprets firmware: seconds, more where the machine is busy.
SILENCE = 120
MOST = 4 << 20
NOTHING = "No bootable device"


# On the host's 'r' it resets the machine.
WAIT = bytes([
    0xba, 0xfd, 0x03,               # 1: mov $0x3fd, %dx
    0xec, 0xa8, 0x01, 0x74, 0xfb,   # 2: in %dx, %al; test $1, %al; jz 2b
    0xba, 0xf8, 0x03, 0xec,         # mov $0x3f8, %dx; in %dx, %al
    0x3c, ord("r"), 0x75, 0xf0,     # cmp $'r', %al; jne 1b
    0xba, 0xf9, 0x0c, 0xb0, 0x0e, 0xee,     # mov $0xcf9, %dx; out $0x0e
    0xf4,                           # hlt
])


def boot_sector(letter):
    code = bytes([
        0xfa,                           # cli
        0xba, 0xf8, 0x03,               # mov $0x3f8, %dx
        0xb0, ord(letter), 0xee,        # mov $LETTER, %al; out %al, %dx
        0xb0, ord("!"), 0xee,
    ]) + WAIT
    return code + bytes(510 - len(code)) + b"\x55\xaa"


def real_kernel():
    """A bzImage whose real-mode part writes its command line to COM1, in brackets."""
    code = bytes([
        0xfa, 0x31, 0xf6,               # cli; xor %si, %si
        0xb8, 0x00, 0x20, 0x8e, 0xc0,   # mov $0x2000, %ax; mov %ax, %es
        0xba, 0xf8, 0x03,               # mov $0x3f8, %dx
        0xb0, ord("["), 0xee,           # mov $'[', %al; out %al, %dx
        0x26, 0x8a, 0x04, 0x46,         # 1: mov %es:(%si), %al; inc %si
        0x84, 0xc0, 0x74, 0x03,         # test %al, %al; jz 2f
        0xee, 0xeb, 0xf5,               # out %al, %dx; jmp 1b
        0xb0, ord("]"), 0xee,           # 2: mov $']', %al; out %al, %dx
    ]) + WAIT
    header = bytearray(0x270)
    header[0x1f1] = 1
    header[0x1fe:0x208] = b"\x55\xaa\xeb\x6eHdrS\x03\x02"
    header[0x211] = 1
    header[0x22c:0x230] = b"\xff\xff\xff\x37"
    return (bytes(header) + code).ljust(0x600, b"\0")


def disk(t, letter):
    path = t.folder / f"disk-{letter}.img"
    path.write_bytes(boot_sector(letter) + bytes(1 << 20))
    return ["-drive", f"file={path},if=none,format=raw,id={letter}"]


def cd(t, letter):
    """A disc that boots without emulation (El Torito, 2.0): its code is sector 19."""
    sectors = [bytes(2048)] * 20
    catalog = (b"\x01" + bytes(27) + b"\xaa\x55\x55\xaa" +   # its words add up to 0
               bytes([0x88, 0, 0, 0, 0, 0, 4, 0]) + (19).to_bytes(4, "little"))
    sectors[16] = b"\x01CD001\x01"
    sectors[17] = (b"\x00CD001\x01" + b"EL TORITO SPECIFICATION".ljust(64, b"\0") +
                   (18).to_bytes(4, "little"))
    sectors[18] = catalog
    sectors[19] = boot_sector(letter)
    path = t.folder / f"disc-{letter}.iso"
    path.write_bytes(b"".join(sector.ljust(2048, b"\0") for sector in sectors))
    return ["-drive", f"file={path},if=none,format=raw,media=cdrom,id={letter}"]


def heard(guest, pattern, start=0):
    return guest.console.wait(pattern, start, silence=SILENCE)


def windows(guest, port):
    """What the bridge forwards: sizes, and bus numbers beside its own."""
    devices = guest.qmp.command("query-pci")[0]["devices"]
    bus = next(device["pci_bridge"]["bus"] for device in devices
               if device["qdev_id"] == port)
    sizes = {name: bus[name]["limit"] - bus[name]["base"] + 1
             for name in ("io_range", "memory_range", "prefetchable_range")}
    return dict(sizes, buses=bus["subordinate"] - bus["secondary"])


def test_default(t):
    """Without -kernel it is SeaBIOS that starts.  It sets aside what ports ask for."""
    guest = t.guest(None, "-device", "pcie-root-port,id=port,chassis=1,mem-reserve=64M,"
                    "pref64-reserve=128M,io-reserve=8192,bus-reserve=2", cpus=1)
    heard(guest, "SeaBIOS")
    heard(guest, NOTHING)
    t.check("SeaBIOS is started where nothing is named", True)
    t.equal("what is reserved for devices to come is set aside", windows(guest, "port"),
            {"io_range": 8192, "memory_range": 64 << 20, "prefetchable_range": 128 << 20,
             "buses": 2})
    ledger = guest.qmp.command("x-query-memory-ledger")
    above = {entry["owner"]: (entry["resident"], entry["private"])
             for entry in ledger["entries"] if entry["owner"] != "guest-ram"}
    private = sum(sizes[1] for sizes in above.values())
    t.check("it costs 4 MiB above the guest's memory at most", private <= MOST, above)
    print(f"# private above the guest's memory: {private >> 10} KiB")
    guest.qmp.command("quit")
    t.equal("it quits", guest.wait_exit(), 0)


def test_disks(t):
    """By bootindex, whatever the order of the devices; resets go through firmware."""
    guest = t.guest(None, "-bios", SEABIOS, *disk(t, "A"), *disk(t, "B"),
                    "-device", "virtio-blk-pci,drive=A,bootindex=2",
                    "-device", "virtio-scsi-pci,id=scsi",
                    "-device", "scsi-hd,drive=B,bus=scsi.0,bootindex=1")
    match = heard(guest, "([AB])!")
    t.equal("the disk of the least bootindex boots", match[1], "B")
    guest.type("r")
    match = heard(guest, "([AB])!", match.end())
    t.equal("again after the guest's reset", match[1], "B")
    guest.qmp.command("system_reset")
    match = heard(guest, "([AB])!", match.end())
    t.equal("and after the operator's", match[1], "B")
    t.equal("SeaBIOS has run three times", guest.console.text.count("SeaBIOS"), 3)
    guest.qmp.command("quit")
    t.equal("it quits", guest.wait_exit(), 0)


def test_ata(t):
    """A CD drive and a disk of the board's ATA controller."""
    guest = t.guest(None, *disk(t, "A"), *cd(t, "C"),
                    "-device", "ide-hd,drive=A,bus=ide.0,bootindex=2",
                    "-device", "ide-cd,drive=C,bus=ide.1,bootindex=1,id=cd", cpus=1)
    match = heard(guest, "([AC])!")
    t.equal("the disc of the least bootindex boots", match[1], "C")
    guest.qmp.command("eject", id="cd", force=True)
    guest.type("r")
    match = heard(guest, "([AC])!", match.end())
    t.equal("without a disc the disk boots", match[1], "A")
    guest.qmp.command("quit")
    t.equal("it quits", guest.wait_exit(), 0)


def test_once(t):
    """Kinds of device, for those without a bootindex: one order until the first reset."""
    guest = t.guest(None, *disk(t, "A"), *cd(t, "C"),
                    "-device", "ide-hd,drive=A,bus=ide.0",
                    "-device", "ide-cd,drive=C,bus=ide.1", "-boot", "order=c,once=d",
                    cpus=1)
    match = heard(guest, "([AC])!")
    t.equal("the CD boots once", match[1], "C")
    guest.type("r")
    match = heard(guest, "([AC])!", match.end())
    t.equal("after the guest's reset it is the disk", match[1], "A")
    guest.qmp.command("system_reset")
    match = heard(guest, "([AC])!", match.end())
    t.equal("and after the operator's", match[1], "A")
    guest.qmp.command("quit")
    t.equal("it quits", guest.wait_exit(), 0)


def test_index_before_order(t):
    """A device with a bootindex comes before all kinds that -boot names."""
    guest = t.guest(None, *disk(t, "A"), *cd(t, "C"),
                    "-device", "ide-hd,drive=A,bus=ide.0,bootindex=9",
                    "-device", "ide-cd,drive=C,bus=ide.1", "-boot", "once=d", cpus=1)
    t.equal("the disk boots", heard(guest, "([AC])!")[1], "A")
    guest.qmp.command("quit")
    t.equal("it quits", guest.wait_exit(), 0)


def qcow2_of(t, name, size):
    """SeaBIOS at the end of an image of @size bytes."""
    raw = t.folder / f"{name}.raw"
    raw.write_bytes(SEABIOS.read_bytes().rjust(size, b"\xff"))
    subprocess.run(["qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw,
                    t.folder / name], check=True)
    return t.folder / name


def test_flash(t):
    """SeaBIOS in flash: nodes of two qcow2 images, of which one is read-only."""
    if not shutil.which("qemu-img"):
        t.skip("firmware in qcow2 images", "qemu-img is not installed")
        return
    nodes = []
    for i, name in enumerate(("code", "variables")):
        image = qcow2_of(t, name, 1 << 20 if i == 0 else 1 << 16)
        nodes += ["-blockdev", f"file,filename={image},node-name=f{i}", "-blockdev",
                  f"qcow2,file=f{i},node-name={name}"]
    nodes[1] += ",read-only=on"
    nodes[3] += ",read-only=on"
    guest = t.guest(None, *nodes, "-machine", "pflash0=code,pflash1=variables",
                    *disk(t, "A"), "-device", "virtio-blk-pci,drive=A", cpus=1)
    match = heard(guest, "A!")
    t.equal("firmware in flash boots a disk", guest.console.text.count("SeaBIOS"), 1)
    guest.type("r")
    heard(guest, "A!", match.end())
    disks = {disk["qdev"]: disk["inserted"] for disk in guest.qmp.command("query-block")
             if "flash" in disk.get("qdev", "")}
    t.equal("both units are told of",
            {path: (disk["drv"], disk["ro"]) for path, disk in disks.items()},
            {"/machine/system.flash0": ("qcow2", True),
             "/machine/system.flash1": ("qcow2", False)})
    guest.qmp.command("quit")
    t.equal("it quits", guest.wait_exit(), 0)


def refused(t, name, words, *args):
    done = t.run("-nodefaults", "-display", "none", "-S", *args)
    t.equal(f"{args[0]} of '{name}' is refused", done.returncode, 1)
    t.match("with the reason", done.stderr, words)


def test_wrong_flash(t):
    """What no flash can be, by each way to name it, and no ROM."""
    for name, size in (("empty", 0), ("odd", 4097), ("large", (16 << 20) + 4096)):
        with open(t.folder / name, "wb") as file:
            file.truncate(size)
    (t.folder / "text").write_text("no image\n" * 4096)
    os.mkfifo(t.folder / "fifo")
    for name, words in (("empty", "0 bytes"), ("odd", "4097 bytes|4608 bytes"),
                        ("large", "16781312 bytes"), ("fifo", "regular file"),
                        ("nowhere", "No such file"), (".", "directory|regular file")):
        file = t.folder / name
        refused(t, name, words, "-drive", f"if=pflash,format=raw,file={file}")
        refused(t, name, words, "-blockdev", "raw,node-name=n,file.driver=file,"
                f"file.filename={file}", "-machine", "pflash0=n")
    refused(t, "text", "not a qcow2|magic|no qcow2", "-blockdev", "qcow2,node-name=n,"
            f"file.driver=file,file.filename={t.folder}/text", "-machine", "pflash0=n")
    for name, words in (("empty", "empty|0 bytes"), ("odd", "65536|64 KiB"),
                        ("large", "16777216|16 MiB"), ("fifo", "regular file")):
        refused(t, name, words, "-bios", t.folder / name)


def test_strict(t):
    """A disk without a bootindex is not booted from when the list is strict."""
    guest = t.guest(None, *disk(t, "A"), "-device", "virtio-blk-pci,drive=A",
                    "-boot", "strict=on,reboot-timeout=100", cpus=1)
    first = heard(guest, NOTHING)
    heard(guest, NOTHING, first.end())
    t.equal("nothing is booted, and it is tried again", guest.console.text.count("A!"), 0)


def test_menu(t):
    """The menu, by the serial port, with both disks in it."""
    guest = t.guest(None, *disk(t, "A"), *disk(t, "B"),
                    "-device", "virtio-blk-pci,drive=A,bootindex=1",
                    "-device", "virtio-blk-pci,drive=B,bootindex=2",
                    "-boot", "menu=on,splash-time=60000")
    heard(guest, "Press ESC for boot menu")
    guest.type("\x1b")
    match = heard(guest, "2\\. ")
    guest.type("2")
    t.equal("the second entry is the second disk",
            heard(guest, "([AB])!", match.end())[1], "B")


def test_kernel(t):
    """-kernel with -bios: firmware starts it, before all else, after each reset."""
    if not LINUXBOOT.exists():
        t.skip("a kernel that firmware starts", "linuxboot_dma.bin is not installed")
        return
    kernel = t.folder / "kernel"
    kernel.write_bytes(real_kernel())
    guest = t.guest(None, "-bios", SEABIOS, "-kernel", kernel, "-append",
                    "started by firmware", cpus=1)
    match = heard(guest, r"\[([a-z ]*)\]")
    t.equal("the kernel has its command line", match[1], "started by firmware")
    guest.type("r")
    heard(guest, r"\[started by firmware\]", match.end())
    t.equal("and again after a reset", guest.console.text.count("SeaBIOS"), 2)


def test_network(t):
    """The option ROM of a network device."""
    if not IPXE.exists():
        t.skip("an option ROM", "ipxe-qemu is not installed")
        return
    guest = t.guest(None, "-netdev", "dgram,id=n,local.type=inet,local.host=127.0.0.1,"
                    "local.port=0,remote.type=inet,remote.host=127.0.0.1,remote.port=9",
                    "-device", "virtio-net-pci,netdev=n,bootindex=1", cpus=1)
    # A software KVM has not all instructions of what it would go on with.
    heard(guest, "Press Ctrl-B to configure iPXE")
    t.check("the ROM of a network device is run", True)


def test_smm(t):
    """System management mode, or the reason why not."""
    with open("/dev/kvm", "rb+", buffering=0) as kvm:
        has_smm = fcntl.ioctl(kvm, KVM_CHECK_EXTENSION, KVM_CAP_X86_SMM)
    if not has_smm:
        run = t.run("-nodefaults", "-display", "none", "-machine", "smm=on")
        t.equal("without KVM_CAP_X86_SMM it is refused",
                (run.returncode, "KVM_CAP_X86_SMM, which 'smm=on' needs" in run.stderr),
                (1, True))
        t.skip("a handler of system management interrupts", "KVM has not KVM_CAP_X86_SMM")
        return
    guest = t.guest("smm", "-machine", "smm=on", cpus=1, memory=64)
    heard(guest, r"ff 42 01\s+ff 43 02\s+ff 44 03")
    t.check("a handler of interrupts sees what is hidden", True)


if __name__ == "__main__":
    sys.exit(main([test_default, test_disks, test_ata, test_once,
                   test_index_before_order, test_flash, test_wrong_flash, test_strict,
                   test_menu, test_kernel, test_network, test_smm], __doc__))
