#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""berth-metrics: OpenMetrics over HTTP on a socket, and clients that mean no good."""

import re
import shutil
import socket
import subprocess
import sys

from rig import SILENCE, heard, main, resident, wait_until
import openmetrics
from qmp import QmpError

CLIENTS = 8
HEAD_MAX = 8192
GROWTH = 4 << 20

WRONG_TEXT = [
    ("not enough", "HELP x y\n# EOF\n"),
    ("no end", "# TYPE a counter\n# HELP a b\na_total 1\n"),
    ("a counter without its suffix", "# TYPE a counter\n# HELP a b\na 1\n# EOF\n"),
    ("a negative counter", "# TYPE a counter\n# HELP a b\na_total -1\n# EOF\n"),
    ("a wrong unit", "# TYPE a_s gauge\n# UNIT a_s bytes\n# HELP a_s b\na_s 1\n# EOF\n"),
    ("a wrong escape", '# TYPE a gauge\n# HELP a b\na{x="\\t"} 1\n# EOF\n'),
    ("a label twice", '# TYPE a gauge\n# HELP a b\na{x="1",x="2"} 1\n# EOF\n'),
    ("a sample twice", "# TYPE a gauge\n# HELP a b\na 1\na 1\n# EOF\n"),
    ("a family in two pieces", "# TYPE a gauge\n# HELP a b\na 1\n# TYPE c gauge\n"
     "# HELP c b\nc 1\n# TYPE a gauge\n# HELP a b\na 2\n# EOF\n"),
    ("no +Inf", '# TYPE a histogram\n# HELP a b\na_bucket{le="1.0"} 1\n# EOF\n'),
    ("buckets that fall", '# TYPE a histogram\n# HELP a b\na_bucket{le="1.0"} 2\n'
     'a_bucket{le="+Inf"} 1\n# EOF\n'),
    ("names that meet", "# TYPE a gauge\n# HELP a b\na 1\n# TYPE a_total gauge\n"
     "# HELP a_total b\na_total 1\n# TYPE a_x counter\n# HELP a_x b\n# EOF\n"),
]

# What is sent, and what the answer begins with.
REQUESTS = [
    ("HEAD", b"HEAD /metrics HTTP/1.1\r\nHost: x\r\n\r\n", b"HTTP/1.1 200 "),
    ("lines that end in LF", b"GET /metrics HTTP/1.1\nHost: x\n\n", b"HTTP/1.1 200 "),
    ("a query", b"GET /metrics?name=x HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 "),
    ("HTTP/1.0", b"GET /metrics HTTP/1.0\r\n\r\n", b"HTTP/1.1 200 "),
    ("another path", b"GET /else HTTP/1.1\r\n\r\n", b"HTTP/1.1 404 "),
    ("another method", b"DELETE /metrics HTTP/1.1\r\n\r\n", b"HTTP/1.1 405 "),
    ("a body", b"GET /metrics HTTP/1.1\r\nContent-Length: 5\r\n\r\n", b"HTTP/1.1 413 "),
    ("chunks", b"GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n",
     b"HTTP/1.1 413 "),
    ("no version", b"GET /metrics\r\n\r\n", b"HTTP/1.1 400 "),
    ("HTTP/2", b"PRI * HTTP/2.0\r\n\r\n", b"HTTP/1.1 400 "),
    ("a blank line alone", b"\r\n\r\n", b"HTTP/1.1 400 "),
    ("a NUL", b"GET /metrics\0 HTTP/1.1\r\n\r\n", b"HTTP/1.1 400 "),
    ("QMP", b'{"execute": "quit"}\n\n', b"HTTP/1.1 400 "),
    ("a huge field", b"GET /metrics HTTP/1.1\r\nX: " + b"x" * HEAD_MAX, b"HTTP/1.1 431 "),
]


def connect(path):
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.connect(str(path))
    sock.settimeout(SILENCE)
    return sock


def read_all(sock):
    data = b""
    while True:
        try:
            piece = sock.recv(1 << 16)
        except ConnectionError:
            return data
        if not piece:
            return data
        data += piece


class Answers:
    """The answers of a connection that may be kept."""

    def __init__(self, sock):
        self.sock = sock
        self.data = b""

    def fill(self):
        piece = self.sock.recv(1 << 16)
        if not piece:
            raise EOFError("the connection ended within an answer")
        self.data += piece

    def read(self):
        """The head of the next one, and its body."""
        while b"\r\n\r\n" not in self.data:
            self.fill()
        head, _, self.data = self.data.partition(b"\r\n\r\n")
        size = int(re.search(rb"Content-Length: (\d+)", head)[1])
        while len(self.data) < size:
            self.fill()
        body, self.data = self.data[:size], self.data[size:]
        return head.decode(), body.decode()


