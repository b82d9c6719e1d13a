#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Runs scenarios where it stands: on a host with KVM, real or emulated.

Writes for each scenario "# begin NAME", its TAP lines, and "# end NAME STATE SECONDS"
with the state ok, failed or stalled; at the end "# done".  A heartbeat of "# alive" lets
the reader tell a hanging host from a hanging guest.  With --ask it writes "# next" and
reads the name of each scenario, until there is none: NO_MORE.
"""

import argparse
import importlib.util
import os
import pathlib
import shutil
import sys
import tempfile
import threading
import time
import traceback

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "kit")]
from guest import QUIET, Guest, Stall, check_calls  # noqa: E402
from media import PROBE  # noqa: E402
from tap import Checks  # noqa: E402


NO_MORE = "."
# Of a scenario that takes so long it is said which checks it waited for.
LONG, LONGEST_CHECKS = 30, 3


class Lab(Checks):
    """What a scenario gets: guests to start and checks to make."""

    def __init__(self, name, options, folder, out):
        super().__init__(name, out)
        self.options = options
        self.folder = folder
        self.guests = []
        self.began = self.checked = time.monotonic()
        self.waits = []

    def check(self, what, good, detail=""):
        now = time.monotonic()
        self.waits.append((now - self.checked, what))
        self.checked = now
        return super().check(what, good, detail)

    def tell_waits(self):
        if time.monotonic() - self.began > LONG:
            for seconds, what in sorted(self.waits, reverse=True)[:LONGEST_CHECKS]:
                self.out(f"#   {seconds:.1f} s before: {what}")

    def guest(self, *args, **options):
        """A stock guest (see Guest); closed by the runner.  With tools=True it has the
        programs of stock.write_guest_tools(), too.  With full=True it is the kernel with
        drivers of real hardware, for a scenario that says FULL_KERNEL = True."""
        if options.pop("full", False):
            options["kernel"] = self.options.full_kernel
            options["initrd"] = self.options.full_initrd
        options.setdefault("kernel", self.vmlinux)
        with_tools = options.pop("tools", False)
        options.setdefault("initrd", self.initrd_with_tools() if with_tools
                           else self.options.initrd)
        options["append"] = f"{QUIET} {options.get('append', '')}".strip()
        vmm = options.pop("vmm", self.options.vmm)
        guest = Guest(vmm, self.folder, *args, **options)
        self.guests.append(guest)
        return guest

    def disk_guest(self, *args, **options):
        """A guest without a kernel: firmware boots it from the disk @boot_disk.  For a
        scenario that says BOOT_DISK = True."""
        vmm = options.pop("vmm", self.options.vmm)
        guest = Guest(vmm, self.folder, *args, **options)
        self.guests.append(guest)
        return guest

    @property
    def boot_disk(self):
        return self.options.boot_disk

    @property
    def boot_cd(self):
        """The same as a CD, for a scenario that says BOOT_CD = True."""
        return self.options.boot_cd

    def probe(self, words, is_cd=False):
        """A drive that UEFI boots from; what it starts writes @words to the serial port
        and fails.  For a scenario that says PROBES = True."""
        medium = self.options.probe_cd if is_cd else self.options.probe_disk
        path = self.folder / f"probe-{words.replace(' ', '-')}"
        told = words.encode().ljust(len(PROBE))
        path.write_bytes(medium.read_bytes().replace(PROBE, told))
        return path

    @property
    def netboot(self):
        """What PXE loads: GRUB's prompt, for a scenario that says NETBOOT = True."""
        return self.options.netboot

    def initrd_with_tools(self):
        """The kernel unpacks archives that follow each other, one over the other."""
        path = self.folder / "initrd"
        with open(path, "wb") as out:
            for part in (self.options.initrd, self.options.tools):
                with open(part, "rb") as file:
                    shutil.copyfileobj(file, out)
        return path

    @property
    def emulated(self):
        """Whether the host is: then it is slow, and a guest that is under load for long
        may meet a fault of the emulator."""
        return self.options.emulated

    @property
    def vmlinux(self):
        """The kernel's ELF file.  It needs not be unpacked, which takes its time in an
        emulated host."""
        return self.options.vmlinux

    @property
    def bzimage(self):
        return self.options.kernel


def load(name):
    path = HERE / "scenarios" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name.replace("-", "_"), path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def scenario_names():
    return sorted(p.stem for p in (HERE / "scenarios").glob("*.py"))


def run_one(name, options, out):
    folder = pathlib.Path(tempfile.mkdtemp(prefix="lab-"))
    lab = Lab(name, options, folder, out)
    began = time.monotonic()
    out(f"# begin {name}")
    state = None
    try:
        load(name).scenario(lab)
    except (Stall, TimeoutError) as stall:
        state = "stalled"
        lab.check(f"stalled: {stall}", False)
    except Exception as error:
        lab.check(f"{type(error).__name__}: {error}", False, traceback.format_exc())
    check_calls(lab, lab.guests)
    lab.tell_waits()
    if lab.failed:
        for guest in lab.guests[-2:]:
            for line in guest.story():
                out(f"#   {line}")
    for guest in lab.guests:
        guest.close()
    shutil.rmtree(folder, ignore_errors=True)
    state = state or ("failed" if lab.failed else "ok")
    out(f"# end {name} {state} {time.monotonic() - began:.1f}")


def asked_names(out):
    """Empty lines only wake a host's terminal."""
    out("# next")
    for line in map(str.strip, sys.stdin):
        if line == NO_MORE:
            return
        if line:
            yield line
            out("# next")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--vmm", required=True)
    parser.add_argument("--beside")
    parser.add_argument("--kernel", required=True)
    parser.add_argument("--vmlinux", required=True)
    parser.add_argument("--initrd", required=True)
    parser.add_argument("--tools", required=True)
    parser.add_argument("--full-kernel")
    parser.add_argument("--full-initrd")
    parser.add_argument("--boot-disk")
    parser.add_argument("--boot-cd")
    parser.add_argument("--probe-disk", type=pathlib.Path)
    parser.add_argument("--probe-cd", type=pathlib.Path)
    parser.add_argument("--netboot")
    parser.add_argument("--emulated", action="store_true")
    parser.add_argument("--ask", action="store_true")
    parser.add_argument("scenarios", nargs="*")
    options = parser.parse_args()
    lock = threading.Lock()

    def out(line):
        with lock:
            sys.stdout.write(line + "\n")
            sys.stdout.flush()

    def beat():
        while True:
            time.sleep(4)
            out("# alive")

    threading.Thread(target=beat, daemon=True).start()
    for name in asked_names(out) if options.ask else options.scenarios:
        run_one(name, options, out)
    out("# done")


if __name__ == "__main__":
    main()
