#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""QMP clients over real sockets: several, hostile, slow, with descriptors."""

import contextlib
import json
import os
import pathlib
import select
import signal
import socket
import subprocess
import sys
import time

from rig import SILENCE, Guest, heard, main, private_kib, resident, wait_until
from qmp import Qmp, QmpClosed, QmpError


CYCLES = 100
POLLERS = 10
POLLS = 20
RECONNECTS = 10000
MOST_DESCRIPTORS = 253          # that the kernel takes with one message
EVENTS = 40000                  # more than 2 MiB of text, and what sockets hold
GROWN_KIB = 64                  # less than a page every 600 of them
SOON = 20                       # seconds in which others are answered
LAST_WORDS = [b'{"execute":"qmp_capabilities"}{"execute":"query-status"}',
              b'{"execute":"qmp_capabilities"}', b"",
              b'{"execute":"qmp_capabilities"}{"execute":"getfd","arguments":{"fdna']
HOSTILE_TEXT = [
    ("no JSON", b"hello"),
    ("no object", b"[]"),
    ("no command", b"{}"),
    ("a command that is no text", b'{"execute": 1}'),
    ("an unknown member", b'{"execute": "query-status", "x": 1}'),
    ("an unknown command", b'{"execute": "no-such-command"}'),
    ("unwanted arguments", b'{"execute": "query-status", "arguments": {"x": 1}}'),
    ("broken UTF-8", b'{"execute": "\xff\xfe"}'),
    ("a lone surrogate", b'{"execute": "\\ud800"}'),
    ("a control character", b'{"execute": "a\x01b"}'),
    ("deep nesting", b'{"execute": "stop", "arguments": ' + b"[" * 2000),
    ("a number too large", b'{"execute": "getfd", "arguments": {"fdname": 1e999}}'),
]


def test_several_clients(t):
    guest = t.guest("echo")
    one, two = guest.qmp, guest.new_session()
    idle = Qmp.connect(guest.qmp_path, negotiate=False)
    try:
        idle.command("query-status")
        t.check("negotiation is each session's own", False)
    except QmpError as error:
        t.equal("negotiation is each session's own", error.kind, "CommandNotFound")
    one.command("stop")
    two.wait_event("STOP")
    t.check("all see the event", one.wait_event("STOP") == {})
    one.close()
    guest._qmp = None
    status = two.command("query-status")["status"]
    t.equal("one leaves, the other stays", status, "paused")
    idle.close()
    two.close()
    t.equal("a later one is served", guest.status, "paused")


def called_out(guest):
    """How often vCPUs left the guest because berth wanted something of them."""
    results = guest.qmp.command("query-stats", target="vcpu", providers=[
        {"provider": "berth", "names": ["user_interrupted"]}])
    return [stat["value"] for result in results for stat in result["stats"]]


def test_polling_leaves_the_guest_alone(t):
    guest = t.guest("echo", "-device", "virtio-balloon-pci", cpus=2)
    heard(guest, "B")
    sessions = [guest.new_session() for _ in range(POLLERS)]
    questions = [{"execute": name} for name in (
        "query-status", "query-cpus-fast", "query-blockstats", "query-balloon",
        "query-memory-size-summary", "query-chardev")]
    questions += [{"execute": "query-stats", "arguments": {"target": target}}
                  for target in ("vm", "vcpu", "virtqueue")]
    # The first question for statistics opens those of each vCPU.
    guest.qmp.command("query-stats", target="vcpu")
    before = called_out(guest)
    for _ in range(POLLS):
        for session in sessions:
            for question in questions:
                session.send(question)
        for session in sessions:
            for question in questions:
                assert "return" in session.receive_reply()
    t.equal("vCPUs are not called out of the guest", called_out(guest), before)
    t.equal("of which there are two", len(before), 2)
    for session in sessions:
        session.close()


def test_descriptors_do_not_leak(t):
    guest = t.guest("echo")
    guest.qmp.command("query-status")
    folder = pathlib.Path(f"/proc/{guest.process.pid}/fd")
    before = len(list(folder.iterdir()))
    for _ in range(CYCLES):
        session = guest.new_session()
        session.send({"execute": "query-status"})
        session.close()
    t.check("100 sessions later", wait_until(
        lambda: len(list(folder.iterdir())) == before), len(list(folder.iterdir())))


