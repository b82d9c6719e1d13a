#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a real libvirtd says to berth in each operation, beside what it was seen to say to
QEMU (tests/data/libvirt-traffic.json): the same requests in the same order, but for
commands that berth does not have; none of them refused; in each reply what libvirt reads,
of the same type, and the same value unless it is the host's; and the same events, of what
the guest does of its own accord, too."""

import json
import re
import sys

from guest_causes import Causes
from libvirt_rig import (DIMM, DISK, NIC, VIRTIO_MEM, libvirt_main, power_off, released,
                         started_with_all)
from libvirtd import Events
from poke import Poke
from rig import ROOT, wait_until
import shape

RECORDED = json.loads((ROOT / "tests/data/libvirt-traffic.json").read_text())
SHAPES = RECORDED["shapes"]
MESSAGE = re.compile(r"QEMU_MONITOR_(SEND_MSG|RECV_REPLY|RECV_EVENT): mon=(\S+) "
                     r"(?:msg|reply|event)=(\{.*\})")
SCSI_DISK = DISK.replace("c.raw", "d.raw").replace("vdc", "sdb").replace("virtio", "scsi")
# Commands of virsh; what the guest does, and the command that fails by it.
OPERATIONS = [
    ("domstats", "domstats", "all"),
    ("dommemstat", "dommemstat", "all"),
    ("domblkstat", "domblkstat", "all", "vda"),
    ("domblkinfo", "domblkinfo", "all", "vda"),
    ("domblkerror", "domblkerror", "all"),
    ("suspend", "suspend", "all"),
    ("resume", "resume", "all"),
    ("setmem", "setmem", "all", "100M"),
    ("dommemstat-period", "dommemstat", "all", "--period", "2"),
    ("iothreadinfo", "iothreadinfo", "all"),
    ("iothreadadd", "iothreadadd", "all", "2"),
    ("iothreadset", "iothreadset", "all", "2", "--poll-max-ns", "20000"),
    ("iothreaddel", "iothreaddel", "all", "2"),
    ("hmp", "qemu-monitor-command", "all", "--hmp", "info status"),
    ("setvcpus-up", "setvcpus", "all", "3"),
    ("attach-disk", "attach-device", "all", "disk.xml"),
    ("detach-disk", "detach-disk", "all", "vdc"),
    ("attach-interface", "attach-device", "all", "nic.xml"),
    ("detach-interface", "detach-device", "all", "nic.xml"),
    ("reconnect",),
    ("guest-opens-channel", Causes.channel_opens),
    ("guest-closes-channel", Causes.channel_closes),
    ("guest-fills-balloon", Causes.balloon_grows),
    ("guest-changes-filter", Causes.filter_changes),
    ("guest-sets-clock", Causes.clock_is_set),
    ("attach-disk", "attach-device", "all", "disk.xml"),
    ("guest-lets-go", Causes.lets_go),
    ("attach-dimm", "attach-device", "all", "dimm.xml"),
    ("guest-keeps-module", Causes.keeps_module, "detach-device", "all", "dimm.xml"),
    ("attach-virtio-mem", "attach-device", "all", "mem.xml"),
    ("update-virtio-mem", "update-memory-device", "all", "--alias", "virtiomem0",
     "--requested-size", "32M"),
    ("attach-scsi-disk", "attach-device", "all", "scsi.xml"),
    ("detach-scsi-disk", "detach-disk", "all", "sdb"),
    ("eject-media", "change-media", "all", "sda", "--eject"),
    ("insert-media", "change-media", "all", "sda", "2.iso", "--insert"),
    ("insert-media-sata", "change-media", "all", "sdc", "1.iso", "--insert"),
    ("blockresize", "blockresize", "all", "vda", "32M"),
    ("blkdeviotune", "blkdeviotune", "all", "vda", "--total-iops-sec", "500",
     "--total-bytes-sec", "50000000"),
    ("blkdeviotune-get", "blkdeviotune", "all", "vda"),
    ("snapshot-disk-only", "snapshot-create-as", "all", "s", "--disk-only",
     "--no-metadata", "--diskspec", "vdb,snapshot=no"),
    ("domif-setlink", "domif-setlink", "all", "vnet0", "down"),
    ("dump-memory-only", "dump", "all", "core", "--memory-only", "--live"),
    ("inject-nmi", "inject-nmi", "all"),
    ("guest-sleeps", Causes.falls_asleep),
    ("wake-up", "dompmwakeup", "all"),
    ("reset", "reset", "all"),
    ("guest-starves-watchdog", Causes.starts_watchdog),
    ("guest-resets", Causes.resets),
]
# What virsh tells of that, in this order.
TOLD = ["'agent-lifecycle'", "'connected'", "'agent-lifecycle'", "'disconnected'",
        "'balloon-change'", "126976KiB", "'rtc-change'",
        "'device-added'", "virtio-disk2", "'device-removed'", "virtio-disk2",
        "'device-removal-failed'", "dimm0", "'pm-suspend'", "PMSuspended Memory",
        "'pm-wakeup'", "Started Event wakeup", "'reboot'", "'watchdog'", "reset",
        "'reboot'", "'reboot'", "Crashed Panicked", "Stopped Crashed"]
SATA_CD = """<disk type='file' device='cdrom'>
  <driver name='qemu' type='raw'/><target dev='sdc' bus='sata'/><readonly/>
