#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""berthctl against machines that run, hang, have ended, and what is none."""

import contextlib
import fcntl
import json
import os
import pathlib
import pty
import pwd
import re
import resource
import select
import signal
import socket
import struct
import subprocess
import sys
import termios
import threading
import time

from rig import SILENCE, heard, main, wait_until

DEADLINE = 60
MANY = 1200


class Ctl:
    """berthctl beside the VMM, with a folder of its own."""

    def __init__(self, t):
        self.path = pathlib.Path(t.vmm).with_name("berthctl")
        self.folder = t.folder / "run"
        self.folder.mkdir()

    def argv(self, *args):
        return [str(self.path), "-d", str(self.folder), *map(str, args)]

    def run(self, *args, **options):
        return subprocess.run(self.argv(*args), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=DEADLINE, **options)

    def start(self, *args, **options):
        return subprocess.Popen(self.argv(*args), stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, text=True, **options)

    def socket_of(self, name):
        return self.folder / f"{name}.qmp"

    def machine(self, t, name, *args, image=None, **options):
        guest = t.guest(image, *args, "-qmp",
                        f"unix:{self.socket_of(name)},server=on,wait=off", **options)
        guest.qmp.command("query-status")
        return guest


def fails(t, what, done, *words):
    t.check(f"{what}: it fails", done.returncode != 0, done.stdout)
    for word in words:
        t.check(f"{what}: it says {word}", word in done.stderr, done.stderr)
    t.check(f"{what}: in one line", done.stderr.count("\n") == 1, done.stderr)


def test_errors_say_what_to_do(t):
    ctl = Ctl(t)
    ctl.machine(t, "one", "-S")
    stale = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    stale.bind(str(ctl.socket_of("stale")))
    stale.close()
    talker = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    talker.bind(str(ctl.socket_of("talker")))
    talker.listen(1)

    (ctl.folder / "file.qmp").touch()
    fails(t, "no command", ctl.run("no-such"), "no-such", "-h")
    fails(t, "a file that is no socket", ctl.run("status", "file"), "is no socket")
    fails(t, "half a request", ctl.run("qmp", "one", '{"execute'), "JSON")
    fails(t, "a request of more", ctl.run("qmp", "one", '{"execute": "stop", "id": 1}'),
          "expected COMMAND")
    fails(t, "no machine", ctl.run("status", "none"), "none", "list")
    fails(t, "one that has ended", ctl.run("status", "stale"), "ended")
    fails(t, "a long path", ctl.run("status", "/" + "x" * 200), "too long")
    fails(t, "one argument less", ctl.run("status"), "usage", "VM")
    fails(t, "no folder", ctl.run("-d", t.folder / "no", "list"), "BERTH_RUN_DIR")
    fails(t, "no size", ctl.run("balloon", "one", "5X"), "5X", "size")
    fails(t, "no balloon", ctl.run("balloon", "one"), "one")
    fails(t, "no pair", ctl.run("qmp", "one", "stop", "now"), "key=value")
    fails(t, "arguments of none", ctl.run("qmp", "one", "stop", "a=1"), "takes no")
    fails(t, "no QMP command", ctl.run("qmp", "one", "no-such"), "no-such")
    fails(t, "a wrong argument", ctl.run("qmp", "one", "balloon", "value=x"), "value")
    fails(t, "no driver", ctl.run("plug", "one", "no-such,id=x"), "no-such")
    fails(t, "no device", ctl.run("unplug", "one", "no-such"), "no-such")
    fails(t, "no console", ctl.run("console", "one"), "-serial pty")
    done = ctl.run("-t", "x", "list")
    t.equal("a wrong option", done.returncode, 2)
    began = ctl.start("status", "talker")
    client, _ = talker.accept()
    client.sendall(b"220 mail\r\n")
    _, text = began.communicate(timeout=DEADLINE)
    t.match("what does not speak QMP", text, "does not speak QMP")
    client.close()
    talker.close()
    fails(t, "a word that is nearly one", ctl.run("stauts", "one"), "'status'?")
    fails(t, "no number", ctl.run("-n", "3x", "top"), "3x")


