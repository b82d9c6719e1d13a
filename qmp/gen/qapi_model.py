# SPDX-License-Identifier: Apache-2.0
"""The checked schema: types, commands, events, options.  A fault names file and line."""

import dataclasses
import re

from qapi_hmp import read_hmp
from qapi_reader import SchemaError, read_schema

INTEGER_RANGES = {
    "int": (-2**63, 2**63 - 1), "size": (0, 2**64 - 1),
    **{f"int{n}": (-2**(n - 1), 2**(n - 1) - 1) for n in (8, 16, 32, 64)},
    **{f"uint{n}": (0, 2**n - 1) for n in (8, 16, 32, 64)},
}
BUILTINS = ("bool", *INTEGER_RANGES, "number", "str", "any", "null")

C_KEYWORDS = set("""
    asm auto bool break case char const continue default do double else enum errno extern
    false float for goto if inline int linux long register restrict return short signed
    sizeof static struct switch true typedef typeof union unix unsigned void volatile
    while
    """.split())

ENTITY_KEYS = {
    "enum": {"data", "refused", "aliases", "differs"},
    "struct": {"data", "base", "refused"},
    "union": {"base", "discriminator", "data"},
    "alternate": {"data"},
    "command": {"data", "returns", "boxed", "allow-preconfig", "allow-oob", "async",
                "features"},
    "event": {"data", "boxed", "features"},
    "option": {"short", "arg", "data", "implied", "repeat", "merge", "json", "group",
               "help"},
    "hmp": {"alias", "data", "params", "help", "qmp", "refused"},
}
MEMBER_KEYS = {"type", "default", "min", "max", "unit", "differs"}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*$")
TYPE_NAME = re.compile(r"[A-Z][A-Za-z0-9]*$")
ALTERNATE_KINDS = ("null", "bool", "int", "str", "object", "list")


def c_name(name):
    """A member's name in C."""
    name = re.sub(r"[-.]", "_", name)
    return f"q_{name}" if name in C_KEYWORDS or name[0].isdigit() else name


def upper(name):
    """OnOffAuto, virtio-rng-pci -> ON_OFF_AUTO, VIRTIO_RNG_PCI."""
    name = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", name)
    name = re.sub(r"([A-Z])([A-Z][a-z])", r"\1_\2", name)
    return re.sub(r"[-.]", "_", name).upper()


def camel(name):
    """qom-list, SHUTDOWN -> QomList, Shutdown."""
    parts = re.split(r"[-_.]", name)
    return "".join(part[:1].upper() + part[1:].lower() for part in parts)


@dataclasses.dataclass
class Type:
    name: str
    kind: str       # a builtin's name, or enum, struct, union, alternate, list
    place: object = None
    doc: object = None
    implicit: bool = False
    index: int = 0
    values: list = dataclasses.field(default_factory=list)      # enum: (name, doc)
    refused: list = dataclasses.field(default_factory=list)     # (name, reason)
    aliases: list = dataclasses.field(default_factory=list)     # enum: (name, value)
    differs: dict = dataclasses.field(default_factory=dict)     # enum: name -> how
    members: list = dataclasses.field(default_factory=list)     # Member, base's first
    branches: dict = dataclasses.field(default_factory=dict)    # union: value -> Type
    tag: object = None                                          # union: Member
    element: object = None                                      # list: Type
    base: object = None

    @property
    def is_pointer(self):
        return self.kind in ("str", "any", "struct", "union", "alternate", "list")

    @property
    def c_type(self):
        scalars = {"bool": "bool", "int": "int64_t", "size": "uint64_t",
                   "number": "double", "str": "char *", "any": "JsonValue *",
                   "null": "bool"}
        if self.kind in scalars:
            return scalars[self.kind]
        if self.kind in INTEGER_RANGES:
            return f"{self.kind}_t"
        return self.name if self.kind == "enum" else f"{self.name} *"

    @property
    def constant(self):
        return f"QAPI_TYPE_{upper(self.name)}"


