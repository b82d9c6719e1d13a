#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Network backends by the whole program in its sandbox: a guest that sends every frame
back, and what is at the far end."""

import contextlib
import ctypes
import fcntl
import os
import pathlib
import re
import socket
import struct
import sys
import time

from rig import SILENCE, heard, main, wait_until

import tasks
from qmp import QmpError

DEVICE = ["-device", "virtio-net-pci,id=nic,netdev=n0"]
GUEST = bytes.fromhex("525400123456")
HOST = bytes.fromhex("020000000001")
CLONE_NEWNET = 0x40000000
ETH_P_ALL = 3
TUNSETIFF, TAP_WITH_HEADER = 0x400454ca, 0x5002
PASSED = 40                     # a descriptor that the test leaves open


def frame_of(number, size=60):
    return GUEST + HOST + b"\x08\x00" + struct.pack(">I", number) + bytes(size - 18)


def sent_back(frame):
    return frame[6:12] + frame[:6] + frame[12:]


class Far:
    """The far end of a stream of frames."""

    def __init__(self, sock):
        self.sock = sock
        self.sock.settimeout(SILENCE)

    def send(self, frame):
        self.sock.sendall(struct.pack(">I", len(frame)) + frame)

    def read(self, size):
        data = b""
        while len(data) < size:
            more = self.sock.recv(size - len(data))
            if not more:
                raise EOFError
            data += more
        return data

    def receive(self):
        return self.read(*struct.unpack(">I", self.read(4)))


def check_mirror(t, title, far, n=50):
    for i in range(n):
        far.send(frame_of(i, 60 + i * 10))
    back = [far.receive() for _ in range(n)]
    t.check(title, back == [sent_back(frame_of(i, 60 + i * 10)) for i in range(n)])


def test_stream(t):
    path = str(t.folder / "s")
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(path)
    server.listen(1)
    guest = t.guest("mirror", "-netdev",
                    f"stream,id=n0,addr.type=unix,addr.path={path},reconnect-ms=20",
                    *DEVICE)
    server.settimeout(SILENCE)
    heard(guest, "R")
    for i in range(3):
        far = Far(server.accept()[0])
        if i > 0:
            t.equal(f"connection {i} is told",
                    guest.qmp.wait_event("NETDEV_STREAM_CONNECTED"),
                    {"netdev-id": "n0", "addr": {"type": "unix", "path": path}})
        guest.qmp.command("query-status")
        check_mirror(t, f"frames come back on connection {i}", far)
        far.sock.close()
        t.equal(f"the end of connection {i} is told",
                guest.qmp.wait_event("NETDEV_STREAM_DISCONNECTED"), {"netdev-id": "n0"})
    server.close()
    guest.qmp.command("quit")
    t.equal("it ends", guest.wait_exit(), 0)


def test_server(t):
    path = str(t.folder / "s")
    guest = t.guest("mirror", "-netdev", f"stream,id=n0,server=on,addr.type=unix,"
                    f"addr.path={path}", *DEVICE)
    heard(guest, "R")
    for i in range(2):
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.connect(path)
        check_mirror(t, f"frames come back to client {i}", Far(sock))
        sock.close()
    # A length that cannot be ends the connection, and nothing else.
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.connect(path)
    sock.sendall(b"\xff" * 4096)
    sock.settimeout(SILENCE)
    try:
        data = sock.recv(1)
    except ConnectionResetError:
        data = b""
    t.equal("a hostile far end is hung up on", data, b"")
    sock.close()
    guest.qmp.command("quit")
    t.equal("it ends", guest.wait_exit(), 0)
    t.check("and its socket's file is gone", not os.path.exists(path))


def test_added_later(t):
    """What is connected and listened to while the machine runs, in the sandbox."""
    guest = t.guest(None, "-S")
    qmp, path = guest.qmp, str(t.folder / "s")
    qmp.command("netdev_add", type="stream", id="a", server=True,
                addr={"type": "unix", "path": path})
    qmp.command("netdev_add", type="stream", id="b", addr={"type": "unix", "path": path})
    ids = {qmp.wait_event("NETDEV_STREAM_CONNECTED")["netdev-id"]
           for _ in range(2)}
    t.equal("both ends are connected", ids, {"a", "b"})
    qmp.command("netdev_add", type="socket", id="c", listen="127.0.0.1:0")
    qmp.command("netdev_add", type="socket", id="d", udp="127.0.0.1:9",
                localaddr="127.0.0.1:0")
    qmp.command("netdev_add", type="socket", id="e", mcast="239.255.77.78:4321",
                localaddr="127.0.0.1")
    for name in "abcde":
        qmp.command("netdev_del", id=name)
    qmp.command("quit")
    t.equal("it ends", guest.wait_exit(), 0)


def monitor(qmp, line):
    return qmp.command("human-monitor-command", **{"command-line": line})


def test_user(t):
    """User networks, in the sandbox: what is there at the start and what comes later."""
    guest = t.guest("mirror", "-nic", "user,id=nic,ipv6=off,hostfwd=tcp:127.0.0.1:0-:22,"
                    "hostfwd=udp:127.0.0.1:0-:53")
    heard(guest, "R")
    qmp = guest.qmp
    t.match("people see it", monitor(qmp, "info network"),
            "type=user,net=10.0.2.0,restrict=off")
    rules = dict(re.findall(r"(...)\[HOST_FORWARD\] +\d+ +127.0.0.1 +(\d+)",
                            monitor(qmp, "info usernet")))
    t.equal("and its forwards", sorted(rules), ["TCP", "UDP"])
    # It is asked for its address, and sends the question back.
    caller = socket.create_connection(("127.0.0.1", int(rules["TCP"])), SILENCE)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.sendto(b"x", ("127.0.0.1", int(rules["UDP"])))
    t.check("a connection is under way",
            wait_until(lambda: "SYN_SENT" in monitor(qmp, "info usernet")))
    qmp.command("netdev_add", type="user", id="b", restrict=True,
                hostfwd=[{"str": "tcp:127.0.0.1:0-:80"}])
    t.equal("a rule is added", monitor(qmp, "hostfwd_add b udp:127.0.0.1:0-:69"), "")
    t.match("and its network has both", monitor(qmp, "info usernet").split("(b)")[1],
            "(?s)TCP.HOST_FORWARD.*UDP.HOST_FORWARD")
    qmp.command("netdev_del", id="b")
    t.match("a rule that is none", monitor(qmp, "hostfwd_add nic0 22"),
            "'tcp:' or 'udp:'")
    t.equal("a rule goes", monitor(qmp, f"hostfwd_remove udp:127.0.0.1:{rules['UDP']}"),
            f"host forwarding rule for udp:127.0.0.1:{rules['UDP']} removed\r\n")
    qmp.command("quit")
    t.equal("it ends", guest.wait_exit(), 0)
    t.equal("and the connection with it", ended(caller), True)


def ended(sock):
    with sock:
        try:
            return sock.recv(1) == b""
        except ConnectionError:
            return True


def test_user_later(t):
    """One that comes later is not loaded in the sandbox, and is where it may be."""
    guest = t.guest(None, "-S")
    try:
        guest.qmp.command("netdev_add", type="user", id="a")
        t.check("it is refused in the sandbox", False)
    except QmpError as error:
        t.match("it is refused in the sandbox", str(error), "in the sandbox")
    guest.qmp.command("quit")
    guest.wait_exit()
    guest = t.guest(None, "-S", "-sandbox", "off")
    guest.qmp.command("netdev_add", type="user", id="a")
    guest.qmp.command("netdev_del", id="a")
    guest.qmp.command("quit")
    t.equal("it ends", guest.wait_exit(), 0)


def test_limits(t):
    """1000 frames at 1000 a second, then many at a limit that goes meanwhile."""
    path = str(t.folder / "s")
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(path)
    server.listen(1)
    guest = t.guest("mirror", "-object", "net-throttle-group,id=g,tx-bps=1514000",
                    "-netdev", f"stream,id=n0,addr.type=unix,addr.path={path}",
                    *DEVICE[:-1], DEVICE[-1] + ",throttle-group=g")
    far = Far(server.accept()[0])
    heard(guest, "R")
    begin = time.monotonic()
    guest.type("1000x")
    count = sum(len(far.receive()) == 1514 for _ in range(1000))
    took = time.monotonic() - begin
    t.equal("all frames come", count, 1000)
    # All but what the bucket holds.
    t.check("not sooner than the limit lets them", took >= 0.95, took)
    check_mirror(t, "those that are sent back come, too", far)
    guest.qmp.command("qom-set", path="/objects/g", property="tx-bps", value=15140)
    begin = time.monotonic()
    guest.type("5000x")
    far.receive()
    guest.qmp.command("qom-set", path="/objects/g", property="tx-bps", value=0)
    far.read(4999 * 1518)
    took = time.monotonic() - begin
    t.check("without the limit they do not wait for it", took < 250, took)
    guest.qmp.command("quit")
    t.equal("it ends", guest.wait_exit(), 0)


def frames_in(path):
    """The frames of a file of pcap."""
    data = open(path, "rb").read()
    magic, major, minor, _, _, _, link = struct.unpack_from("<IHHiIII", data)
    assert (magic, major, minor, link) == (0xa1b2c3d4, 2, 4, 1), data[:24]
    frames, at = [], 24
    while at < len(data):
        _, _, n, _ = struct.unpack_from("<IIII", data, at)
        frames.append(data[at + 16:at + 16 + n])
        at += 16 + n
    return frames


def await_counts(qmp, wanted):
    """A frame is counted after it went, so the far end may have it before."""
    deadline = time.monotonic() + SILENCE
    while True:
        counts = {one["qom-path"]: [stat["value"] for stat in one["stats"]
                                    if stat["name"] == "packets"]
                  for one in qmp.command("query-stats", target="filter")}
        if counts == wanted or time.monotonic() > deadline:
            return counts


def test_dump(t):
    """Filters of the command line, before their backend there, and one that is added."""
    path, files = str(t.folder / "s"), [str(t.folder / name) for name in "abc"]
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(path)
    server.listen(1)
    guest = t.guest("mirror", "-object",
                    f"filter-dump,id=a,netdev=n0,queue=rx,file={files[0]}",
                    "-object", f"filter-dump,id=b,netdev=n0,queue=tx,file={files[1]}",
                    "-netdev", f"stream,id=n0,addr.type=unix,addr.path={path}", *DEVICE)
    far = Far(server.accept()[0])
    heard(guest, "R")
    check_mirror(t, "frames come back", far)
    qmp = guest.qmp
    qmp.command("object-add", id="c", netdev="n0", file=files[2], maxlen=100,
                **{"qom-type": "filter-dump"})
    check_mirror(t, "and while there is one more", far)
    counts = {f"/objects/{name}": [100] for name in "abc"}
    t.equal("they are counted", await_counts(qmp, counts), counts)
    text = qmp.command("human-monitor-command", **{"command-line": "info network"})
    t.check("and shown", "  - c: type=filter-dump,queue=all,status=on" in text, text)
    qmp.command("qom-set", path="/objects/a", property="status", value="off")
    check_mirror(t, "and while one looks away", far)
    counts = {"/objects/a": [100], "/objects/b": [150], "/objects/c": [200]}
    t.equal("those that look are counted", await_counts(qmp, counts), counts)
    for name in "abc":
        qmp.command("object-del", id=name)
    sent = [frame_of(i, 60 + i * 10) for i in range(50)]
    back = [sent_back(frame) for frame in sent]
    t.check("frames of the guest are in a file", frames_in(files[0]) == back * 2)
    t.check("and those to it", frames_in(files[1]) == sent * 3)
    t.check("and both, cut", sorted(frames_in(files[2])) ==
            sorted(frame[:100] for frame in (sent + back) * 2))
    qmp.command("quit")
    t.equal("it ends", guest.wait_exit(), 0)


@contextlib.contextmanager
def namespace():
    """What is started within has a network of its own, in which nothing speaks first."""
    libc = ctypes.CDLL(None, use_errno=True)
    with open("/proc/self/ns/net") as ours:
        if libc.unshare(CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "unshare")
        try:
            for name in ("all", "default"):
                path = pathlib.Path("/proc/sys/net/ipv6/conf", name, "disable_ipv6")
                if path.exists():
                    path.write_text("1")
            yield
        finally:
            libc.setns(ours.fileno(), CLONE_NEWNET)


def may_make_taps(t):
    if os.geteuid() == 0 and os.path.exists("/dev/net/tun"):
        return True
    t.skip("a tap", "not root, or there is no /dev/net/tun")
    return False


class Wire:
    """The host's side of a tap."""

    def __init__(self, name):
        self.sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW,
                                  socket.htons(ETH_P_ALL))
        self.sock.bind((name, ETH_P_ALL))
        self.sock.settimeout(SILENCE)

    def send(self, frame):
        self.sock.send(frame)

    def receive(self):
        """The next frame of the guest; what was sent here is heard, too."""
        while True:
            frame, (_, _, kind, _, _) = self.sock.recvfrom(1 << 16)
            if kind != socket.PACKET_OUTGOING:
                return frame