</disk>"""
# What is asked of a domain's monitor, of one of a process that is probed.
OF_A_DOMAIN, OF_A_PROBE = (f'"execute":"{name}"' for name in ("query-cpus-fast",
                                                            "query-target"))
# Which arguments make it another question.
TELLING = {"qom-list": ["path"], "qom-get": ["path", "property"],
           "query-stats": ["target"], "device-list-properties": ["typename"],
           "qom-list-properties": ["typename"], "query-cpu-model-expansion": ["type"]}
FIRST_CPU = "/machine/unattached/device[0]"
# The test asks the one; of the other virsh may do so while it waits.
NOT_COUNTED = ["query-commands", "query-dump"]
FILES = re.compile(r".*\.(xml|iso)|core")


class Said:
    """What went over a domain's monitor in an operation, in its order."""

    def __init__(self):
        self.exchanges = []     # [request, reply], the reply None if there is none yet
        self.events = []        # [name, data]

    def add(self, kind, message):
        if kind == "RECV_EVENT":
            self.events.append([message["event"], message.get("data", {})])
        elif kind == "SEND_MSG":
            self.exchanges.append([message, None])
        elif self.exchanges:
            self.exchanges[-1][1] = message

    @property
    def requests(self):
        """Their names, equal neighbours once."""
        names = [request["execute"] for request, _ in self.exchanges]
        return [name for i, name in enumerate(names) if name not in names[:i][-1:]]

    @property
    def complete(self):
        return all(reply for _, reply in self.exchanges)


def question(request):
    """What is asked, as the recordings are indexed: its name and what makes it another
    question than others of that name."""
    arguments = request.get("arguments", {})
    words = [request["execute"], *(arguments[name] for name in TELLING.get(
        request["execute"], []) if name in arguments)]
    if "providers" in arguments:
        words.append("some")
    if "query-nodes" in arguments:
        words.append("nodes")
    return " ".join(words).replace(FIRST_CPU, "CPU")


