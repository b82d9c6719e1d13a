# SPDX-License-Identifier: Apache-2.0
"""Commands of the monitor for people: their model, their rows and their handlers in C."""

import dataclasses
import re

from qapi_reader import SchemaError

# How a word of the command line is read: the letter in the table (hmp-args.c).
WORDS = {
    "word": "s", "file": "F", "rest": "S", "pairs": "O", "int": "i", "long": "l",
    "size": "o", "switch": "b", "format": "/", "dotted": ".",
    # A word with names that the monitor can complete.
    "command": "h", "chardev": "c", "device": "d", "object": "j", "node": "B",
    "event": "t", "path": "p",
}
FLAG = re.compile(r"-[a-zA-Z]$")
LAST = ("rest", "pairs")
NAME = re.compile(r"[a-z][a-zA-Z0-9_-]*( [a-z][a-zA-Z0-9_-]*)?$")


@dataclasses.dataclass
class HmpWord:
    name: str
    kind: str       # a key of WORDS, or a flag
    optional: bool

    @property
    def is_flag(self):
        return self.kind not in WORDS

    @property
    def spec(self):
        letter = self.kind if self.is_flag else WORDS[self.kind]
        return f"{self.name}:{letter}{'?' if self.optional else ''}"

    @property
    def usage(self):
        if self.is_flag:
            return f"[{self.kind}]"
        name = {"format": "/fmt"}.get(self.kind, self.name)
        return f"[{name}]" if self.optional else name


@dataclasses.dataclass
class HmpCommand:
    name: str           # "stop", "info status"
    alias: str
    words: list
    params: str
    help: str
    qmp: object         # the Command that it is, None
    refused: str        # why there is no such thing, None
    place: object

    @property
    def c_name(self):
        return "hmp_" + re.sub(r"[- ]", "_", self.name)

    @property
    def is_printer(self):
        return self.qmp is not None and self.qmp.returns is not None

    @property
    def has_handler(self):
        return not self.refused and (self.qmp is None or self.is_printer)


def read_words(place, data):
    words = []
    for name, kind in data.items():
        optional = name.startswith("*")
        if kind not in WORDS and not FLAG.match(kind):
            raise SchemaError(place, f"'{kind}' is no kind of word")
        words.append(HmpWord(name.lstrip("*"), kind, optional))
    for word, after in zip(words, words[1:]):
        if word.kind in LAST:
            raise SchemaError(place, f"nothing can follow '{word.name}'")
        if word.optional and not after.optional and not after.is_flag:
            raise SchemaError(place, f"'{after.name}' follows one that may be left out")
    return words


def check_qmp(place, command, words):
    members = [m.name for m in command.args.members] if command.args else []
    for word in words:
        if word.kind != "pairs" and word.name not in members:
            raise SchemaError(place, f"'{word.name}' is no argument of "
                              f"'{command.name}'")


def read_hmp(entity, commands):
    value, place = entity.value, entity.place
    name = value["hmp"]
    if not NAME.match(name):
        raise SchemaError(place, f"bad name '{name}'")
    if "refused" in value:
        if set(value) != {"hmp", "refused"}:
            raise SchemaError(place, "what is refused has nothing else")
        return HmpCommand(name, None, [], "", "", None, value["refused"], place)
    if not value.get("help"):
        raise SchemaError(place, f"command '{name}' lacks 'help'")
    words = read_words(place, value.get("data", {}))
    qmp = None
    if "qmp" in value:
        qmp = commands.get(value["qmp"])
        if qmp is None:
            raise SchemaError(place, f"there is no command '{value['qmp']}'")
        check_qmp(place, qmp, words)
    params = value.get("params", " ".join(word.usage for word in words))
    return HmpCommand(name, value.get("alias"), words, params, value["help"], qmp, None,
                      place)


def hmp_row(command, texts, qmp_names):
    """A row of hmp_commands (berth/qapi-tables.h)."""
    qmp = qmp_names.index(command.qmp.name) if command.qmp else "HMP_NO_QMP"
    args = ",".join(word.spec for word in command.words)
    fields = [texts.add(text) for text in (
        command.name, command.alias, args, command.params, command.help, command.refused)]
    return "{ " + ", ".join(str(field) for field in [*fields, qmp]) + " },"


def prototype(command):
    value = f", const {command.qmp.returns.c_type}value" if command.is_printer else ""
    return f"void {command.c_name}(HmpCall *call{value})"


def hmp_header(schema, top):
    out = [top + """\
/*
 * The handlers of the monitor for people, written in src/hmp.  Main only.  One with a
 * value prints what the QMP command that it stands for has returned, which is lent.
 */
#pragma once

#include "berth/hmp.h"
#include "qapi-types.h"
"""]
    handlers = [c for c in schema.hmp.values() if c.has_handler]
    out.extend(f"{prototype(command)};" for command in handlers)
    out.append("""
/* Calls the handler of row @command, which stands for no QMP command. */
void hmp_commands_run(unsigned command, HmpCall *call);
/* The same of one that prints @value; nothing where the QMP command returns nothing. */
void hmp_commands_print(unsigned command, HmpCall *call, const void *value);
""")
    return "\n".join(out)


def hmp_source(schema, top):
    out = [top + '#include "hmp-commands.h"\n']
    for function, more, printers in (("run", "", False),
                                     ("print", ", const void *value", True)):
        out.append(f"void hmp_commands_{function}(unsigned command, HmpCall *call{more})")
        out.append("{\n    switch (command) {")
        for index, command in enumerate(schema.hmp.values()):
            if command.has_handler and command.is_printer == printers:
                call = "call, value" if printers else "call"
                out.append(f"    case {index}:\n        {command.c_name}({call});\n"
                           "        break;")
        out.append("    default:\n        break;\n    }\n}\n")
    return "\n".join(out)