def test_tap_dump(t):
    """What is written of a tap are frames, without the header that the kernel adds."""
    if not may_make_taps(t):
        return
    files = [str(t.folder / name) for name in "ab"]
    with namespace():
        guest = t.guest("mirror", "-netdev", "tap,id=n0,ifname=vm0", *DEVICE, "-object",
                        f"filter-dump,id=a,netdev=n0,queue=rx,file={files[0]}",
                        "-object",
                        f"filter-dump,id=b,netdev=n0,queue=tx,file={files[1]}")
        heard(guest, "R")
        check_mirror(t, "frames come back", Wire("vm0"))
    counts = {f"/objects/{name}": [50] for name in "ab"}
    t.equal("they are counted", await_counts(guest.qmp, counts), counts)
    for name in "ab":
        guest.qmp.command("object-del", id=name)
    sent = [frame_of(i, 60 + i * 10) for i in range(50)]
    t.check("frames of the guest are in a file",
            frames_in(files[0]) == [sent_back(frame) for frame in sent])
    t.check("and those to it", frames_in(files[1]) == sent)
    guest.qmp.command("quit")
    t.equal("it ends", guest.wait_exit(), 0)


def refusal(qmp, command, **arguments):
    try:
        qmp.command(command, **arguments)
    except QmpError as error:
        return str(error)
    return None


