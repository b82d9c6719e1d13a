#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What berth-metrics tells is what QMP and the host tell, of a machine that did
something; and it is told in the format that a client asks for."""

import os
import pathlib
import re
import shutil
import subprocess
import sys
import time

from rig import SILENCE, heard, main, stays, wait_until
import openmetrics
from test_metrics import Answers, connect, scrape

TICKS = 300_000_000
BOUNDS_NS = [1000, 100_000, 10_000_000]
BUSY_SECONDS = 1
OPS = {"read": "rd", "write": "wr", "flush": "flush", "discard": "unmap"}
# Families of disks, the field of query-blockstats of an operation, and its unit.
DISK_FAMILIES = [
    ("berth_disk_requests", "{}_operations", 1),
    ("berth_disk_transferred_bytes", "{}_bytes", 1),
    ("berth_disk_request_seconds", "{}_total_time_ns", 1e9),
    ("berth_disk_merged_requests", "{}_merged", 1),
    ("berth_disk_failed_requests", "failed_{}_operations", 1),
    ("berth_disk_invalid_requests", "invalid_{}_operations", 1),
]
TARGETS = {"virtqueue": ("berth_queue_", "device"), "nic": ("berth_nic_", "device"),
           "filter": ("berth_filter_", "object")}
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
# What a client says that it accepts, and the type of the answer; None: 406.
ACCEPTS = [
    (None, OPENMETRICS),
    ("", OPENMETRICS),
    ("*/*", OPENMETRICS),
    ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", OPENMETRICS),
    ("application/openmetrics-text;version=1.0.0,"
     "application/openmetrics-text;version=0.0.1;q=0.75,"
     "text/plain;version=0.0.4;q=0.5,*/*;q=0.1", OPENMETRICS),
    ("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,"
     "text/plain;version=1.0.0;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
     OPENMETRICS),
    ("application/openmetrics-text; version=0.0.1,text/plain;q=0.5", OPENMETRICS),
    ("APPLICATION/OpenMetrics-Text", OPENMETRICS),
    ("text/plain", PROMETHEUS),
    ("text/plain;version=0.0.4", PROMETHEUS),
    ("text/*", PROMETHEUS),
    ("application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;"
     "encoding=delimited;q=0.7,text/plain;version=0.0.4;q=0.3", PROMETHEUS),
    ("application/openmetrics-text;q=0.2, text/plain;q=0.9", PROMETHEUS),
    ("application/openmetrics-text;q=0, */*", PROMETHEUS),
    ("application/openmetrics-text;version=2.0.0, text/plain;q=0.1", PROMETHEUS),
    ("application/json", None),
    ("text/plain;version=1.0.0", None),
    ("*/*;q=0", None),
    (";,;q=,,=;version", None),
]


def get(path, *fields, target="/metrics"):
    """The first line, the type and the body of an answer."""
    lines = "".join(f"{field}\r\n" for field in fields)
    with connect(path) as sock:
        sock.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\n{lines}\r\n".encode())
        head, body = Answers(sock).read()
    return head.split("\r\n")[0], re.search("Content-Type: (.*)", head)[1].strip(), body


def machine(t, *args, **options):
    """One with a disk that works in the guest, and some of all else."""
    path, disk = t.folder / "metrics", t.folder / "disk"
    disk.write_bytes(os.urandom(4 << 20))
    guest = t.guest(
        "disk", "-object", f"berth-metrics,id=m,path={path}", "-smp", "2",
        "-name", 'guest=a"b\\c,debug-threads=on', "-object", "iothread,id=io",
        "-object", "throttle-group,id=limits,x-iops-total=500",
        "-blockdev", f"file,node-name=f,filename={disk}",
        "-blockdev", "throttle,node-name=d,throttle-group=limits,file=f",
        "-device", "virtio-blk-pci,id=disk,drive=d,iothread=io,disable-legacy=on",
        "-device", "virtio-scsi-pci,id=scsi",
        "-blockdev", "null-co,node-name=nothing,read-zeroes=on",
        "-device", "scsi-hd,drive=nothing,bus=scsi.0,id=unit",
        "-device", "virtio-balloon-pci,id=balloon", "-netdev", "user,id=net",
        "-device", "virtio-net-pci,id=nic,netdev=net", "-object",
        f"filter-dump,id=dump,netdev=net,file={t.folder}/frames", *args, **options)
    heard(guest, "R\n")
    return guest, path


def work(guest, *orders):
    """Has the guest do that; what it says was done of each."""
    done = []
    for order in orders:
        mark = len(guest.console.text)
        guest.type(order + "\n")
        words = guest.console.wait(r"\d+ \d+ \d+ \d+\n", mark, SILENCE)[0].split()
        done.append(int(words[0]))
    return done


def sums(samples):
    """What each value of a histogram's bound counts, by its other labels."""
    found = {}
    for _, labels, value in samples:
        rest = tuple(sorted((k, v) for k, v in labels.items() if k != "le"))
        found.setdefault(rest, []).append(value)
    return found


