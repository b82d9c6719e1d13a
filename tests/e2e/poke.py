# SPDX-License-Identifier: Apache-2.0
"""The driver's side of the guest poke.S: ports and memory from the test."""

import re
import struct

WAKING = 0x8000
SILENCE = 60
PAGE_ACPI = 0xe0000


class Poke:
    """A started guest (see rig.Rig.guest) that runs poke.S."""

    def __init__(self, guest):
        self.guest = guest
        self.mark = 0
        self.heard("!")

    def heard(self, text):
        """Waits for this text, after what was heard before."""
        self.mark = self.guest.console.wait(re.escape(text), self.mark, SILENCE).end()

    def order(self, letter, address, value=0):
        """Gives an order without waiting for its answer."""
        self.guest.process.stdin.write(letter.encode() +
                                       struct.pack("<II", address, value))
        self.guest.process.stdin.flush()

    def answer(self):
        match = self.guest.console.wait(r"=([0-9a-f]{8})", self.mark, SILENCE)
        self.mark = match.end()
        return int(match[1], 16)

    def out(self, port, value, width=1):
        self.order({1: "b", 2: "w", 4: "l"}[width], port, value)
        self.heard(".")

    def inp(self, port, width=1):
        self.order({1: "B", 2: "W", 4: "L"}[width], port)
        return self.answer()

    def write(self, address, value):
        self.order("m", address, value)
        self.heard(".")

    def read(self, address):
        self.order("M", address)
        return self.answer()

    def config(self, bdf, offset):
        """Selects a register of configuration space; the port of its data."""
        self.out(0xcf8, 1 << 31 | bdf << 8 | offset & ~3, 4)
        return 0xcfc + (offset & 3)

    def config_read(self, bdf, offset, width=4):
        return self.inp(self.config(bdf, offset), width)

    def config_write(self, bdf, offset, value, width=4):
        self.out(self.config(bdf, offset), value, width)

    def table(self, signature):
        """The address of the ACPI table, as a kernel finds it; FACS and DSDT too."""
        wanted = struct.unpack("<I", signature.encode())[0]
        rsdp = next(a for a in range(PAGE_ACPI, 1 << 20, 16)
                    if self.read(a) == 0x20445352)
        xsdt = self.read(rsdp + 24)
        for at in range(xsdt + 36, xsdt + self.read(xsdt + 4), 8):
            table = self.read(at)
            if self.read(table) == wanted:
                return table
            if self.read(table) == 0x50434146 and signature in ("FACS", "DSDT"):
                return self.read(table + {"FACS": 36, "DSDT": 40}[signature])
        raise LookupError(signature)
