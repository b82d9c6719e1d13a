#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The schema's checker: what it refuses, with file and line; and what it writes."""

import pathlib
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "qmp" / "gen"), str(ROOT / "tests" / "kit")]
sys.dont_write_bytecode = True

import qapi_ctables                                             # noqa: E402
import qapi_ctypes                                              # noqa: E402
import qapi_reference                                           # noqa: E402
from qapi_model import Schema, c_name, camel, upper             # noqa: E402
from qapi_reader import SchemaError                             # noqa: E402
from tap import Checks, run_tests                               # noqa: E402


def doc(name, *members):
    """A documentation block; seven lines with one member."""
    lines = ["##", f"# @{name}:", "#", "# About it."]
    for member in members:
        lines += ["#", f"# @{member}: a member"]
    return "\n".join([*lines, "##", ""])


E = doc("E", "a", "b") + "{ 'enum': 'E', 'data': [ 'a', 'b' ] }\n"
S = doc("S", "x") + "{ 'struct': 'S', 'data': { 'x': 'int' } }\n"
T = doc("T", "y") + "{ 'struct': 'T', 'data': { '*y': 'str' } }\n"


def struct(members, *documented):
    return doc("A", *documented) + f"{{ 'struct': 'A', 'data': {{ {members} }} }}\n"


def union(data, base="'base': { 'e': 'E' }", tag="e"):
    return E + S + T + doc("U", "e") + (
        f"{{ 'union': 'U', {base}, 'discriminator': '{tag}', 'data': {{ {data} }} }}\n")


