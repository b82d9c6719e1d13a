# SPDX-License-Identifier: Apache-2.0
"""What is no Linux and comes as a kernel's file: memtest86+ at its screen on the serial
port, started straight by the 64-bit entry, and by firmware in its 32-bit form."""

import os

from guest import shown

MEMTEST = "/boot/memtest86+{}.bin"
SCREEN = shown("Memtest86+")
FIRMWARE = "bios-256k.bin"
OPTION_ROM = "/usr/share/qemu/linuxboot_dma.bin"


def scenario(lab):
    if not os.path.exists(MEMTEST.format("x64")):
        lab.skip("memtest86+", "it is not installed")
        return
    check(lab, "the 64-bit entry", "x64")
    if os.path.exists(OPTION_ROM):
        check(lab, "firmware", "ia32", "-bios", FIRMWARE)
    else:
        lab.skip("memtest86+ by firmware", "qemu-system-data is not installed")


def check(lab, how, kind, *args):
    guest = lab.disk_guest(*args, kernel=MEMTEST.format(kind),
                           append="console=ttyS0,115200", cpus=1).start()
    guest.console.wait(SCREEN)
    # It counts its passes, so it has found the memory and runs.
    guest.console.wait(r"Testing|Pass")
    lab.check(f"memtest86+ runs, started by {how}", True)
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)
