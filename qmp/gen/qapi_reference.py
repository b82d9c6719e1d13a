# SPDX-License-Identifier: Apache-2.0
"""Writes the manual of the interface: every option, command, event and type."""

import re
import textwrap

from qapi_model import BUILTINS, INTEGER_RANGES

WIDTH = 88
HEAD = """# QMP and command line of berth

Made from `qmp/schema` by `make reference`; do not edit. How the schema is written is in
`qmp/gen/README.md`.

Types: `int`, `int8` to `int64`, `uint8` to `uint64` are whole numbers, `size` is a number
of bytes that the command line takes with a unit (K, M, G, T, P, E), `[T]` is a list of T,
`any` is any JSON value. A member marked with * may be left out.
"""


def clean(text):
    """The schema's @name as Markdown."""
    return re.sub(r"@([A-Za-z0-9_.-]*[A-Za-z0-9_])", r"`\1`", text)


def wrap(text, first="", rest=None):
    rest = " " * len(first) if rest is None else rest
    return textwrap.fill(clean(text), WIDTH, initial_indent=first, subsequent_indent=rest,
                         break_long_words=False, break_on_hyphens=False)


def type_name(type_):
    if type_.kind == "list":
        return f"[{type_name(type_.element)}]"
    return type_.name


def facts(member):
    """What follows a member's name: type, range, default."""
    words = [f"`{type_name(member.type)}`"]
    kind = member.type.kind
    if kind in INTEGER_RANGES and (member.min is not None or member.max is not None):
        low, high = INTEGER_RANGES[kind]
        low = low if member.min is None else member.min
        if member.max is None or member.max == high:
            words.append(f"at least {low}")
        else:
            words.append(f"{low} to {member.max}")
    if member.unit:
        words.append(f"in {member.unit}iB without a unit")
    if isinstance(member.default, bool):
        words.append(f"default {'on' if member.default else 'off'}")
    elif member.default is not None:
        words.append(f'default "{member.default}"' if kind == "str"
                     else f"default {member.default}")
    return ", ".join(words)


def write_members(out, members):
    for member in members:
        star = "*" if member.optional else ""
        out.append(wrap(f"`{member.name}`{star} ({facts(member)}): {member.doc}", "- ",
                        "  "))
    if members:
        out.append("")


def paragraphs(doc):
    return [" ".join(part.split()) for part in doc.text().split("\n\n") if part.strip()]


def write_text(out, doc):
    for paragraph in paragraphs(doc):
        out.append(wrap(paragraph) + "\n")


def write_head(out, name, kind, doc):
    out.append(f"### {name} ({kind})\n")
    write_text(out, doc)


def write_data(out, type_, word):
    """The members of an implicit type, or the name of a named one."""
    if type_ is None:
        return
    if type_.implicit:
        out.append(f"{word}:\n")
        write_members(out, type_.members)
    else:
        out.append(f"{word}: `{type_.name}`.\n")


def write_sections(out, doc, features):
    for name in features:
        out.append(wrap(f"Feature `{name}`: {doc.member_text(name)}") + "\n")
    for name, lines in doc.sections.items():
        out.append(wrap(f"{name}: " + " ".join(" ".join(lines).split())) + "\n")


def write_command(out, command):
    write_head(out, command.name, "command", command.doc)
    write_data(out, command.args, "Arguments")
    if command.returns:
        out.append(f"Returns `{type_name(command.returns)}`.\n")
    if command.is_async:
        out.append("Takes its time: other clients are served before it returns.\n")
    write_sections(out, command.doc, command.features)


def write_event(out, event):
    write_head(out, event.name, "event", event.doc)
    write_data(out, event.data, "Data")
    write_sections(out, event.doc, event.features)


def write_refused(out, refused):
    for name, reason in refused:
        out.append(wrap(f"Not there: `{name}` ({reason}).") + "\n")


def write_type(out, type_):
    write_head(out, type_.name, type_.kind, type_.doc)
    if type_.base:
        out.append(f"All of `{type_.base.name}`, and:\n")
    if type_.kind == "enum":
        for name, doc in type_.values:
            out.append(wrap(f"`{name}`: {doc}", "- ", "  "))
        out.append("")
        for name, value in type_.aliases:
            how = f" ({type_.differs[name]})" if name in type_.differs else ""
            out.append(wrap(f"`{name}` is `{value}`{how}.") + "\n")
        write_refused(out, type_.refused)
    elif type_.kind == "alternate":
        out.append("One of:\n")
        write_members(out, type_.members)
    else:
        n_base = len(type_.base.members) if type_.base else 0
        write_members(out, type_.members[n_base:])
        write_refused(out, type_.refused[len(type_.base.refused) if type_.base else 0:])
        for value, branch in type_.branches.items():
            out.append(f"- `{type_.tag.name}` is `{value}`: also `{branch.name}`")
        if type_.branches:
            out.append("")
    write_sections(out, type_.doc, [])


def write_option(out, option):
    out.append(f"### -{option.name} (option)\n")
    short = f" Short: `-{option.short}`." if option.short else ""
    out.append(wrap(option.help[:1].upper() + option.help[1:] + "." + short) + "\n")
    if option.arg == "data":
        how = [f"key=value pairs of `{option.type.name}`"]
        if option.implied:
            how.append(f"the first may leave out `{option.implied}=`")
        if option.json:
            how.append("or a JSON object")
        out.append(wrap("Argument: " + ", ".join(how) + ".") + "\n")
        if option.group != option.name:
            out.append(f"In configuration files: `[{option.group}]`.\n")
    elif option.arg:
        out.append("Argument: a text.\n")
    if option.repeat:
        out.append("May be given several times.\n")
    elif option.merge:
        out.append("Pairs of further occurrences are added.\n")


def write_hmp(out, command):
    if command.refused:
        out.append(wrap(f"`{command.name}`: not there: {command.refused}", "- ", "  "))
        return
    names = command.name + (f"|{command.alias}" if command.alias else "")
    usage = f"{names} {command.params}".strip()
    qmp = f" (`{command.qmp.name}`)" if command.qmp else ""
    out.append(wrap(f"`{usage}`: {command.help}{qmp}", "- ", "  "))


def reference(schema):
    out = [HEAD]
    for kind, name in schema.outline:
        if kind == "title":
            out.append(f"## {name.title}\n")
            write_text(out, name)
        elif kind == "command":
            write_command(out, schema.commands[name])
        elif kind == "event":
            write_event(out, schema.events[name])
        elif kind == "option":
            write_option(out, schema.options[name])
        elif kind == "hmp":
            write_hmp(out, schema.hmp[name])
        elif name not in BUILTINS:
            write_type(out, schema.types[name])
    return "\n".join(out).rstrip() + "\n"