# Text of a schema, and the end of the error.
REFUSED = {
    "stray character": ("{ 'enum': % }", "schema.json:1: stray '%'"),
    "missing colon": ("{ 'enum' 'E' }", "schema.json:1: expected ':', not ''E''"),
    "no object": ("[ ]", "schema.json:1: expected an object"),
    "a key twice": ("{ 'enum': 'E',\n  'enum': 'E' }",
                    "schema.json:2: 'enum' is there twice"),
    "unclosed block": ("##\n# @E:\n", "schema.json:1: documentation is not closed"),
    "line without mark": ("##\nE\n##\n",
                          "schema.json:2: line of documentation without '#'"),
    "unknown kind": (doc("E") + "{ 'set': 'E' }", "unknown kind of definition 'set'"),
    "unknown key": (doc("E") + "{ 'enum': 'E', 'x': 1 }", "unknown key 'x'"),
    "no file": ("{ 'include': 'none.json' }", "schema.json:1: no file 'none.json'"),
    "no documentation": ("{ 'enum': 'E', 'data': [ 'a' ] }", "'E' is not documented"),
    "documentation of another": (doc("F", "a") + "{ 'enum': 'E', 'data': [ 'a' ] }",
                                 "'E' is not documented"),
    "undocumented member": (struct("'x': 'int', 'y': 'int'", "x"),
                            "'y' is not documented"),
    "undocumented value": (doc("E", "a") + "{ 'enum': 'E', 'data': [ 'a', 'b' ] }",
                           "'b' is not documented"),
    "documented ghost": (struct("'x': 'int'", "x", "z"),
                         "'z' is documented and not there"),
    "documented twice": (doc("A", "x", "x"), "'x' is documented twice"),
    "two blocks": (doc("A") + doc("B"), "documentation of 'B' is not followed by its "
                   "definition"),
    "type twice": (S + S, "'S' is defined already at schema.json:8"),
    "command and type": (S + doc("S") + "{ 'command': 'S' }", "'S' is defined already at "
                         "schema.json:8"),
    "value twice": (doc("E", "a") + "{ 'enum': 'E', 'data': [ 'a', 'a' ] }",
                    "value 'a' is there twice"),
    "empty enum": (doc("E") + "{ 'enum': 'E', 'data': [ ] }", "'E' has no values"),
    "same name in C": (struct("'a-b': 'int', 'a_b': 'int'", "a-b", "a_b"),
                       "member 'a_b' is there twice"),
    "bad member name": (struct("'a b': 'int'"), "bad name 'a b'"),
    "bad type name": (doc("a") + "{ 'enum': 'a', 'data': [ 'x' ] }",
                      "'a' is no name for a type"),
    "reserved type name": (doc("AList") + "{ 'struct': 'AList', 'data': { } }",
                           "'AList' is no name for a type"),
    "unknown type": (struct("'x': 'integer'", "x"), "unknown type 'integer'"),
    "list of two": (struct("'x': [ 'int', 'str' ]", "x"),
                    "a list type has one element type"),
    "no type": (struct("'x': { 'default': 1 }", "x"), "'x' has no type"),
    "base member again": (S + doc("A", "x") +
                          "{ 'struct': 'A', 'base': 'S', 'data': { 'x': 'str' } }",
                          "member 'x' is there twice"),
    "base no struct": (E + doc("A") + "{ 'struct': 'A', 'base': 'E', 'data': { } }",
                       "base 'E' is not a struct"),
    "default of mandatory": (struct("'x': { 'type': 'int', 'default': 1 }", "x"),
                             "bad default of 'x'"),
    "default of other type": (struct("'*x': { 'type': 'bool', 'default': 1 }", "x"),
                              "bad default of 'x'"),
    "default no value": (E + struct("'*x': { 'type': 'E', 'default': 'c' }", "x"),
                         "bad default of 'x'"),
    "default out of range": (struct("'*x': { 'type': 'uint8', 'default': 256 }", "x"),
                             "range or default of 'x' is impossible"),
    "range upside down": (struct("'x': { 'type': 'int', 'min': 2, 'max': 1 }", "x"),
                          "range or default of 'x' is impossible"),
    "range of a text": (struct("'x': { 'type': 'str', 'min': 2 }", "x"),
                        "'x' has a range and is no integer"),
    "unit of a number": (struct("'x': { 'type': 'int', 'unit': 'M' }", "x"),
                         "bad unit of 'x'"),
    "missing branch": (union("'a': 'S'"), "no branch for 'b'"),
    "unknown branch": (union("'a': 'S', 'b': 'T', 'c': 'T'"),
                       "branch 'c' is no value of 'E'"),
    "branch no struct": (union("'a': 'S', 'b': 'E'"), "branch 'b' is not a struct"),
    "discriminator not there": (union("'a': 'S', 'b': 'T'", tag="x"),
                                "the discriminator must be an enum member of base"),
    "optional discriminator": (union("'a': 'S', 'b': 'T'", "'base': { '*e': 'E' }"),
                               "the discriminator must be an enum member of base"),
    "branch has base's member": (union("'a': 'S', 'b': 'T'", "'base': 'B'") +
                                 doc("B", "e", "x") +
                                 "{ 'struct': 'B', 'data': { 'e': 'E', 'x': 'int' } }",
                                 "member 'x' of branch 'a' is in the base too"),
    "ambiguous alternate": (E + doc("A", "e", "s") +
                            "{ 'alternate': 'A', 'data': { 'e': 'E', 's': 'str' } }",
                            "branches that JSON cannot tell apart"),
    "async and oob": (doc("c") + "{ 'command': 'c', 'async': true, 'allow-oob': true }",
                      "a command is async or allow-oob, not both"),
    "command returns a number": (doc("c") + "{ 'command': 'c', 'returns': 'int' }",
                                 "a command returns an object, a list, a text or any"),
    "value and refused": (doc("E", "a") + "{ 'enum': 'E', 'data': [ 'a' ], 'refused': "
                          "{ 'a': 'no' } }", "bad refused value 'a'"),
    "member and refused": (doc("S", "a") + "{ 'struct': 'S', 'data': { 'a': 'str' }, "
                           "'refused': { 'a': 'no' } }", "bad refused member 'a'"),
    "member refused for nothing": (
        doc("S", "a") + "{ 'struct': 'S', 'data': { 'a': 'str' }, 'refused': "
        "{ 'b': '' } }", "refused member 'b' has no reason"),
    "refused for nothing": (doc("E", "a") + "{ 'enum': 'E', 'data': [ 'a' ], 'refused': "
                            "{ 'b': '' } }", "refused value 'b' has no reason"),
    "command takes enum": (E + doc("c") + "{ 'command': 'c', 'data': 'E' }",
                           "'E' is not a struct or union"),
    "undocumented feature": (doc("c") + "{ 'command': 'c', 'features': [ 'f' ] }",
                             "feature 'f' is not documented"),
    "event in lower case": (doc("e") + "{ 'event': 'e' }",
                            "event 'e' is not in upper case"),
    "option without help": ("{ 'option': 'o' }", "option 'o' lacks 'help'"),
    "option twice": ("{ 'option': 'o', 'help': 'h' }\n" * 2,
                     "option 'o' is defined already"),
    "option of two kinds": (S + "{ 'option': 'o', 'help': 'h', 'arg': 'str', "
                            "'data': 'S' }",
                            "option 'o' has 'arg': 'str' or 'data'"),
    "implied of nothing": ("{ 'option': 'o', 'help': 'h', 'implied': 'z' }",
                           "'z' is no member of what the option takes"),
    "implied no member": (S + "{ 'option': 'o', 'help': 'h', 'data': 'S', "
                          "'implied': 'z' }",
                          "'z' is no member of what the option takes"),
}