def ask(sock, target="/metrics"):
    sock.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return Answers(sock).read()


def get(path, target="/metrics"):
    with connect(path) as sock:
        return ask(sock, target)


def scrape(path, target="/metrics"):
    return openmetrics.read(get(path, target)[1])


def metrics(t, *args, image=None, **options):
    path = t.folder / "metrics"
    guest = t.guest(image, "-object", f"berth-metrics,id=m,path={path}", *args, **options)
    guest.qmp.command("query-status")
    return guest, path


def test_reader_is_strict(t):
    for what, text in WRONG_TEXT:
        try:
            openmetrics.read(text)
            t.check(f"{what} is told", False)
        except openmetrics.FormatError:
            t.check(f"{what} is told", True)


def test_a_machine(t):
    disk = t.folder / "disk.raw"
    disk.write_bytes(bytes(1 << 20))
    guest, path = metrics(
        t, "-name", 'guest=a"b\\c', "-device", "virtio-balloon-pci,id=balloon",
        "-blockdev", f"driver=file,node-name=f,filename={disk}",
        "-object", "throttle-group,id=limits,x-iops-total=100",
        "-blockdev", "driver=throttle,node-name=d,throttle-group=limits,file=f",
        "-device", "virtio-blk-pci,drive=d,id=disk", "-device", "virtio-net-pci,id=nic",
        image="echo", cpus=2)
    heard(guest, "B")
    guest.qmp.command("block-latency-histogram-set", id="disk",
                      boundaries=[1000, 10_000_000])
    head, text = get(path)
    t.match("the type of the text", head,
            "Content-Type: application/openmetrics-text; version=1.0.0")
    families = openmetrics.read(text)

    machine = families["berth_machine"].samples[0][1]
    t.equal("the machine's name", machine["name"], 'a"b\\c')
    t.equal("its state", families["berth_run_state"].value(berth_run_state="running"), 1)
    t.equal("its memory", families["berth_memory_bytes"].value(), 128 << 20)
    t.equal("vCPUs", families["berth_vcpus"].value(), 2)
    t.check("exits", families["berth_vcpu_user_exits"].value(vcpu="0") > 0)
    t.check("exits by reason", families["berth_vcpu_user_exits_by_reason"].value(
        vcpu="0", reason="io") > 0)
    t.equal("disks", families["berth_disk_requests"].value(
        device="/machine/peripheral/disk", op="read"), 0)
    t.equal("latencies", [(labels["le"], value) for _, labels, value
                          in families["berth_disk_latency_seconds"].samples
                          if labels["op"] == "write"],
            [("1e-06", 0), ("0.01", 0), ("+Inf", 0)])
    t.equal("limits", families["berth_throttle_wait_seconds"].value(group="limits"), 0)
    t.equal("queues", families["berth_queue_requests"].value(
        device="/machine/peripheral/disk", queue="0"), 0)
    t.equal("the balloon", families["berth_balloon_actual_bytes"].value(), 128 << 20)
    t.check("monitors", families["berth_monitor_commands"].value(
        chardev="/chardevs/compat_monitor0") > 0)

    before = families["berth_events"].value(event="STOP")
    guest.qmp.command("stop")
    families = scrape(path)
    t.equal("events", families["berth_events"].value(event="STOP"), before + 1)
    t.equal("the state then", families["berth_run_state"].value(berth_run_state="paused"),
            1)
    # The kernel adds it up when a thread sleeps, or at a tick.
    t.check("the host's time", families["berth_vcpu_run_seconds"].value(vcpu="0") > 0)
    t.check("steal", families["berth_vcpu_steal_seconds"].value(vcpu="1") >= 0)
    kernel = guest.qmp.command("query-stats-schemas", provider="kvm")
    told = {s["name"] for entry in kernel for s in entry["stats"]}
    named = sum(name.startswith("berth_kvm_") for name in families)
    t.check("what KVM counts", bool(named) == bool(told), f"{named} of {len(told)}")

    ledger = scrape(path, "/ledger")
    guest_ram = ledger["berth_ledger_memory_bytes"].value(owner="guest-ram",
                                                          state="mapped")
    t.equal("the ledger", guest_ram, 128 << 20)