def test_readonly(t):
    """A client that may ask and hear, and change nothing, whatever it sends along."""
    path = t.folder / "readonly"
    guest = t.guest("echo", "-qmp", f"unix:{path},server=on,wait=off,mode=0640,"
                    "readonly=on")
    reader = Qmp.connect(path, timeout=SILENCE)
    t.equal("the socket has the rights that were said", path.stat().st_mode & 0o777,
            0o640)
    t.equal("it may ask", reader.command("query-status")["status"], "running")
    folder = pathlib.Path(f"/proc/{guest.process.pid}/fd")
    before = len(list(folder.iterdir()))
    with open(t.folder / "file", "w") as file:
        for name, arguments in (("stop", {}), ("quit", {}), ("getfd", {"fdname": "a"}),
                                ("add-fd", {}), ("qom-get", {"path": "/",
                                                             "property": "type"}),
                                ("human-monitor-command", {"command-line": "quit"})):
            for fds in ([], [file.fileno()] * 4):
                try:
                    reader.command(name, fds, **arguments)
                    t.check(f"{name} is refused", False)
                except QmpError as error:
                    t.equal(f"{name} is refused", error.kind, "CommandNotFound")
        reader.command("query-version", [file.fileno()] * 4)
    t.check("descriptors that came are closed", wait_until(
        lambda: len(list(folder.iterdir())) == before), len(list(folder.iterdir())))
    guest.qmp.command("stop")
    t.equal("it hears events", reader.wait_event("STOP"), {})
    t.equal("and sees what others did", reader.command("query-status")["status"],
            "paused")
    reader.close()
    guest.qmp.command("chardev-add", id="late", backend={
        "type": "socket", "data": {"addr": {"type": "unix", "data": {
            "path": str(t.folder / "late")}}, "server": True, "wait": False,
            "mode": "600", "gid": os.getgid()}})
    t.equal("one that is added later, too",
            (t.folder / "late").stat().st_mode & 0o777, 0o600)
    for options, word in ((["-qmp", f"unix:{path}x,server=on,mode=9"], "mode"),
                          (["-qmp", f"unix:{path},mode=600"], "mode"),
                          (["-qmp", f"unix:{path}x,server=on,readonly=maybe"],
                           "readonly"),
                          (["-chardev", "null,id=n", "-mon",
                            "chardev=n,readonly=on"], "readonly")):
        done = t.run("-S", "-machine", "none", *options)
        t.check(f"{options[-1]}: refused", done.returncode == 1 and word in done.stderr,
                done.stderr)


def call(guest, cycle, file, blocking=True):
    """One who connects, says his last words, and is still there."""
    sock = socket.socket(socket.AF_UNIX)
    sock.setblocking(blocking)
    sock.connect(str(guest.qmp_path))
    words = LAST_WORDS[cycle % 4]
    if words:
        socket.send_fds(sock, [words], [file.fileno()] if cycle % 4 == 3 else [])
    return sock


def crowd(guest, file):
    """As many at once as there can be, as where the VMM has no time for one by one."""
    callers = []
    with stopped(guest.process.pid), contextlib.suppress(BlockingIOError):
        while len(callers) < RECONNECTS:
            callers.append(call(guest, len(callers), file, blocking=False))
    for sock in callers:
        sock.close()


def test_thousands_of_reconnects(t):
    """Of one client after another, as of a management daemon that crashes at its start:
    one has asked, one has negotiated, one is gone before its greeting, and one was in the
    middle of a request that comes with a descriptor."""
    guest = t.guest("idle")
    guest.qmp.command("query-status")
    folder = pathlib.Path(f"/proc/{guest.process.pid}/fd")
    before = len(list(folder.iterdir()))

    def is_quiet():
        return len(list(folder.iterdir())) == before

    with open(t.folder / "file", "wb") as file:
        crowd(guest, file)
        for cycle in range(RECONNECTS):
            call(guest, cycle, file).close()
            if cycle == RECONNECTS // 10:
                wait_until(is_quiet)
                memory = private_kib(guest)
    t.equal("the VM runs", guest.status, "running")
    t.check("no descriptor is left behind", wait_until(is_quiet),
            len(list(folder.iterdir())))
    grown = private_kib(guest) - memory
    t.check("and no memory", grown < GROWN_KIB, f"{grown} KiB more")
    guest.qmp.command("quit")
    t.equal("the VMM ends well", guest.wait_exit(), 0)


