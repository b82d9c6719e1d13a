#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What operating systems that are strict about ACPI (Windows) ask of tables, of each
golden set: how devices are named (ACPI 6.3, 6.1), what the host bridge hands down (PCI
Firmware 3.2, 4.1; ACPI 6.3, 6.4.3.5), where its interrupts end (6.2.13), and that tables
tell the same as the DSDT (5.2.9; IA-PC HPET 1.0a, 3.2.4)."""

import itertools
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "kit"))
sys.dont_write_bytecode = True

from tap import Checks, run_tests                               # noqa: E402

GOLDEN = ROOT / "tests" / "data" / "acpi"
NUMBERS = {"Zero": 0, "One": 1}
WINDOW = re.compile(r"(WordBusNumber|WordIO|DWordMemory|QWordMemory) \(ResourceProducer")
FIXED = re.compile(r"Memory32Fixed \(")


class Device:
    """A device of the name space: its path, names in it, and the text of its body."""

    def __init__(self, path):
        self.path = path
        self.names = {}
        self.lines = []


def number(text):
    return NUMBERS[text] if text in NUMBERS else int(text, 0)


def parse(text):
    """The devices of a disassembled table, by its braces."""
    devices, open_blocks, pending = [], [], None
    for line in text.splitlines():
        line = line.strip()
        head = re.match(r"(Device|Scope|Method|Processor) \(([^,)]+)", line)
        if head:
            pending = head.groups()
        if line.startswith("{") and "}" in line:
            continue
        if line.startswith("{"):
            device = None
            if pending and pending[0] == "Device":
                above = [name for _, name in open_blocks if name]
                device = Device(".".join([*above, pending[1]]))
                devices.append(device)
            open_blocks.append((device, pending[1] if pending and
                                pending[0] in ("Device", "Scope") else None))
            pending = None
        elif line.startswith("}"):
            open_blocks.pop()
        elif open_blocks:
            inside(open_blocks, line)
    return devices


def inside(open_blocks, line):
    """A line belongs to the innermost device, a name to one that is right around it."""
    device = next((d for d, _ in reversed(open_blocks) if d), None)
    if device is None:
        return
    device.lines.append(line)
    name = re.match(r'Name \((_HID|_UID|_ADR), (?:EisaId \()?"?([^")/ ]+)', line)
    if name and open_blocks[-1][0] is device:
        device.names[name[1]] = name[2]


def resources(device, pattern):
    """Of each descriptor of that kind: its head, and its numbers by what they are."""
    found = []
    for i, line in enumerate(device.lines):
        if pattern.match(line):
            values = {}
            for below in itertools.islice(device.lines, i + 1, None):
                value = re.match(r"(\w+), +// ([\w ]+)", below)
                if not value:
                    break
                values[value[2]] = int(value[1], 0)
            found.append((line, values))
    return found


def routes(text, name):
    """The entries of a routing table: address, pin, source, index."""
    body = text[text.index(f"Name ({name},"):]
    found = re.findall(r"Package \(0x04\)\s*{([^}]*)}", body[:body.index("Name (", 6)]
                       if "Name (" in body[6:] else body)
    return [[word.strip() for word in entry.split(",")] for entry in found]


def fields(machine, table):
    """Of a disassembled table without code, what names stand for, in order."""
    text = (GOLDEN / machine / f"{table}.dsl").read_text()
    return [(name.strip(), value) for name, value in
            re.findall(r"^(?:\[.*?\])? +([^\n]*?) : \"?([0-9A-F]+)", text, re.MULTILINE)]


def overlaps(ranges):
    ranges = sorted(ranges)
    return [(a, b) for a, b in zip(ranges, ranges[1:]) if b[0] <= a[1]]


def tables():
    for path in sorted(GOLDEN.glob("*/DSDT.dsl")):
        yield path.parent.name, parse(path.read_text())


def test_parser_finds_devices(t):
    """The rules below hold of something."""
    for name, devices in tables():
        paths = [device.path for device in devices]
        for part in (r"\_SB.PCI0", r"\_SB.PCI0.ISA.RTC", r"\_SB.MRES"):
            t.check(f"{name}: {part} is found", part in paths, paths)


def test_names(t):
    for name, devices in tables():
        t.equal(f"{name}: devices have an _HID or an _ADR, not both",
                [d.path for d in devices if ("_HID" in d.names) == ("_ADR" in d.names)],
                [])
        t.equal(f"{name}: paths are unique", len({d.path for d in devices}), len(devices))
        known = [(d.names["_HID"], d.names.get("_UID")) for d in devices
                 if "_HID" in d.names]
        t.equal(f"{name}: _HID and _UID tell them apart",
                [pair for pair in known if known.count(pair) > 1], [])
        places = [(d.path.rpartition(".")[0], number(d.names["_ADR"])) for d in devices
                  if "_ADR" in d.names]
        t.equal(f"{name}: no two of a bus have one _ADR",
                [place for place in places if places.count(place) > 1], [])


def test_windows(t):
    for name, devices in tables():
        bridge = next(d for d in devices if d.names.get("_HID") == "PNP0A08")
        windows = resources(bridge, WINDOW)
        kinds = {}
        for head, w in windows:
            t.equal(f"{name}: a window's length is what its ends say", w["Length"],
                    w["Range Maximum"] - w["Range Minimum"] + 1)
            kind = re.match(r"[DQ]?Word(\w+)", head)[1]
            kinds.setdefault(kind, []).append((w["Range Minimum"], w["Range Maximum"]))
        t.equal(f"{name}: there are windows of each kind", sorted(kinds),
                ["BusNumber", "IO", "Memory"])
        t.equal(f"{name}: they do not overlap",
                [pair for kind in kinds.values() for pair in overlaps(kind)], [])
        fixed = [(r["Address Base"], r["Address Base"] + r["Address Length"] - 1)
                 for device in devices for _, r in resources(device, FIXED)]
        t.check(f"{name}: there is memory of the board", fixed)
        t.equal(f"{name}: nor do they overlap the board's memory, nor that itself",
                overlaps(kinds["Memory"] + fixed), [])


def test_identifiers(t):
    """Three letters and four digits, or four and four (ACPI 6.3, 6.1.5)."""
    for name, devices in tables():
        t.equal(f"{name}: _HIDs are identifiers of PNP or ACPI",
                [d.path for d in devices if "_HID" in d.names and not re.fullmatch(
                    r"[A-Z]{3}[0-9A-F]{4}|[A-Z][A-Z0-9]{3}[0-9A-F]{4}", d.names["_HID"])],
                [])


def test_interrupts(t):
    for name, devices in tables():
        text = (GOLDEN / name / "DSDT.dsl").read_text()
        links = {d.path.rpartition(".")[2] for d in devices
                 if d.names.get("_HID") == "PNP0C0F"}
        by_pic, by_ioapic = routes(text, "PRTP"), routes(text, "PRTA")
        pins = [(slot << 16 | 0xffff, pin) for slot in range(32) for pin in range(4)]
        for kind, table in ("PIC", by_pic), ("IOAPIC", by_ioapic):
            t.equal(f"{name}: each pin of each slot has an interrupt of the {kind}, once",
                    sorted((number(e[0]), number(e[1])) for e in table), sorted(pins))
        t.equal(f"{name}: at the PIC by a link, all of which there are",
                {e[2] for e in by_pic}, links)
        t.equal(f"{name}: at the IOAPIC at the pin that is the link's",
                [(a, b) for a, b in zip(by_pic, by_ioapic)
                 if b[2] != "Zero" or number(b[3]) != 16 + ord(a[2][3]) - ord("A")], [])


def test_ecam(t):
    for name, devices in tables():
        mcfg = dict(fields(name, "MCFG"))
        base = int(mcfg["Base Address"], 16)
        size = (int(mcfg["End Bus Number"], 16) + 1) << 20
        board = [(r["Address Base"], r["Address Length"]) for device in devices
                 if device.names.get("_HID") == "PNP0C02"
                 for _, r in resources(device, FIXED)]
        t.check(f"{name}: the ECAM is the board's", (base, size) in board, board)


def test_fixed_registers(t):
    for name, _ in tables():
        table = fields(name, "FACP")
        fadt, last = dict(reversed(table)), dict(table)
        reset = table[table.index(("Space ID", "01")):][:5]
        t.equal(f"{name}: reset is a byte to a port that is told",
                (fadt["Reset Register Supported (V2)"], reset[-1][1], reset[1][1]),
                ("1", "0000000000000CF9", "08"))
        blocks = dict(re.findall(r"(PM1A Event Block|PM1A Control Block|PM Timer Block|"
                                 r"GPE0 Block) : \[Gen.*?Address : ([0-9A-F]+)\n",
                                 (GOLDEN / name / "FACP.dsl").read_text(), re.DOTALL))
        t.equal(f"{name}: blocks are told twice, the same",
                {block: int(at, 16) for block, at in blocks.items()},
                {block: int(fadt[f"{block} Address"], 16) for block in blocks})
        t.equal(f"{name}: of ACPI's own hardware",
                (len(blocks), last["Hardware Reduced (V5)"]), (4, "0"))
        madt = fields(name, "APIC")
        source = madt.index(("Source", "09"))
        t.equal(f"{name}: its interrupt is level-triggered and told to the MADT",
                (fadt["SCI Interrupt"], madt[source + 1][1], madt[source + 2][1]),
                ("0009", "00000009", "000D"))


def test_hpet(t):
    for name, devices in tables():
        there = [r["Address Base"] for device in devices
                 if device.names.get("_HID") == "PNP0103"
                 for _, r in resources(device, FIXED)]
        told = []
        if (GOLDEN / name / "HPET.dsl").exists():
            told = [int(dict(fields(name, "HPET"))["Address"], 16)]
        t.equal(f"{name}: the HPET's table and its device agree", told, there)


class Plain(Checks):
    def close(self):
        """Leaves nothing."""


TESTS = [test_parser_finds_devices, test_names, test_windows, test_identifiers,
         test_interrupts, test_ecam, test_fixed_registers, test_hpet]

if __name__ == "__main__":
    sys.exit(run_tests(TESTS, Plain))
