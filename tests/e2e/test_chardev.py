#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Character devices with a guest behind them: terminals, and what far ends may do."""

import fcntl
import os
import socket
import sys
import time

from rig import GUESTS, SILENCE, main
from qmp import QmpError
from terminal import Terminal


PLAIN = ["-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35",
         "-accel", "kvm", "-m", "128"]


def test_mux(t):
    tty = Terminal(t, *PLAIN, "-kernel", GUESTS / "echo.elf", "-chardev",
                   "stdio,id=tty,mux=on,signal=off", "-mon", "chardev=tty,mode=control",
                   "-serial", "chardev:tty")
    t.check("the greeting of the monitor", tty.hears('"QMP"'))
    t.check("the guest's first byte", tty.hears("B"))
    tty.type("ab\x01\x01")
    t.check("the guest echoes what is typed", tty.hears("ab\x01"))
    tty.type('\x01c{"execute": "qmp_capabilities"}\n')
    t.check("the monitor has the keys", tty.hears('"return"'))
    tty.type('{"execute": "query-chardev"}\n')
    t.check("the mux is told", tty.hears('"filename": "mux"'))
    tty.type("\x01cg")
    t.check("the guest has them again", tty.hears("g"))
    tty.type("\x01h")
    t.check("help", tty.hears("C-a x "))
    tty.type("\x01x")
    t.check("the end is told", tty.hears("terminated"))
    t.equal("it ends with 0", tty.wait_exit(), 0)


def test_escape(t):
    tty = Terminal(t, *PLAIN, "-S", "-chardev", "stdio,id=tty,mux=on", "-echr", "0x1d",
                   "-serial", "chardev:tty")
    tty.type("\x1dh")
    t.check("another key", tty.hears("0x1d x"))
    tty.type("\x1dx")
    t.equal("it ends with 0", tty.wait_exit(), 0)
    for bad in ("", "A", "256", "-1", "1x"):
        done = t.run(*PLAIN, "-S", "-echr", bad)
        t.check(f"-echr {bad}: refused", done.returncode == 1 and "-echr" in done.stderr)


def unix_backend(path, **more):
    return {"type": "socket",
            "data": {"addr": {"type": "unix", "data": {"path": str(path)}}, **more}}


def filename(qmp, label):
    found = [c["filename"] for c in qmp.command("query-chardev") if c["label"] == label]
    return found[0] if found else None


def refusal(qmp, command, **arguments):
    """The words of the error, empty when there is none."""
    try:
        qmp.command(command, **arguments)
    except QmpError as error:
        return error.text
    return ""


def becomes(condition):
    """Waits until it is true."""
    deadline = time.monotonic() + SILENCE
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def hears(sock, wanted):
    """Reads until the bytes have come."""
    sock.settimeout(SILENCE)
    data = b""
    while wanted not in data:
        piece = sock.recv(4096)
        if not piece:
            return False
        data += piece
    return True


def test_commands(t):
    guest = t.guest(None, "-S")
    qmp = guest.qmp
    pts = qmp.command("chardev-add", id="p", backend={"type": "pty", "data": {}})["pty"]
    t.match("chardev-add tells the pty", pts, r"^/dev/pts/\d+$")
    t.equal("and so does query-chardev", filename(qmp, "p"), f"pty:{pts}")
    t.equal("a second of the name", refusal(
        qmp, "chardev-add", id="p", backend={"type": "null", "data": {}}) != "", True)
    t.match("a kind that there is not", refusal(
        qmp, "chardev-add", id="x", backend={"type": "spicevmc", "data": {}}), "SPICE")
    t.match("data is missing", refusal(
        qmp, "chardev-add", id="x", backend={"type": "null"}), "backend.data")
    path = t.folder / "sock"
    qmp.command("chardev-add", id="s", backend=unix_backend(path))
    t.equal("a server", filename(qmp, "s"), f"disconnected:unix:{path},server=on")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
        t.check("connected", becomes(lambda: filename(qmp, "s") ==
                                     f"unix:{path},server=on"))
        yankable = qmp.command("query-yank")
        t.check("query-yank lists it", {"type": "chardev", "id": "s"} in yankable)
        t.match("a yank of what is not there", refusal(
            qmp, "yank", instances=[{"type": "chardev", "id": "s"},
                                    {"type": "chardev", "id": "p"}]), "'p'")
        qmp.command("yank", instances=[{"type": "chardev", "id": "s"}])
        client.settimeout(SILENCE)
        t.equal("yank ends the connection", client.recv(1), b"")
    fds = socket.socketpair()
    qmp.command("getfd", fds=[fds[1].fileno()], fdname="far")
    fds[1].close()
    by_name = {"type": "socket", "data": {"addr": {"type": "fd", "data": {"str": "far"}},
                                          "server": False}}
    qmp.command("chardev-add", id="f", backend=by_name)
    t.equal("a descriptor by its name", filename(qmp, "f"), "unix:")
    by_name["data"]["addr"]["data"]["str"] = "3"
    t.check("but not one of the process by its number",
            refusal(qmp, "chardev-add", id="n", backend=by_name) != "")
    for label in ("p", "s", "f"):
        qmp.command("chardev-remove", id=label)
    t.equal("all are gone", [filename(qmp, label) for label in "psf"], [None] * 3)
    t.check("what is not there cannot be removed", refusal(qmp, "chardev-remove", id="p"))
    t.check("the monitor's is busy", refusal(qmp, "chardev-remove", id="compat_monitor0"))
    t.check("and cannot be changed", refusal(qmp, "chardev-change", id="compat_monitor0",
                                             backend={"type": "null", "data": {}}))


