#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Recorded command lines of clients: what -check-args says is what a start comes to.

Each starts with -S where it was accepted, answers, and quits; the files, descriptors and
images that it names are there.  What was refused is refused for the reason that was told.
"""

import concurrent.futures
import contextlib
import fcntl
import itertools
import json
import os
import pathlib
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
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
                  r"Cannot allocate memory|RLIMIT_MEMLOCK|mem-lock|KVM_CAP_X86_SMM")

# One interface for all queues of a client, and no other client's.
TAPS = itertools.count()


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
    (folder / "log").touch()
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


def above(fd):
    """@fd at a number that no client hands over."""
    high = fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, 200)
    os.close(fd)
    return high


@contextlib.contextmanager
def handed(client, folder):
    """The descriptors that @client hands over by their numbers, other ends by negative
    ones; and where the monitor is."""
    held = {}
    n_taps = list(client.fds.values()).count("tap")
    name = f"b{os.getpid()}.{next(TAPS) % 10000}"
    try:
        for number, kind in client.fds.items():
            if kind == "socket":
                sock = socket.socket(socket.AF_UNIX)
                sock.bind(str(folder / f"fd{number}"))
                sock.listen(1)
                held[number] = above(sock.detach())
            elif kind == "pipe":
                held[-number], writer = os.pipe()
                held[number] = above(writer)
            else:
                held[number] = above(tap(name, n_taps))
        sockets = [n for n, kind in client.fds.items() if kind == "socket"]
        yield held, folder / (f"fd{max(sockets)}" if sockets else "monitor.sock")
    finally:
        for fd in held.values():
            os.close(fd)


def start(vmm, argv, fds):
    """Starts the VMM with @fds at their numbers, which it alone has then."""
    handed_over = {n: fds.pop(n) for n in list(fds) if n > 0}

    def place():
        for number, fd in handed_over.items():
            os.dup2(fd, number)

    try:
        return subprocess.Popen([vmm, *argv], stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                text=True, errors="replace", preexec_fn=place,
                                close_fds=False)
    finally:
        for fd in handed_over.values():
            os.close(fd)


def finish(process):
    try:
        _, stderr = process.communicate(timeout=SILENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        _, stderr = process.communicate()
        stderr = f"killed: {stderr}"
    return process.returncode, stderr


def ask(monitor):
    """The state that the VM tells of; it ends then."""
    with socket.socket(socket.AF_UNIX) as sock:
        sock.connect(str(monitor))
        qmp = Qmp(sock, SILENCE)
        qmp.receive()
        qmp.command("qmp_capabilities")
        status = qmp.command("query-status")["status"]
        qmp.command("quit")
        return status


def answer(process, monitor):
    """As ask(), of a VM that is being made; None when it ended before."""
    deadline = time.monotonic() + SILENCE
    while process.poll() is None and time.monotonic() < deadline:
        try:
            return ask(monitor)
        except (OSError, QmpClosed):
            time.sleep(0.002)
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


NOWHERE = "/proc/no-such-folder/x"
# What may have any value; and what is a name for others, whose loss is another matter.
FREE = {"-name guest", "-name process", "-append", "-add-fd opaque", "-device serial",
        "-device device_id", "-device name", "-device tag", "-device id", "-object id",
        "-blockdev node-name", "-netdev id", "-chardev id", "-mon id", "-drive id",
        "-audiodev id", "-chardev host", "-fw_cfg string", "-fw_cfg name", "-smbios",
        "-name", "-D"}
# The same for all kinds of what has them.
COMMON = {"addr", "bus", "bootindex", "driver", "qom-type", "type", "wheels"}


def pairs(value):
    """The pairs of an argument with the commas that end them taken off: [(key, value)];
    the key of a first value alone is None."""
    parts = re.split(r"(?<!,),(?!,)", value)
    return [(key, rest) if equals else (None, key)
            for key, equals, rest in (part.partition("=") for part in parts)]


def absurd(value):
    """What cannot stand in the place of @value."""
    if isinstance(value, bool) or value in ("on", "off"):
        return ["maybe"]
    if isinstance(value, int) or re.fullmatch(r"(0x)?[\da-fA-F]+[kKMGT]?", str(value)):
        return [-2, 1 << 70] if isinstance(value, int) else ["-2", str(1 << 70)]
    if value.startswith("/"):
        return [NOWHERE]
    return ["no-such-thing"]


def mutants_of_json(value):
    members = json.loads(value)
    kind = next((members[key] for key in ("driver", "qom-type", "type")
                 if key in members), "")
    for key, old in members.items():
        if not isinstance(old, (dict, list, type(None))):
            for new in absurd(old):
                yield kind, key, new, json.dumps({**members, key: new})
    yield kind, "wheels", 4, json.dumps({**members, "wheels": 4})


def mutants_of_pairs(value):
    given = pairs(value)
    kind = given[0][1] if given[0][0] is None and len(given) > 1 else ""
    for i, (key, old) in enumerate(given):
        for new in absurd(old):
            text = [f"{k}={v}" if k else v for k, v in given]
            text[i] = f"{key}={new}" if key else new
            yield kind, key, new, ",".join(text)
    if given[0][0] or len(given) > 1:
        yield kind, "wheels", 4, f"{value},wheels=4"


def mutants(names):
    """(client, index of the option, what is absurd and value, its argument), each kind
    once, of the clients with these names."""
    seen = set()
    for client in recorded.read():
        if client.name not in names:
            continue
        for i, (option, value) in enumerate(client.options):
            if not value:
                continue
            found = mutants_of_json(value) if value.startswith("{") \
                else mutants_of_pairs(value)
            for kind, key, new, text in found:
                name = " ".join(filter(None, (option, key)))
                label = (option, "" if key in COMMON else kind, key, new)
                if label in seen or name in FREE or option in FREE:
                    continue
                seen.add(label)
                yield client, i, (key, new), text


def refused_by_name(t, client, i, absurdity, text):
    """Starts @client with its option @i made @text; what is wrong with how that ends.
    The error has the key or the value that is absurd; the option alone where it has no
    pairs."""
    option = client.options[i][0]
    options = list(client.options)
    options[i] = (option, text)
    folder = pathlib.Path(tempfile.mkdtemp(dir=t.folder))
    furnish(folder)
    with handed(client, folder) as (fds, monitor):
        before = {path.name for path in folder.iterdir()}
        process = start(t.vmm, recorded.Recorded("", options, {}).argv(folder), fds)
        status = answer(process, monitor)
        code, stderr = finish(process)
    left = {path.name for path in folder.iterdir()} - before
    shutil.rmtree(folder)
    if status:
        return "accepted"
    if code != 1:
        return f"exit {code}: {stderr}"
    if left:
        return f"left {left}: {stderr}"
    key, value = absurdity
    last = stderr.strip().splitlines()[-1]
    names = [key, key.replace("_", "-"), str(value)] if key else [option, str(value)]
    good = any(name in last for name in names)
    return None if good else f"does not name it: {stderr}"


def test_absurd(t):
    """One value of a command line is absurd: it is refused by its name, and nothing is
    left."""
    good = {client.name for client in recorded.read()
            if not refusals(t, client.argv(t.folder))}
    cases = list(mutants(good))
    with concurrent.futures.ThreadPoolExecutor(2 * os.cpu_count()) as pool:
        faults = pool.map(lambda case: refused_by_name(t, *case), cases)
        for (client, i, _, text), fault in zip(cases, faults):
            if fault:
                t.check(f"{client.name}: {client.options[i][0]} {text}", False, fault)
    t.check(f"{len(cases)} absurd values are refused", len(cases) > 200, len(cases))


TESTS = [test_recorded, test_absurd]


if __name__ == "__main__":
    sys.exit(main(TESTS, __doc__))