def test_help_and_exit_status(t):
    ctl = Ctl(t)
    text = ctl.run("--help").stdout
    names = re.findall(r"(?m)^  ([a-z]+)\b", text)
    t.check("the help lists commands", len(names) == 10 and "unplug" in names, text)
    for name in names:
        done = ctl.run(name, "--help")
        t.check(f"help of {name}", done.returncode == 0 and
                done.stdout.startswith(f"usage: berthctl [OPTIONS] {name}"), done.stdout)
    t.match("which has its options", ctl.run("-h", "unplug").stdout, r"(?m)^  -f ")
    t.match("the version", ctl.run("--version").stdout, r"^berthctl \d")
    for what, status, *words in (
            ("nothing", 2), ("no command", 2, "none"), ("no such option", 2, "-x"),
            ("too much", 2, "list", "more"), ("too little", 2, "qmp", "vm"),
            ("no time", 2, "-w", "soon", "shutdown", "vm"),
            ("no machine", 1, "status", "x")):
        done = ctl.run(*words)
        t.equal(f"{what}: its status", done.returncode, status)
        t.check(f"{what}: nothing on standard output", not done.stdout, done.stdout)


def test_list_and_top(t):
    ctl = Ctl(t)
    disk = t.folder / "disk.raw"
    disk.write_bytes(bytes(1 << 20))
    one = ctl.machine(t, "one", "-device", "virtio-balloon-pci", "-drive",
                      f"file={disk},format=raw,if=virtio", image="echo", cpus=2)
    heard(one, "B")
    two = ctl.machine(t, "two", "-S")
    (ctl.folder / "console.sock").write_text("not looked at")

    rows = [line.split() for line in ctl.run("list").stdout.splitlines()]
    t.equal("each has a row", [row[:5] for row in rows[1:]],
            [["one", "running", str(one.process.pid), "2", "128M"],
             ["two", "prelaunch", str(two.process.pid), "2", "128M"]])

    os.kill(two.process.pid, signal.SIGSTOP)
    began = time.monotonic()
    done = ctl.run("list")
    took = time.monotonic() - began
    lines = done.stdout.splitlines()
    t.match("others have theirs beside one that hangs", lines[1], r"^one +running")
    t.match("which has one that says so", lines[2], r"^two +- .*in time")
    t.at_most("and no more time than it may", took, 20)
    fails(t, "asked for alone", ctl.run("-t", "0.2", "status", "two"), "in time", "-t")
    top = ctl.run("-t", "0.5", "-i", "0.2", "-n", "3", "top").stdout
    t.equal("top goes on beside it", len([line for line in top.splitlines()
                                          if line.startswith("one ")]), 3)
    os.kill(two.process.pid, signal.SIGCONT)

    def fields_of_last():
        out = ctl.run("-i", "0.2", "-n", "3", "top", "one").stdout
        return out.splitlines()[-1].split()

    fields = []

    def has_rates():
        fields[:] = fields_of_last()
        return len(fields) == 12 and "-" not in fields

    # A machine that the host lets wait may miss a round.
    t.check("rates are there", wait_until(has_rates), fields)
    t.equal("memory and balloon", fields[6:8], ["128M", "128M"])
    status = ctl.run("status", ctl.socket_of("one")).stdout
    t.match("status by a path", status, r"(?m)^state +running$")
    t.match("its disks", status, str(disk))