@dataclasses.dataclass
class Member:
    name: str
    type: Type
    optional: bool
    doc: str
    default: object = None
    min: int = None
    max: int = None
    unit: str = None
    differs: str = None     # how it is not what a user of QEMU expects

    @property
    def c_name(self):
        return c_name(self.name)


@dataclasses.dataclass
class Command:
    name: str
    args: Type
    returns: Type
    options: dict
    features: list
    doc: object
    place: object

    @property
    def is_async(self):
        return self.options.get("async", False)


@dataclasses.dataclass
class Event:
    name: str
    data: Type
    features: list
    doc: object
    place: object


@dataclasses.dataclass
class Option:
    name: str
    short: str
    arg: str            # None, "str", or "data"
    type: Type
    implied: str
    repeat: bool
    merge: bool
    json: bool
    group: str          # its name in configuration files and for clients
    help: str
    place: object


class Schema:
    def __init__(self, path):
        self.types = {}
        self.commands = {}
        self.events = {}
        self.options = {}
        self.hmp = {}           # of the monitor for people, in order of their names
        self.outline = []       # what the manual shows: titles and entities, in order
        self.pending = []       # (Type, Entity) whose members are not yet resolved
        self.taken = {}         # every name of a type, command or event -> its place
        self.lists = {}         # element name -> Type
        for name in BUILTINS:
            self.types[name] = Type(name, name)
        for name in ("str", "int"):
            self.list_of(self.types[name])
        entities = read_schema(path)
        for entity in entities:
            self.declare(entity)
        for type_, entity in self.pending:
            self.resolve(type_, entity)
        for entity in entities:
            self.add_interface(entity)
        self.add_hmp([e for e in entities if "hmp" in e.value])
        self.check_values()
        self.number_types()

    # First pass: names.

    def declare(self, entity):
        meta = next(iter(entity.value))
        if meta == "doc":
            self.outline.append(("title", entity.doc))
            return
        if meta not in ENTITY_KEYS:
            raise SchemaError(entity.place, f"unknown kind of definition '{meta}'")
        name = entity.value[meta]
        self.check_keys(entity.place, entity.value, ENTITY_KEYS[meta] | {meta})
        self.check_doc(entity, meta, name)
        self.outline.append((meta, name))
        if meta in ("enum", "struct", "union", "alternate"):
            self.declare_type(entity, meta, name)
        elif meta not in ("option", "hmp"):
            self.take_name(entity.place, name)

    def declare_type(self, entity, meta, name):
        if not TYPE_NAME.match(name) or name.endswith("List"):
            raise SchemaError(entity.place, f"'{name}' is no name for a type")
        self.take_name(entity.place, name)
        type_ = Type(name, meta, entity.place, entity.doc)
        self.types[name] = type_
        self.pending.append((type_, entity))

    def take_name(self, place, name):
        if not NAME.match(name):
            raise SchemaError(place, f"bad name '{name}'")
        if name in self.taken:
            raise SchemaError(place, f"'{name}' is defined already at {self.taken[name]}")
        self.taken[name] = place

    @staticmethod
    def check_keys(place, value, allowed):
        for key in value:
            if key not in allowed:
                raise SchemaError(place, f"unknown key '{key}'")

    @staticmethod
    def check_doc(entity, meta, name):
        if meta == "hmp":
            return
        if meta == "option":
            if not entity.value.get("help"):
                raise SchemaError(entity.place, f"option '{name}' lacks 'help'")
        elif entity.doc is None or entity.doc.symbol != name:
            raise SchemaError(entity.place, f"'{name}' is not documented")

    # Second pass: members.

    def type_of(self, place, spelled):
        if isinstance(spelled, list):
            if len(spelled) != 1:
                raise SchemaError(place, "a list type has one element type")
            return self.list_of(self.type_of(place, spelled[0]))
        if not isinstance(spelled, str) or spelled not in self.types:
            raise SchemaError(place, f"unknown type '{spelled}'")
        return self.types[spelled]

    def list_of(self, element):
        if element.name not in self.lists:
            name = element.name[:1].upper() + element.name[1:] + "List"
            self.lists[element.name] = Type(name, "list", element=element)
        return self.lists[element.name]

    def resolve(self, type_, entity):
        """Fills in @type_; done at the latest when another needs it as its base."""
        if type_.doc is None or getattr(type_, "resolved", False):
            return
        type_.resolved = True
        value = entity.value
        if type_.kind == "enum":
            self.resolve_enum(type_, entity)
        elif type_.kind == "alternate":
            type_.members = self.members_of(entity, value["data"])
            self.check_alternate(type_)
        else:
            if "base" in value:
                self.add_base(type_, entity, value["base"])
            if type_.kind == "struct":
                type_.members = type_.members + self.members_of(entity, value["data"])
                if type_.base:
                    type_.refused += type_.base.refused
                names = [member.name for member in type_.members]
                self.add_refused(type_, entity, names, "member")
            else:
                self.add_branches(type_, entity)
        self.check_members(type_)
        self.check_documented(type_, entity)

    def resolve_enum(self, type_, entity):
        for value in entity.value["data"]:
            if not isinstance(value, str) or not NAME.match(value):
                raise SchemaError(entity.place, f"bad value '{value}'")
            if value in [name for name, _ in type_.values]:
                raise SchemaError(entity.place, f"value '{value}' is there twice")
            type_.values.append((value, self.documentation(entity, value)))
        if not type_.values:
            raise SchemaError(entity.place, f"'{type_.name}' has no values")
        values = [name for name, _ in type_.values]
        self.add_refused(type_, entity, values, "value")
        taken = values + [name for name, _ in type_.refused]
        for name, value in entity.value.get("aliases", {}).items():
            if name in taken or not NAME.match(name) or value not in values:
                raise SchemaError(entity.place, f"bad alias '{name}'")
            type_.aliases.append((name, value))
        type_.differs = entity.value.get("differs", {})
        for name, text in type_.differs.items():
            if name not in values + [alias for alias, _ in type_.aliases] or not text:
                raise SchemaError(entity.place, f"bad difference of '{name}'")

    @staticmethod
    def add_refused(type_, entity, names, what):
        """What QEMU has and berth has not, with the reason."""
        for name, reason in entity.value.get("refused", {}).items():
            if name in names or not NAME.match(name):
                raise SchemaError(entity.place, f"bad refused {what} '{name}'")
            if not isinstance(reason, str) or not reason:
                raise SchemaError(entity.place, f"refused {what} '{name}' has no reason")
            type_.refused.append((name, reason))

    def members_of(self, entity, data):
        if not isinstance(data, dict):
            raise SchemaError(entity.place, "expected an object with members")
        return [self.member_of(entity, name, value) for name, value in data.items()]

    def member_of(self, entity, name, value):
        optional = name.startswith("*")
        name = name.lstrip("*")
        if not NAME.match(name):
            raise SchemaError(entity.place, f"bad name '{name}'")
        spelled = value if isinstance(value, dict) else {"type": value}
        self.check_keys(entity.place, spelled, MEMBER_KEYS)
        if "type" not in spelled:
            raise SchemaError(entity.place, f"'{name}' has no type")
        return Member(name, self.type_of(entity.place, spelled["type"]), optional,
                      self.documentation(entity, name), spelled.get("default"),
                      spelled.get("min"), spelled.get("max"), spelled.get("unit"),
                      spelled.get("differs"))

    @staticmethod
    def documentation(entity, name):
        if entity.doc is None or name not in entity.doc.members:
            raise SchemaError(entity.place, f"'{name}' is not documented")
        return entity.doc.member_text(name)

    def add_base(self, type_, entity, base):
        if isinstance(base, dict):
            type_.members = self.members_of(entity, base)
            return
        type_.base = self.type_of(entity.place, base)
        if type_.base.kind != "struct":
            raise SchemaError(entity.place, f"base '{base}' is not a struct")
        self.resolve_by_name(base)
        type_.members = list(type_.base.members)

    def resolve_by_name(self, name):
        for type_, entity in self.pending:
            if type_.name == name:
                self.resolve(type_, entity)

    def add_branches(self, type_, entity):
        tags = [m for m in type_.members if m.name == entity.value.get("discriminator")]
        if not tags or tags[0].type.kind != "enum" or (
                tags[0].optional and tags[0].default is None):
            raise SchemaError(entity.place,
                              "the discriminator must be an enum member of base")
        type_.tag = tags[0]
        self.resolve_by_name(type_.tag.type.name)
        values = [name for name, _ in type_.tag.type.values]
        for value, name in entity.value["data"].items():
            branch = self.type_of(entity.place, name)
            if value not in values:
                raise SchemaError(entity.place, f"branch '{value}' is no value of "
                                  f"'{type_.tag.type.name}'")
            if branch.kind != "struct":
                raise SchemaError(entity.place, f"branch '{value}' is not a struct")
            self.resolve_by_name(name)
            type_.branches[value] = branch
        for value in values:
            if value not in type_.branches:
                raise SchemaError(entity.place, f"no branch for '{value}'")

    @staticmethod
    def check_alternate(type_):
        kinds = [alternate_kind(member.type) for member in type_.members]
        if None in kinds or len(set(kinds)) != len(kinds):
            raise SchemaError(type_.place, "branches that JSON cannot tell apart")

    @staticmethod
    def check_members(type_):
        names = {}
        for member in type_.members:
            if member.c_name in names:
                raise SchemaError(type_.place, f"member '{member.name}' is there twice")
            names[member.c_name] = member
        for value, branch in type_.branches.items():
            for member in branch.members:
                if member.c_name in names:
                    raise SchemaError(type_.place, f"member '{member.name}' of branch "
                                      f"'{value}' is in the base too")

    @staticmethod
    def check_documented(type_, entity):
        if type_.implicit or entity.doc is None:
            return
        data = entity.value.get("data")
        names = set(data if type_.kind == "enum" else [n.lstrip("*") for n in data])
        if isinstance(entity.value.get("base"), dict):
            names |= {n.lstrip("*") for n in entity.value["base"]}
        for name in entity.doc.members:
            if name not in names:
                raise SchemaError(entity.doc.place,
                                  f"'{name}' is documented and not there")

    # Third pass: commands, events, options.

    def add_interface(self, entity):
        meta = next(iter(entity.value))
        if meta == "command":
            self.add_command(entity)
        elif meta == "event":
            self.add_event(entity)
        elif meta == "option":
            self.add_option(entity)

    def data_type(self, entity, name, suffix):
        """The type of a command's arguments or an event's data, None for none."""
        data = entity.value.get("data")
        self.check_features(entity, data)
        if data is None:
            return None
        if isinstance(data, str):
            type_ = self.type_of(entity.place, data)
            if type_.kind not in ("struct", "union"):
                raise SchemaError(entity.place, f"'{data}' is not a struct or union")
            return type_
        type_ = Type(camel(name) + suffix, "struct", entity.place, entity.doc,
                     implicit=True)
        self.take_name(entity.place, type_.name)
        type_.members = self.members_of(entity, data)
        self.check_members(type_)
        self.types[type_.name] = type_
        return type_

    @staticmethod
    def check_features(entity, data):
        features = entity.value.get("features", [])
        members = [n.lstrip("*") for n in data] if isinstance(data, dict) else []
        for name in features:
            if name not in entity.doc.members:
                raise SchemaError(entity.place, f"feature '{name}' is not documented")
        for name in entity.doc.members:
            if name not in members and name not in features:
                raise SchemaError(entity.doc.place,
                                  f"'{name}' is documented and not there")

    def add_command(self, entity):
        value = entity.value
        name = value["command"]
        args = self.data_type(entity, name, "Args")
        returns = None
        if "returns" in value:
            returns = self.type_of(entity.place, value["returns"])
            if returns.kind not in ("struct", "union", "list", "any", "str"):
                raise SchemaError(entity.place,
                                  "a command returns an object, a list, a text or any")
        if value.get("async") and value.get("allow-oob"):
            raise SchemaError(entity.place,
                              "a command is async or allow-oob, not both")
        self.commands[name] = Command(name, args, returns, value,
                                      value.get("features", []), entity.doc, entity.place)

    def add_event(self, entity):
        name = entity.value["event"]
        if name != name.upper():
            raise SchemaError(entity.place, f"event '{name}' is not in upper case")
        data = self.data_type(entity, name, "Event")
        self.events[name] = Event(name, data, entity.value.get("features", []),
                                  entity.doc, entity.place)

    def add_option(self, entity):
        value = entity.value
        name = value["option"]
        if name in self.options:
            raise SchemaError(entity.place, f"option '{name}' is defined already")
        if "arg" in value and ("data" in value or value["arg"] != "str"):
            raise SchemaError(entity.place, f"option '{name}' has 'arg': 'str' or 'data'")
        type_ = self.type_of(entity.place, value["data"]) if "data" in value else None
        implied = value.get("implied")
        if implied and (not type_ or implied not in [m.name for m in type_.members]):
            raise SchemaError(entity.place,
                              f"'{implied}' is no member of what the option takes")
        arg = value.get("arg") or ("data" if type_ else None)
        self.options[name] = Option(name, value.get("short"), arg, type_, implied,
                                    value.get("repeat", False),
                                    value.get("merge", False), value.get("json", False),
                                    value.get("group", name if type_ else None),
                                    value["help"], entity.place)

    def add_hmp(self, entities):
        for entity in entities:
            command = read_hmp(entity, self.commands)
            for name in (command.name, command.alias):
                if name in self.hmp or name in [c.alias for c in self.hmp.values()
                                                if c.alias]:
                    raise SchemaError(entity.place, f"monitor command '{name}' is "
                                      "defined already")
            self.hmp[command.name] = command
        self.hmp = dict(sorted(self.hmp.items()))

    # Defaults and ranges.

    def check_values(self):
        for type_ in self.types.values():
            for member in type_.members:
                check_member_values(type_, member)

    def number_types(self):
        """Numbers types: builtins, lists of them, then in order of definition."""
        named = [t for t in self.types.values() if t.kind in BUILTINS]
        named += list(self.lists.values())
        named += [t for t in self.types.values() if t.kind not in BUILTINS]
        self.table = named
        for index, type_ in enumerate(named, 1):
            type_.index = index


