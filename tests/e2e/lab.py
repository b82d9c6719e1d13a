#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The lab: stock Linux guests under real KVM, on any machine.

    tests/e2e/lab.py [--vmm PATH] [SCENARIO...]

Scenarios are the files of tests/e2e/scenarios.  Where the machine's KVM can run a stock
kernel they run right here, elsewhere inside an emulated host, several in one boot of it.
Writes TAP.  When the emulated host hangs, or a guest in it falls silent (an emulated CPU
now and then loses an interrupt), the scenario runs once more in a new host; the report
says so, and the second result stands.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import runner  # noqa: E402
import stock  # noqa: E402
from emulated_host import EmulatedHost, HostHang, host_runs_stock_guests  # noqa: E402

DEFAULT_VMM = HERE.parent.parent / "build" / "berth"


class Report:
    """TAP of finished scenarios, numbered as they come."""

    def __init__(self):
        self.count = 0
        self.failed = 0

    def say(self, text):
        print(f"# {text}", flush=True)

    def result(self, good, text):
        self.count += 1
        self.failed += not good
        print(f"{'ok' if good else 'not ok'} {self.count} - {text}", flush=True)

    def replay(self, lines):
        for line in lines:
            good = line.startswith("ok - ")
            if good or line.startswith("not ok - "):
                self.result(good, line.partition(" - ")[2])
            else:
                print(line, flush=True)

    def close(self):
        print(f"1..{self.count}", flush=True)


class Run:
    """Reads a runner's output; knows which scenarios ended, and how."""

    def __init__(self, report):
        self.report = report
        self.states = {}
        self.current = None
        self.lines = []
        self.done = False
        self.stray = []

    def feed(self, line, hold_stalled):
        word = line.split()
        if line == "# alive":
            return
        if word[:2] == ["#", "begin"]:
            self.current, self.lines = word[2], []
        elif word[:2] == ["#", "end"]:
            self.states[word[2]] = word[3]
            self.current = None
            if not (word[3] == "stalled" and hold_stalled):
                self.report.replay(self.lines)
            self.report.say(f"{word[2]}: {word[3]} ({word[4]} s)")
        elif line == "# done":
            self.done = True
        elif self.current:
            self.lines.append(line)
        else:
            self.stray.append(line)


def runner_argv(vmm, kernel, vmlinux, initrd, names):
    return ["python3", "-B", "tests/e2e/runner.py", "--vmm", str(vmm),
            "--kernel", str(kernel), "--vmlinux", str(vmlinux), "--initrd", str(initrd),
            *names]


def run_here(report, options, kernel, initrd):
    argv = runner_argv(options.vmm, kernel.vmlinuz, kernel.vmlinux, initrd,
                       options.scenarios)
    run = Run(report)
    with subprocess.Popen(argv, cwd=HERE.parent.parent, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True, errors="replace") as process:
        for line in process.stdout:
            run.feed(line.rstrip("\n"), hold_stalled=False)
    if not run.done:
        report.result(False, f"the runner ended early: {' / '.join(run.stray[-5:])}")


def run_emulated(report, options, kernel, initrd, folder):
    host = EmulatedHost(kernel, options.vmm, folder,
                        {"vmlinuz": kernel.vmlinuz, "vmlinux": kernel.vmlinux,
                         "guest.cpio": initrd})
    left = list(options.scenarios)
    tried = set()
    while left:
        run = Run(report)
        job = runner_argv(f"/usr/bin/{options.vmm.name}", "vmlinuz", "vmlinux",
                          "guest.cpio", left)
        began = time.monotonic()
        host.start(job)
        trouble = None
        try:
            for line in host.lines():
                if line == "# host up":
                    report.say(f"emulated host up ({time.monotonic() - began:.1f} s)")
                else:
                    run.feed(line, hold_stalled=True)
                if line.startswith("# begin") and run.current in tried:
                    report.say(f"{run.current}: second and last try")
                if run.states.get(next(reversed(run.states), None)) == "stalled":
                    break
        except HostHang as hang:
            trouble = str(hang)
        host.stop(0 if trouble or not run.done else 10)
        left = after(report, run, left, tried, trouble, host)


def after(report, run, left, tried, trouble, host):
    """Decides what is still to be run when a host is gone."""
    stalled = [name for name, state in run.states.items() if state == "stalled"]
    rest = [name for name in left if name not in run.states]
    if run.done and not stalled:
        return []
    suspect = stalled[0] if stalled else run.current
    if suspect is None and not run.states:
        suspect = "the emulated host's start"
    if suspect is None:
        return rest
    why = f"the emulated host hung ({trouble or 'it ended'})"
    if stalled:
        why = "a guest stalled"
    if suspect in tried:
        report.replay(run.lines)
        report.result(False, f"{suspect}: {why}, twice")
        for line in run.stray[-10:] + host.log():
            print(f"#   {line}")
        return [] if suspect not in left else [name for name in rest if name != suspect]
    report.say(f"{suspect}: {why}; it runs once more in a new host")
    tried.add(suspect)
    return ([suspect] if suspect in left else []) + [n for n in rest if n != suspect]


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vmm", type=pathlib.Path,
                        default=os.environ.get("VMM") or DEFAULT_VMM)
    parser.add_argument("--emulated", action="store_true",
                        help="even where KVM would do")
    parser.add_argument("--list", action="store_true", help="list the scenarios")
    parser.add_argument("scenarios", nargs="*")
    options = parser.parse_args()
    known = runner.scenario_names()
    if options.list:
        print("\n".join(known))
        return 0
    unknown = set(options.scenarios) - set(known)
    if unknown:
        parser.error(f"no scenario '{unknown.pop()}'; there are: {', '.join(known)}")
    options.scenarios = options.scenarios or known
    options.vmm = pathlib.Path(options.vmm).resolve()
    report = Report()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="berth-lab-") as folder:
        folder = pathlib.Path(folder)
        kernel = stock.fetch_kernel(report.say)
        initrd = folder / "guest.cpio"
        stock.write_guest_initramfs(kernel, initrd)
        if host_runs_stock_guests() and not options.emulated:
            report.say(f"stock kernel {kernel.release} on this host's KVM")
            run_here(report, options, kernel, initrd)
        else:
            report.say(f"stock kernel {kernel.release} inside an emulated AMD host: this "
                       "machine has no KVM with VMX or SVM")
            run_emulated(report, options, kernel, initrd, folder)
    report.say(f"{time.monotonic() - began:.0f} s")
    report.close()
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
