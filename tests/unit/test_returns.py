#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What commands return and events carry has all that QEMU's schema promises to clients.

A client that is made from that schema takes a reply without one of them for broken.
"""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "qmp" / "gen"), str(ROOT / "tests" / "kit")]
sys.dont_write_bytecode = True

from qapi_model import INTEGER_RANGES, Schema                    # noqa: E402
from tap import Checks, run_tests                               # noqa: E402

SCHEMA = Schema(ROOT / "qmp" / "schema" / "schema.json")
# A text of which the values are few; QEMU has a type for them.
AS_TEXT = {"query-tpm-models[]", "query-tpm-types[]"}


def promises():
    """(path, what is there), "query-status.running", "bool"."""
    text = (ROOT / "tests" / "data" / "qemu-returns.txt").read_text()
    return [line.split() for line in text.splitlines() if not line.startswith("#")]


def kind(type_):
    if type_.kind in INTEGER_RANGES:
        return "int"
    return "object" if type_.kind in ("struct", "union") else type_.kind


def top(name):
    if name in SCHEMA.commands:
        return SCHEMA.commands[name].returns
    return SCHEMA.events[name].data if name in SCHEMA.events else None


def find(path):
    """The type of what is at @path, and whether it is always there; None: nothing is."""
    head, *words = path.replace("[]", ".[]").split(".")
    type_, always = top(head), True
    for word in words:
        if type_ is None:
            return None, False
        if word == "[]":
            type_ = type_.element
            continue
        member = next((m for m in type_.members if m.name == word), None)
        if member is None:
            return None, False
        type_, always = member.type, not member.optional
    return type_, always


def test_all_is_there(t):
    faults = []
    for path, wanted in promises():
        # What is in something that berth does not have is not missed.
        parent = path.rpartition(".")[0]
        if parent and parent in MISSING_PARTS:
            continue
        type_, always = find(path)
        if type_ is None or not always:
            faults.append(f"{path} is not always there")
        elif kind(type_) != wanted and path not in AS_TEXT:
            faults.append(f"{path} is {kind(type_)}, not {wanted}")
    t.equal("each promise of QEMU's schema is kept", faults, [])
    t.check("there are promises", len(promises()) > 300)


# Optional members of QEMU's replies that berth's never have.
MISSING_PARTS = {path.rpartition(".")[0] for path, _ in promises()
                 if "." in path and find(path.rpartition(".")[0])[0] is None}


class Plain(Checks):
    def close(self):
        """Leaves nothing."""


if __name__ == "__main__":
    sys.exit(run_tests([test_all_is_there], Plain))
