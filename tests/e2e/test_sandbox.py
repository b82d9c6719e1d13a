#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The sandbox around a running machine: which threads are in it, as whom, and with what
options.  That every other test passes inside it is told by those: it is on by default."""

import os
import pathlib
import pwd
import shutil
import signal
import sys

from rig import SILENCE, heard, main, wait_until
import tasks
from qmp import Qmp, QmpError

PLAIN = ["-nodefaults", "-no-user-config", "-display", "none"]
USER = "nobody"
# As libvirt has it.
DENY = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
FILTER = "2"


def fields(text):
    lines = [line.partition(":") for line in text.splitlines()]
    return {name: rest.strip() for name, _, rest in lines}


def threads(pid):
    """The status of each, by name."""
    texts = [tasks.text_of(task, "status") for task in tasks.living(pid)]
    return {found["Name"]: found for found in map(fields, filter(None, texts))}


def filters_of(pid, kinds=("CPU ", "IO ")):
    """How many main has, and each thread with a role of its own."""
    counts = {name: int(status["Seccomp_filters"])
              for name, status in threads(pid).items()}
    return counts, {counts[name] for name in counts if name.startswith(kinds)}


def are_in_their_own(pid):
    """A thread enters its own with the next thing that it does."""
    counts, own = filters_of(pid)
    return own == {max(counts.values())} and max(counts.values()) > min(counts.values())


def check_confined(t, title, pid):
    """All threads are in it, and those that have roles of their own in two filters."""
    found = threads(pid)
    t.equal(f"{title}: threads outside",
            [name for name, status in found.items() if status["Seccomp"] != FILTER], [])
    t.equal(f"{title}: new privileges", {s["NoNewPrivs"] for s in found.values()}, {"1"})
    # Older kernels do not count them.
    if all("Seccomp_filters" in status for status in found.values()):
        t.check(f"{title}: vCPUs and iothreads in their own",
                wait_until(lambda: are_in_their_own(pid)), filters_of(pid))


def test_threads(t):
    guest = t.guest("echo", "-name", "x,debug-threads=on", "-object", "iothread,id=io1",
                    cpus=2)
    heard(guest, "B")
    guest.qmp.command("qom-set", path="/objects/io1", property="poll-max-ns", value=1000)
    check_confined(t, "by default", guest.process.pid)
    guest.type("x")
    heard(guest, "Bx")
    guest.qmp.command("system_reset")
    heard(guest, "BxB")
    guest.qmp.command("quit")
    t.equal("it ends", guest.wait_exit(), 0)


def test_options(t):
    for options in ("on", DENY, "on,spawn=allow", "enable=on,elevateprivileges=children"):
        guest = t.guest("echo", "-name", "x,debug-threads=on", "-sandbox", options)
        heard(guest, "B")
        check_confined(t, options, guest.process.pid)
        guest.qmp.command("quit")
        t.equal(f"{options}: it ends", guest.wait_exit(), 0)
    guest = t.guest("echo", "-sandbox", "off")
    heard(guest, "B")
    found = threads(guest.process.pid)
    t.equal("off: filters", {s["Seccomp"] for s in found.values()}, {"0"})
    t.equal("off: new privileges", {s["NoNewPrivs"] for s in found.values()}, {"0"})
    for options, words in (("maybe", "maybe"), ("on,spawn=perhaps", "perhaps"),
                           ("on,obsolete=children", "children"),
                           ("on,colour=red", "colour"), ("spawn=deny", "enable")):
        done = t.run(*PLAIN, "-S", "-sandbox", options)
        t.check(f"{options}: refused", done.returncode == 1 and words in done.stderr,
                done.stderr)


def test_programs(t):
    """Those that a tap names are refused by a message, and the machine goes on."""
    script = "tap,id=n0,script=/bin/true"
    for options in ([], ["-sandbox", DENY]):
        done = t.run(*PLAIN, "-S", *options, "-netdev", script)
        t.check(f"a script, {options}: refused",
                done.returncode == 1 and "spawn=allow" in done.stderr, done.stderr)
    guest = t.guest("echo", "-sandbox", DENY)
    heard(guest, "B")
    for arguments in ({"type": "tap", "downscript": "/bin/true"},
                      {"type": "bridge", "helper": "/bin/true"}):
        try:
            guest.qmp.command("netdev_add", id="n0", **arguments)
            t.check(f"{arguments}: refused", False)
        except QmpError as error:
            t.match(f"{arguments}: refused", str(error), "spawn=allow")
    guest.type("x")
    heard(guest, "Bx")
    guest.qmp.command("quit")
    t.equal("it ends", guest.wait_exit(), 0)


def test_with_other_confinement(t):
    if os.geteuid() != 0:
        t.skip("as another user", "needs root")
        return
    cell = t.folder / "cell"
    cell.mkdir()
    for args in (["-runas", USER], ["-chroot", cell],
                 ["-run-with", f"user={USER},chroot={cell},async-teardown=on"]):
        title = " ".join(map(str, args[:1] + [str(args[1]).replace(str(cell), "CELL")]))
        guest = t.guest("echo", "-name", "x,debug-threads=on", *args, "-sandbox", DENY)
        heard(guest, "B")
        check_confined(t, title, guest.process.pid)
        guest.type("x")
        heard(guest, "Bx")
        guest.qmp.command("quit")
        t.equal(f"{title}: it ends", guest.wait_exit(), 0)


def test_without_root(t):
    """Started by somebody else, in the background.  /dev/kvm may be root's alone."""
    if os.geteuid() != 0:
        t.skip("as another user", "is so in all tests here")
        return
    entry = pwd.getpwnam(USER)
    folder = t.folder / "theirs"
    folder.mkdir()
    t.folder.chmod(0o755)
    os.chown(folder, entry.pw_uid, entry.pw_gid)
    vmm = shutil.copy(t.vmm, folder)
    done = t.run(*PLAIN, "-machine", "none", "-daemonize", "-pidfile", folder / "pid",
                 "-object", "iothread,id=io1", "-D", folder / "log", "-sandbox", DENY,
                 "-name", "x,debug-threads=on",
                 "-qmp", f"unix:{folder}/qmp,server=on,wait=off", executable=vmm,
                 user=entry.pw_uid, group=entry.pw_gid, extra_groups=[])
    t.equal("it starts", (done.returncode, done.stderr), (0, ""))
    pid = int((folder / "pid").read_text())
    qmp = Qmp.connect(folder / "qmp", timeout=SILENCE)
    qmp.command("qom-set", path="/objects/io1", property="poll-max-ns", value=1000)
    check_confined(t, "a daemon of another user", pid)
    qmp.command("quit")


