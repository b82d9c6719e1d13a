# SPDX-License-Identifier: Apache-2.0
"""Writes the manual page of berth: every option, with the keys and kinds that it has."""

import re

from qapi_reference import type_name

HEAD = r""".\" Made from the schema; do not edit.
.TH BERTH 1 "" "berth" "User Commands"
.SH NAME
berth \- virtual machine monitor on KVM that speaks QEMU's command line and QMP
.SH SYNOPSIS
.B berth
.RI [ option ]...
.SH DESCRIPTION
One process of
.B berth
is one virtual machine, with QEMU's options and QEMU's names for them.
What it has not is refused with a message that says what to use in its place;
.B berth \-check\-args
.IR option ...
tells of each option whether it is honoured.
.PP
Options have one dash or two.
The argument of most is a list of
.IR key = value ,
separated by commas; a comma in a value is written twice.
"""

TAIL = r""".SH EXIT STATUS
0 when the machine ended as it was asked to; 1 for an option or a file that is wrong, with
one line that names it.
.SH EXAMPLES
.nf
berth \-m 1G \-smp 2 \-kernel vmlinuz \-append console=ttyS0 \-nographic
berth \-m 1G \-nographic \-drive file=disk.qcow2,if=virtio \-nic user
.fi
.SH SEE ALSO
.BR berthctl (1)
"""


def escape(text):
    text = text.replace("\\", r"\e").replace("-", r"\-")
    return re.sub(r"(?m)^([.'])", r"\\&\1", text)


def sentence(text):
    text = re.sub(r"@([A-Za-z0-9_.-]*[A-Za-z0-9_])", r"\1", text)
    return escape(text[:1].upper() + text[1:].rstrip(".") + ".")


def write_keys(out, members):
    for member in members:
        name, kind = escape(member.name), escape(type_name(member.type))
        out += [".TP", f".BI {name}= {kind}", sentence(member.doc)]


def write_option(out, option):
    names = rf"\-{escape(option.name)}"
    if option.short:
        names += rf", \-{escape(option.short)}"
    argument = {None: "", "str": " text", "data": " key=value,..."}[option.arg]
    out += [".TP", f'.BI "{names}" "{argument}"', sentence(option.help)]
    if option.arg == "data" and not option.type.branches:
        out.append(".RS")
        write_keys(out, option.type.members)
        out.append(".RE")


def write_kinds(out, title, union):
    """What the tag of an option can be, and the keys that each has."""
    docs = dict(union.tag.type.values)
    out += [f".SH {title}", ".SS Keys of all", ".RS"]
    write_keys(out, union.members)
    out.append(".RE")
    for value, branch in union.branches.items():
        out += [f'.SS "{escape(value)}"', sentence(docs[value])]
        write_keys(out, branch.members)


def manual(schema):
    out = [HEAD.rstrip("\n"), ".SH OPTIONS"]
    for option in schema.options.values():
        write_option(out, option)
    for name, title in (("device", "DEVICES"), ("object", "OBJECTS"),
                        ("netdev", "NETWORK BACKENDS"), ("blockdev", "BLOCK NODES")):
        write_kinds(out, title, schema.options[name].type)
    return "\n".join(out) + "\n" + TAIL
