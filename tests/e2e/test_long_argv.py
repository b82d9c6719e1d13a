#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Command lines that nobody means: values as long as the kernel hands them over, options
thousands of times, properties of devices and objects beyond their types.  Each is refused
by its name, soon, in one line, with nothing left."""

import os
import re
import resource
import sys

from rig import GUESTS, main
from qmp import QmpError

LONG = (128 << 10) - 64         # of one argument the kernel takes 128 KiB
LINE = 4096                     # of an error berth writes so much
SECONDS = 120
MANY = 5000
PLAIN = ["-nodefaults", "-display", "none", "-machine", "q35", "-m", "64"]
ENDS = ["-device", "isa-debug-exit,iobase=0xf4,iosize=4", "-kernel",
        GUESTS / "first-byte.elf"]
WITHOUT_END = ["-device", "virtio-rng-pci,bus=no-such-bus"]
KINDS = {"a word": "x" * LONG, "a pair": f"{'x' * (LONG // 2)}={'y' * (LONG // 2 - 1)}",
         "words": "a," * (LONG // 2), "pairs": "id=a," * (LONG // 5),
         "braces": "{" * LONG, "brackets": "[" * LONG,
         "a driver": '{"driver":"%s"}' % ("x" * (LONG - 13)), "dots": "a." * (LONG // 2),
         "a path": "/" + "x/" * (LONG // 2 - 1), "digits": "9" * LONG}
# Options that end it themselves.
NOT_TRIED = {"help", "h", "version", "check-args", "check-host", "check-libvirt-xml"}
# What some are called in an error.
TOLD_AS = {**dict.fromkeys(("hda", "hdb", "hdc", "hdd", "cdrom"), "-drive"),
           **dict.fromkeys(("runas", "chroot"), "-run-with"), "pidfile": "pid file",
           "mem-path": "memory in", "append": "command line", "initrd": "initrd"}
OBJECTS = ["iothread", "rng-random", "rng-builtin", "secret", "memory-backend-ram",
           "memory-backend-file", "memory-backend-memfd"]


def options(t):
    """The options of the help that have a value."""
    text = t.run("-help").stdout
    return sorted(set(re.findall(r"^-([\w-]+) +\S", text, re.M)) - NOT_TRIED)


def left(folder):
    return sorted(os.listdir(folder))


def ended(t, args, cwd):
    """Runs berth with much room for arguments; exit code and what it said."""
    limit = resource.getrlimit(resource.RLIMIT_STACK)
    resource.setrlimit(resource.RLIMIT_STACK, (64 << 20, limit[1]))
    try:
        done = t.run(*PLAIN, *args, timeout=SECONDS, cwd=cwd)
    finally:
        resource.setrlimit(resource.RLIMIT_STACK, limit)
    return done.returncode, done.stderr


def test_long_values(t):
    """An option that takes such a value is followed by a guest that ends by itself, one
    that takes none by a word that is no option."""
    cwd = t.folder / "cwd"
    cwd.mkdir()
    names = options(t)
    faults, refused = [], 0
    for name in names:
        for kind, value in KINDS.items():
            code, stderr = ended(t, [f"-{name}", value, *ENDS], cwd)
            lines = stderr.splitlines()
            refused += bool(lines)
            if code != 1:
                faults.append(f"-{name} {kind}: exit {code}: {stderr[-200:]}")
            elif lines and (len(lines) > 2 or len(lines[-1]) >= LINE):
                faults.append(f"-{name} {kind}: {len(lines)} lines, {len(stderr)} bytes")
            elif lines and not re.search(f"-{name}|{TOLD_AS.get(name, '-' + name)}|"
                                         "invalid option", lines[-1]):
                faults.append(f"-{name} {kind}: {lines[-1][:60]} ... {lines[-1][-60:]}")
            if left(cwd):
                faults.append(f"-{name} {kind}: leaves {left(cwd)}")
    t.check(f"{refused} long values of {len(names)} options are refused in a line",
            not faults and refused > 3 * len(names), "\n".join(faults))


def numbered(option, text):
    return [word for i in range(MANY) for word in (option, text.format(i=i))]


def test_options_thousandfold(t):
    """What can be thousandfold ends by what comes last, which cannot."""
    cwd = t.folder / "cwd"
    cwd.mkdir()
    last = "bus 'no-such-bus' not found"
    cases = [
        (["-device", "virtio-rng-pci"] * MANY, "no free slot on 'pcie.0'"),
        (numbered("-device", "virtio-rng-pci,id=d{i}"), "no free slot on 'pcie.0'"),
        (numbered("-device", "pcie-root-port,id=p{i},chassis=1"), "chassis|slot"),
        (numbered("-device", "pcie-root-port,id=p{i},chassis={i}"), "'chassis' expects"),
        (["-serial", "null"] * MANY, "there are 4 serial ports at most"),
        (["-drive", "file=no-such-file,format=raw,if=virtio"] * MANY, "no-such-file"),
        (["-drive", "driver=null-co,if=virtio"] * MANY, "no free slot on 'pcie.0'"),
        (["-numa", "node"] * MANY, "'nodeid' expects a number below 128"),
        (["-add-fd", "fd=0,set=1"] * MANY, "left open"),
        (["-global", "no-such.x=1"] * MANY, "there is no device 'no-such'"),
        (numbered("-chardev", "null,id=c{i}"), last),
        (numbered("-chardev", "socket,id=c{i},path=s{i},server=on,wait=off"), last),
        (numbered("-qmp", "unix:s{i},server=on,wait=off"), last),
        (numbered("-object", "iothread,id=o{i}"), last),
        (numbered("-object", "rng-builtin,id=o{i}"), last),
        (numbered("-object", "memory-backend-ram,id=o{i},size=1M"), last),
        (numbered("-object", "secret,id=o{i},data=x"), last),
        (numbered("-blockdev", "driver=null-co,node-name=n{i}"), last),
        (numbered("-netdev", "user,id=n{i}"), last),
        (numbered("-fw_cfg", "name=opt/{i},string=x"), last),
        (["-smbios", "type=11,value=x"] * MANY, last),
        (["-global", "virtio-rng-pci.period=1"] * MANY, last),
        (["-name", "guest=x"] * MANY, last), (["-m", "64"] * MANY, last),
        (["-cpu", "host"] * MANY, last), (["-S"] * MANY, last),
        (["-pidfile", "pid"] * MANY, last),
        (["-device", "virtio-rng-pci,id=a"] + ["-set", "device.a.period=1"] * MANY, last),
        (["-cpu", "host" + ",+sse" * (LONG // 6)], last),
    ]
    for args, words in cases:
        more = WITHOUT_END if words == last else ENDS
        code, stderr = ended(t, [*args, *more], cwd)
        what = f"{args[0]} {args[1][:30]} x {len(args) // 2}"
        t.check(f"{what}: refused", code == 1 and re.search(words, stderr) and
                len(stderr) < LINE, f"exit {code}: {stderr[-300:]}")
        t.equal(f"{what}: nothing is left", left(cwd), [])


def test_a_megabyte_in_a_file(t):
    for what, text in (("a value", f'[device]\n  driver = "{"x" * (1 << 20)}"\n'),
                       ("a section", f"[{'x' * (1 << 20)}]\n"),
                       ("a key", f'[device]\n  {"x" * (1 << 20)} = "1"\n'),
                       ("no end of line", "x" * (1 << 20))):
        path = t.folder / "config"
        path.write_text(text)
        code, stderr = ended(t, ["-readconfig", path], t.folder)
        t.check(f"{what} of a megabyte: refused", code == 1 and "config" in stderr and
                len(stderr) <= LINE, f"exit {code}: {stderr[-200:]}")


NOT_ADDED = "Parameter 'driver' does not accept value '{}'"  # it is the board's
NO_JSON = "JSON parse error, number is out of range"
GIVEN = {"str": "x", "size": 1 << 20}
BEYOND = {"bool": ["maybe", 2, None, []], "str": [1, None, {}, ["x"]]}
BEYOND_NUMBERS = [1 << 64, -(1 << 64), "no-number", 1.5, None, {}, [], "9" * 4096]


def beyond(property_type):
    """Values that no property of this type has."""
    if property_type in BEYOND:
        return BEYOND[property_type]
    number = re.fullmatch(r"(u?)int(\d+)", property_type)
    if number:
        end = 1 << int(number[2])
        edges = [-1, end] if number[1] else [end // 2, -end // 2 - 1]
        return edges + BEYOND_NUMBERS
    if property_type == "size":
        return [-1, *BEYOND_NUMBERS]
    return [{"no": "such"}, "no-such-thing", -(1 << 63), None]


def complaint(qmp, command, arguments, member, types):
    """What is wrong with the reply to an add whose @member is absurd, or None.  Members
    that it must have are added, so that the other fault is the one that is found."""
    qmp.send({"execute": command, "arguments": arguments})
    reply = qmp.receive_reply()
    if "error" not in reply:
        return "accepted"
    text = reply["error"]["desc"]
    missing = re.fullmatch("Parameter '(.*)' is missing", text)
    if missing and missing[1] != member and missing[1] not in arguments:
        more = {missing[1]: GIVEN.get(types.get(missing[1]), 3)}
        return complaint(qmp, command, {**arguments, **more}, member, types)
    # A place has a bus first.
    named = member in text or member == "addr" and "parameter 'bus'" in text
    good = named or text in (NO_JSON, NOT_ADDED.format(arguments.get("driver")))
    return None if good and len(text) < LINE else text


def test_properties_beyond_their_types(t):
    """Of each device and object that there is, each property: refused by its name."""
    guest = t.guest("echo", "-machine", "q35", "-S", "-device", "pcie-root-port,id=port")
    qmp = guest.qmp
    places = ("/machine/peripheral", "/objects")
    before = [qmp.command("qom-list", path=path) for path in places]
    # A vCPU is of the kind that the machine has.
    types = [one["name"] for one in qmp.command("qom-list-types", abstract=False)
             if not one["name"].endswith("-cpu")]
    kinds = [("device_add", "driver", kind, "device-list-properties") for kind in types]
    kinds += [("object-add", "qom-type", kind, "qom-list-properties") for kind in OBJECTS]
    faults, count = [], 0
    for command, key, kind, listed in kinds:
        try:
            members = qmp.command(listed, typename=kind)
        except QmpError:        # no device
            continue
        types = {member["name"]: member["type"] for member in members}
        for name in sorted(types.keys() - {key, "id", "type"}):
            for value in beyond(types[name]):
                count += 1
                fault = complaint(qmp, command, {key: kind, "id": "x", name: value}, name,
                                  types)
                if fault:
                    faults.append(f"{kind} {name} ({types[name]}) {str(value)[:30]}: "
                                  f"{fault}")
    t.check(f"{count} values are refused", not faults and count > 4000,
            "\n".join(faults))
    t.equal("no device or object is left",
            [qmp.command("qom-list", path=path) for path in places], before)
    t.equal("the VM is unharmed", guest.status, "prelaunch")


TESTS = [test_long_values, test_options_thousandfold, test_a_megabyte_in_a_file,
         test_properties_beyond_their_types]


if __name__ == "__main__":
    sys.exit(main(TESTS, __doc__))
