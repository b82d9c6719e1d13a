#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Disks that are changed while the machine is there, by the whole program in its sandbox:
images that are made, snapshots, media, drives of one option."""

import contextlib
import os
import re
import shutil
import subprocess
import sys

from rig import heard, main, wait_until
from qmp import QmpError

SIZE = 8 << 20
ENDED = r"\d+ \d+ (\d+) \d+\r?\n"


def create(t, qmp, **options):
    """Makes an image, and returns what the job came to."""
    qmp.command("blockdev-create", job_id="job", options=options)
    qmp.wait_event("JOB_STATUS_CHANGE",
                   accept=lambda data: data["status"] == "concluded")
    job, = qmp.command("query-jobs")
    qmp.command("job-dismiss", id="job")
    t.equal(f"{options['driver']}: the image is made", job.get("error"), None)


def inserted(qmp, device):
    for disk in qmp.command("query-block"):
        if disk["device"] == device or disk.get("qdev") == device:
            return disk.get("inserted")
    return None


def raw(t, name):
    path = t.folder / name
    with open(path, "wb") as file:
        file.truncate(SIZE)
    return path


def test_snapshots(t):
    base = raw(t, "base.raw")
    guest = t.guest(None, "-S", "-drive",
                    f"file={base},format=raw,if=virtio,id=d0,discard=unmap")
    qmp = guest.qmp
    first, second = t.folder / "first.qcow2", t.folder / "second.qcow2"

    create(t, qmp, driver="file", filename=str(first), size=0)
    qmp.command("blockdev-add", driver="file", node_name="file", filename=str(first))
    create(t, qmp, driver="qcow2", file="file", size=SIZE,
           **{"backing-file": str(base), "backing-fmt": "raw"})
    qmp.command("blockdev-add", driver="qcow2", node_name="first", file="file",
                backing=None)
    qmp.command("transaction", actions=[
        {"type": "blockdev-snapshot", "data": {"node": "d0", "overlay": "first"}}])
    qmp.command("blockdev-snapshot-sync", device="d0", snapshot_file=str(second))
    qmp.command("blockdev-reopen", options=[
        {"driver": "qcow2", "node-name": "first", "file": "file", "discard": "unmap"}])

    medium = inserted(qmp, "d0")
    t.equal("the disk is on the last overlay", medium["file"], str(second))
    t.equal("two images are below", medium["backing_file_depth"], 2)
    qmp.command("quit")
    guest.wait_exit()
    if not shutil.which("qemu-img"):
        t.skip("qemu-img agrees", "it is not here")
        return
    told = subprocess.run(["qemu-img", "check", second], capture_output=True, text=True,
                          check=False)
    t.equal("qemu-img finds nothing wrong", told.returncode, 0)


def test_space_that_is_taken(t):
    path = t.folder / "full.raw"
    qmp = t.guest(None, "-S").qmp

    create(t, qmp, driver="file", filename=str(path), size=SIZE, preallocation="full",
           nocow=True)
    t.check("all of the file is there", path.stat().st_blocks * 512 >= SIZE)
    create(t, qmp, driver="file", filename=str(path), size=SIZE, preallocation="falloc")
    t.check("and again", path.stat().st_blocks * 512 >= SIZE)


def test_media(t):
    one, two = raw(t, "one.iso"), raw(t, "two.iso")
    qmp = t.guest(None, "-S", "-device", "virtio-scsi-pci", "-device", "scsi-cd,id=cd",
                  "-drive", f"file={one},format=raw,if=none,id=d1,snapshot=on",
                  "-device", "scsi-hd,drive=d1").qmp

    t.check("what is thrown away has a file without a name",
            inserted(qmp, "d1")["backing_file"] == str(one))
    qmp.command("blockdev-change-medium", id="cd", filename=str(two), format="raw")
    t.equal("the medium is in", inserted(qmp, "cd")["file"], str(two))
    qmp.command("eject", id="cd")
    t.equal("the medium is out", inserted(qmp, "cd"), None)
    with open(two, "ab") as file:
        file.truncate(2 * SIZE)
    qmp.command("blockdev-add", driver="file", node_name="two", filename=str(two))
    qmp.command("block_resize", node_name="two", size=SIZE)
    t.equal("the file has the size", two.stat().st_size, SIZE)


@contextlib.contextmanager
def folder(path):
    before = os.getcwd()
    os.chdir(path)
    try:
        yield
    finally:
        os.chdir(before)


def test_relative_names(t):
    """Names that begin at the folder in which berth was started."""
    if not shutil.which("qemu-img"):
        t.skip("relative names", "qemu-img is not here")
        return
    with folder(t.folder):
        for args in (["base", "8M"], ["-b", "base", "-F", "qcow2", "top"],
                     ["-u", "-b", "gone", "-F", "qcow2", "lost", "8M"],
                     ["-u", "-b", "two", "-F", "qcow2", "one", "8M"],
                     ["-u", "-b", "one", "-F", "qcow2", "two", "8M"]):
            subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *args], check=True)
        qmp = t.guest(None, "-S", "-device", "virtio-scsi-pci", "-device",
                      "scsi-cd,id=cd", "-device", "scsi-hd,drive=d",
                      "-drive", "file=top,format=qcow2,if=none,id=d").qmp
    for name, words in (("lost", "gone"), ("one", "loop"), ("absent", "absent"),
                        ("top", "another node")):
        try:
            qmp.command("blockdev-add", driver="qcow2", node_name="n",
                        file={"driver": "file", "filename": name})
            t.check(f"{name}: refused", False)
        except QmpError as error:
            t.match(f"{name}: the error says why", error.text, words)
    create(t, qmp, driver="file", filename="new", size=SIZE)
    qmp.command("blockdev-add", driver="qcow2", node_name="base", read_only=True,
                file={"driver": "file", "filename": "base"})
    qmp.command("blockdev-del", node_name="base")
    qmp.command("blockdev-snapshot-sync", device="d", snapshot_file="snapshot")
    qmp.command("blockdev-change-medium", id="cd", filename="new", format="raw")
    t.equal("all of it is there", inserted(qmp, "d")["backing_file_depth"], 2)


@contextlib.contextmanager
def small_file_system(path, size):
    """A file system of its own at @path; yields what gives it another size, or None."""
    path.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", path]
    if os.geteuid() or subprocess.run(mount, check=False, stderr=subprocess.DEVNULL
                                      ).returncode:
        yield None
        return
    try:
        yield lambda size: subprocess.run(
            ["mount", "-o", f"remount,size={size}", path], check=True)
    finally:
        subprocess.run(["umount", "-l", path], check=True)


def go_on(guest):
    """What was under way when the machine stopped may stop it once more."""
    if guest.status == "io-error":
        guest.qmp.command("cont")
    return re.search(ENDED, guest.console.text)


def test_a_full_disk(t):
    """The host has no more space: the machine waits, again and again, until there is."""
    if not shutil.which("qemu-img"):
        t.skip("a full disk", "qemu-img is not here")
        return
    image = t.folder / "small" / "image"
    with small_file_system(t.folder / "small", 1 << 20) as resize:
        if not resize:
            t.skip("a full disk", "no file system can be mounted")
            return
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", image, str(SIZE)],
                       check=True)
        guest = t.guest("disk", "-object", "iothread,id=io",
                        "-drive", f"file={image},format=qcow2,if=none,id=d",
                        "-device", "virtio-blk-pci,drive=d,iothread=io", cpus=1)
        heard(guest, r"R\r?\n")
        guest.type("S 64 65536 1\n")
        for size in (2 << 20, 32 << 20):
            event = guest.qmp.wait_event("BLOCK_IO_ERROR")
            t.equal("the machine stops", (event["action"], event["nospace"]),
                    ("stop", True))
            guest.qmp.wait_event("STOP")
            t.equal("it says why", guest.status, "io-error")
            resize(size)
            guest.qmp.events.clear()
            guest.qmp.command("cont")
        t.check("the guest's requests end", wait_until(lambda: go_on(guest)))
        t.equal("and none of them fails", re.findall(ENDED, guest.console.text), ["0"])
        guest.qmp.command("quit")
        t.equal("it ends", guest.wait_exit(), 0)
        told = subprocess.run(["qemu-img", "check", "-q", image], check=False)
        t.equal("the image is clean", told.returncode, 0)


TESTS = [test_snapshots, test_space_that_is_taken, test_media, test_relative_names,
         test_a_full_disk]


if __name__ == "__main__":
    sys.exit(main(TESTS, __doc__))
