#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Clients of QMP that others have written: go-qemu, python's qemu.qmp, npm's node-qemu
and qemu-qmp, ganeti, socat by hand.

What they send is recorded here and replayed byte by byte, and what berth answers is read
as they read it.  Where a client's package is installed (those of npm: where NODE_PATH
says), it itself runs as well.
"""

import importlib.util
import json
import os
import pathlib
import re
import shutil
import socket
import subprocess
import sys

from rig import SILENCE, main

# Debian's golang-github-digitalocean-go-qemu-dev.
GO_PATH = pathlib.Path("/usr/share/gocode")
GO_QEMU_PACKAGE = GO_PATH / "src/github.com/digitalocean/go-qemu"
CLIENTS = pathlib.Path(__file__).resolve().parent / "clients"
DEADLINE = 120
# The longest lines that Go's bufio.Scanner and qemu.qmp's reader take.
GO_LINE = 64 * 1024
PYTHON_LINE = 10 << 20

# Sent as it is, with no end of line behind what a caller of Run() gives.
GO_QEMU = [
    b'{"execute":"qmp_capabilities"}\n',
    b'{ "execute": "query-status" }',
    b'{ "execute": "no-such-command" }',
    b'{ "execute": "query-cpus-fast" }',
    b'{ "execute": "query-block" }',
    b'{ "execute": "query-commands" }',
    b'{ "execute": "cont" }',
    b'{ "execute": "stop" }',
]
PYTHON_QMP = [
    b'{"execute": "qmp_capabilities", "arguments": {"enable": ["oob"]}}',
    b'{"execute": "query-status", "id": "__qmp#00000"}',
    b'{"execute": "no-such-command", "arguments": {}, "id": "__qmp#00001"}',
    b'{"execute": "query-qmp-schema", "arguments": {}, "id": "__qmp#00002"}',
    b'{"exec-oob": "query-yank", "arguments": {}, "id": "__qmp#00003"}',
    b'{"execute": "cont", "arguments": {}, "id": "__qmp#00004"}',
    b'{"execute": "stop", "arguments": {}, "id": "__qmp#00005"}',
]
# Without ids: answers are told from events by their members, and come in turn.
NODE_QEMU = [
    b'{"execute":"qmp_capabilities"}\r\n',
    b'{"execute":"query-status"}\r\n',
    b'{"execute":"no-such-command"}\r\n',
    b'{"execute":"human-monitor-command","arguments":{"command-line":"info status"}}\r\n',
    b'{"execute":"cont"}\r\n',
    b'{"execute":"stop"}\r\n',
]
QEMU_QMP = [request.strip() for request in NODE_QEMU]

# What a person types, and what the answer has.
BY_HAND = [
    ("{'execute': 'qmp_capabilities'}\r\n", '"return": {}'),
    ("  { \"execute\" :\n \"query-status\" }\n", '"status": "prelaunch"'),
    ("{ 'execute': 'query-name', 'id': 7 }\n", '"id": 7'),
    ("hello\n", "GenericError"),
    ("{'execute': 'query-kvm'} {'execute': 'query-version'}\n", '"package"'),
    ("{'execute': 'cont'}\n", '"event": "RESUME"'),
]

# What ganeti looks for in texts: the option that prints it, and what it has to have.
GANETI_PROBES = [
    ("--help", r"\A.*\b\d+\.\d+\.\d+\b"),
    ("--help", r"(?m)^-machine\s(.*\n\s)*"),
    ("--help", r"(?m)^-enable-kvm\s"),
    ("--help", r"(?m)^-display\s"),
    ("--help", r"(?m)^-uuid\s"),
    ("--help", r"(?m)^-qmp\s"),
    ("--help", r"(?m)^-netdev\stap.*(\n\s.*)*,fds=x:y:\.\.\.:z"),
    ("--help", r"(?m)^-netdev\stap.*(\n\s.*)*,vhost=on\|off"),
    ("--help", r"(?m)^-blockdev\s.*(\n\s.*)*,auto-read-only=on\|off"),
    ("-machine ?", r"(?m)^pc-q35\S+ .*\(default\)"),
    ("-device ?", r'(?m)^name "virtio-blk-pci"'),
    ("-device ?", r'(?m)^name "virtio-net-pci"'),
    ("-device ?", r'(?m)^name "scsi-hd"'),
]


class Lines:
    """A connection read by lines, none of which may be longer than the client takes."""

    def __init__(self, path, limit):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.connect(str(path))
        self.sock.settimeout(SILENCE)
        self.file = self.sock.makefile("rb")
        self.limit = limit

    def read(self):
        line = self.file.readline(self.limit + 1)
        assert line.endswith(b"\n"), f"a line of more than {self.limit} bytes"
        return json.loads(line)

    def read_reply(self, events):
        while True:
            message = self.read()
            if not message.get("event"):
                return message
            events.append(message["event"])

    def close(self):
        self.file.close()
        self.sock.close()


def replay(t, guest, requests, limit):
    """The replies, the first of them the greeting, and the events."""
    guest.qmp.command("query-status")
    lines = Lines(guest.qmp_path, limit)
    replies, events = [lines.read()], []
    for request in requests:
        lines.sock.sendall(request)
        replies.append(lines.read_reply(events))
    while "STOP" not in events:
        events.append(lines.read()["event"])
    lines.close()
    return replies, events


def test_go_qemu_replayed(t):
    guest = t.guest("echo", "-S")
    (greeting, *replies), events = replay(t, guest, GO_QEMU, GO_LINE)
    version = greeting["QMP"]["version"]
    t.check("the greeting", isinstance(version["qemu"]["major"], int) and
            isinstance(version["package"], str) and "oob" in
            greeting["QMP"]["capabilities"])
    t.equal("all are answered, one is refused",
            [("error" in reply) for reply in replies],
            [request == GO_QEMU[2] for request in GO_QEMU])
    t.check("with a text", "no-such-command" in replies[2]["error"]["desc"])
    t.equal("events", [e for e in events if e in ("RESUME", "STOP")], ["RESUME", "STOP"])


def test_python_qmp_replayed(t):
    guest = t.guest("echo", "-S")
    (greeting, *replies), events = replay(t, guest, PYTHON_QMP, PYTHON_LINE)
    t.equal("the greeting", (sorted(greeting), sorted(greeting["QMP"])),
            (["QMP"], ["capabilities", "version"]))
    t.equal("each answer has the id of its request",
            [reply.get("id") for reply in replies],
            [json.loads(request).get("id") for request in PYTHON_QMP])
    t.equal("an error is whole", sorted(replies[2]["error"]), ["class", "desc"])
    t.equal("one alone is refused", sum("error" in reply for reply in replies), 1)
    t.check("the schema in one line", len(replies[3]["return"]) > 100)
    t.equal("events", [e for e in events if e in ("RESUME", "STOP")], ["RESUME", "STOP"])


def test_npm_replayed(t):
    for requests in (NODE_QEMU, QEMU_QMP):
        guest = t.guest("echo", "-S")
        (_, *replies), events = replay(t, guest, requests, PYTHON_LINE)
        t.equal("no reply is without its member", [sorted(reply) for reply in replies],
                [["error" if request == requests[2] else "return"]
                 for request in requests])
        t.match("text of the other monitor", replies[3]["return"], "^VM status: ")
        t.equal("events", [e for e in events if e in ("RESUME", "STOP")],
                ["RESUME", "STOP"])


def test_go_qemu(t):
    program = t.folder / "client"
    subprocess.run(["go", "build", "-o", str(program), str(CLIENTS / "go-qemu.go")],
                   check=True, timeout=DEADLINE,
                   env={**os.environ, "GO111MODULE": "off", "GOPATH": str(GO_PATH),
                        "GOCACHE": str(t.folder / "cache")})
    guest = t.guest("echo", "-S")
    guest.qmp.command("query-status")
    done = subprocess.run([str(program), str(guest.qmp_path)], stdout=subprocess.PIPE,
                          text=True, timeout=DEADLINE)
    t.match("it asks", done.stdout, r'status: .*"prelaunch"')
    t.match("it is told what is wrong", done.stdout, "error: .*no-such-command")
    t.match("it gets events", done.stdout, "event: RESUME\ndone")


def run_client(t, *words):
    guest = t.guest("echo", "-S")
    guest.qmp.command("query-status")
    done = subprocess.run([*words, str(guest.qmp_path)], stdout=subprocess.PIPE,
                          text=True, timeout=DEADLINE)
    t.match("it asks", done.stdout, "status: prelaunch")
    t.match("it is told what is wrong", done.stdout, "error: .*no-such-command")
    t.match("it gets events", done.stdout, "event: RESUME\ndone")


def test_python_qmp(t):
    run_client(t, sys.executable, str(CLIENTS / "python_qmp.py"))


def test_node_qemu(t):
    run_client(t, "node", str(CLIENTS / "node_qemu.js"))


def test_qemu_qmp(t):
    run_client(t, "node", str(CLIENTS / "qemu_qmp.js"))


def test_socat_by_hand(t):
    guest = t.guest("echo", "-S")
    guest.qmp.command("query-status")
    with subprocess.Popen(["socat", "-", f"UNIX-CONNECT:{guest.qmp_path}"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                          text=True) as socat:
        t.match("the greeting comes first", socat.stdout.readline(), '^{"QMP": ')
        for typed, wanted in BY_HAND:
            socat.stdin.write(typed)
            socat.stdin.flush()
            line = ""
            while wanted not in line:
                line = socat.stdout.readline()
                assert line, f"socat ended before {wanted}"
            t.check(f"{typed.strip()!r} is answered", True)
        # Typed and gone: what was asked for is done.
        socat.stdin.write("{'execute': 'quit'}\n")
        socat.stdin.close()
        t.equal("the machine ends", guest.process.wait(SILENCE), 0)


class Ganeti:
    """A QMP client that ends no request by a newline and looks for CR LF, and hands
    descriptors over with a blank before the command."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(SILENCE)
        self.sock.connect(str(path))
        self.data = b""
        assert "QMP" in self.receive()
        self.execute("qmp_capabilities")

    def receive(self):
        while b"\r\n" not in self.data:
            piece = self.sock.recv(4096)
            assert piece, "the session ended"
            self.data += piece
        message, _, self.data = self.data.partition(b"\r\n")
        return json.loads(message)

    def execute(self, command, **arguments):
        request = {"execute": command, "arguments": arguments}
        self.sock.sendall(json.dumps(request).encode())
        while "event" in (reply := self.receive()):
            pass
        return reply["return"]

    def hand_over(self, fd):
        socket.send_fds(self.sock, [b" "], [fd])


