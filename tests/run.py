#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs test programs, reads their TAP, closes with "N passed, N failed, N skipped"."""

import argparse
import pathlib
import subprocess
import sys
import time

QUICK_TIMEOUT = 120


class Tally:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = []

    def read_tap(self, program, lines):
        """Counts one program's TAP lines; returns whether it planned what it ran."""
        planned = None
        ran = 0
        for line in lines:
            if line.startswith("1.."):
                planned = int(line[3:].split()[0])
            elif line.startswith("not ok"):
                ran += 1
                self.failed.append(f"{program}: {line}")
            elif line.startswith("ok"):
                ran += 1
                if "# SKIP" in line:
                    self.skipped.append(f"{program}: {line.split('# SKIP')[1].strip()}")
                else:
                    self.passed += 1
        return planned is not None and planned == ran


def run_program(tally, program):
    start = time.monotonic()
    try:
        done = subprocess.run([str(program), "--tap"], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                              timeout=QUICK_TIMEOUT, text=True, errors="replace")
        output, status = done.stdout, done.returncode
    except subprocess.TimeoutExpired as expired:
        output = (expired.stdout or b"").decode(errors="replace")
        status = f"time-out after {QUICK_TIMEOUT} s"
    failed_before = len(tally.failed)
    complete = tally.read_tap(program.name, output.splitlines())
    if (status != 0 or not complete) and len(tally.failed) == failed_before:
        tally.failed.append(f"{program.name}: ended with {status}, plan kept: {complete}")
    state = "ok" if len(tally.failed) == failed_before else "FAILED"
    print(f"{state:7}{program.name} ({time.monotonic() - start:.1f} s)", flush=True)
    if state == "FAILED":
        print(output)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True, type=pathlib.Path)
    parser.add_argument("suite", choices=["quick"])
    arguments = parser.parse_args()

    tally = Tally()
    for folder in ("unit", "device", "qmp"):
        for program in sorted((arguments.build / "tests" / folder).glob("test-*")):
            source = pathlib.Path("tests") / folder / (program.name + ".c")
            if source.exists():
                run_program(tally, program)
    for line in tally.failed + [f"skipped: {s}" for s in tally.skipped]:
        print(line)
    print(f"{tally.passed} passed, {len(tally.failed)} failed, "
          f"{len(tally.skipped)} skipped")
    return 1 if tally.failed else 0


if __name__ == "__main__":
    sys.exit(main())