class Traffic:
    """What libvirtd's log tells of the talk with the domain's monitor, by and by."""

    def __init__(self, t):
        self.t = t
        known = t.virsh("qemu-monitor-command", "all", '{"execute":"query-commands"}')
        self.known = {command["name"] for command in json.loads(known)["return"]}
        self.monitor = None
        self.mark = 0

    def find(self, asked=OF_A_DOMAIN):
        """Finds the last monitor of which this is asked.  Others probe meanwhile; an
        address may be one's and then another's."""
        start = self.mark
        wait_until(lambda: asked in self.t.libvirt.monitor_log()[start:])
        messages = list(MESSAGE.finditer(self.t.libvirt.monitor_log()))
        last = [m for m in messages if asked in m[3]][-1]
        self.monitor = last[2]
        self.mark = [m.start() for m in messages if m[2] == self.monitor and
                     m.start() < last.start() and '"qmp_capabilities"' in m[3]][-1]

    def read(self):
        said = Said()
        log = self.t.libvirt.monitor_log()[self.mark:]
        for kind, monitor, text in MESSAGE.findall(log):
            if monitor != self.monitor:
                continue
            message = json.loads(text)
            if message.get("execute") == "qmp_capabilities" and said.exchanges:
                break
            said.add(kind, message)
        said.exchanges = [(request, reply) for request, reply in said.exchanges
                          if request["execute"] not in NOT_COUNTED]
        return said

    def compare(self, operation):
        t = self.t
        recorded = RECORDED[operation]
        events = recorded.get("events", [])
        names = {name for name, _ in events}
        expected = [name for name in recorded["requests"]
                    if name in self.known and name not in NOT_COUNTED]

        def complete():
            said = self.read()
            return (said.complete and len(said.requests) >= len(expected) and
                    sum(name in names for name, _ in said.events) >= len(events))

        wait_until(complete)
        said = self.read()
        t.equal(f"{operation}: the same requests", said.requests, expected)
        self.compare_replies(operation, said.exchanges, recorded.get("replies", {}),
                             recorded.get("fails", {}))
        heard = [event for event in said.events if event[0] in names]
        t.equal(f"{operation}: the same events, in their order",
                [name for name, _ in heard], [name for name, _ in events])
        for (name, data), (_, wanted) in zip(heard, events):
            fault = shape.other(data, wanted, SHAPES)
            t.check(f"{operation}: {name} says the same", not fault, fault)
        self.mark = len(t.libvirt.monitor_log())

    def compare_replies(self, operation, exchanges, recorded, fails):
        faults = []
        asked = set()
        for request, reply in exchanges:
            what = question(request)
            if "return" not in reply:
                if reply["error"]["class"] != fails.get(what):
                    faults.append(f"{what}: {reply['error']}")
                continue
            # What is asked of each of a processor's properties is of one kind.
            if what not in recorded and what.startswith("qom-get CPU "):
                what = "qom-get CPU"
            asked.add(what)
            if what in recorded:
                fault = shape.other(reply["return"], recorded[what], SHAPES)
            else:
                fault = reply["return"] != {} and f"it is {reply['return']!r}, not {{}}"
            if fault:
                faults.append(f"{what}: {fault}")
        self.t.check(f"{operation}: {len(exchanges)} replies have what libvirt reads",
                     not faults, "\n".join(faults))
        known = {what for what in recorded if what.split()[0] in self.known}
        self.t.equal(f"{operation}: all questions are asked", known - asked, set())


def caused(t, causes, cause, *fails):
    """Has the guest do it while a command, if there is one, waits and then fails."""
    process = t.libvirt.background(*fails) if fails else None
    cause(causes)
    if process:
        process.communicate(timeout=60)
        t.check(f"{fails[0]} fails", process.returncode != 0)


def test_traffic(t):
    driver = started_with_all(t, SATA_CD)
    (t.folder / "d.raw").write_bytes(bytes(1 << 20))
    for name, text in {"disk": DISK, "nic": NIC, "dimm": DIMM, "mem": VIRTIO_MEM,
                       "scsi": SCSI_DISK}.items():
        t.write(f"{name}.xml", text.format(folder=t.folder, link="up"))
    traffic = Traffic(t)
    traffic.find(OF_A_PROBE)
    traffic.compare("probe")
    traffic.mark = 0
    traffic.find()
    traffic.compare("start")
    causes = Causes(driver)
    for name, *command in OPERATIONS:
        command = [t.folder / word if FILES.fullmatch(str(word)) else word
                   for word in command]
        if not command:
            t.libvirt.restart()
            traffic.find()
            events = Events(t.libvirt, t.folder / "events")
        elif callable(command[0]):
            caused(t, causes, *command)
        elif command[0].startswith("detach"):
            released(t, driver, *command)
        else:
            t.virsh(*command)
        traffic.compare(name)
    for name, command in (("reboot-acpi", "reboot"), ("shutdown-acpi", "shutdown")):
        t.virsh(command, "all", "--mode", "acpi")
        power_off(driver)
        traffic.compare(name)
    wait_until(lambda: t.state("all").startswith("shut off"))
    causes = Causes(Poke(t.start("all")))
    traffic.find()
    traffic.mark = len(t.libvirt.monitor_log())
    causes.panics()
    traffic.compare("guest-panics")
    t.check("a guest that panics ends", wait_until(
        lambda: t.state("all") == "shut off (crashed)"), t.state("all"))
    t.check("virsh tells of all that the guest has done", events.has(*TOLD), events.text)
    events.close()
    t.virsh("start", "all")
    traffic.find()
    traffic.mark = len(t.libvirt.monitor_log())
    t.virsh("destroy", "all")
    traffic.compare("destroy")


TESTS = [test_traffic]

if __name__ == "__main__":
    sys.exit(libvirt_main(TESTS, __doc__))