def test_passed_descriptors(t):
    guest = t.guest("echo")
    qmp = guest.qmp
    folder = pathlib.Path(f"/proc/{guest.process.pid}/fd")
    before = len(list(folder.iterdir()))
    with open(t.folder / "file", "w") as file:
        qmp.command("getfd", [file.fileno()], fdname="one")
        added = qmp.command("add-fd", [file.fileno()], opaque="text")
    sets = qmp.command("query-fdsets")
    t.equal("the set is listed", [s["fdset-id"] for s in sets], [added["fdset-id"]])
    t.equal("with its text", sets[0]["fds"][0].get("opaque"), "text")
    t.equal("the process holds both", len(list(folder.iterdir())), before + 2)
    qmp.command("closefd", fdname="one")
    qmp.command("remove-fd", fdset_id=added["fdset-id"])
    t.equal("and lets them go", len(list(folder.iterdir())), before)
    try:
        qmp.command("getfd", fdname="two")
        t.check("getfd without a descriptor is refused", False)
    except QmpError as error:
        t.equal("getfd without a descriptor is refused", error.kind, "GenericError")


def test_half_a_message_with_a_descriptor(t):
    """Of a client that hangs in its middle: others are served; the descriptor is that of
    the message, when its rest comes, or goes with the client."""
    guest = t.guest("echo")
    guest.qmp.command("query-status")
    folder = pathlib.Path(f"/proc/{guest.process.pid}/fd")
    before = len(list(folder.iterdir()))
    request = b'{"execute":"getfd","arguments":{"fdname":"half"}}\r\n'
    with open(t.folder / "file", "w") as file:
        for cut in (1, 20, len(request) - 3):
            slow, lost = guest.new_session(), guest.new_session()
            for session in (slow, lost):
                session.send_raw(request[:cut], [file.fileno()])
            t.equal(f"{cut} bytes: others are served", guest.status, "running")
            lost.close()
            slow.send_raw(request[cut:])
            t.equal(f"{cut} bytes: the rest is answered", slow.receive_reply(),
                    {"return": {}})
            t.check(f"{cut} bytes: it has the descriptor, the other's is closed",
                    wait_until(lambda: len(list(folder.iterdir())) == before + 2),
                    len(list(folder.iterdir())))
            slow.command("closefd", fdname="half")
            slow.close()
        crowd = guest.new_session()
        crowd.send_raw(b'{"exec', [file.fileno()] * MOST_DESCRIPTORS)
        t.equal("hundreds of them: others are served", guest.status, "running")
        crowd.close()
    t.check("nothing of them is kept", wait_until(
        lambda: len(list(folder.iterdir())) == before), len(list(folder.iterdir())))


def test_descriptors_of_other_kinds(t):
    guest = t.guest("echo")
    qmp = guest.qmp
    folder = pathlib.Path(f"/proc/{guest.process.pid}/fd")
    before = len(list(folder.iterdir()))
    epoll, pipe, pair = select.epoll(), os.pipe(), socket.socketpair()
    paths = [os.open(t.folder, flags) for flags in (os.O_RDONLY, os.O_PATH)]
    kinds = [("an epoll", epoll.fileno()), ("a pipe", pipe[0]),
             ("a socket", pair[0].fileno()), ("a folder", paths[0]),
             ("a path alone", paths[1]), ("the monitor's own socket", qmp.sock.fileno())]
    for what, fd in kinds:
        added = qmp.command("add-fd", [fd])["fdset-id"]
        try:
            qmp.command("blockdev-add", driver="file", node_name="n",
                        filename=f"/dev/fdset/{added}")
            t.check(f"{what} is no disk", False)
        except QmpError as error:
            t.match(f"{what} is no disk", error.text, f"/dev/fdset/{added}")
        qmp.command("remove-fd", fdset_id=added)
    for fd in (*pipe, *paths):
        os.close(fd)
    t.check("nothing of them is kept", wait_until(
        lambda: len(list(folder.iterdir())) == before), len(list(folder.iterdir())))
    t.equal("the VM is unharmed", guest.status, "running")


def test_listening_descriptor(t):
    path = t.folder / "monitor"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(1)
    number = listener.fileno()
    guest = Guest(t.vmm, t.folder, "-S", "-chardev",
                  f"socket,id=charmonitor,fd={number},server=on,wait=off",
                  "-mon", "chardev=charmonitor,id=monitor,mode=control", cpu=None)
    t.guests.append(guest)
    guest.start(pass_fds=[number])
    qmp = Qmp.connect(path)
    t.equal("a socket handed over by the parent", qmp.command("query-status")["status"],
            "prelaunch")
    qmp.close()
    qmp = Qmp.connect(path)
    t.equal("and again", qmp.command("query-status")["status"], "prelaunch")
    listener.close()


