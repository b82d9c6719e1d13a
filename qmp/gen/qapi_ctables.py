# SPDX-License-Identifier: Apache-2.0
"""Writes qapi-tables.c: the schema as const data (see berth/qapi-tables.h)."""

from qapi_ctypes import GENERATED, LICENSE
from qapi_hmp import hmp_row
from qapi_model import BUILTINS, INTEGER_RANGES, alternate_kind, c_name, upper


class TextPool:
    """All texts in one array; offset 0 is the empty text."""

    def __init__(self):
        self.offsets = {"": 0}
        self.size = 1

    def add(self, text):
        if text is None:
            return 0
        if text not in self.offsets:
            self.offsets[text] = self.size
            self.size += len(text.encode("utf-8")) + 1
        return self.offsets[text]

    def write(self, out):
        out.append("const char qapi_text_pool[] =")
        for text in self.offsets:
            out.append(f'    "{c_escape(text)}\\0"')
        out[-1] += ";\n"


def c_escape(text):
    result = ""
    for byte in text.encode("utf-8"):
        if chr(byte) in '"\\?':
            result += "\\" + chr(byte)
        elif 32 <= byte < 127:
            result += chr(byte)
        else:
            result += f"\\{byte:03o}"
    return result


def default_text(member):
    """A default as the command line spells it, None for none."""
    if isinstance(member.default, bool):
        return "on" if member.default else "off"
    if member.unit and member.default is not None:
        return f"{member.default}B"
    return None if member.default is None else str(member.default)


