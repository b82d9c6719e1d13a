#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What operating systems that are strict about ACPI (Windows) ask of a DSDT, of each
golden one: how devices are named (ACPI 6.3, 6.1), and what the host bridge hands down
(PCI Firmware 3.2, 4.1; ACPI 6.3, 6.4.3.5)."""

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


class Plain(Checks):
    def close(self):
        """Leaves nothing."""


TESTS = [test_parser_finds_devices, test_names, test_windows]

if __name__ == "__main__":
    sys.exit(run_tests(TESTS, Plain))