def work_beyond_limits(guest, path):
    """Of a guest that has little time there may be too few requests: reads and writes
    until one has waited; how many of each were done."""
    done = [0, 0]

    def waited():
        more = work(guest, f"r 4 4096 {TICKS}", f"w 2 512 {TICKS}")
        done[:] = [a + b for a, b in zip(done, more)]
        return scrape(path)["berth_throttle_wait_seconds"].value(group="limits") > 0.01

    wait_until(waited)
    return done


def test_disks(t):
    guest, path = machine(t)
    guest.qmp.command("block-latency-histogram-set", id="disk", boundaries=BOUNDS_NS)
    reads, writes = work_beyond_limits(guest, path)
    guest.qmp.command("stop")
    families = scrape(path)
    disks = {stats["qdev"]: stats["stats"] for stats in guest.qmp.command(
        "query-blockstats")}
    for qdev, device in (("/machine/peripheral/disk/virtio-backend", "disk"),
                         ("unit", "unit")):
        for name, field, unit in DISK_FAMILIES:
            for op, word in OPS.items():
                # Nobody joins discards; a flush has no bytes.
                if field.format(word) not in disks[qdev] or (op, field) == (
                        "discard", "{}_merged"):
                    continue
                value = families[name].value(device=f"/machine/peripheral/{device}",
                                             op=op)
                t.equal(f"{device}: {name} of {op}", round(value * unit),
                        disks[qdev][field.format(word)])
    requests = families["berth_disk_requests"]
    device = "/machine/peripheral/disk"
    t.check("the guest's requests", reads > 0 and writes > 0 and
            requests.value(device=device, op="read") >= reads and
            requests.value(device=device, op="write") >= writes, f"{reads}, {writes}")
    t.check("their bytes", families["berth_disk_transferred_bytes"].value(
        device=device, op="write") == 512 * requests.value(device=device, op="write"))

    latency = families["berth_disk_latency_seconds"]
    bins = disks[f"{device}/virtio-backend"]["wr_latency_histogram"]["bins"]
    told = [value for _, labels, value in latency.samples if labels["op"] == "write"]
    t.equal("latencies", told, [sum(bins[:i + 1]) for i in range(len(bins))])
    t.equal("of all requests", told[-1], requests.value(device=device, op="write"))
    t.check("limits made them wait",
            families["berth_throttle_waits"].value(group="limits") > 0 and
            families["berth_throttle_wait_seconds"].value(group="limits") > 0.01)

    queues = [families[f"berth_queue_{what}_bytes"].value(device=device, queue="0")
              for what in ("in", "out")]
    # A header of 16 bytes, a status of one.
    n_reads, n_writes = (requests.value(device=device, op=op) for op in ("read", "write"))
    t.equal("bytes of the queue", queues, [4097 * n_reads + n_writes,
                                           16 * n_reads + 528 * n_writes])
    guest.qmp.command("cont")
    work(guest, f"r 1 4096 {TICKS}")
    later = scrape(path)["berth_disk_latency_seconds"]
    t.check("no count falls", all(
        all(a <= b for a, b in zip(old, sums(later.samples)[key]))
        for key, old in sums(latency.samples).items()))
    t.check("reads were counted", later.value(op="read", le="+Inf", device=device) >
            latency.value(op="read", le="+Inf", device=device))


