# SPDX-License-Identifier: Apache-2.0
"""Checks that write TAP (Test Anything Protocol) lines."""

import re
import sys
import time
import traceback

DETAIL_LINES = 20
DETAIL_COLUMNS = 300


def write_line(line):
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


class Checks:
    """A check is a line; one that fails says what was found.  The reader numbers them."""

    def __init__(self, name, out=write_line):
        self.name = name
        self.out = out
        self.count = 0
        self.failed = 0

    def check(self, what, good, detail=""):
        self.count += 1
        self.failed += not good
        self.out(f"{'ok' if good else 'not ok'} - {self.name}: {what}")
        if not good and detail != "":
            for line in str(detail).splitlines()[-DETAIL_LINES:]:
                self.out(f"#   {line[:DETAIL_COLUMNS]}")
        return good

    def equal(self, what, got, wanted):
        return self.check(what, got == wanted, f"got {got!r}, wanted {wanted!r}")

    def match(self, what, text, pattern):
        return self.check(what, re.search(pattern, text) is not None,
                          f"no {pattern!r} in {text!r}")

    def at_most(self, what, got, limit):
        return self.check(f"{what}: at most {limit}", got <= limit, f"got {got}")

    def skip(self, what, why):
        self.count += 1
        self.out(f"ok - {self.name}: {what} # SKIP {why}")


def run_tests(tests, make_checks, chosen=()):
    """Runs functions that take a Checks; writes the plan; returns an exit code.

    make_checks(name) gives what a test gets: a Checks with .close() for what it leaves.
    """
    count = failed = 0
    for test in tests:
        name = test.__name__.removeprefix("test_")
        if chosen and name not in chosen:
            continue
        checks = make_checks(name)
        began = time.monotonic()
        try:
            test(checks)
        except Exception as error:
            what = f"{type(error).__name__}: {error}"
            checks.check(what, False, traceback.format_exc())
        finally:
            checks.close()
        write_line(f"# {name}: {time.monotonic() - began:.1f} s")
        count += checks.count
        failed += checks.failed
    write_line(f"1..{count}")
    return 1 if failed else 0
