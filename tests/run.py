#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs tests, reads their TAP, and closes with "N passed, N failed, N skipped".

    tests/run.py quick      unit, device and QMP test programs
    tests/run.py check      everything; the stages are the list at the end of this file

A stage that cannot run here is counted as skipped, and the last lines say why.
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import shutil
import subprocess
import sys
import threading
import time

PROGRAM_TIMEOUT = 900
SANITIZED_TIMEOUT = 1500
LONG_TIMEOUT = 2400
LONG_OPERATIONS = 10000
LONG_SEEDS = (2, 3)
# The tests in which threads meet.
THREADED = re.compile(
    r"test-(ahci|aio|block|cpuhp|inject|loop|mailbox|poller|iothread|qsbr|region|vcpu|"
    r"monitor|char-socket|char-mux|char-kinds|dump|hpet|qcow2-random|worker|"
    r"virtio-serial-life|virtio-net|scsi-tasks|pflash).*")
FUZZ_LINE = re.compile(r"^(ok|FAILED)\s+(fuzz-\S+)(.*)")
TESTS = pathlib.Path("tests")
FOLDERS = ("unit", "device", "qmp")


class Tally:
    def __init__(self):
        self.passed = 0
        self.failed = []
        self.skipped = []

    def add(self, name, good, detail=""):
        if good:
            self.passed += 1
        else:
            self.failed.append(f"{name}{': ' if detail else ''}{detail}")

    def read_tap_line(self, program, line):
        """Counts one TAP line; returns whether it was one of a test."""
        if line.startswith("not ok"):
            self.failed.append(f"{program}: {line}")
        elif line.startswith("ok"):
            if "# SKIP" in line:
                self.skipped.append(f"{program}: {line.split('# SKIP')[1].strip()}")
            else:
                self.passed += 1
        else:
            return False
        return True

    def read_tap(self, program, lines):
        """Counts a program's TAP lines; returns whether it ran what it planned."""
        planned = None
        ran = 0
        for line in lines:
            if line.startswith("1.."):
                planned = int(line[3:].split()[0])
            else:
                ran += self.read_tap_line(program, line)
        return planned is not None and planned == ran

    def take(self, other):
        """Counts what another one has counted."""
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def close(self):
        for line in [f"failed: {f}" for f in self.failed]:
            print(line)
        for line in [f"skipped: {s}" for s in self.skipped]:
            print(line)
        print(f"{self.passed} passed, {len(self.failed)} failed, "
              f"{len(self.skipped)} skipped", flush=True)
        return 1 if self.failed else 0