def test_statistics(t):
    guest, path = machine(t)
    work(guest, f"r 4 4096 {TICKS // 10}")
    guest.qmp.command("stop")
    families = scrape(path)
    for target, (prefix, label) in TARGETS.items():
        results = guest.qmp.command("query-stats", target=target)
        wrong = []
        for result in results:
            labels = {label: result["qom-path"]}
            if "queue" in result:
                labels["queue"] = str(result["queue"])
            for stat in result["stats"]:
                told = families[prefix + stat["name"]].value(**labels)
                if told != stat["value"]:
                    wrong.append((labels, stat, told))
        t.check(f"{target}: as query-stats tells", results and not wrong, wrong)
    for result in guest.qmp.command("query-stats", target="vcpu",
                                    providers=[{"provider": "berth"}]):
        vcpu = str(next(cpu["cpu-index"] for cpu in guest.qmp.command("query-cpus-fast")
                        if cpu["qom-path"] == result["qom-path"]))
        stats = {stat["name"]: stat["value"] for stat in result["stats"]}
        reasons = {labels["reason"]: value for _, labels, value
                   in families["berth_vcpu_user_exits_by_reason"].samples
                   if labels["vcpu"] == vcpu}
        t.equal(f"vCPU {vcpu}: its exits",
                families["berth_vcpu_user_exits"].value(vcpu=vcpu), stats["user_exits"])
        t.equal(f"vCPU {vcpu}: by reason", reasons,
                {name[len("user_"):]: value for name, value in stats.items()
                 if name != "user_exits"})
        t.equal(f"vCPU {vcpu}: their sum", sum(reasons.values()), stats["user_exits"])
    test_kernel(t, guest, families)
    t.equal("the balloon", families["berth_balloon_actual_bytes"].value(),
            guest.qmp.command("query-balloon")["actual"])
    t.equal("events", families["berth_events"].value(event="STOP"), 1)


def test_kernel(t, guest, families):
    schemas = {s["name"]: s for entry in guest.qmp.command(
        "query-stats-schemas", provider="kvm") if entry["target"] == "vcpu"
        for s in entry["stats"]}
    wrong, n = [], 0
    for i, result in enumerate(guest.qmp.command("query-stats", target="vcpu")):
        for stat in result["stats"]:
            schema = schemas[stat["name"]]
            if schema["type"] not in ("cumulative", "instant", "peak"):
                continue
            name = "berth_kvm_vcpu_" + stat["name"]
            if schema.get("unit") == "seconds":
                name = name.removesuffix("_ns") + "_seconds"
            scale = schema.get("base", 1) ** schema.get("exponent", 0)
            told = families[name].value(vcpu=str(i))
            n += 1
            if abs(told - stat["value"] * scale) > 1e-9 * max(told, 1):
                wrong.append((name, told, stat))
    if not schemas:
        t.skip("what KVM counts", "this host's kernel has no KVM_GET_STATS_FD")
        return
    t.check("what KVM counts", n > 20 and not wrong, wrong)


def busy(t, name):
    """A guest whose vCPU asks its serial port all the time, and its thread."""
    folder = t.folder / name
    folder.mkdir()
    guest = t.guest("poke", "-object", f"berth-metrics,id=m,path={folder}/metrics",
                    cpus=1)
    heard(guest, "!")
    return guest, folder / "metrics", guest.qmp.command("query-cpus-fast")[0]["thread-id"]


def schedstat(guest, thread):
    text = pathlib.Path(f"/proc/{guest.process.pid}/task/{thread}/schedstat").read_text()
    return [int(word) / 1e9 for word in text.split()[:2]]


def test_steal(t):
    """Three vCPUs that are always busy, on one CPU of the host."""
    guests = [busy(t, f"guest{i}") for i in range(3)]
    cpu = min(os.sched_getaffinity(0))
    for _, _, thread in guests:
        os.sched_setaffinity(thread, {cpu})
    guest, path, thread = guests[0]
    before = scrape(path)
    time.sleep(BUSY_SECONDS)
    after = scrape(path)
    stolen, ran = (after[f"berth_vcpu_{what}_seconds"].value(vcpu="0") -
                   before[f"berth_vcpu_{what}_seconds"].value(vcpu="0")
                   for what in ("steal", "run"))
    t.check("a third of the time it ran, the others had the rest",
            stolen > BUSY_SECONDS / 3 and ran > 0.01, f"{stolen} s stolen, {ran} s ran")
    told = [after[f"berth_vcpu_{what}_seconds"].value(vcpu="0")
            for what in ("run", "steal")]
    now = schedstat(guest, thread)
    t.check("as the host tells", all(a <= b for a, b in zip(told, now)), f"{told}, {now}")
    for other, _, _ in guests:
        other.qmp.command("stop")
    # It has still to come to its sleep when the stop is answered.
    t.check("who is stopped loses nothing", stays(lambda: schedstat(guest, thread), 0.1))
    t.equal("nor is it told so", scrape(path)["berth_vcpu_steal_seconds"].value(vcpu="0"),
            schedstat(guest, thread)[1])