def picture(ctl, columns, lines, *args):
    """The last one that top draws on a terminal of this size."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("4H", lines, columns, 0, 0))
    top = subprocess.Popen(ctl.argv("-i", "0.2", "-n", "2", *args, "top"), stdout=theirs)
    os.close(theirs)
    text = b""
    try:
        while data := os.read(ours, 4096):
            text += data
    except OSError:                     # what a terminal has for an end
        pass
    os.close(ours)
    assert top.wait(DEADLINE) == 0
    return text.decode().rpartition("\033[2J")[2].splitlines()


def test_top_fits_its_terminal(t):
    ctl = Ctl(t)
    ctl.machine(t, "one", "-S")
    ctl.machine(t, "one-whose-name-is-longer-than-others", "-S")
    ended = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    ended.bind(str(ctl.socket_of("ended")))
    ended.close()
    for columns in (20, 40, 60, 80, 101, 120, 200):
        lines = picture(ctl, columns, 24)
        t.at_most(f"{columns} columns: none is longer", max(map(len, lines)), columns)
        t.match(f"{columns} columns: the most wanted are there", lines[0], "^NAME.* CPU%")
        t.equal(f"{columns} columns: all have a line", len(lines), 4)
        t.match(f"{columns} columns: one says that it ended", lines[3], r"^ended +machi")
    t.equal("80 columns", picture(ctl, 80, 24)[0].split(),
            "NAME STATE CPU% RSS RAM READ/s WRITE/s RX/s TX/s".split())
    t.equal("200 columns", picture(ctl, 200, 24)[0].split(),
            "NAME STATE VCPUS VCPU% CPU% RSS RAM LEFT READ/s WRITE/s RX/s TX/s".split())
    t.match("the column it is in order of stays", picture(ctl, 40, 24, "-s", "left")[0],
            "LEFT")
    t.match("a long name has room there", picture(ctl, 200, 24)[2], "longer-than-others ")
    t.equal("4 lines", picture(ctl, 80, 4)[2:], ["and 2 more"])
    t.equal("5 lines", len(picture(ctl, 80, 5)), 4)


def test_top_is_in_order(t):
    ctl = Ctl(t)
    small = ctl.machine(t, "small", image="clock", cpus=1, memory=64)
    ctl.machine(t, "large", "-S", memory=256)
    ctl.machine(t, "middle", "-S", memory=128)

    def names(*args):
        out = ctl.run("-i", "0.3", "-n", "2", *args, "top").stdout.splitlines()
        return [line.split()[0] for line in out[-3:]]

    t.check("who uses the processors comes first", wait_until(
        lambda: names() == ["small", "large", "middle"]), names())
    for column, order in (("ram", ["large", "middle", "small"]),
                          ("name", ["large", "middle", "small"]),
                          ("state", ["large", "middle", "small"]),
                          ("vcpus", ["large", "middle", "small"])):
        t.check(f"by {column}", wait_until(lambda: names("-s", column) == order),
                names("-s", column))
    t.check("by a rate", wait_until(
        lambda: names("-s", "vcpu")[0] == "small"), names("-s", "vcpu"))
    fails(t, "by no column", ctl.run("-s", "cpus", "top"), "'cpus'", "rss", "'vcpus'?")
    t.equal("the machine goes on", small.status, "running")


def test_thousands_of_sockets(t):
    """More than a shell's limit of descriptors has room for; and a folder of others."""
    ctl = Ctl(t)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < MANY + 100:
        t.skip("many machines", "the hard limit of descriptors is too low")
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (MANY + 100, hard))
    listeners = []
    for i in range(MANY):
        listeners.append(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        listeners[-1].bind(str(ctl.socket_of(f"m{i}")))
        listeners[-1].listen(1)
    out = ctl.run("-t", "0.2", "list", preexec_fn=lambda: resource.setrlimit(
        resource.RLIMIT_NOFILE, (256, hard))).stdout
    t.equal("each is waited for", len(re.findall(r"(?m)^m\d+ .* in time", out)), MANY)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    for listener in listeners:
        listener.close()
    out = ctl.run("list").stdout
    t.equal("each has ended", out.count("has ended"), MANY)
    if os.geteuid() != 0:
        t.skip("a folder of others", "needs root")
        return
    os.chmod(ctl.folder, 0o700)
    user = pwd.getpwnam("nobody")
    done = subprocess.run(ctl.argv("list"), stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=DEADLINE,
                          user=user.pw_uid, group=user.pw_gid, extra_groups=())
    fails(t, "a folder of others", done, "you may not", "root")


def test_qmp_and_events(t):
    ctl = Ctl(t)
    guest = ctl.machine(t, "one", "-S")
    t.equal("an answer", json.loads(ctl.run("qmp", "one", "query-status").stdout),
            {"running": False, "status": "prelaunch"})
    ctl.run("qmp", "one", "object-add", "qom-type=iothread", "id=io", "poll-max-ns=7")
    threads = guest.qmp.command("query-iothreads")
    t.equal("words have the schema's types", [(i["id"], i["poll-max-ns"])
                                             for i in threads], [("io", 7)])
    ctl.run("qmp", "one", "chardev-add",
            '{"id": "c", "backend": {"type": "null", "data": {}}}')
    t.check("JSON", "c" in [c["label"] for c in guest.qmp.command("query-chardev")])
    ctl.run("qmp", "one", "blockdev-add", "driver=null-co", "node-name=n", "size=1M")
    t.equal("a whole request", json.loads(ctl.run(
        "qmp", "one", '{"execute": "query-name", "arguments": {}}').stdout), {})
    node, = guest.qmp.command("query-named-block-nodes")
    t.equal("sizes", node["image"]["virtual-size"], 1 << 20)

    watch = ctl.start("events", "one", "STOP")
    t.check("the watch is there", wait_until(lambda: len(
        [s for s in guest.qmp.command("query-stats", target="monitor")]) > 0 and
        sum(v["value"] for s in guest.qmp.command("query-stats", target="monitor")
            for v in s["stats"] if v["name"] == "clients"
            and "compat_monitor1" in s["qom-path"]) >= 5))
    guest.qmp.command("query-status")
    seen = ""
    while "STOP" not in seen:
        guest.qmp.command("cont")
        guest.qmp.command("stop")
        if select.select([watch.stdout], [], [], 0.2)[0]:
            seen = watch.stdout.readline()
    t.equal("an event", json.loads(seen)["event"], "STOP")
    guest.qmp.command("quit")
    rest, _ = watch.communicate(timeout=DEADLINE)
    t.check("only those that are wanted", "SHUTDOWN" not in rest, rest)
    t.equal("the end", watch.returncode, 0)


def test_plug_and_unplug(t):
    ctl = Ctl(t)
    guest = ctl.machine(t, "one", "-device", "pcie-root-port,id=port,chassis=1",
                        image="echo")
    heard(guest, "B")
    done = ctl.run("plug", "one", "virtio-rng-pci,id=rng,bus=port,max-bytes=1k")
    t.equal("plugged", (done.returncode, done.stderr), (0, ""))
    t.check("it is there", "rng" in [item["name"] for item in guest.qmp.command(
        "qom-list", path="/machine/peripheral")])
    fails(t, "a guest that does not answer",
          ctl.run("-w", "0.2", "unplug", "one", "rng"), "rng", "-f")
    t.equal("without asking it", ctl.run("-f", "unplug", "one", "rng").returncode, 0)
    t.check("it is gone", "rng" not in [item["name"] for item in guest.qmp.command(
        "qom-list", path="/machine/peripheral")])


def test_console(t):
    ctl = Ctl(t)
    serial = t.folder / "serial"
    guest = ctl.machine(t, "one", image="echo", serial=(
        "-serial", f"unix:{serial},server=on,wait=off"))
    ours, theirs = pty.openpty()
    console = subprocess.Popen(ctl.argv("console", "one"), stdin=theirs, stdout=theirs,
                               stderr=theirs)
    os.close(theirs)
    seen = b""
    while b"Ctrl-]" not in seen:
        seen += os.read(ours, 4096)
    os.write(ours, b"hello")
    while b"hello" not in seen:
        seen += os.read(ours, 4096)
    t.check("keys go there and back", True)
    os.write(ours, b"\x1d")
    t.equal("the escape ends it", console.wait(DEADLINE), 0)
    os.close(ours)
    t.equal("the machine goes on", guest.status, "running")
    fails(t, "another chardev", ctl.run("console", "one", "nothing"), "nothing")


def hear(*numbers):
    """What runs the tests may ignore these, as nohup does; what it starts would, too."""
    for number in numbers:
        signal.signal(number, signal.SIG_DFL)


def fill(terminal):
    """Types until a port, a socket, berthctl and the terminal are full."""
    os.set_blocking(terminal, False)
    while select.select([], [terminal], [], 0.5)[1]:
        with contextlib.suppress(BlockingIOError):
            os.write(terminal, b"x" * 1024)
    os.set_blocking(terminal, True)


def test_console_gives_the_terminal_back(t):
    ctl = Ctl(t)
    serial = t.folder / "serial"
    guest = ctl.machine(t, "one", image="echo", serial=(
        "-serial", f"unix:{serial},server=on,wait=off"))
    ours, theirs = pty.openpty()
    before = termios.tcgetattr(theirs)

    ending = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT,
              signal.SIGUSR2)

    def console(before_it=lambda: hear(*ending)):
        process = subprocess.Popen(ctl.argv("console", "one"), stdin=theirs,
                                   stdout=theirs, stderr=theirs, preexec_fn=before_it)
        seen = b""
        while b"Ctrl-]" not in seen:
            seen += os.read(ours, 4096)
        t.check("it is raw", wait_until(lambda: termios.tcgetattr(theirs) != before))
        return process

    for number in ending:
        process = console()
        process.send_signal(number)
        t.equal(f"{number.name} ends it", process.wait(DEADLINE), -number)
        t.equal(f"{number.name}: the terminal is what it was", termios.tcgetattr(theirs),
                before)
    process = console(lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN))
    process.send_signal(signal.SIGHUP)
    os.write(ours, b"\x1d")
    t.equal("one that is ignored stays so", process.wait(DEADLINE), 0)
    guest.qmp.command("stop")
    process = console()
    fill(ours)
    os.write(ours, b"\x1d")
    t.equal("the escape of one that waits for the far end", process.wait(DEADLINE), 0)
    process = console()
    fill(ours)
    process.send_signal(signal.SIGTERM)
    t.equal("one that waits for the far end", process.wait(DEADLINE), -signal.SIGTERM)
    t.equal("gives it back, too", termios.tcgetattr(theirs), before)
    process = console()
    guest.process.kill()
    t.equal("the far end's end is its end", process.wait(DEADLINE), 0)
    t.equal("and gives it back", termios.tcgetattr(theirs), before)
    os.close(ours)
    os.close(theirs)


