#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The lab: stock Linux guests under real KVM, on any machine.

    tests/e2e/lab.py [--vmm PATH] [--beside PATH] [SCENARIO...]

Scenarios are the files of tests/e2e/scenarios.  Where the machine's KVM can run a stock
kernel they run right here, elsewhere inside an emulated host, several in one boot of it.
Writes TAP.  The emulator is not without faults under load: one of its CPUs loses an
interrupt, a guest is reset or falls silent, the emulated host ends or hangs; so it is
with other VMMs, too.  After such a trouble, which is none of a wrong answer, the scenario
runs again in a new host, up to three times in all; the report says so.
"""

import argparse
import os
import pathlib
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))
import media  # noqa: E402
import runner  # noqa: E402
import stock  # noqa: E402
from guest import QUIET  # noqa: E402
from emulated_host import (EmulatedHost, HostFiles, HostHang,  # noqa: E402
                           host_runs_stock_guests)

TRIES = 3
DEFAULT_VMM = HERE.parent.parent / "build" / "berth"


class Report:
    """TAP of finished scenarios, numbered as they come."""

    def __init__(self):
        self.count = 0
        self.failed = 0
        self.lock = threading.RLock()

    def say(self, *texts):
        with self.lock:
            for text in texts:
                print(f"# {text}", flush=True)

    def result(self, good, text):
        with self.lock:
            self.count += 1
            self.failed += not good
            print(f"{'ok' if good else 'not ok'} {self.count} - {text}", flush=True)

    def replay(self, lines, text=None):
        """What a scenario wrote, undivided, and a last word."""
        with self.lock:
            for line in lines:
                good = line.startswith("ok - ")
                if good or line.startswith("not ok - "):
                    self.result(good, line.partition(" - ")[2])
                else:
                    print(line, flush=True)
            if text:
                self.say(text)

    def close(self):
        print(f"1..{self.count}", flush=True)


class Run:
    """Reads a runner's output; holds a stalled scenario's lines back when asked to.
    @asked is called when the runner wants the next scenario."""

    def __init__(self, report, hold_stalled, asked=None):
        self.report = report
        self.asked = asked
        self.hold_stalled = hold_stalled
        self.ended = []
        self.stalled = None
        self.current = None
        self.lines = []
        self.done = False
        self.stray = []

    def feed(self, line):
        word = line.split()
        if line == "# alive":
            return
        if word[:2] == ["#", "begin"]:
            self.current, self.lines = word[2], []
        elif word[:2] == ["#", "end"]:
            self.end(*word[2:5])
        elif line == "# next":
            self.asked(self)
        elif line == "# done":
            self.done = True
        elif self.current:
            self.lines.append(line)
        else:
            self.stray.append(line)

    def end(self, name, state, seconds):
        self.current = None
        if state == "stalled" and self.hold_stalled:
            self.stalled = name
            return
        self.ended.append(name)
        self.report.replay(self.lines, f"{name}: {state} ({seconds} s)")


# What a runner is given beside the VMM, by its option; in an emulated host by file name.
FILES = {"kernel": "vmlinuz", "vmlinux": "vmlinux", "initrd": "guest.cpio",
         "tools": "tools.cpio", "full-kernel": "full-vmlinux",
         "full-initrd": "full.cpio", "boot-disk": "boot-disk.img",
         "boot-cd": "boot-cd.iso", "probe-disk": "probe-disk.img",
         "probe-cd": "probe-cd.iso", "netboot": "netboot.0"}


class Scenarios:
    """Those that no host has had yet: a host that is free takes the longest."""

    def __init__(self, names):
        self.names = sorted(names, key=lambda name: -wants(name, "SECONDS"))
        self.lock = threading.Lock()

    def take(self):
        with self.lock:
            return self.names.pop(0) if self.names else None


def runner_argv(vmm, beside, files, names):
    argv = ["python3", "-B", "tests/e2e/runner.py", "--vmm", str(vmm)]
    if beside:
        argv += ["--beside", str(beside)]
    for option, path in files.items():
        argv += [f"--{option}", str(path)]
    return argv + list(names)


def run_here(report, options, files):
    argv = runner_argv(options.vmm, options.beside, files, options.scenarios)
    run = Run(report, hold_stalled=False)
    with subprocess.Popen(argv, cwd=HERE.parent.parent, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, text=True, errors="replace") as process:
        for line in process.stdout:
            run.feed(line.rstrip("\n"))
    if not run.done:
        report.result(False, f"the runner ended early: {' / '.join(run.stray[-5:])}")


class EmulatedRun:
    """Takes scenarios to emulated hosts, a new one after each trouble."""

    def __init__(self, report, host, options, files, scenarios):
        self.report = report
        self.host = host
        self.files = files
        self.vmm = f"/usr/bin/{options.vmm.name}"
        self.beside = options.beside and f"/usr/bin/{options.beside.name}"
        self.scenarios = scenarios
        self.current = None
        self.tries = {}

    def run(self):
        self.current = self.scenarios.take()
        while self.current:
            run, trouble = self.boot()
            if self.current in run.ended:
                self.current = self.scenarios.take()
            elif self.current:
                self.settle(run, trouble)

    def next(self, run):
        """The host has ended what it was given; one that is new begins with what the one
        before it did not end."""
        if self.current in run.ended:
            self.current = self.scenarios.take()
        self.host.type(self.current or runner.NO_MORE)

    def boot(self):
        """Boots the host; returns the run and what went wrong, if so."""
        run = Run(self.report, hold_stalled=True, asked=self.next)
        began = time.monotonic()
        files = {option: FILES[option] for option in self.files}
        self.host.start(runner_argv(self.vmm, self.beside, files,
                                    ["--emulated", "--ask"]))
        trouble = None
        try:
            for line in self.host.lines():
                if line == "# host up":
                    seconds = time.monotonic() - began
                    self.report.say(f"emulated host up ({seconds:.1f} s)")
                else:
                    run.feed(line)
                if run.stalled:
                    trouble = "a guest stalled"
                    break
        except HostHang as hang:
            trouble = f"the emulated host hung ({hang})"
        if not trouble and not run.done:
            trouble = "the emulated host ended early"
        self.host.stop(0 if trouble else 10)
        return run, trouble

    def settle(self, run, trouble):
        """The first troubles of a scenario are forgiven, and told; the last counts."""
        suspect = self.current
        self.tries[suspect] = self.tries.get(suspect, 0) + 1
        if self.tries[suspect] < TRIES:
            self.report.say(
                *[f"  try {self.tries[suspect]}: {line}" for line in run.lines],
                *[f"  host: {line}" for line in self.host.log()],
                f"{suspect}: {trouble}; once more in a new host")
            return
        with self.report.lock:
            self.report.replay(run.lines)
            self.report.result(False, f"{suspect}: {trouble}, {TRIES} times")
            self.report.say(*[f"  {line}" for line in run.stray[-10:] + self.host.log()])
        self.current = self.scenarios.take()


def run_emulated(report, options, kernel, folder, files):
    """A host for each CPU, since it has one."""
    n_hosts = min(os.cpu_count(), len(options.scenarios))
    vmms = [vmm for vmm in (options.vmm, options.beside) if vmm]
    host_files = HostFiles(kernel, vmms, folder,
                           {FILES[option]: path for option, path in files.items()})
    scenarios = Scenarios(options.scenarios)
    threads = []
    for number in range(n_hosts):
        own = folder / f"host{number}"
        own.mkdir()
        run = EmulatedRun(report, EmulatedHost(host_files, own), options, files,
                          scenarios)
        threads.append(threading.Thread(target=run.run))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def wants(name, what):
    return getattr(runner.load(name), what, False)


def add_full_kernel(report, folder, files):
    """The kernel with drivers of real hardware, which is large."""
    kernel = stock.fetch_kernel(report.say, stock.FULL_KERNEL)
    files["full-kernel"] = kernel.vmlinux
    files["full-initrd"] = folder / FILES["full-initrd"]
    stock.write_guest_initramfs(kernel, files["full-initrd"], stock.FULL_MODULES)


def add_media(kernel, folder, files, scenarios):
    """What boots by itself, as far as scenarios want it."""
    for option, want in (("boot-disk", "BOOT_DISK"), ("boot-cd", "BOOT_CD"),
                         ("probe-disk", "PROBES"), ("probe-cd", "PROBES"),
                         ("netboot", "NETBOOT")):
        if any(wants(name, want) for name in scenarios):
            files[option] = folder / FILES[option]
    if "boot-disk" in files:
        media.write_boot_disk(kernel, files["initrd"], QUIET, files["boot-disk"])
    if "boot-cd" in files:
        media.write_boot_cd(kernel, files["initrd"], QUIET, files["boot-cd"])
    if "probe-cd" in files:
        media.write_probes(files["probe-disk"], files["probe-cd"])
    if "netboot" in files:
        media.write_netboot(files["netboot"])


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vmm", type=pathlib.Path,
                        default=os.environ.get("VMM") or DEFAULT_VMM)
    parser.add_argument("--beside", type=pathlib.Path,
                        help="another VMM, for scenarios that measure both in turns")
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
    here = host_runs_stock_guests() and not options.emulated
    options.scenarios = options.scenarios or [
        name for name in known if here or not wants(name, "REAL_KVM")]
    options.vmm = pathlib.Path(options.vmm).resolve()
    options.beside = options.beside and options.beside.resolve()
    report = Report()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="berth-lab-") as folder:
        folder = pathlib.Path(folder)
        kernel = stock.fetch_kernel(report.say)
        files = {"kernel": kernel.vmlinuz, "vmlinux": kernel.vmlinux,
                 "initrd": folder / FILES["initrd"], "tools": folder / FILES["tools"]}
        stock.write_guest_initramfs(kernel, files["initrd"])
        stock.write_guest_tools(kernel, files["tools"])
        if any(wants(name, "FULL_KERNEL") for name in options.scenarios):
            add_full_kernel(report, folder, files)
        add_media(kernel, folder, files, options.scenarios)
        if here:
            report.say(f"stock kernel {kernel.release} on this host's KVM")
            run_here(report, options, files)
        else:
            report.say(f"stock kernel {kernel.release} inside an emulated AMD host: this "
                       "machine has no KVM with VMX or SVM")
            run_emulated(report, options, kernel, folder, files)
    report.say(f"{time.monotonic() - began:.0f} s")
    report.close()
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
