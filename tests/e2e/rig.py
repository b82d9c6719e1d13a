# SPDX-License-Identifier: Apache-2.0
"""What the tests with tiny guests share: a folder, guests in it, checks, a command line.

    tests/e2e/test_X.py [--vmm PATH] [TEST...]

They work on any KVM, a software one too, and write TAP.
"""

import argparse
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent / "kit")]
import tasks  # noqa: E402
from guest import Guest, check_calls  # noqa: E402
from tap import Checks, run_tests  # noqa: E402

GUESTS = ROOT / "build" / "guests"
SILENCE = 60                    # of a machine that does much else, too


class Rig(Checks):
    """A folder, guests in it, and checks."""

    def __init__(self, name, options):
        super().__init__(name)
        self.options = options
        self.vmm = str(options.vmm)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="berth-kvm-"))
        self.guests = []

    def guest(self, image, *args, **options):
        """A started VMM with this tiny guest (None for none); @popen are arguments of
        its Popen()."""
        popen = options.pop("popen", {})
        kernel = GUESTS / f"{image}.elf" if image else None
        options.setdefault("cpu", None)
        options.setdefault("memory", 128)
        guest = Guest(self.vmm, self.folder, *args, kernel=kernel, **options)
        self.guests.append(guest)
        return guest.start(**popen)

    def run(self, *args, timeout=120, **options):
        """Runs the VMM with just these arguments to its end."""
        return subprocess.run([self.vmm, *map(str, args)], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              errors="replace", timeout=timeout, **options)

    def close(self):
        check_calls(self, self.guests)
        for guest in self.guests:
            if self.failed:
                for line in guest.story():
                    self.out(f"#   {line}")
            guest.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def heard(guest, pattern):
    return guest.console.wait(pattern, silence=SILENCE)


def wait_until(condition, seconds=SILENCE):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return False


def stays(state, seconds, tries=12):
    """Whether what @state() tells comes to be the same for so long.  What was under way,
    and a pool's thread that has been idle for 10 s, may end before."""
    for _ in range(tries):
        before = state()
        time.sleep(seconds)
        if state() == before:
            return True
    return False


def resident(pid):
    """The process's resident memory in bytes."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def private_kib(guest):
    """What its VMM alone has written to."""
    text = pathlib.Path(f"/proc/{guest.process.pid}/smaps_rollup").read_text()
    return int(re.search(r"Private_Dirty:\s+(\d+)", text)[1])


def context_switches(pid):
    """Voluntary context switches of all its threads so far."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for line in (tasks.text_of(task, "status") or "").splitlines():
            if line.startswith("voluntary_ctxt_switches"):
                total += int(line.split()[1])
    return total


def main(tests, description, rig=Rig):
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--vmm", type=pathlib.Path,
                        default=os.environ.get("VMM") or ROOT / "build" / "berth")
    parser.add_argument("tests", nargs="*")
    options = parser.parse_args()
    options.vmm = options.vmm.resolve()
    return run_tests(tests, lambda name: rig(name, options), options.tests)