class Run:
    """What a stage knows of its run, and what it counts."""

    def __init__(self, build, is_beside=False):
        self.tally = Tally()
        self.is_beside = is_beside
        self.lock = threading.Lock()
        self.build = build
        self.berth = build / "berth"
        self.fuzz_seconds = os.environ.get("FUZZ_SECONDS") or "12"

    def scripts(self):
        return [script for folder in FOLDERS
                for script in sorted((TESTS / folder).glob("test_*.py"))]

    def programs(self, build):
        """The built test programs that still have a source."""
        return [build / "tests" / folder / source.stem for folder in FOLDERS
                for source in sorted((TESTS / folder).glob("test-*.c"))]

    def run_program(self, argv, label, timeout):
        """Runs one program and counts its TAP; tells its output if it failed."""
        start = time.monotonic()
        try:
            done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.STDOUT, timeout=timeout, text=True,
                                  errors="replace")
            output, status = done.stdout, done.returncode
        except subprocess.TimeoutExpired as expired:
            output = (expired.stdout or b"").decode(errors="replace")
            status = f"time-out after {timeout} s"
        except OSError as error:
            output, status = "", error
        with self.lock:
            self.count(label, output, status, time.monotonic() - start)

    def run_programs(self, programs, timeout):
        """Runs some of (argv, label), as many at a time as there are processors."""
        with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
            for _ in pool.map(lambda program: self.run_program(*program, timeout),
                              programs):
                pass

    def count(self, label, output, status, seconds):
        tally = self.tally
        before = len(tally.failed)
        complete = tally.read_tap(label, output.splitlines())
        if (status != 0 or not complete) and len(tally.failed) == before:
            tally.add(label, False, f"ended with {status}, plan kept: {complete}")
        good = len(tally.failed) == before
        print(f"{'ok' if good else 'FAILED':7}{label} ({seconds:.1f} s)", flush=True)
        if not good:
            print(output)

    def stream(self, argv, label):
        """Runs a long test: tells its comments and failures as they come."""
        tally = self.tally
        before = len(tally.failed)
        planned, ran = None, 0
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True,
                              errors="replace") as process:
            for line in map(str.rstrip, process.stdout):
                if line.startswith("1.."):
                    planned = int(line[3:])
                elif tally.read_tap_line(label, line):
                    ran += 1
                if not line.startswith("ok"):
                    print(f"  {line}", flush=True)
        if (process.returncode != 0 or planned != ran) and len(tally.failed) == before:
            tally.add(label, False, f"ended with {process.returncode}, "
                      f"planned {planned}, ran {ran}")

    def make(self, *goals):
        """Builds; returns whether it went well, and tells the errors if not."""
        argv = ["make", "--no-print-directory", f"-j{os.cpu_count()}", *goals]
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, errors="replace")
        if done.returncode:
            print("\n".join(done.stdout.splitlines()[-60:]), flush=True)
        return done.returncode == 0

    def run_variant(self, variant, chosen=lambda program: True, wrapper=()):
        """Builds all in a variant, and of the test programs those chosen, which run."""
        build = pathlib.Path("build") / variant
        programs = [p for p in self.programs(build) if chosen(p)]
        if not self.make(f"VARIANT={variant}", "all", *map(str, programs)):
            self.tally.add(variant, False, "does not build")
            return
        self.run_programs([([*wrapper, str(program), "--tap"],
                            f"{program.name} ({variant})") for program in programs],
                          SANITIZED_TIMEOUT)


def stage_kernel(run):
    """Tests of the loader and the lab want the stock kernel; the first run fetches it."""
    run.tally.add("the stock kernel can be had",
                  subprocess.run(["python3", "-B", "tests/e2e/stock.py"],
                                 stdin=subprocess.DEVNULL).returncode == 0)


def stage_quick(run):
    run.run_programs([([sys.executable, "-B", str(script)], script.name)
                      for script in run.scripts()] +
                     [([str(program), "--tap"], program.name)
                      for program in run.programs(run.build)], PROGRAM_TIMEOUT)


def stage_long(run):
    """What needs many operations to be believed, without sanitizers."""
    program = run.build / "tests/unit/test-qcow2-random"
    run.run_programs([(["env", f"BERTH_TEST_OPERATIONS={LONG_OPERATIONS}",
                        f"BERTH_TEST_SEED={seed}", str(program), "--tap"],
                       f"{program.name} (long, seed {seed})") for seed in LONG_SEEDS],
                     LONG_TIMEOUT)


def stage_lint(run):
    run.tally.add("lint", run.make("lint"), "see above")


def stage_asan(run):
    run.run_variant("asan")


def stage_tsan(run):
    # Older ThreadSanitizers cannot place their shadow under the newest address layouts.
    fixed_layout = ["setarch", "-R"]
    usable = subprocess.run([*fixed_layout, "true"], stderr=subprocess.DEVNULL)
    run.run_variant("tsan", lambda program: THREADED.fullmatch(program.name),
                    fixed_layout if usable.returncode == 0 else [])