def inherited(pid):
    """Descriptors that a program which is started would have."""
    texts = {info: tasks.text_of(info.parent, info.name)
             for info in pathlib.Path(f"/proc/{pid}/fdinfo").iterdir()}
    return {int(info.name) for info, text in texts.items() if text and
            not int(re.search(r"flags:\s*(\d+)", text)[1], 8) & os.O_CLOEXEC}


def test_numbers(t):
    """Descriptors that the parent left open are named by their numbers, also later."""
    if not may_make_taps(t):
        return
    with namespace(), open("/dev/net/tun", "rb+", buffering=0) as tap:
        fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", b"vm0", TAP_WITH_HEADER))
        os.dup2(tap.fileno(), PASSED)
        guest = t.guest(None, "-S", popen={"pass_fds": [PASSED]})
        os.close(PASSED)
        qmp = guest.qmp
    for number in (0, 3, 9, PASSED + 1):
        t.match(f"{number} is none", refusal(qmp, "netdev_add", type="tap", id="n0",
                                             fd=str(number)), "parent left open")
    t.match("nor is what is no number", refusal(qmp, "netdev_add", type="tap", id="n0",
                                                fd=f"{PASSED}x"), "Invalid file descr")
    t.equal("the only one is not berth's own", inherited(guest.process.pid) - {0, 1, 2},
            {PASSED})
    qmp.command("netdev_add", type="tap", id="n0", fd=str(PASSED))
    t.match("it is taken once", refusal(qmp, "netdev_add", type="tap", id="n1",
                                        fd=str(PASSED)), "parent left open")
    qmp.command("netdev_del", id="n0")
    qmp.command("quit")
    t.equal("it ends", guest.wait_exit(), 0)


TESTS = [test_stream, test_server, test_added_later, test_user, test_user_later,
         test_limits, test_dump, test_tap_dump, test_numbers]


if __name__ == "__main__":
    sys.exit(main(TESTS, __doc__))
