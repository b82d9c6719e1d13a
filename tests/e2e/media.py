# SPDX-License-Identifier: Apache-2.0
"""Media that boot by themselves: a disk, a CD, and what a server of boot files has.

GRUB for PCs and for UEFI is on each, with its script within, so that it needs nothing to
read it.  The stock kernel and the guest's initramfs are on disk and CD; the kernel's
command line says medium=disk or medium=cd, which /proc/cmdline shows.  Nothing here needs
root.
"""

import pathlib
import shutil
import struct
import subprocess
import tempfile

from stock import output_of, place_guest

GRUB = pathlib.Path("/usr/lib/grub")
SECTOR = 512
PAGE = 4096
# What a probe says, unless a copy of it has other words there.
PROBE = b"probe of a medium  "
# Of the disk, in sectors: an area for GRUB, the root, the UEFI system partition.
ROOT_START = 2048
ESP_SECTORS = 8192
# Of a CD, in sectors: what UEFI boots is a file system within.
CD_ESP_SECTORS = 4096
EFI_FOLDERS = ["EFI", "EFI/BOOT"]

START = """serial --unit=0
terminal_input serial
terminal_output serial
"""
# A script that goes to its end leaves a prompt.  SeaBIOS, whose screen the serial port
# is, takes some of what is typed there at its ticks: that comes as keys.
PROMPT_SCRIPT = START + """terminal_input serial console
echo GRUB came from {medium}
"""
# GRUB's root is where it was read from: of a disk, the disk for PCs, a partition of it
# for UEFI.
OWN_DISK = """regexp --set=disk ^([^,]+) $root
set root=$disk,msdos1
"""
KERNEL_SCRIPT = """linux /vmlinuz {append} medium={medium}
initrd /guest.cpio
boot
"""
MODULES = ("serial", "terminal", "echo", "reboot", "boot")
KERNEL_MODULES = MODULES + ("linux", "regexp", "part_msdos", "ext2")


def write_grub(kind, script, modules, target):
    """An image of GRUB of @kind (i386-pc, x86_64-efi, ...) with a script in it."""
    with tempfile.NamedTemporaryFile("w", suffix=".cfg") as config:
        config.write(script)
        config.flush()
        output_of("grub-mkimage", "-O", kind, "-o", str(target), "-p", "/", "-c",
                  config.name, *modules)
    return target.read_bytes()


def write_esp(image, offset, sectors, program):
    """A FAT file system at @offset of a file, with a program that UEFI starts."""
    place = f"{image}@@{offset}"
    output_of("mformat", "-i", place, "-T", str(sectors), "-h", "16", "-s", "63", "::")
    output_of("mmd", "-i", place, *EFI_FOLDERS)
    output_of("mcopy", "-i", place, str(program), f"::{EFI_FOLDERS[-1]}/BOOTX64.EFI")


def partition(kind, start, sectors, active=False):
    """An entry of the table, by numbers of sectors alone."""
    return struct.pack("<B3sB3sII", 0x80 if active else 0, b"\xfe\xff\xff", kind,
                       b"\xfe\xff\xff", start, sectors)


def place_kernel(kernel, initrd, folder):
    shutil.copy(kernel.vmlinuz, folder / "vmlinuz")
    shutil.copy(initrd, folder / "guest.cpio")


def write_boot_disk(kernel, initrd, append, target, has_root=False, size=96 << 20):
    """MBR and GRUB for PCs, ext4 with the kernel (and, if it @has_root, all of the guest:
    for disk=/dev/vda1), a system partition with GRUB for UEFI."""
    script = START + OWN_DISK + KERNEL_SCRIPT.format(append=append, medium="disk")
    esp_start = size // SECTOR - ESP_SECTORS
    root_sectors = esp_start - ROOT_START
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "root").mkdir()
        if has_root:
            place_guest(folder / "root")
        place_kernel(kernel, initrd, folder / "root")
        core = write_grub("i386-pc", script, ("biosdisk",) + KERNEL_MODULES,
                          folder / "core.img")
        write_grub("x86_64-efi", script, KERNEL_MODULES, folder / "grub.efi")
        output_of("mke2fs", "-q", "-t", "ext4", "-O", "^metadata_csum,^64bit",
                  "-E", f"offset={ROOT_START * SECTOR}", "-d", str(folder / "root"),
                  str(target), f"{root_sectors // 2}k")
        assert len(core) <= (ROOT_START - 1) * SECTOR
        with open(target, "r+b") as disk:
            disk.truncate(size)
            disk.write((GRUB / "i386-pc" / "boot.img").read_bytes()[:446])
            disk.write(partition(0x83, ROOT_START, root_sectors, active=True) +
                       partition(0xef, esp_start, ESP_SECTORS) + bytes(32) +
                       b"\x55\xaa" + core)
        write_esp(target, esp_start * SECTOR, ESP_SECTORS, folder / "grub.efi")