def stage_fuzz(run):
    beside = ["FUZZ_JOBS=1"] if run.is_beside else []
    done = subprocess.run(["nice", "make", "--no-print-directory", f"-j{os.cpu_count()}",
                           "fuzz", f"FUZZ_SECONDS={run.fuzz_seconds}", *beside],
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, errors="replace")
    results = [FUZZ_LINE.match(line) for line in done.stdout.splitlines()]
    results = [match for match in results if match]
    for match in results:
        run.tally.add(match[2], match[1] == "ok", match[3].strip(": "))
        print(match[0], flush=True)
    bad = [match for match in results if match[1] != "ok"]
    if not results or (done.returncode and not bad):
        run.tally.add("fuzz", False, f"ended with {done.returncode}")
    if done.returncode or bad or not results:
        print("\n".join(done.stdout.splitlines()[-80:]), flush=True)


def stage_replay(run):
    run.stream(["tests/qmp/replay.py", "--vmm", str(run.berth)], "replay")


def stage_kvm(run):
    if not run.make("guests"):
        run.tally.add("the tiny guests", False, "do not build")
        return
    for script in sorted((TESTS / "e2e").glob("test_*.py")):
        run.stream([sys.executable, "-B", str(script), "--vmm", str(run.berth)],
                   script.stem)


def stage_bench(run):
    for name in ("bench", "bench_libvirt"):
        run.stream([f"tests/perf/{name}.py", "--check", "--vmm", str(run.berth)], name)


def stage_lab(run):
    run.stream(["tests/e2e/lab.py", "--vmm", str(run.berth)], "lab")


def why_no_kvm(run):
    if not os.path.exists("/dev/kvm"):
        return "there is no /dev/kvm"
    if not os.access("/dev/kvm", os.R_OK | os.W_OK):
        return "/dev/kvm is not ours to open"
    return None


def why_no_lab(run):
    if not shutil.which("busybox"):
        return "busybox is not installed"
    with open("/proc/cpuinfo") as file:
        able = re.search(r"^flags.*\b(vmx|svm)\b", file.read(), re.M)
    if able and why_no_kvm(run) is None:
        return None
    if not shutil.which("qemu-system-x86_64"):
        return "neither KVM with VMX or SVM nor qemu-system-x86_64 is here"
    return None


def always(run):
    return None


# Name, what it does, why it cannot run here (or None), and whether it runs beside the one
# before it, which leaves processors idle.
STAGES = [
    ("kernel", stage_kernel, why_no_lab, False),
    ("quick", stage_quick, always, False),
    ("long", stage_long, always, True),
    ("lint", stage_lint, always, False),
    ("asan", stage_asan, always, False),
    ("tsan", stage_tsan, always, False),
    ("replay", stage_replay, always, False),
    ("kvm", stage_kvm, why_no_kvm, False),
    ("fuzz", stage_fuzz, always, True),
    ("bench", stage_bench, why_no_kvm, False),
    ("lab", stage_lab, why_no_lab, False),
]


def run_stage(run, name, stage, why_not):
    """Returns its tally."""
    began = time.monotonic()
    reason = why_not(run)
    print(f"== {name}", flush=True)
    if reason:
        run.tally.skipped.append(f"stage {name}: {reason}")
        print(f"skipped: {reason}", flush=True)
    else:
        stage(run)
        print(f"== {name}: {time.monotonic() - began:.0f} s", flush=True)
    return run.tally


def run_stages(build, stages):
    """Those that run beside others in threads of their own; returns what all counted."""
    tally = Tally()
    with concurrent.futures.ThreadPoolExecutor() as pool:
        running = []
        for name, stage, why_not, is_beside in stages:
            if not is_beside:
                for done in running:
                    tally.take(done.result())
                running.clear()
            running.append(pool.submit(run_stage, Run(build, bool(running)),
                                       name, stage, why_not))
        for done in running:
            tally.take(done.result())
    return tally


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", default="build", type=pathlib.Path)
    parser.add_argument("suite", help="quick, check, or the name of a stage")
    arguments = parser.parse_args()
    stages = [stage for stage in STAGES if arguments.suite in ("check", stage[0])]
    if not stages:
        parser.error(f"there is no suite or stage '{arguments.suite}'")
    return run_stages(arguments.build, stages).close()


if __name__ == "__main__":
    sys.exit(main())