def test_chardevs(t):
    """What they ask of the host while the machine is there."""
    guest = t.guest("echo")
    heard(guest, "B")

    def socket_of(host):
        inet = {"host": host, "port": "0"}
        return {"type": "socket", "data": {"addr": {"type": "inet", "data": inet},
                                           "server": True, "wait": False}}

    backends = {
        "pty": {"type": "pty", "data": {}},
        "file": {"type": "file", "data": {"out": str(t.folder / "out")}},
        "any": socket_of(""),
        "localhost": socket_of("localhost"),
        "ipv4": socket_of("127.0.0.1"),
        "unix": {"type": "socket", "data": {"addr": {
            "type": "unix", "data": {"path": str(t.folder / "sock")}},
            "server": True, "wait": False}},
        "udp": {"type": "udp", "data": {"remote": {"type": "inet", "data": {
            "host": "127.0.0.1", "port": "9"}}}},
        "ringbuf": {"type": "ringbuf", "data": {}},
    }
    for name, backend in backends.items():
        guest.qmp.command("chardev-add", id=name, backend=backend)
        guest.qmp.command("chardev-remove", id=name)
        t.check(name, True)
    try:
        guest.qmp.command("chardev-add", id="named", backend=socket_of("host.example"))
        t.check("a name is refused", False)
    except QmpError as error:
        t.match("a name is refused, not looked up", str(error), "no name is looked up")
    guest.qmp.command("quit")
    t.equal("it ends", guest.wait_exit(), 0)