def check_member_values(type_, member):
    kind, default = member.type.kind, member.default
    fits = {
        "bool": isinstance(default, bool),
        "str": isinstance(default, str),
        "enum": default in [name for name, _ in member.type.values],
    }.get(kind, isinstance(default, int) and not isinstance(default, bool))
    if default is not None and not (fits and member.optional):
        raise SchemaError(type_.place, f"bad default of '{member.name}'")
    if (member.min, member.max, member.unit) != (None, None, None):
        if kind not in INTEGER_RANGES:
            raise SchemaError(type_.place,
                              f"'{member.name}' has a range and is no integer")
    if member.unit is not None and (kind != "size" or member.unit not in "KMGT"):
        raise SchemaError(type_.place, f"bad unit of '{member.name}'")
    if kind in INTEGER_RANGES:
        low, high = INTEGER_RANGES[kind]
        low = low if member.min is None else member.min
        high = high if member.max is None else member.max
        if low > high or (default is not None and not low <= default <= high):
            raise SchemaError(type_.place,
                              f"range or default of '{member.name}' is impossible")


def alternate_kind(type_):
    """What JSON shows of a branch of an alternate, None when it cannot be one."""
    if type_.kind in INTEGER_RANGES:
        return "int"
    if type_.kind in ("struct", "union"):
        return "object"
    if type_.kind in ("enum", "str"):
        return "str"
    return type_.kind if type_.kind in ("bool", "null", "list") else None