def test_ledger(t):
    guest, path = machine(t)
    guest.qmp.command("stop")
    families = scrape(path, "/ledger")
    ledger = guest.qmp.command("x-query-memory-ledger")
    memory, heap = families["berth_ledger_memory_bytes"], families[
        "berth_ledger_heap_bytes"]
    for entry in ledger["entries"]:
        labels = {name: entry[name] for name in ("owner", "id") if name in entry}
        states = {own["state"]: value for _, own, value in memory.samples
                  if {k: v for k, v in own.items() if k != "state"} == labels}
        t.equal(f"{labels}: states", set(states),
                set(entry) - {"owner", "id", "worst-case"})
        if "worst-case" in entry:
            t.equal(f"{labels}: at worst", families[
                "berth_ledger_memory_worst_case_bytes"].value(**labels),
                entry["worst-case"])
        # Stacks and the heap of the process are at work.
        if entry["owner"] == "guest-ram":
            t.equal(f"{labels}", states, {k: entry[k] for k in states})
    t.check("all owners of the heap", all(
        any(own.get("owner") == entry["owner"] and own.get("id") == entry.get("id")
            for _, own, _ in heap.samples) for entry in ledger["heap"]))
    told = {labels.get("id"): value for _, labels, value in families[
        "berth_ledger_heap_worst_case_bytes"].samples}
    t.equal("and what they can have", told, {
        entry.get("id"): entry["worst-case"] for entry in ledger["heap"]
        if "worst-case" in entry})
    for name in ("resident", "private", "page-tables"):
        told = families[f"berth_ledger_{name.replace('-', '_')}_bytes"].value()
        t.check(name, abs(told - ledger[name]) <= 0.05 * ledger[name] + (1 << 18),
                f"{told}, {ledger[name]}")


def test_formats(t):
    guest, path = machine(t)
    guest.qmp.command("block-latency-histogram-set", id="disk", boundaries=BOUNDS_NS)
    for accept, wanted in ACCEPTS:
        fields = [] if accept is None else [f"Accept: {accept}"]
        status, kind, _ = get(path, *fields)
        t.equal(f"Accept: {accept}", (status.split(" ")[1], kind),
                ("200", wanted) if wanted else ("406", "text/plain; charset=utf-8"))
    t.equal("fields that are several", get(path, "Accept: application/json",
                                           "accept: text/plain;q=0.1")[1], PROMETHEUS)
    with connect(path) as sock:
        sock.sendall(b"GET /metrics HTTP/1.1\r\nConnection: TE, close\r\n\r\n")
        Answers(sock).read()
        t.equal("the last request of a connection", sock.recv(1), b"")

    guest.qmp.command("stop")
    # Those who wait for the same turn get each what they asked for.
    socks = [connect(path) for _ in range(4)]
    for i, sock in enumerate(socks):
        accept = ("application/openmetrics-text", "text/plain")[i % 2]
        sock.sendall(f"GET /metrics HTTP/1.1\r\nAccept: {accept}\r\n\r\n".encode())
    texts = [Answers(sock).read()[1] for sock in socks]
    for sock in socks:
        sock.close()
    t.check("each has its format", texts[0].endswith("# EOF\n") and
            texts[2].endswith("# EOF\n") and "# EOF" not in texts[1] + texts[3])
    new, old = texts[0], texts[1]
    t.check("the older one has no units", "# UNIT" not in old and "# UNIT" in new)
    kinds = set(re.findall(r"^# TYPE \S+ (\S+)$", old, re.M))
    t.equal("and types of its own", kinds, {"counter", "gauge", "histogram"})
    names = [re.sub(r"_bucket$", "", re.match(r"[a-z0-9_]+", line)[0])
             for line in old.splitlines() if not line.startswith("#")]
    t.equal("its metadata name what follows", {re.sub(r"_bucket$", "", x) for x in names},
            set(re.findall(r"^# TYPE (\S+) ", old, re.M)))

    def samples(text):
        return {re.sub(r" \S+$", "", line) for line in text.splitlines()
                if not line.startswith("#")}

    t.equal("both have the same samples", samples(old), samples(new))
    openmetrics.read(new)
    promtool(t, "metrics", old)
    promtool(t, "the ledger", get(path, "Accept: text/plain", target="/ledger")[2])


def promtool(t, what, text):
    """Prometheus' own judgement, where Debian's package prometheus is installed."""
    program = os.environ.get("PROMTOOL") or shutil.which("promtool")
    if not program:
        t.skip(f"promtool on {what}", "no promtool")
        return
    done = subprocess.run([program, "check", "metrics"], input=text.encode(),
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    t.equal(f"promtool on {what}", (done.returncode, done.stdout.decode()), (0, ""))


TESTS = [test_disks, test_statistics, test_steal, test_ledger, test_formats]

if __name__ == "__main__":
    sys.exit(main(TESTS, __doc__))
