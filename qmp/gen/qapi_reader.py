# SPDX-License-Identifier: Apache-2.0
"""Reads schema files: text to entities with their documentation and place.

The syntax is QAPI's: JSON with single-quoted strings, comments after '#', and a block of
documentation between two lines of '##' before each definition.
"""

import dataclasses
import pathlib
import re


class SchemaError(Exception):
    """A fault of the schema, told with its file and line."""

    def __init__(self, place, message):
        super().__init__(f"{place}: {message}")


@dataclasses.dataclass(frozen=True)
class Place:
    path: str
    line: int

    def __str__(self):
        return f"{self.path}:{self.line}"


@dataclasses.dataclass
class Doc:
    """A documentation block: what it is about, its text, and named sections."""

    place: Place
    symbol: str = None          # "Name" of "@Name:", None for a free block
    title: str = None           # "Title" of "= Title"
    body: list = dataclasses.field(default_factory=list)
    members: dict = dataclasses.field(default_factory=dict)
    sections: dict = dataclasses.field(default_factory=dict)

    def text(self):
        return paragraphs(self.body)

    def member_text(self, name):
        return " ".join(paragraphs(self.members.get(name, [])).split())


@dataclasses.dataclass
class Entity:
    """One top-level definition; @value is its dictionary as written."""

    place: Place
    value: dict
    doc: Doc


def paragraphs(lines):
    return "\n".join(lines).strip()


SECTION_NAMES = ("Returns", "Errors", "Example", "Notes")
TOKEN = re.compile(r"""
      (?P<space>[ \t]+)
    | (?P<newline>\n)
    | (?P<comment>\#[^\n]*)
    | (?P<string>'(?:[^'\\\n]|\\.)*')
    | (?P<number>-?[0-9]+)
    | (?P<word>true|false|null)
    | (?P<mark>[{}\[\]:,])
""", re.VERBOSE)


class Reader:
    """Reads one file; included files are read by readers of their own, each once."""

    def __init__(self, path, name, seen):
        self.name = name
        self.path = path
        self.seen = seen
        self.tokens = []
        self.docs = {}          # index of the next token -> Doc
        self.position = 0
        self.entities = []

    def place(self, line):
        return Place(self.name, line)

    def read(self):
        text = self.path.read_text(encoding="utf-8")
        self.tokenise(text)
        while self.peek()[0] != "end":
            doc = self.docs.get(self.position)
            line = self.peek()[2]
            value = self.parse_value()
            if not isinstance(value, dict):
                raise SchemaError(self.place(line), "expected an object")
            if list(value) == ["include"]:
                self.include(value["include"], line)
            else:
                self.entities.append(Entity(self.place(line), value, doc))
        return self.entities

    def include(self, name, line):
        path = self.path.parent / name
        if path in self.seen:
            return
        if not path.exists():
            raise SchemaError(self.place(line), f"no file '{name}'")
        self.seen.add(path)
        self.entities.extend(Reader(path, name, self.seen).read())

    # Words and documentation blocks.

    def tokenise(self, text):
        position, line = 0, 1
        while position < len(text):
            at_line_start = text[position - 1:position] in ("", "\n")
            if at_line_start and text.startswith("##\n", position):
                end = text.find("\n##\n", position + 2)
                if end < 0:
                    raise SchemaError(self.place(line), "documentation is not closed")
                block = text[position + 3:end]
                self.add_doc(block, line)
                line += block.count("\n") + 3
                position = end + 4
                continue
            match = TOKEN.match(text, position)
            if not match:
                raise SchemaError(self.place(line), f"stray {text[position]!r}")
            kind = match.lastgroup
            if kind == "newline":
                line += 1
            elif kind not in ("space", "comment"):
                self.tokens.append((kind, match.group(), line))
            position = match.end()
        self.tokens.append(("end", "", line))

    def add_doc(self, block, line):
        doc = parse_doc(block, self.name, line)
        if doc.symbol:
            if len(self.tokens) in self.docs:
                raise SchemaError(doc.place, f"documentation of '{doc.symbol}' is not "
                                  "followed by its definition")
            self.docs[len(self.tokens)] = doc
        else:
            self.entities.append(Entity(doc.place, {"doc": doc}, doc))

    # Values.

    def peek(self):
        return self.tokens[self.position]

    def take(self, expected=None):
        token = self.tokens[self.position]
        if expected and token[1] != expected:
            raise SchemaError(self.place(token[2]),
                              f"expected '{expected}', not '{token[1]}'")
        self.position += 1
        return token

    def parse_value(self):
        kind, text, line = self.take()
        if kind == "string":
            return re.sub(r"\\(.)", r"\1", text[1:-1])
        if kind == "number":
            return int(text)
        if kind == "word":
            return {"true": True, "false": False, "null": None}[text]
        if text == "{":
            return self.parse_object()
        if text == "[":
            return self.parse_array()
        raise SchemaError(self.place(line), f"unexpected '{text}'")

    def parse_object(self):
        result = {}
        while self.peek()[1] != "}":
            kind, text, key_line = self.take()
            if kind != "string":
                raise SchemaError(self.place(key_line), "expected a name in quotes")
            key = text[1:-1]
            if key in result:
                raise SchemaError(self.place(key_line), f"'{key}' is there twice")
            self.take(":")
            result[key] = self.parse_value()
            if self.peek()[1] != "}":
                self.take(",")
        self.take("}")
        return result

    def parse_array(self):
        result = []
        while self.peek()[1] != "]":
            result.append(self.parse_value())
            if self.peek()[1] != "]":
                self.take(",")
        self.take("]")
        return result


def parse_doc(block, name, line):
    doc = Doc(Place(name, line))
    into = doc.body
    for number, raw in enumerate(block.split("\n"), line + 1):
        if not raw.startswith("#"):
            raise SchemaError(Place(name, number), "line of documentation without '#'")
        text = raw[2:] if raw.startswith("# ") else raw[1:]
        heading = re.match(r"@([A-Za-z0-9_.-]+):\s*(.*)$", text)
        section = re.match(r"(%s):\s*(.*)$" % "|".join(SECTION_NAMES), text)
        if text.startswith("= "):
            doc.title = text[2:].strip()
        elif heading and doc.symbol is None and not doc.title:
            doc.symbol = heading.group(1)
        elif heading:
            into = open_section(doc.members, heading, name, number)
        elif section:
            into = open_section(doc.sections, section, name, number)
        else:
            into.append(text)
    return doc


def open_section(sections, match, name, number):
    if match.group(1) in sections:
        raise SchemaError(Place(name, number), f"'{match.group(1)}' is documented twice")
    sections[match.group(1)] = [match.group(2)]
    return sections[match.group(1)]


def read_schema(path):
    """Returns all entities of the schema at @path, in order of inclusion."""
    path = pathlib.Path(path)
    return Reader(path, path.name, {path}).read()