def test_memory(t):
    """Backends that come and go while the machine is there."""
    guest = t.guest("echo")
    heard(guest, "B")
    more = {"prealloc": True, "prealloc-threads": 2}
    if os.path.exists("/sys/devices/system/node/node0"):
        more.update({"host-nodes": [0], "policy": "bind"})
    path = t.folder / "ram"
    for kind, properties in (("ram", {}), ("memfd", {}), ("memfd", {"share": False}),
                             ("file", {"mem-path": str(path), "share": True}),
                             ("file", {"mem-path": str(t.folder)}),
                             ("file", {"mem-path": str(path), "discard-data": True})):
        guest.qmp.command("object-add", **{"qom-type": f"memory-backend-{kind}"}, id="m",
                          size=4 << 20, **properties, **more)
        found = next(memory for memory in guest.qmp.command("query-memdev")
                     if memory["id"] == "m")
        t.equal(f"{kind} {properties}", (found["size"], found["policy"]),
                (4 << 20, more.get("policy", "default")))
        guest.qmp.command("object-del", id="m")
    t.equal("the file has its size", path.stat().st_size, 4 << 20)
    try:
        guest.qmp.command("object-del", id="pc.ram")
        t.check("the guest's memory stays", False)
    except QmpError as error:
        t.match("the guest's memory stays", str(error), "in use")
    guest.qmp.command("quit")
    t.equal("it ends", guest.wait_exit(), 0)


def test_option_roms(t):
    """Hot-plug looks for files of the host while the machine runs."""
    guest = t.guest(None, "-S", "-netdev", "null,id=n0", "-netdev", "null,id=n1",
                    "-device", "pcie-root-port,id=p0,chassis=1",
                    "-device", "pcie-root-port,id=p1,chassis=2")
    guest.qmp.command("device_add", driver="virtio-net-pci", id="nic0", netdev="n0",
                      bus="p0")
    try:
        guest.qmp.command("device_add", driver="virtio-net-pci", id="nic1", netdev="n1",
                          bus="p1", romfile="no-such.rom")
        t.check("a ROM that is nowhere: refused", False)
    except QmpError as error:
        t.match("a ROM that is nowhere: refused", str(error), "no-such.rom")
    rom = t.folder / "own.rom"
    rom.write_bytes(b"\x55\xaa\x04" + bytes(2045))
    guest.qmp.command("device_add", driver="virtio-net-pci", id="nic1", netdev="n1",
                      bus="p1", romfile=str(rom))
    guest.qmp.command("quit")
    t.equal("it ends", guest.wait_exit(), 0)


def test_failures(t):
    """What the C library does to tell of an error."""
    guest = t.guest("echo")
    heard(guest, "B")
    nowhere = str(t.folder / "nowhere" / "file")
    for command, arguments in (
            ("object-add", {"qom-type": "secret", "id": "s", "file": nowhere}),
            ("chardev-add", {"id": "c", "backend": {"type": "file",
                                                    "data": {"out": nowhere}}}),
            ("blockdev-add", {"driver": "file", "node-name": "n", "filename": nowhere}),
            ("pmemsave", {"val": 0, "size": 16, "filename": nowhere}),
            ("dump-guest-memory", {"paging": False, "protocol": f"file:{nowhere}"})):
        try:
            guest.qmp.command(command, **arguments)
            t.check(f"{command}: refused", False)
        except QmpError as error:
            t.match(command, str(error), "No such file")
    guest.qmp.command("quit")
    t.equal("it ends", guest.wait_exit(), 0)


def test_disks(t):
    """Nodes that come, grow and go while the machine is there."""
    guest = t.guest("echo", "-object", "iothread,id=io1")
    heard(guest, "B")
    image = t.folder / "disk.img"
    for name, options in (
            ("native", {"aio": "native", "cache": {"direct": True}}),
            ("threads", {"aio": "threads", "discard": "unmap", "locking": "on"}),
            ("read-only", {"read-only": True, "auto-read-only": True})):
        image.write_bytes(bytes(1 << 20))
        options = {"driver": "raw", "node-name": "disk", "file": {
            "driver": "file", "filename": str(image), **options}}
        guest.qmp.command("blockdev-add", **options)
        if "read-only" not in options["file"]:
            guest.qmp.command("block_resize", **{"node-name": "disk", "size": 2 << 20})
            t.equal(f"{name}: it grows", image.stat().st_size, 2 << 20)
        guest.qmp.command("query-named-block-nodes")
        guest.qmp.command("blockdev-del", **{"node-name": "disk"})
        t.check(f"{name}: it comes and goes", True)
    guest.qmp.command("quit")
    t.equal("it ends", guest.wait_exit(), 0)


def test_ends_by_signals(t):
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        guest = t.guest("echo")
        heard(guest, "B")
        guest.process.send_signal(number)
        t.equal(f"{number.name}", guest.wait_exit(), 0)


if __name__ == "__main__":
    sys.exit(main([test_threads, test_options, test_programs, test_with_other_confinement,
                   test_without_root, test_chardevs, test_memory, test_option_roms,
                   test_failures, test_disks, test_ends_by_signals],
                  __doc__))
