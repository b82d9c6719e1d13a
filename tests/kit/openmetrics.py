# SPDX-License-Identifier: Apache-2.0
"""A strict reader of OpenMetrics 1.0 text, with the rules that promtool checks.

read(text) gives families by name; what the format forbids is a FormatError that says
which line.
"""

import math
import re

NAME = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
LABEL_NAME = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?([eE][+-]?\d+)?|Inf)|NaN")
SUFFIXES = {"counter": ("_total", "_created"), "gauge": ("",), "info": ("_info",),
            "stateset": ("",), "unknown": ("",),
            "histogram": ("_bucket", "_count", "_sum", "_created"),
            "summary": ("", "_count", "_sum", "_created")}
ESCAPES = {"n": "\n", "\\": "\\", '"': '"'}


class FormatError(Exception):
    """The text is not OpenMetrics."""


class Family:
    """A name, its kind, and samples: (suffix, labels, value) in their order."""

    def __init__(self, name):
        self.name = name
        self.kind = "unknown"
        self.unit = ""
        self.help = None
        self.samples = []

    def value(self, suffix=None, **labels):
        """The only sample with these labels, whatever others it has."""
        found = [value for end, own, value in self.samples
                 if (suffix is None or end == suffix)
                 and labels.items() <= own.items()]
        assert len(found) == 1, f"{self.name} {labels}: {len(found)} samples"
        return found[0]


def read_escaped(text, line):
    """The text behind its opening quote, and what follows the closing one."""
    out = ""
    at = 0
    while at < len(text):
        if text[at] == '"':
            return out, text[at + 1:]
        if text[at] == "\\":
            at += 1
            if at == len(text) or text[at] not in ESCAPES:
                raise FormatError(f"an escape that is none: {line}")
            out += ESCAPES[text[at]]
        else:
            out += text[at]
        at += 1
    raise FormatError(f"a value that does not end: {line}")


def read_labels(text, line):
    """Labels behind their brace, and what follows the closing one."""
    labels = {}
    while not text.startswith("}"):
        match = LABEL_NAME.match(text)
        if not match or not text[match.end():].startswith('="'):
            raise FormatError(f"no label: {line}")
        if match[0] in labels:
            raise FormatError(f"a label twice: {line}")
        labels[match[0]], text = read_escaped(text[match.end() + 2:], line)
        if text.startswith(","):
            text = text[1:]
        elif not text.startswith("}"):
            raise FormatError(f"labels that do not end: {line}")
    return labels, text[1:]


def read_sample(line):
    match = NAME.match(line)
    if not match:
        raise FormatError(f"no name: {line}")
    rest, labels = line[match.end():], {}
    if rest.startswith("{"):
        labels, rest = read_labels(rest[1:], line)
    if not rest.startswith(" ") or not NUMBER.fullmatch(rest[1:]):
        raise FormatError(f"no value, or more than one: {line}")
    return match[0], labels, float(rest[1:])


def suffix_of(family, name, line):
    for suffix in SUFFIXES[family.kind]:
        if name == family.name + suffix:
            return suffix
    raise FormatError(f"a name that is not of the {family.kind} {family.name}: {line}")


def check_value(family, suffix, labels, value, line):
    if family.kind in ("counter", "histogram") and not 0 <= value < math.inf:
        raise FormatError(f"a count that is none: {line}")
    if family.kind == "info" and value != 1:
        raise FormatError(f"an info that is not 1: {line}")
    if family.kind == "stateset" and (value not in (0, 1) or family.name not in labels):
        raise FormatError(f"a state that is none: {line}")
    if suffix == "_bucket" and "le" not in labels:
        raise FormatError(f"a bucket without a bound: {line}")


def check_histogram(family):
    series = {}
    for suffix, labels, value in family.samples:
        key = tuple(sorted((k, v) for k, v in labels.items() if k != "le"))
        if suffix == "_bucket":
            series.setdefault(key, []).append((float(labels["le"]), value))
    for key, buckets in series.items():
        bounds = [bound for bound, _ in buckets]
        counts = [count for _, count in buckets]
        if bounds != sorted(set(bounds)) or bounds[-1] != math.inf:
            raise FormatError(f"bounds of {family.name}{dict(key)}: {bounds}")
        if counts != sorted(counts):
            raise FormatError(f"counts of {family.name}{dict(key)}: {counts}")


def read_metadata(families, current, line):
    words = line.split(" ", 3)
    if len(words) < 4 or words[1] not in ("TYPE", "UNIT", "HELP") or \
            not NAME.fullmatch(words[2]):
        raise FormatError(f"no metadata: {line}")
    if not current or current.name != words[2]:
        if words[2] in families:
            raise FormatError(f"a family in two pieces: {line}")
        current = families[words[2]] = Family(words[2])
    if current.samples:
        raise FormatError(f"metadata behind samples: {line}")
    if words[1] == "TYPE":
        if words[3] not in SUFFIXES:
            raise FormatError(f"no type: {line}")
        current.kind = words[3]
    elif words[1] == "UNIT":
        if not current.name.endswith("_" + words[3]):
            raise FormatError(f"a name without its unit: {line}")
        current.unit = words[3]
    else:
        current.help, rest = read_escaped(words[3] + '"', line)
        if rest:
            raise FormatError(f"a quote: {line}")
    return current


def check_names(families):
    """No name of a sample may be one of another family."""
    names = {}
    for family in families.values():
        for suffix in SUFFIXES[family.kind]:
            other = names.setdefault(family.name + suffix, family.name)
            if other != family.name:
                raise FormatError(f"{family.name + suffix} is of {other}, too")


def read(text):
    """The families of a text, a dictionary; FormatError where it is wrong."""
    families, current, seen = {}, None, set()
    if not text.endswith("# EOF\n"):
        raise FormatError("no end")
    for line in text[:-len("# EOF\n")].split("\n")[:-1]:
        if not line or line != line.strip() or "\r" in line:
            raise FormatError(f"blanks: {line!r}")
        if line.startswith("#"):
            current = read_metadata(families, current, line)
            continue
        name, labels, value = read_sample(line)
        if not current:
            raise FormatError(f"a sample of no family: {line}")
        suffix = suffix_of(current, name, line)
        check_value(current, suffix, labels, value, line)
        key = (name, tuple(sorted(labels.items())))
        if key in seen:
            raise FormatError(f"a sample twice: {line}")
        seen.add(key)
        current.samples.append((suffix, labels, value))
    for family in families.values():
        if family.help is None or not family.samples:
            raise FormatError(f"{family.name} has no help, or no samples")
        if family.kind == "histogram":
            check_histogram(family)
    check_names(families)
    return families