def schema_has(entities, path):
    """As management clients look things up: member, +variant, ^value of an enum."""
    words = path.split("/")
    at = entities.get(words[0])
    for word in words[1:]:
        if at is None:
            return False
        if word.startswith("^"):
            return word[1:] in [m["name"] for m in at.get("members", [])]
        if word.startswith("+"):
            found = [v["type"] for v in at.get("variants", []) if v["case"] == word[1:]]
        elif word in ("arg-type", "ret-type"):
            found = [at[word]]
        else:
            found = [m["type"] for m in at.get("members", []) if m["name"] == word]
        at = entities.get(found[0]) if found else None
    return at is not None


def test_shapes_that_clients_look_for(t):
    guest = t.guest(None, "-S")
    entities = {e["name"]: e for e in guest.qmp.command("query-qmp-schema")}
    backend = "chardev-add/arg-type/backend"
    for path in (f"{backend}/+socket/data/reconnect-ms", f"{backend}/+socket/data/telnet",
                 f"{backend}/+socket/data/addr/+unix/data/path", f"{backend}/type/^pty",
                 f"{backend}/+socket/data/addr/+inet/data/keep-alive",
                 f"{backend}/+file/data/out", f"{backend}/+file/data/logappend",
                 f"{backend}/+udp/data/remote/+inet/data/port",
                 f"{backend}/+ringbuf/data/size", "chardev-add/ret-type/pty",
                 "chardev-change/arg-type/backend/+pty/data/logfile",
                 "yank/arg-type/instances", "ringbuf-read/arg-type/format/^base64"):
        t.check(path, schema_has(entities, path))
    for path in (f"{backend}/type/^qemu-vdagent", f"{backend}/type/^spicevmc",
                 f"{backend}/type/^dbus"):
        t.check(f"not {path}", not schema_has(entities, path))


def test_yank_of_the_monitor(t):
    """Also the session that asks for it ends, one that is stuck, too; others may come."""
    guest = t.guest(None, "-S")
    stuck, asking = guest.new_session(), guest.new_session()
    stuck.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    for _ in range(100):
        stuck.send({"execute": "query-qmp-schema"})
    asking.send({"execute": "yank", "arguments": {
        "instances": [{"type": "chardev", "id": "compat_monitor0"}]}})
    asking.sock.settimeout(SILENCE)
    while asking.sock.recv(1 << 16):
        pass
    stuck.sock.settimeout(SILENCE)
    while True:
        try:
            if not stuck.sock.recv(1 << 20):
                break
        except ConnectionError:
            break
    t.equal("a new session", guest.new_session().command("query-status")["status"],
            "prelaunch")
    stuck.close()
    asking.close()


def test_clients_wait_alone(t):
    """A command that waits for its far end keeps no other client waiting."""
    guest = t.guest(None, "-S")
    path = t.folder / "sock"
    other = guest.new_session()
    guest.qmp.send({"execute": "chardev-add", "arguments": {
        "id": "s", "backend": unix_backend(path, wait=True)}})
    t.equal("another client is served", other.command("query-status")["status"],
            "prelaunch")
    with socket.socket(socket.AF_UNIX) as client:
        becomes(path.exists)
        client.connect(str(path))
        t.equal("then it ends", guest.qmp.receive(), {"return": {}})
    guest.qmp.send({"execute": "chardev-add", "arguments": {
        "id": "w", "backend": unix_backend(t.folder / "w", wait=True)}})
    becomes((t.folder / "w").exists)
    other.command("chardev-remove", id="w")
    t.match("or another client ends it", str(guest.qmp.receive()), "removed")
    guest.qmp.send({"execute": "chardev-add", "arguments": {
        "id": "w", "backend": unix_backend(t.folder / "w", wait=True)}})
    becomes((t.folder / "w").exists)
    other.command("quit")
    t.equal("or the end of all", guest.wait_exit(), 0)
    t.check("its file is gone", not (t.folder / "w").exists())
    other.close()