def told(path, line):
    """What `echo LINE | socat STDIO UNIX-CONNECT:path` prints."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(SILENCE)
        sock.connect(str(path))
        sock.sendall(line.encode() + b"\n")
        sock.shutdown(socket.SHUT_WR)
        data = b""
        while piece := sock.recv(4096):
            data += piece
    return data.decode()


def test_ganeti_probes(t):
    for words in dict(GANETI_PROBES):
        text = t.run(*words.split()).stdout
        for option, wanted in GANETI_PROBES:
            if option == words:
                t.match(f"{words} has {wanted}", text, wanted)


def test_ganeti(t):
    """Looks at a machine and gives it a disk, as ganeti 3.0 does: the file over one
    monitor, the drive by the other, whose text it reads."""
    human, disk = t.folder / "human", t.folder / "disk"
    disk.write_bytes(bytes(1 << 20))
    guest = t.guest("echo", "-S", "-usb", "-monitor", f"unix:{human},server,nowait",
                    "-device", "virtio-balloon", "-device", "pcie-pci-bridge,id=pci.0")
    guest.qmp.command("query-status")
    t.equal("vCPUs", len(re.findall(r"(?i)cpu\s+\#\d+.*thread_id\s*=\s*\d+",
                                    told(human, "info cpus"))), 2)
    t.match("the version", told(human, "info version"), r"(?m)^QEMU \d+\.\d+.*monitor")
    client = Ganeti(guest.qmp_path)
    names = {command["name"] for command in client.execute("query-commands")}
    t.equal("commands", names & {"add-fd", "getfd", "blockdev-add", "netdev_add"},
            {"add-fd", "getfd", "blockdev-add", "netdev_add"})
    with open(disk, "r+b") as file:
        client.hand_over(file.fileno())
        fdset = client.execute("add-fd")["fdset-id"]
    drive = (f"file=/dev/fdset/{fdset},if=none,id=disk-1,format=raw,auto-read-only=off,"
             "aio=threads")
    t.match("drive_add", told(human, f"drive_add dummy {drive}"), "OK")
    client.execute("remove-fd", **{"fdset-id": fdset})
    client.execute("device_add", driver="virtio-blk-pci", id="disk-1", bus="pci.0",
                   addr="0xc", drive="disk-1")
    t.equal("it finds the disk", [block["device"] for block in
                                  client.execute("query-block")], ["disk-1"])
    t.check("and devices by their ids", all("qdev_id" in device for device in
                                            client.execute("query-pci")[0]["devices"]))
    client.execute("device_del", id="disk-1")
    told(human, "drive_del disk-1")
    t.equal("it is gone", client.execute("query-block"), [])
    client.execute("cont")
    told(human, "balloon 100")
    told(human, "system_powerdown")
    t.equal("it runs", guest.status, "running")


def has_npm(package):
    return os.environ.get("NODE_PATH") and shutil.which("node") and not subprocess.run(
        ["node", "-e", f"require.resolve('{package}')"], stderr=subprocess.DEVNULL,
        timeout=DEADLINE).returncode


TESTS = [test_go_qemu_replayed, test_python_qmp_replayed, test_npm_replayed,
         test_socat_by_hand, test_ganeti_probes, test_ganeti]
if shutil.which("go") and GO_QEMU_PACKAGE.exists():
    TESTS.append(test_go_qemu)
if importlib.util.find_spec("qemu") and importlib.util.find_spec("qemu.qmp"):
    TESTS.append(test_python_qmp)
if has_npm("node-qemu"):
    TESTS.append(test_node_qemu)
if has_npm("qemu-qmp"):
    TESTS.append(test_qemu_qmp)

if __name__ == "__main__":
    sys.exit(main(TESTS, __doc__))