def test_client_that_came_before_the_vmm(t):
    path = t.folder / "early"
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(path))
    listener.listen(1)
    client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    client.connect(str(path))
    client.sendall(b'{"execute": "qmp_capabilities"}{"execute": "query-cpus-fast"}'
                   b'{"execute": "quit"}')
    guest = Guest(t.vmm, t.folder, "-S", "-chardev",
                  f"socket,id=c,fd={listener.fileno()},server=on,wait=off",
                  "-mon", "chardev=c,mode=control", cpu=None)
    t.guests.append(guest)
    guest.start(pass_fds=[listener.fileno()])
    client.settimeout(SILENCE)
    text = b""
    while data := client.recv(1 << 16):
        text += data
    lines = [json.loads(line) for line in text.decode().split("\r\n") if line]
    t.check("is greeted first", "QMP" in lines[0], lines)
    t.equal("what it asked early is answered when the machine is there",
            len(lines[2].get("return", [])), 2)
    t.equal("and it may end it", guest.wait_exit(SILENCE), 0)
    listener.close()


def test_hostile_client(t):
    guest = t.guest("echo")
    heard(guest, "B")
    for what, data in HOSTILE_TEXT:
        session = guest.new_session()
        session.send_raw(data + b"\r\n")
        try:
            reply = session.receive_reply(SILENCE)
            t.check(f"{what}: an error", reply.get("error", {}).get("class") is not None,
                    reply)
        except QmpClosed:
            t.check(f"{what}: the session is closed", True)
        session.close()
    reset = guest.new_session()
    reset.send_raw(b'{"execute": "query-st')
    reset.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    reset.close()
    guest.type("q")
    heard(guest, "Bq")
    t.equal("the VM is unharmed", guest.status, "running")


def test_pipelined_commands(t):
    guest = t.guest("echo")
    session = guest.new_session()
    count = 10000
    request = b'{"execute":"query-status"}\r\n' * count
    pid = os.fork()
    if pid == 0:
        session.sock.settimeout(60)
        session.sock.sendall(request)
        os._exit(0)
    replies = sum("return" in session.receive_reply(60) for _ in range(count))
    os.waitpid(pid, 0)
    t.equal("10,000 commands, 10,000 replies", replies, count)


def test_reader_that_never_reads(t):
    guest = t.guest("echo")
    heard(guest, "B")
    deaf = guest.new_session()
    deaf.sock.settimeout(0.5)
    try:
        for _ in range(2000):
            deaf.sock.sendall(b'{"execute":"query-qmp-schema"}\r\n')
    except (TimeoutError, OSError):
        pass
    began = time.monotonic()
    t.equal("another client is served", guest.status, "running")
    t.at_most("at once, seconds", time.monotonic() - began, SOON)
    t.at_most("in bounded memory, MiB", resident(guest.process.pid) >> 20, 200)
    guest.type("q")
    heard(guest, "Bq")
    t.check("the guest runs on", True)
    deaf.close()