def test_shutdown(t):
    ctl = Ctl(t)
    guest = ctl.machine(t, "one", image="echo")
    heard(guest, "B")
    fails(t, "a guest that does not listen", ctl.run("-w", "0.2", "shutdown", "one"),
          "-f", "-w")
    t.equal("the machine goes on", guest.status, "running")
    t.equal("by force", ctl.run("-w", "0.2", "-f", "shutdown", "one").returncode, 0)
    # A start after it finds no process of the old one.
    t.equal("it has ended by then", guest.process.poll(), 0)


def test_balloon(t):
    ctl = Ctl(t)
    guest = ctl.machine(t, "one", "-S", "-device", "virtio-balloon-pci")
    t.equal("what it leaves", ctl.run("balloon", "one").stdout, f"{128 << 20}\n")
    fails(t, "a guest without a driver",
          ctl.run("-w", "0.2", "balloon", "one", "64M"), "guest", "-w")
    t.equal("all of it", ctl.run("balloon", "one", "128M").stdout, f"{128 << 20}\n")
    for size in ("4G", f"{(128 << 20) - 1}"):
        done = ctl.run("-w", "1", "balloon", "one", size)
        t.equal(f"{size}: what comes to the same", (done.returncode, done.stdout),
                (0, f"{128 << 20}\n"))
    t.equal("the machine is what it was", guest.status, "prelaunch")