class Tables:
    def __init__(self, schema):
        self.schema = schema
        self.texts = TextPool()
        self.members = []
        self.branches = []
        self.limits = ["{ 0, 0 }"]
        self.differences = []
        self.types = ["{ 0 }"]
        for type_ in schema.table:
            self.add_type(type_)

    def limit_of(self, member):
        if member.min is None and member.max is None:
            return 0
        low, high = INTEGER_RANGES[member.type.kind]
        low = low if member.min is None else member.min
        high = high if member.max is None else member.max
        low = "INT64_MIN" if low == -2**63 else f"INT64_C({low})"
        row = f"{{ {low}, UINT64_C({high & (2**64 - 1)}) }}"
        if row not in self.limits:
            self.limits.append(row)
        return self.limits.index(row)

    def add_member(self, owner, member):
        flags = []
        has = "QAPI_NO_OFFSET"
        offset = f"offsetof({owner.name}, {member.c_name})"
        if owner.kind == "alternate":
            offset = f"offsetof({owner.name}, u)"
        if member.optional:
            flags.append("QAPI_MEMBER_OPTIONAL")
            if not member.type.is_pointer:
                has = f"offsetof({owner.name}, has_{member.c_name})"
        if member.default is not None:
            flags.append("QAPI_MEMBER_DEFAULT")
        unit = f"'{member.unit}'" if member.unit else "0"
        self.add_difference(member.differs)
        self.members.append(
            f"{{ {self.texts.add(member.name)}, {self.texts.add(member.doc)}, "
            f"{self.texts.add(default_text(member))}, {member.type.constant}, "
            f"{offset}, {has}, {self.limit_of(member)}, {' | '.join(flags) or 0}, "
            f"{unit} }},")

    def add_difference(self, text):
        """Of the member that is added next."""
        if text:
            self.differences.append(f"{{ {len(self.members)}, {self.texts.add(text)} }},")

    def add_enum_rows(self, type_, rows):
        for name, doc in rows:
            self.add_difference(type_.differs.get(name))
            self.members.append(f"{{ .name = {self.texts.add(name)}, "
                                f".doc = {self.texts.add(doc)} }},")

    def add_type(self, type_):
        fields = [f".name = {self.texts.add(type_.name)}"]
        first = len(self.members)
        if type_.kind == "enum":
            self.add_enum_rows(type_, type_.values)
            fields += [".meta = QAPI_META_ENUM", f".size = sizeof({type_.name})"]
        elif type_.kind in ("struct", "union"):
            for member in type_.members:
                self.add_member(type_, member)
            fields += [".meta = QAPI_META_STRUCT", f".size = sizeof({type_.name})"]
            fields += self.add_branches(type_)
        elif type_.kind == "alternate":
            for member in type_.members:
                self.add_member(type_, member)
            fields += [".meta = QAPI_META_ALTERNATE", f".size = sizeof({type_.name})"]
        elif type_.kind == "list":
            fields += [".meta = QAPI_META_LIST", f".size = sizeof({type_.name})",
                       f".element = {type_.element.constant}"]
        else:
            fields += self.builtin_fields(type_)
        count = len(self.members) - first
        self.add_enum_rows(type_, type_.refused + type_.aliases)
        if type_.refused:
            fields.append(f".n_refused = {len(type_.refused)}")
        if type_.aliases:
            fields.append(f".n_aliases = {len(type_.aliases)}")
        if count:
            fields += [f".first = {first}", f".n_members = {count}"]
        if type_.doc and not type_.implicit:
            fields.append(f".doc = {self.texts.add(' '.join(type_.doc.text().split()))}")
        self.types.append("{ " + ", ".join(fields) + " },")

    def add_branches(self, type_):
        if type_.kind != "union":
            return []
        first = len(self.branches)
        for value, _ in type_.tag.type.values:
            self.branches.append(f"{type_.branches[value].constant},")
        tag = type_.members.index(type_.tag)
        return [f".tag = {tag}", f".first_branch = {first}",
                f".n_branches = {len(type_.branches)}",
                f".branch_offset = offsetof({type_.name}, u)"]

    @staticmethod
    def builtin_fields(type_):
        kind = type_.kind
        if kind in INTEGER_RANGES:
            meta = "UINT" if kind.startswith("u") else "SIZE" if kind == "size" else "INT"
        else:
            meta = kind.upper()
        return [f".meta = QAPI_META_{meta}", f".size = sizeof({type_.c_type.strip()})"]

    def command_row(self, command):
        flags = [f"QMP_COMMAND_{flag}" for key, flag in (
            ("allow-preconfig", "ALLOW_PRECONFIG"), ("allow-oob", "ALLOW_OOB"),
            ("async", "ASYNC"))
            if command.options.get(key)]
        return (f"{{ {self.texts.add(command.name)}, "
                f"{self.texts.add(doc_line(command))}, "
                f"{constant(command.args)}, {constant(command.returns)}, "
                f"{self.texts.add(' '.join(command.features))}, "
                f"{' | '.join(flags) or 0} }},")

    def event_row(self, event):
        return (f"{{ {self.texts.add(event.name)}, {self.texts.add(doc_line(event))}, "
                f"{constant(event.data)}, {self.texts.add(' '.join(event.features))} }},")

    def option_row(self, option):
        kind = f"CMDLINE_ARG_{(option.arg or 'none').upper()}"
        flags = [f"CMDLINE_{key.upper()}" for key in ("repeat", "merge", "json")
                 if getattr(option, key)]
        return (f"{{ {self.texts.add(option.name)}, {self.texts.add(option.short)}, "
                f"{self.texts.add(option.help)}, {self.texts.add(option.implied)}, "
                f"{self.texts.add(option.group)}, {constant(option.type)}, {kind}, "
                f"{' | '.join(flags) or 0} }},")

    def write(self):
        schema = self.schema
        commands = [self.command_row(schema.commands[n]) for n in sorted(schema.commands)]
        events = [self.event_row(schema.events[n]) for n in sorted(schema.events)]
        options = [self.option_row(option) for option in schema.options.values()]
        hmp = [hmp_row(command, self.texts, sorted(schema.commands))
               for command in schema.hmp.values()]
        out = [LICENSE + GENERATED,
               '#include "berth/qapi-tables.h"', '#include "qapi-types.h"\n']
        self.texts.write(out)
        array(out, "QapiType qapi_types", self.types)
        out.append("const unsigned qapi_n_types = G_N_ELEMENTS(qapi_types);\n")
        array(out, "QapiMember qapi_members", self.members)
        array(out, "uint16_t qapi_branches", self.branches or ["0,"])
        array(out, "QapiLimit qapi_limits", [row + "," for row in self.limits])
        array(out, "QapiDifference qapi_differences", self.differences or ["{ 0 },"])
        out.append(f"const unsigned qapi_n_differences = {len(self.differences)};\n")
        array(out, "QmpCommand qmp_commands", commands)
        out.append(f"const unsigned qmp_n_commands = {len(commands)};\n")
        array(out, "QmpEvent qmp_events", events)
        out.append(f"const unsigned qmp_n_events = {len(events)};\n")
        array(out, "CmdlineOption cmdline_options", options)
        out.append(f"const unsigned cmdline_n_options = {len(options)};\n")
        array(out, "HmpCommand hmp_commands", hmp or ["{ 0 },"])
        out.append(f"const unsigned hmp_n_commands = {len(hmp)};\n")
        return "\n".join(out)


def array(out, declaration, rows):
    out.append(f"const {declaration}[] = {{")
    out.extend("    " + row.strip().rstrip(",") + "," for row in rows)
    out.append("};\n")


def constant(type_):
    return type_.constant if type_ else "0"


def doc_line(entity):
    return " ".join(entity.doc.text().split())


def tables_source(schema):
    return Tables(schema).write()
