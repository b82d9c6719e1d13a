# SPDX-License-Identifier: Apache-2.0
"""A stock guest is dumped; what its kernel, which is from a bzImage and has chosen
its own place, is like is found in the dumps."""

import pathlib
import re
import shutil
import struct
import subprocess

SECONDS = 36
KERNEL_BASE = 0xffffffff80000000
PT_LOAD, PT_NOTE = 1, 4


class Core:
    """An ELF core file of 64 bits."""

    def __init__(self, path):
        self.file = open(path, "rb")
        header = self.read(0, 64)
        offset = struct.unpack_from("<Q", header, 32)[0]
        count = struct.unpack_from("<H", header, 56)[0]
        self.parts = [struct.unpack("<IIQQQQQQ", self.read(offset + 56 * i, 56))
                      for i in range(count)]

    def read(self, offset, size):
        self.file.seek(offset)
        return self.file.read(size)

    @property
    def notes(self):
        found = []
        for kind, _, offset, _, _, size, _, _ in self.parts:
            data = self.read(offset, size) if kind == PT_NOTE else b""
            at = 0
            while at < len(data):
                name, desc, number = struct.unpack_from("<III", data, at)
                at += 12
                text = data[at:at + name].rstrip(b"\0").decode()
                at += (name + 3) & ~3
                found.append((text, number, data[at:at + desc]))
                at += (desc + 3) & ~3
        return found

    def at(self, address, size, column):
        """Bytes of a virtual (3) or physical (4) address; None where there are none."""
        for part in self.parts:
            offset = address - part[column]
            if part[0] == PT_LOAD and 0 <= offset <= part[5] - size:
                return self.read(part[2] + offset, size)
        return None


def scenario(lab):
    guest = lab.guest("-device", "vmcoreinfo", tools=True, cpus=2,
                      kernel=lab.bzimage).boot()
    guest.run("insmod /lib/qemu_fw_cfg.ko")
    release = guest.run("uname -r")
    folder = pathlib.Path(lab.folder)
    check_elf(lab, guest, folder / "elf", release)
    if shutil.which("crash"):
        guest.qmp.command("dump-guest-memory", paging=False, format="kdump-raw-zlib",
                          protocol=f"file:{folder / 'kdump'}")
        done = subprocess.run(["crash", "--osrelease", str(folder / "kdump")],
                              stdout=subprocess.PIPE, text=True)
        lab.equal("crash reads kdump-raw-zlib", done.stdout.strip(), release)
    lab.equal("the guest goes on", guest.run("echo on"), "on")
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)


def check_elf(lab, guest, path, release):
    guest.qmp.command("dump-guest-memory", paging=True, protocol=f"file:{path}")
    core = Core(path)
    names = [name for name, _, _ in core.notes]
    lab.equal("a note of each kind", names, ["CORE", "CORE", "QEMU", "QEMU",
                                             "VMCOREINFO"])
    text = core.notes[-1][2].decode()
    lab.check("the kernel's note says which it is", f"OSRELEASE={release}\n" in text,
              text)
    symbol = int(re.search(r"SYMBOL\(init_uts_ns\)=([0-9a-f]+)", text)[1], 16)
    base = int(re.search(r"NUMBER\(phys_base\)=(-?\d+)", text)[1])
    places = {"virtual": (symbol, 3), "physical": (symbol - KERNEL_BASE + base, 4)}
    for what, (address, column) in places.items():
        found = core.at(address, 400, column)
        lab.check(f"its name is found by its {what} address",
                  found is not None and release.encode() in found, f"{address:#x}")