def write_boot_cd(kernel, initrd, append, target):
    """A CD as installers are, made by grub-mkrescue: El Torito, for PCs and for UEFI."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "boot" / "grub").mkdir(parents=True)
        place_kernel(kernel, initrd, folder)
        (folder / "boot" / "grub" / "grub.cfg").write_text(
            START + KERNEL_SCRIPT.format(append=append, medium="cd"))
        output_of("grub-mkrescue", "-o", str(target), str(folder),
                  stderr=subprocess.DEVNULL)


def efi_program():
    """A program for UEFI (PE32+, one section): it writes the words of a probe to COM1,
    and fails, so that firmware goes on to what is next to boot."""
    code = bytes([
        0x53, 0x56,                                 # push %rbx; push %rsi
        0x48, 0x8d, 0x35, 0x2a, 0x00, 0x00, 0x00,   # lea words(%rip), %rsi
        0xac, 0x84, 0xc0, 0x74, 0x12, 0x88, 0xc3,   # 1: lodsb; test; jz 3f; mov %al, %bl
        0x66, 0xba, 0xfd, 0x03,                     # mov $0x3fd, %dx
        0xec, 0xa8, 0x20, 0x74, 0xfb,               # 2: in; test $0x20, %al; jz 2b
        0x88, 0xd8, 0xb2, 0xf8, 0xee, 0xeb, 0xe9,   # mov %bl, %al; mov $0xf8, %dl; out
        0x48, 0xb8, 1, 0, 0, 0, 0, 0, 0, 0x80,      # 3: mov $EFI_LOAD_ERROR, %rax
        0x5e, 0x5b, 0xc3,                           # pop; pop; ret
    ])
    code = code.ljust(0x33, b"\x90") + PROBE + b"\r\n\0"
    headers = b"MZ".ljust(0x3c, b"\0") + struct.pack("<I", 0x40)
    headers += struct.pack("<4sHHIIIHH", b"PE", 0x8664, 1, 0, 0, 0, 0xf0, 0x22)
    headers += struct.pack("<HBBIIIIIQIIHHHHHHIIIIHHQQQQII", 0x20b, 1, 0, SECTOR, 0, 0,
                           PAGE, PAGE, 0, PAGE, SECTOR, 0, 0, 0, 0, 2, 0, 0, 2 * PAGE,
                           SECTOR, 0, 10, 0, 0, 0, 0, 0, 0, 16) + bytes(128)
    headers += struct.pack("<8sIIIIIIHHI", b".text", SECTOR, PAGE, SECTOR, SECTOR, 0, 0,
                           0, 0, 0x60000020)
    return headers.ljust(SECTOR, b"\0") + code.ljust(SECTOR, b"\0")


def write_probes(disk, disc):
    """A disk and a CD of a program for UEFI that says where it came from: PROBE, in whose
    place a copy of the medium may have other words of its length."""
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "probe.efi").write_bytes(efi_program())
        (folder / "root").mkdir()
        esp = folder / "root" / "uefi.img"
        with open(esp, "wb") as file:
            file.truncate(CD_ESP_SECTORS * SECTOR)
        write_esp(esp, 0, CD_ESP_SECTORS, folder / "probe.efi")
        shutil.copy(esp, disk)
        output_of("xorriso", "-as", "mkisofs", "-quiet", "-r", "-V", "PROBE", "-e",
                  "uefi.img", "-no-emul-boot", "-o", str(disc), str(folder / "root"),
                  stderr=subprocess.DEVNULL)


def write_netboot(target):
    """What PXE of a PC loads: GRUB, which leaves its prompt."""
    write_grub("i386-pc-pxe", PROMPT_SCRIPT.format(medium="the network"),
               ("pxe",) + MODULES, target)