def read(text):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "schema.json"
        path.write_text(text, encoding="utf-8")
        return Schema(path)


def test_refused(checks):
    for what, (text, message) in REFUSED.items():
        try:
            read(text)
            found = "accepted"
        except SchemaError as error:
            found = str(error)
        checks.check(what, found.endswith(message), f"got: {found}\nnot: ...{message}")


def test_names_in_c(checks):
    checks.equal("enum prefix", upper("OnOffAuto"), "ON_OFF_AUTO")
    checks.equal("enum prefix with an abbreviation", upper("IOThreadInfo"),
                 "IO_THREAD_INFO")
    checks.equal("enum value", upper("virtio-rng-pci"), "VIRTIO_RNG_PCI")
    checks.equal("member", c_name("a-b.c"), "a_b_c")
    checks.equal("keyword", c_name("default"), "q_default")
    checks.equal("digit first", c_name("9p"), "q_9p")
    checks.equal("implicit type", camel("device-list-properties"), "DeviceListProperties")
    checks.equal("implicit type of an event", camel("DEVICE_DELETED"), "DeviceDeleted")


def test_same_input_same_output(checks):
    def outputs():
        schema = Schema(ROOT / "qmp" / "schema" / "schema.json")
        return (qapi_ctypes.types_header(schema), qapi_ctypes.commands_source(schema),
                qapi_ctypes.events_header(schema), qapi_ctables.tables_source(schema),
                qapi_reference.reference(schema))

    checks.check("all files", outputs() == outputs())


def test_union_by_value_follows_its_branches(checks):
    text = qapi_ctypes.types_header(read(union("'a': 'S', 'b': 'T'")))
    order = [text.index(f"\nstruct {name} {{") for name in ("S", "T", "U")]
    checks.check("order", order == sorted(order), order)


def test_async_commands_get_a_reply(checks):
    schema = read(S + doc("c", "x") + "{ 'command': 'c', 'data': { 'x': 'int' }, "
                  "'returns': 'S', 'async': true }\n" + doc("d") + "{ 'command': 'd' }\n")
    header = qapi_ctypes.commands_header(schema)
    source = qapi_ctypes.commands_source(schema)
    call, start = source.split("void qmp_commands_start(")
    for line in ("void qmp_c(QmpContext *ctx, const CArgs *args, QmpReply *reply);",
                 "void qmp_return_c(QmpReply *reply, S *value /* taken */)"):
        checks.check(line, line in header)
    checks.check("it is started, not called", "qmp_c(ctx, args, reply)" in start and
                 "qmp_c(" not in call)
    checks.check("the other is called, not started", "qmp_d(ctx, error)" in call and
                 "qmp_d(" not in start)
    checks.check("its row", "QMP_COMMAND_ASYNC" in qapi_ctables.tables_source(schema))


def test_every_name_is_in_the_manual(checks):
    schema = Schema(ROOT / "qmp" / "schema" / "schema.json")
    manual = qapi_reference.reference(schema)
    names = [f"### {name} (command)" for name in schema.commands]
    names += [f"### {name} (event)" for name in schema.events]
    names += [f"### -{name} (option)" for name in schema.options]
    missing = [name for name in names if name not in manual]
    checks.equal("headings that are missing", missing, [])


class Plain(Checks):
    def close(self):
        """Leaves nothing."""


TESTS = [test_refused, test_names_in_c, test_same_input_same_output,
         test_union_by_value_follows_its_branches, test_async_commands_get_a_reply,
         test_every_name_is_in_the_manual]

if __name__ == "__main__":
    sys.exit(run_tests(TESTS, Plain))