def test_client_that_hangs(t):
    """As a daemon that is stopped or swapped out: it has asked, hears events and reads
    nothing.  They are dropped, but not those of others, and what it reads later is
    whole."""
    guest = t.guest("echo")
    heard(guest, "B")
    hung, other = guest.new_session(), guest.new_session()
    hung.command("query-status")
    other.command("query-status")
    memory = private_kib(guest)
    for _ in range(EVENTS // 200):
        other.send_raw((b'{"execute":"stop"}' + b'{"execute":"cont"}') * 100)
        for _ in range(200):
            other.receive_reply()
    t.equal("the other one hears all events", len(other.events), EVENTS)
    grown = private_kib(guest) - memory
    t.at_most("what waits for the hung one, KiB", grown, 3 << 10)
    guest.type("q")
    heard(guest, "Bq")
    t.check("the guest runs on", True)
    began = time.monotonic()
    t.equal("others are answered", guest.status, "running")
    t.at_most("at once, seconds", time.monotonic() - began, SOON)
    status = hung.command("query-status")["status"]
    t.equal("it is answered when it reads again", status, "running")
    t.check("it has heard events, not all", 1000 < len(hung.events) < EVENTS,
            len(hung.events))
    guest.qmp.command("stop")
    hung.wait_event("STOP")
    last = hung.command("query-status")["status"]
    t.equal("and goes on", last, "paused")
    guest.qmp.command("cont")


@contextlib.contextmanager
def stopped(pid):
    """As by a host that has no time for it: what is sent meanwhile is found together."""
    os.kill(pid, signal.SIGSTOP)
    stat = pathlib.Path(f"/proc/{pid}/stat")
    assert wait_until(lambda: stat.read_text().rpartition(")")[2].split()[0] == "T")
    yield
    os.kill(pid, signal.SIGCONT)


def test_requests_of_a_client_that_is_gone(t):
    """As of a libvirtd that is killed while the VMM is stopped: nobody learns what comes
    of them, so they are dropped.  As QEMU does."""
    guest = t.guest("echo")
    heard(guest, "B")
    for what, oob, last_words in (
            ("a request", [], b'{"execute":"stop"}'),
            ("several", [], b'{"execute":"query-status"}' * 40 + b'{"execute":"stop"}'),
            ("requests out of band", ["oob"],
             b'{"exec-oob":"query-yank"}{"execute":"stop"}'),
            ("an object", [], b'{"execute":"object-add","arguments":{'
                              b'"qom-type":"iothread","id":"left"}}')):
        gone = Qmp.connect(guest.qmp_path, negotiate=False)
        gone.command("qmp_capabilities", enable=oob)
        with stopped(guest.process.pid):
            gone.send_raw(last_words)
            gone.close()
        t.equal(f"{what}: dropped with its client", guest.status, "running")
        t.equal(f"{what}: nothing is left", guest.qmp.command("query-iothreads"), [])
    early = socket.socket(socket.AF_UNIX)
    early.connect(str(guest.qmp_path))
    with stopped(guest.process.pid):
        early.sendall(b'{"execute":"qmp_capabilities"}{"execute":"quit"}')
        early.close()
    t.equal("one that did not wait for the greeting", guest.status, "running")
    half = guest.new_session()
    with stopped(guest.process.pid):
        half.send_raw(b'{"execute":"query-status"}' * 40 + b'{"execute":"stop"}')
        half.sock.shutdown(socket.SHUT_WR)
    t.equal("one that still listens is answered", ["return" in half.receive_reply()
                                                   for _ in range(41)], [True] * 41)
    t.equal("and obeyed", guest.status, "paused")


def test_last_words_by_socat(t):
    guest = t.guest("echo")
    heard(guest, "B")
    done = subprocess.run(
        ["socat", "-t", str(SILENCE), "-", f"UNIX-CONNECT:{guest.qmp_path}"],
        input=b'{"execute":"qmp_capabilities"} {"execute":"quit"}', capture_output=True,
        timeout=2 * SILENCE)
    t.equal("a line by socat is answered",
            [next(key for key in ("QMP", "return", "event") if key in json.loads(line))
             for line in done.stdout.splitlines()], ["QMP", "return", "return", "event"])
    t.equal("and the VMM ends", guest.wait_exit(), 0)


def test_client_that_goes_during_its_job(t):
    guest = t.guest("echo")
    path = t.folder / "new.qcow2"
    for number in range(20):
        path.write_bytes(b"")
        one = guest.new_session()
        one.command("blockdev-add", driver="file", node_name="n", filename=str(path))
        one.send({"execute": "blockdev-create", "arguments": {
            "job-id": "job", "options": {"driver": "qcow2", "file": "n",
                                         "size": 1 << 30}}})
        one.wait_event("JOB_STATUS_CHANGE")
        one.close()

        def jobs():
            return [(job["id"], job["status"]) for job in guest.qmp.command("query-jobs")]

        if not wait_until(lambda: jobs() == [("job", "concluded")]):
            t.check(f"job {number} goes on without its client", False, jobs())
            return
        guest.qmp.command("job-dismiss", id="job")
        guest.qmp.command("blockdev-del", node_name="n")
    t.equal("each job went on without its client", guest.qmp.command("query-jobs"), [])


TESTS = [
    test_several_clients, test_polling_leaves_the_guest_alone,
    test_descriptors_do_not_leak, test_thousands_of_reconnects,
    test_passed_descriptors, test_half_a_message_with_a_descriptor,
    test_descriptors_of_other_kinds, test_readonly,
    test_listening_descriptor, test_client_that_came_before_the_vmm,
    test_hostile_client, test_pipelined_commands,
    test_reader_that_never_reads, test_client_that_hangs,
    test_requests_of_a_client_that_is_gone, test_last_words_by_socat,
    test_client_that_goes_during_its_job,
]


if __name__ == "__main__":
    sys.exit(main(TESTS, __doc__))
