#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The monitor for people has each command of QEMU's, or says why not and what instead."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "qmp" / "gen"), str(ROOT / "tests" / "kit")]
sys.dont_write_bytecode = True

from qapi_model import Schema                                   # noqa: E402
from tap import Checks, run_tests                               # noqa: E402

SCHEMA = Schema(ROOT / "qmp" / "schema" / "schema.json")

# What QEMU's answers of a machine that berth cannot have, and nothing is instead.
NOTHING_INSTEAD = {"wavcapture", "stopcapture", "info capture", "info rdma", "info tpm",
                   "info cryptodev", "screendump"}


def commands_of_qemu():
    text = (ROOT / "tests" / "data" / "hmp-commands.txt").read_text()
    return [line for line in text.splitlines() if line and not line.startswith("#")]


def rows():
    """By name, and by the other name of those that have one."""
    table = dict(SCHEMA.hmp)
    table.update({c.alias: c for c in SCHEMA.hmp.values() if c.alias})
    return table


def test_each_is_there_or_refused(t):
    table = rows()
    missing = [name for name in commands_of_qemu() if name not in table]
    t.equal("each command of QEMU 7.2 has a row", missing, [])
    t.at_most("of them are refused", sum(
        table[name].refused is not None for name in commands_of_qemu()), 75)


def test_refusals_say_more_than_no(t):
    for name, command in SCHEMA.hmp.items():
        if command.refused is None or name in NOTHING_INSTEAD:
            continue
        t.check(f"{name}: says what instead, or why", len(command.refused.split()) > 4 or
                command.refused.startswith(("see ", "use ")), command.refused)


class Plain(Checks):
    def close(self):
        """Leaves nothing."""


TESTS = [test_each_is_there_or_refused, test_refusals_say_more_than_no]

if __name__ == "__main__":
    sys.exit(run_tests(TESTS, Plain))
