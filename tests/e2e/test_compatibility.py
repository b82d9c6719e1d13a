#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Recorded command lines of clients: what -check-args says is what a start comes to.

Each starts with -S where it was accepted, answers, and quits; the files, descriptors and
images that it names are there.  What was refused is refused for the reason that was told.
"""

import contextlib
import fcntl
import os
import pathlib
import re
import socket
import struct
import subprocess
import sys
import time

from rig import GUESTS, SILENCE, main
import recorded
from qmp import Qmp, QmpClosed

IMAGES = {"d1.qcow2": "qcow2", "vi.qcow2": "qcow2", "d2.raw": "raw"}
IMAGE_SIZE = 16 << 20
FLASHES = ("OVMF_CODE_4M.fd", "m_VARS.fd")
FLASH_SIZE = 64 << 10
TUNSETIFF = 0x400454ca
IFF_TAP, IFF_MULTI_QUEUE, IFF_NO_PI, IFF_VNET_HDR = 2, 0x100, 0x1000, 0x4000
# What this host may lack, however good the command line is: words of the message.
HOST = re.compile(r"Hyper-V|/dev/net/tun|is no tap|no tap |vhost|libslirp|user network|"
                  r"seabios|bios|Operation not permitted|not supported by this host|"
                  r"Cannot allocate memory|RLIMIT_MEMLOCK|mem-lock")


def qcow2(path):
    """An image without data: a header, a refcount table and block, an L1 table."""
    cluster = 1 << 16
    header = bytearray(4 * cluster)
    l1_entries = -(-IMAGE_SIZE // (cluster * (cluster // 8)))
    for at, size, value in ((0, 4, 0x514649fb), (4, 4, 2), (20, 4, 16),
                            (24, 8, IMAGE_SIZE), (36, 4, l1_entries),
                            (40, 8, 3 * cluster), (48, 8, cluster), (56, 4, 1),
                            (cluster, 8, 2 * cluster)):
        header[at:at + size] = value.to_bytes(size, "big")
    for i in range(4):
        header[2 * cluster + 2 * i + 1] = 1
    path.write_bytes(header)


def furnish(folder):
    """What command lines name; returns the names."""
    for name, kind in IMAGES.items():
        if kind == "raw":
            with open(folder / name, "wb") as file:
                file.truncate(IMAGE_SIZE)
        else:
            qcow2(folder / name)
    (folder / "master-key.aes").write_bytes(bytes(32))
    for name in FLASHES:
        (folder / name).write_bytes(bytes(FLASH_SIZE))
    (folder / "initrd.gz").write_bytes(bytes(512))
    (folder / "vmlinuz").write_bytes((GUESTS / "echo.elf").read_bytes())
    return {path.name for path in folder.iterdir()}


def tap(name, queues):
    """A descriptor of an interface, or of nothing where we may make none."""
    flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR | (IFF_MULTI_QUEUE if queues > 1 else 0)
    try:
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sH22x", name.encode(), flags))
        return fd
    except OSError:
        return os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)


@contextlib.contextmanager
def handed(client, folder):
    """The descriptors that @client hands over, at their numbers in a child; the first
    socket is the monitor's."""
    held, monitor = {}, None
    n_taps = list(client.fds.values()).count("tap")
    try:
        for number, kind in client.fds.items():
            if kind == "socket":
                sock = socket.socket(socket.AF_UNIX)
                sock.bind(str(folder / f"fd{number}"))
                sock.listen(1)
                held[number] = sock.detach()
            elif kind == "pipe":
                reader, held[number] = os.pipe()
                held[-number] = reader
            else:
                held[number] = tap(f"bt{os.getpid()}", n_taps)
        monitors = [n for n, kind in client.fds.items() if kind == "socket"]
        monitor = folder / (f"fd{max(monitors)}" if monitors else "monitor.sock")
        yield {n: fd for n, fd in held.items() if n > 0}, monitor
    finally:
        for fd in held.values():
            os.close(fd)


def start(vmm, argv, fds, **options):
    """Starts the VMM with @fds at their numbers."""
    moved = {n: os.dup2(fd, 100 + n, inheritable=True) for n, fd in fds.items()}

    def place():
        for number, fd in moved.items():
            os.dup2(fd, number, inheritable=True)
            os.close(fd)

    try:
        return subprocess.Popen([vmm, *argv], stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                text=True, errors="replace", preexec_fn=place,
                                close_fds=False, **options)
    finally:
        for fd in moved.values():
            os.close(fd)


def finish(process):
    try:
        _, stderr = process.communicate(timeout=SILENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        _, stderr = process.communicate()
        stderr = f"killed: {stderr}"
    return process.returncode, stderr


def answer(process, monitor):
    """The state that the VM tells of; it is ended then.  None: it ended before."""
    deadline = time.monotonic() + SILENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            qmp = Qmp.connect(monitor, timeout=SILENCE)
            status = qmp.command("query-status")["status"]
            qmp.command("quit")
            qmp.close()
            return status
        except (OSError, QmpClosed):
            time.sleep(0.01)
    return None


def refusals(t, argv):
    """The reasons of -check-args, of the options that it refuses."""
    lines = t.run("-check-args", *argv).stdout.splitlines()
    return [lines[i + 1].strip() for i, line in enumerate(lines)
            if line.startswith("refused ")]


def test_recorded(t):
    """Accepted ones run, refused ones are refused for the reason that was told."""
    for client in recorded.read():
        folder = t.folder / client.name
        folder.mkdir()
        furnish(folder)
        argv = client.argv(folder)
        reasons = refusals(t, argv)
        with handed(client, folder) as (fds, monitor):
            before = {path.name for path in folder.iterdir()}
            process = start(t.vmm, argv, fds)
            status = answer(process, monitor) if not reasons else None
            code, stderr = finish(process)
        if reasons:
            told = any(reason in stderr for reason in reasons)
            t.check(f"{client.name}: refused as told", code == 1 and told,
                    f"exit {code}: {stderr}\n{reasons}")
            t.equal(f"{client.name}: nothing is left",
                    {path.name for path in folder.iterdir()} - before, set())
        elif status is None and code == 1 and HOST.search(stderr):
            t.skip(f"{client.name}: runs", stderr.strip().splitlines()[-1])
        else:
            t.check(f"{client.name}: runs", (status, code) == ("prelaunch", 0),
                    f"{status}, exit {code}: {stderr}")


TESTS = [test_recorded]


if __name__ == "__main__":
    sys.exit(main(TESTS, __doc__))
