#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""berth's main job on real input: boots a stock Linux server and manages it over QMP.

    tests/demo/demo.py [--vmm PATH] [--guest kernel|disk|libvirt] [--interactive]

Runs story.py, story_disk.py for a guest that boots from its disk by firmware, or
story_libvirt.py for one that libvirt manages, on this host's KVM or inside an emulated
host where that cannot run a stock kernel.
"""

import argparse
import contextlib
import os
import pathlib
import select
import subprocess
import sys
import tempfile
import termios
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]
import libvirtd  # noqa: E402
import media  # noqa: E402
import stock  # noqa: E402
from emulated_host import (EmulatedHost, HostFiles, HostHang,  # noqa: E402
                           host_runs_stock_guests)
from guest import QUIET  # noqa: E402
from demo_network import OWN, may_have_own  # noqa: E402
from story import STALLED  # noqa: E402

STORIES = {"kernel": "tests/demo/story.py", "disk": "tests/demo/story_disk.py",
           "libvirt": "tests/demo/story_libvirt.py"}
DISK_SIZE = "24M"
JOB_ENDED = "# job ended "


@contextlib.contextmanager
def typed_bytes():
    """Lets each typed byte through at once, if there is a terminal; restores it after."""
    if not sys.stdin.isatty():
        yield
        return
    before = termios.tcgetattr(0)
    raw = termios.tcgetattr(0)
    raw[0] &= ~(termios.ICRNL | termios.IXON)
    raw[3] &= ~(termios.ICANON | termios.ECHO | termios.ISIG | termios.IEXTEN)
    termios.tcsetattr(0, termios.TCSADRAIN, raw)
    try:
        yield
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)


def story_argv(options, vmm, files, has_own_network):
    argv = [*(OWN if has_own_network else []), "python3", "-B", STORIES[options.guest],
            "--vmm", str(vmm)]
    for option, path in files.items():
        argv += [f"--{option}", str(path)]
    return argv + (["--interactive"] if options.interactive else []) + (
        ["--own-network"] if has_own_network else [])


def run_here(options, files):
    print("This host's KVM runs it.", flush=True)
    with typed_bytes() if options.interactive else contextlib.nullcontext():
        argv = story_argv(options, options.vmm, files, may_have_own())
        return subprocess.run(argv, cwd=ROOT).returncode


def follow(host):
    """Shows what the story tells; returns its exit code."""
    code = 1
    for line in host.lines():
        if line.startswith(JOB_ENDED):
            code = int(line.removeprefix(JOB_ENDED))
        elif not line.startswith("# "):
            print(line, flush=True)
    return code


def bridge(host):
    """Connects the terminal to the story; returns its exit code."""
    seen = b""
    sources = [host.channel, 0]
    while True:
        for source in select.select(sources, [], [])[0]:
            if source == 0:
                data = os.read(0, 256)
                host.channel.send(data or b"\x1d")
                if not data:
                    sources.remove(0)
                continue
            data = host.channel.recv(4096)
            if not data:
                ended = seen.rpartition(JOB_ENDED.encode())[2].split()
                return int(ended[0]) if ended else 1
            seen = (seen + data)[-4096:]
            sys.stdout.buffer.write(data)
            sys.stdout.flush()


def run_emulated(options, reason, kernel, files, folder):
    print(f"It runs inside an emulated AMD host, slower: {reason}.", flush=True)
    host = EmulatedHost(HostFiles(kernel, [options.vmm], folder,
                                  {path.name: path for path in files.values()}), folder)
    argv = story_argv(options, f"/usr/bin/{options.vmm.name}",
                      {option: path.name for option, path in files.items()}, True)
    if options.interactive:
        host.start(argv)
        with typed_bytes():
            code = bridge(host)
        host.stop()
        return code
    for last in (False, True):
        host.start([*argv, "--heartbeat"])
        try:
            code = follow(host)
        except HostHang as hang:
            print(f"the emulated host hung ({hang})")
            code = STALLED
        host.stop(0 if code == STALLED else 10)
        if code != STALLED or last:
            return code
        print("An emulated CPU now and then loses an interrupt; once more.", flush=True)
    return code


def why_not_here(options):
    """Why the host is an emulated one, or None."""
    if options.emulated:
        return "as asked"
    if not host_runs_stock_guests():
        return "this machine has no KVM with VMX or SVM"
    return libvirtd.why_not() if options.guest == "libvirt" else None


def make_files(options, kernel, folder):
    """What the story has, by its options."""
    initrd, disk = folder / "guest.cpio", folder / "root.img"
    stock.write_guest_initramfs(kernel, initrd,
                                stock.GUEST_MODULES + ["virtio_blk", "virtio_net"])
    if options.guest != "disk":
        stock.write_guest_disk(disk, DISK_SIZE)
        return {"kernel": kernel.vmlinuz, "initrd": initrd, "disk": disk}
    append = f"{QUIET} disk=/dev/vda1"
    if options.interactive:
        append = append.replace("shell=plain", "shell=human")
    media.write_boot_disk(kernel, initrd, append, disk, has_root=True)
    return {"disk": disk}


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vmm", type=pathlib.Path, default=ROOT / "build" / "berth")
    parser.add_argument("--emulated", action="store_true", help="even where KVM would do")
    parser.add_argument("--guest", choices=STORIES, default="kernel",
                        help="started from a kernel's file, by firmware from its disk, "
                        "or as a domain of libvirt's")
    parser.add_argument("--interactive", action="store_true",
                        help="leave the person on the guest's console")
    options = parser.parse_args()
    options.vmm = options.vmm.resolve()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="berth-demo-") as folder:
        folder = pathlib.Path(folder)
        kernel = stock.fetch_kernel(print)
        files = make_files(options, kernel, folder)
        print(f"The guest: Debian's stock kernel {kernel.release}, and a disk with ext4 "
              "and busybox.")
        reason = why_not_here(options)
        if reason:
            code = run_emulated(options, reason, kernel, files, folder)
        else:
            code = run_here(options, files)
    seconds = time.monotonic() - began
    print(f"The demo {'went well' if code == 0 else 'FAILED'}: {seconds:.0f} s in all.")
    return 0 if code == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