class Foe(threading.Thread):
    """What listens at a machine's socket and answers as it likes, by command."""

    def __init__(self, path, answers):
        super().__init__(daemon=True)
        self.answers = answers
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(str(path))
        self.listener.listen(8)
        self.start()

    def run(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                with client, contextlib.suppress(OSError):
                    self.serve(client)

    def serve(self, client):
        client.sendall(b'{"QMP": {}}\r\n')
        with client.makefile("r") as lines:
            for line in lines:
                name = json.loads(line)["execute"]
                for answer in self.answers.get(name, [{"return": {}}]):
                    client.sendall(json.dumps(answer).encode() + b"\r\n")

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.join()


def test_a_file_goes_to_the_console_whole(t):
    """However long the machine takes nothing of it."""
    ctl = Ctl(t)
    place = t.folder / "serial"
    source = t.folder / "source"
    source.write_bytes(bytes(i % 251 + (i % 251 >= 0x1d) for i in range(1 << 20)))
    foe = Foe(ctl.socket_of("one"), {"query-chardev": [{"return": [
        {"label": "s", "filename": f"unix:{place},server=on"}]}]})
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as listener:
        listener.bind(str(place))
        listener.listen(1)
        with open(source, "rb") as keys:
            console = subprocess.Popen(ctl.argv("console", "one"), stdin=keys,
                                       stdout=subprocess.DEVNULL,
                                       stderr=subprocess.DEVNULL)
        far, _ = listener.accept()
    time.sleep(1.2)
    text = b""
    far.settimeout(DEADLINE)
    while len(text) < source.stat().st_size:
        text += far.recv(65536)
    t.check("all of it came", text == source.read_bytes(), len(text))
    far.close()
    t.equal("the far end's end is its end", console.wait(DEADLINE), 0)
    foe.close()


EVIL = "\x1b]0;owned\x07\x9b2J\r\n\x7f"
# As it may be shown.
TAME = "\\u001B]0;owned\\u0007\\u009B2J\\u000D\\u000A\\u007F"


def test_a_machine_commands_no_terminal(t):
    """Whatever a machine, an image's name or a socket's says: the terminal is the
    operator's."""
    ctl = Ctl(t)
    events = [{"event": "DEVICE_UNPLUG_GUEST_ERROR", "data": {"device": "disk"}}]
    foe = Foe(ctl.socket_of("evil\x1b[2J"), {
        "query-status": [{"return": {"running": True, "status": EVIL}}],
        "query-block": [{"return": [{"device": EVIL, "inserted": {"file": EVIL}}]}],
        "query-chardev": [{"return": [{"label": EVIL, "filename": "pty:/none" + EVIL}]}],
        "device_del": [{"return": {}}, *events],
        "x-query-unplug": [{"return": [{"device": "disk", "reason": EVIL}]}],
        "stop": [{"error": {"class": "GenericError", "desc": EVIL}}],
        "query-name": [{"return": {"name": EVIL}}],
    })
    name = "evil\x1b[2J"
    for what, shown, words in (
            ("list", TAME[:16], ["list"]), ("top", TAME[:10], ["-n", "1", "top"]),
            ("status", TAME, ["status", name]), ("a console", TAME, ["console", name]),
            ("an error", TAME, ["qmp", name, "stop"]),
            ("a reason", TAME, ["unplug", name, "disk"]),
            ("JSON", "\\u009B", ["qmp", name, "query-name"])):
        done = ctl.run(*words)
        text = done.stdout + done.stderr
        t.check(f"{what}: no control characters", not re.search(
            "[\x00-\x09\x0b-\x1f\x7f-\x9f]", text), repr(text))
        t.check(f"{what}: it is told", shown in text, repr(text))
    foe.close()


def test_answers_of_other_types(t):
    """Whoever answers nonsense is none, and the others are shown."""
    ctl = Ctl(t)
    foes = [Foe(ctl.socket_of(f"foe{i}"), dict.fromkeys((
        "query-status", "query-cpus-fast", "query-blockstats", "query-stats",
        "query-block", "query-chardev", "query-memory-size-summary", "query-balloon",
        "x-query-unplug"), [{"return": value}]) | {"device_del": [
            {"return": {}}, {"event": value, "data": value},
            {"event": "DEVICE_UNPLUG_GUEST_ERROR", "data": {"device": "d"}}]})
            for i, value in enumerate(({"a": 1}, [1, [{}], None], 7, "x", None, True))]
    ctl.machine(t, "good", "-S")
    for words in (["list"], ["-n", "1", "top"]):
        done = ctl.run(*words)
        t.equal(f"{words[-1]}: it ends well", done.returncode, 0)
        t.match(f"{words[-1]}: the good one is there", done.stdout,
                "(?m)^good +prelaunch")
        t.equal(f"{words[-1]}: the others, too", done.stdout.count("\nfoe"), len(foes))
    for i in range(len(foes)):
        for words in (["status"], ["console"], ["balloon"], ["unplug", "d"],
                      ["qmp", "query-status"]):
            done = ctl.run("-w", "1", words[0], f"foe{i}", *words[1:])
            t.check(f"{words[0]} of {i}", done.returncode in (0, 1), done)
    for foe in foes:
        foe.close()


def test_unplug_of_what_the_guest_keeps(t):
    """Of vCPUs and memory the guest's word is ACPI_DEVICE_OST, as with QEMU."""
    ctl = Ctl(t)

    def told(device, source, status):
        return {"event": "ACPI_DEVICE_OST", "data": {"info": {
            "device": device, "slot": "0", "slot-type": "DIMM", "source": source,
            "status": status}}}

    foe = Foe(ctl.socket_of("one"), {
        "device_del": [{"return": {}}, told("other", 3, 1), told("dimm0", 1, 1),
                       told("dimm0", 3, 132), told("dimm0", 3, 0), told("dimm0", 3, 130)],
        "x-query-unplug": [{"return": [{"device": "other", "reason": "no"},
                                       {"device": "dimm0", "reason": "it is busy"}]}]})
    fails(t, "kept", ctl.run("unplug", "one", "dimm0"), "guest keeps 'dimm0'",
          "it is busy")
    foe.close()
    os.unlink(ctl.socket_of("one"))
    foe = Foe(ctl.socket_of("one"), {"device_del": [{"return": {}}, {
        "event": "DEVICE_DELETED", "data": {"path": "/machine/peripheral/x"}}]})
    t.equal("by its path", ctl.run("-w", "1", "unplug", "one",
                                   "/machine/peripheral/x").returncode, 0)
    foe.close()


TESTS = [test_errors_say_what_to_do, test_help_and_exit_status, test_list_and_top,
         test_top_fits_its_terminal, test_top_is_in_order, test_thousands_of_sockets,
         test_qmp_and_events, test_plug_and_unplug, test_console,
         test_a_file_goes_to_the_console_whole,
         test_console_gives_the_terminal_back, test_shutdown, test_balloon,
         test_a_machine_commands_no_terminal, test_answers_of_other_types,
         test_unplug_of_what_the_guest_keeps]

if __name__ == "__main__":
    sys.exit(main(TESTS, __doc__))