def test_change_under_a_guest(t):
    """The guest's port goes from one far end to another, with nothing but that seen."""
    first, second = t.folder / "first", t.folder / "second"
    guest = t.guest("echo", "-S", "-chardev",
                    f"socket,id=c,path={first},server=on,wait=off", serial=(
                        "-serial", "chardev:c"))
    qmp = guest.qmp
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(first))
        becomes(lambda: filename(qmp, "c").startswith("unix:"))
        qmp.command("cont")
        t.check("the guest's first byte", hears(client, b"B"))
        client.sendall(b"one")
        t.check("its echo", hears(client, b"one"))
        qmp.command("chardev-change", id="c", backend=unix_backend(second))
        t.equal("the old far end is told", client.recv(1), b"")
    t.equal("the new one has the name", filename(qmp, "c"),
            f"disconnected:unix:{second},server=on")
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(second))
        client.sendall(b"two")
        t.check("it echoes there", hears(client, b"two"))
        t.check("a failure", refusal(qmp, "chardev-change", id="c",
                                     backend=unix_backend(t.folder / "no" / "x")))
        client.sendall(b"three")
        t.check("leaves all as it is", hears(client, b"three"))
        qmp.command("chardev-change", id="c",
                    backend={"type": "file", "data": {"out": str(t.folder / "out")}})
    t.check("the old socket's file is gone", not second.exists())


def test_ringbuf(t):
    guest = t.guest("echo", "-chardev", "ringbuf,id=c,size=16", serial=(
        "-serial", "chardev:c"))
    qmp = guest.qmp
    t.check("the guest's first byte", becomes(
        lambda: qmp.command("ringbuf-read", device="c", size=10) == "B"))
    qmp.command("ringbuf-write", device="c", data="a\u20ac")
    t.equal("a character that is cut stays",
            qmp.command("ringbuf-read", device="c", size=3), "a")
    t.equal("until it is asked for as a whole",
            qmp.command("ringbuf-read", device="c", size=3), "\u20ac")
    qmp.command("ringbuf-write", device="c", data="AP8BPg==", format="base64")
    t.equal("bytes that are no text",
            qmp.command("ringbuf-read", device="c", size=2), "\ufffd\ufffd")
    t.equal("in base64", qmp.command("ringbuf-read", device="c", size=9,
                                     format="base64"), "AT4=")
    qmp.command("ringbuf-write", device="c", data="0123456789" * 3)
    t.equal("the oldest are lost", qmp.command("ringbuf-read", device="c", size=99),
            "4567890123456789")
    t.equal("then it is empty", qmp.command("ringbuf-read", device="c", size=9), "")
    for bad in ({"device": "no"}, {"device": "compat_monitor0"},
                {"device": "c", "size": 0}):
        t.check(f"{bad}: refused", refusal(qmp, "ringbuf-read", **{"size": 1, **bad}))
    t.match("no base64", refusal(qmp, "ringbuf-write", device="c", data="!!",
                                 format="base64"), "base64")
    names = [kind["name"] for kind in qmp.command("query-chardev-backends")]
    t.check("the kinds", {"socket", "ringbuf", "memory", "mux", "hub"} <= set(names)
            and "spicevmc" not in names, names)


def test_udp_and_pipe(t):
    """Two ports of a guest, each echoed to its own far end."""
    far = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    near = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    for sock in (far, near):
        sock.bind(("127.0.0.1", 0))
    near_port = near.getsockname()[1]
    near.close()
    far.settimeout(SILENCE)
    t.guest("echo", serial=(
        "-serial", f"udp:127.0.0.1:{far.getsockname()[1]}@127.0.0.1:{near_port}"))
    t.equal("the guest's first byte", far.recv(100), b"B")
    far.sendto(b"datagram", ("127.0.0.1", near_port))
    echo = b""
    while len(echo) < 8:
        echo += far.recv(100)
    t.equal("its echo", echo, b"datagram")
    far.close()

    for suffix in ("in", "out"):
        os.mkfifo(t.folder / f"pipe.{suffix}")
    t.guest("echo", serial=("-serial", f"pipe:{t.folder / 'pipe'}"))
    with open(t.folder / "pipe.out", "rb", buffering=0) as out:
        t.equal("through a pipe", out.read(1), b"B")
        with open(t.folder / "pipe.in", "wb", buffering=0) as into:
            into.write(b"p")
        t.equal("both ways", out.read(1), b"p")


def test_reader_that_stops(t):
    """More output than all buffers hold: the guest runs on, and so do clients."""
    path = t.folder / "stuck"
    for suffix in ("in", "out"):
        os.mkfifo(f"{path}.{suffix}")
    guest = t.guest("echo", "-S", "-device", "isa-debug-exit,iobase=0xf4,iosize=4",
                    cpus=1, serial=("-serial", f"pipe:{path}"))
    qmp = guest.qmp
    with open(f"{path}.out", "rb", buffering=0) as out, \
            open(f"{path}.in", "wb", buffering=0) as into:
        fcntl.fcntl(out, fcntl.F_SETPIPE_SZ, 4096)
        qmp.command("cont")
        into.write(b"F")
        t.equal("a client is served", qmp.command("query-status")["status"], "running")
        into.write(b"X")
        t.equal("the guest gets to its end", guest.wait_exit(), 15)
        os.set_blocking(out.fileno(), False)
        t.check("the pipe was full", len(out.read(1 << 20)) >= 4096)


TESTS = [test_mux, test_escape, test_commands, test_shapes_that_clients_look_for,
         test_yank_of_the_monitor, test_clients_wait_alone, test_change_under_a_guest,
         test_ringbuf, test_udp_and_pipe, test_reader_that_stops]

if __name__ == "__main__":
    sys.exit(main(TESTS, __doc__))
