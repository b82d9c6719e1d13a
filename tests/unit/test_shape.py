#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Shapes of JSON values, by which replies are compared with recorded ones."""

import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "tests" / "kit"))
import shape  # noqa: E402
from tap import Checks, run_tests  # noqa: E402

SHAPES = {"cpu": {"thread-id": "<int>", "index": 1}}
GOOD = [
    (1, 1), ("a", "a"), (True, True), ([], []), ({}, {}), (None, None),
    (5, "<int>"), ("x", "<str>"), (False, "<bool>"), ([1], "<list>"),
    ({"a": 1, "b": 2}, {"a": 1}), ({"b": 2}, {"a": "<none>"}),
    ([1, 2, 3], [3, 1]), ([{"a": 1}, {"a": 2}], [{"a": 2}]), ([1], []),
    ({"thread-id": 7, "index": 1}, "$cpu"), ([{"thread-id": 7, "index": 1}], ["$cpu"]),
]
BAD = [
    (1, 2), (1, True), (True, 1), (0, False), (1.0, 1), ("a", "b"), (None, {}),
    (True, "<int>"), (1, "<bool>"), ("1", "<int>"), (1, "<str>"), ({}, "<list>"),
    (1.5, "<int>"), (None, "<str>"), ([], {}), ({}, []), ("ab", ["a"]),
    ({}, {"a": 1}), ({"a": 2}, {"a": 1}), ({"a": None}, {"a": "<none>"}),
    ({"a": {"b": 1}}, {"a": {"b": "<str>"}}), ({"a": {}}, {"a": {"b": 1}}),
    ([], [1]), ([1], [1, 1]), ([1, 2], [1, 3]), ([{"a": 1}], [{"a": 1}, {"a": 1}]),
    ({"thread-id": 7}, "$cpu"), ({"thread-id": "7", "index": 1}, "$cpu"),
]


def test_shapes(t):
    for value, wanted in GOOD:
        t.equal(f"{value} is like {wanted}", shape.other(value, wanted, SHAPES), None)
    for value, wanted in BAD:
        t.check(f"{value} is not like {wanted}", shape.other(value, wanted, SHAPES))


def test_words(t):
    """What is told is of the item that has the most in common."""
    cpus = [{"thread-id": 1, "index": 0}, {"index": 1}, {"thread-id": 3, "index": 2}]
    t.equal("the member is named", shape.other(cpus, ["$cpu"], SHAPES),
            "it has no '$cpu': it[].thread-id is missing")


class Plain(Checks):
    def close(self):
        pass


if __name__ == "__main__":
    sys.exit(run_tests([test_shapes, test_words], Plain))