def test_curl(t):
    _, path = metrics(t, "-S")
    curl = shutil.which("curl")
    if not curl:
        t.skip("curl reads it", "no curl")
        return
    done = subprocess.run([curl, "-sS", "--fail", "--max-time", str(SILENCE),
                           "--unix-socket", str(path), "http://localhost/metrics"],
                          stdout=subprocess.PIPE, text=True)
    t.equal("curl reads it", done.returncode, 0)
    t.check("as it is", "berth_run_state" in openmetrics.read(done.stdout))


def test_requests(t):
    guest, path = metrics(t, "-S")
    for what, request, wanted in REQUESTS:
        with connect(path) as sock:
            sock.sendall(request)
            answer = sock.recv(len(wanted), socket.MSG_WAITALL)
            t.equal(what, answer, wanted)
            if what == "HTTP/1.0" or wanted.endswith((b"400 ", b"405 ", b"431 ")):
                t.check(f"{what}: the connection ends", read_all(sock) != b"")
    with connect(path) as sock:
        first, second = ask(sock, "/ledger")[1], ask(sock)[1]
    t.check("a connection is kept",
            "berth_ledger_resident_bytes" in openmetrics.read(first) and
            "berth_vcpus" in openmetrics.read(second))
    t.equal("the machine is what it was", guest.status, "prelaunch")


def test_at_run_time(t):
    guest = t.guest(None, "-S")
    qmp, path = guest.qmp, t.folder / "later"
    for _ in range(3):
        qmp.command("object-add", qom_type="berth-metrics", id="m", path=str(path))
        t.check("added", "berth_vcpus" in scrape(path))
        idle = connect(path)
        qmp.command("object-del", id="m")
        t.check("its clients are gone", read_all(idle) == b"")
        t.check("and its file", not path.exists())
    (t.folder / "file").write_text("kept")
    for where in (t.folder / "file", t.folder / "none" / "x", "x" * 200):
        try:
            qmp.command("object-add", qom_type="berth-metrics", id="m", path=str(where))
            t.check(f"{where} is refused", False)
        except QmpError as error:
            t.match(f"{where} is refused", error.text, "path")
    t.equal("a file stays", (t.folder / "file").read_text(), "kept")
    qmp.command("object-add", qom_type="berth-metrics", id="m", path=str(path))
    qmp.command("quit")
    t.equal("berth ends", guest.process.wait(SILENCE), 0)
    t.check("no file is left", not path.exists())


def is_served(path):
    """Not so while there is no place: then the connection may end before the question."""
    try:
        return "berth_vcpus" in get(path, "/metrics")[1]
    except ConnectionError:
        return False


def test_many_clients(t):
    guest, path = metrics(t, "-S")
    halves = [connect(path) for _ in range(CLIENTS)]
    for sock in halves:
        ask(sock)
        sock.sendall(b"GET /metrics HT")
    # What was sent before a request of another client is read before its second one.
    for _ in range(2):
        guest.qmp.command("query-status")
    with connect(path) as sock:
        t.equal("one more is turned away", sock.recv(12, socket.MSG_WAITALL),
                b"HTTP/1.1 503")
    halves[0].sendall(b"TP/1.1\r\n\r\n")
    Answers(halves[0]).read()
    t.check("who is idle gives way", "berth_vcpus" in scrape(path))
    t.equal("and is cut off", halves[0].recv(1), b"")
    t.equal("who is slow is cut off", read_all(halves[1]), b"")
    for sock in halves:
        sock.close()
    before = resident(guest.process.pid)
    crowd = []
    for _ in range(40):
        crowd = crowd[-10:] + [connect(path) for _ in range(10)]
        for sock in crowd[-10:]:
            try:
                sock.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            except ConnectionError:
                pass
    t.equal("QMP is served among a crowd", guest.status, "prelaunch")
    for sock in crowd:
        sock.close()
    t.check("a scraper is served after it", wait_until(lambda: is_served(path)))
    t.at_most("growth", resident(guest.process.pid) - before, GROWTH)


def test_pipelines(t):
    guest, path = metrics(t, "-S")
    with connect(path) as sock:
        answers = Answers(sock)
        sock.sendall(b"GET /metrics HTTP/1.1\r\n\r\n" * 20)
        t.equal("others are served meanwhile", guest.status, "prelaunch")
        texts = [openmetrics.read(answers.read()[1]) for _ in range(20)]
    t.check("each is answered", all("berth_vcpus" in text for text in texts))


TESTS = [test_reader_is_strict, test_a_machine, test_curl, test_requests,
         test_at_run_time, test_many_clients, test_pipelines]

if __name__ == "__main__":
    sys.exit(main(TESTS, __doc__))
