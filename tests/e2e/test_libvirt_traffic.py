#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a real libvirtd says to berth in each operation, beside what it was seen to say to
QEMU (tests/data/libvirt-traffic.json): the same requests in the same order, but for
commands that berth does not have; none of them refused; and the same events."""

import json
import re
import sys

from libvirt_rig import (DIMM, DISK, NIC, VIRTIO_MEM, libvirt_main, power_off, released,
                         started_with_all)
from rig import ROOT, wait_until

RECORDED = json.loads((ROOT / "tests/data/libvirt-traffic.json").read_text())
MESSAGE = re.compile(r"QEMU_MONITOR_(SEND_MSG|RECV_REPLY|RECV_EVENT): mon=(\S+) "
                     r"(?:msg|reply|event)=(\{.*\})")
SCSI_DISK = DISK.replace("c.raw", "d.raw").replace("vdc", "sdb").replace("virtio", "scsi")
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
    ("iothreadadd", "iothreadadd", "all", "7"),
    ("iothreadset", "iothreadset", "all", "7", "--poll-max-ns", "1000"),
    ("iothreaddel", "iothreaddel", "all", "7"),
    ("setvcpus-up", "setvcpus", "all", "3"),
    ("attach-disk", "attach-device", "all", "disk.xml"),
    ("detach-disk", "detach-disk", "all", "vdc"),
    ("attach-interface", "attach-device", "all", "nic.xml"),
    ("detach-interface", "detach-device", "all", "nic.xml"),
    ("reconnect",),
    ("attach-dimm", "attach-device", "all", "dimm.xml"),
    ("attach-virtio-mem", "attach-device", "all", "mem.xml"),
    ("update-virtio-mem", "update-memory-device", "all", "--alias", "virtiomem0",
     "--requested-size", "32M"),
    ("attach-scsi-disk", "attach-device", "all", "scsi.xml"),
    ("detach-scsi-disk", "detach-disk", "all", "sdb"),
    ("eject-media", "change-media", "all", "sda", "--eject"),
    ("insert-media", "change-media", "all", "sda", "2.iso", "--insert"),
    ("blockresize", "blockresize", "all", "vda", "32M"),
    ("blkdeviotune", "blkdeviotune", "all", "vda", "--total-iops-sec", "100"),
    ("blkdeviotune-get", "blkdeviotune", "all", "vda"),
    ("snapshot-disk-only", "snapshot-create-as", "all", "s", "--disk-only",
     "--no-metadata", "--diskspec", "vdb,snapshot=no"),
    ("domif-setlink", "domif-setlink", "all", "vnet0", "down"),
    ("dump-memory-only", "dump", "all", "core", "--memory-only", "--live"),
    ("inject-nmi", "inject-nmi", "all"),
    ("reset", "reset", "all"),
]
ASKED = '"query-cpus-fast"'     # of a monitor that is a domain's
# The test asks the one; of the other virsh may do so while it waits.
NOT_COUNTED = ["query-commands", "query-dump"]
FILES = re.compile(r".*\.(xml|iso)|core")


class Traffic:
    """What libvirtd's log tells of the talk with the domain's monitor, by and by."""

    def __init__(self, t, name):
        self.t = t
        known = t.virsh("qemu-monitor-command", name, '{"execute":"query-commands"}')
        self.known = {command["name"] for command in json.loads(known)["return"]}
        self.find_monitor()

    def find_monitor(self, start=0):
        """Others probe meanwhile; an address may be one's and then another's."""
        wait_until(lambda: ASKED in self.t.libvirt.monitor_log()[start:])
        messages = list(MESSAGE.finditer(self.t.libvirt.monitor_log()))
        last = [m for m in messages if ASKED in m[3]][-1]
        self.monitor = last[2]
        self.mark = [m.start() for m in messages if m[2] == self.monitor and
                     m.start() < last.start() and '"qmp_capabilities"' in m[3]][-1]

    def read(self):
        """Requests by name, equal neighbours once; what failed; events by name."""
        requests, failed, events = [], [], {}
        log = self.t.libvirt.monitor_log()[self.mark:]
        for kind, monitor, text in MESSAGE.findall(log):
            if monitor != self.monitor:
                continue
            message = json.loads(text)
            if kind == "RECV_EVENT":
                events[message["event"]] = sorted(message.get("data", {}))
            elif kind == "RECV_REPLY" and "error" in message:
                failed.append(f"{requests[-1]}: {message['error']['desc']}")
            elif kind == "SEND_MSG" and message["execute"] not in (
                    *NOT_COUNTED, *requests[-1:]):
                requests.append(message["execute"])
        return requests, failed, events

    def compare(self, operation):
        t = self.t
        recorded = RECORDED[operation]
        wanted = {event: members for event, *members in
                  map(str.split, recorded.get("events", []))}
        expected = [name for name in recorded["requests"] if name in self.known]

        def complete():
            requests, _, events = self.read()
            return wanted.keys() <= events.keys() and len(requests) >= len(expected)

        wait_until(complete)
        requests, failed, events = self.read()
        t.equal(f"{operation}: the same requests", requests, expected)
        t.equal(f"{operation}: none of them is refused", failed, [])
        for event, members in wanted.items():
            t.check(f"{operation}: {event} is as complete",
                    set(members) <= set(events.get(event, [])), events)
        self.mark = len(t.libvirt.monitor_log())


def test_traffic(t):
    driver = started_with_all(t)
    (t.folder / "d.raw").write_bytes(bytes(1 << 20))
    for name, text in {"disk": DISK, "nic": NIC, "dimm": DIMM, "mem": VIRTIO_MEM,
                       "scsi": SCSI_DISK}.items():
        t.write(f"{name}.xml", text.format(folder=t.folder, link="up"))
    traffic = Traffic(t, "all")
    traffic.compare("start")
    for name, *command in OPERATIONS:
        command = [t.folder / word if FILES.fullmatch(word) else word for word in command]
        if not command:
            t.libvirt.restart()
            traffic.find_monitor(traffic.mark)
        elif command[0].startswith("detach"):
            released(t, driver, *command)
        else:
            t.virsh(*command)
        traffic.compare(name)
    driver.heard("!")
    for name, command in (("reboot-acpi", "reboot"), ("shutdown-acpi", "shutdown")):
        t.virsh(command, "all", "--mode", "acpi")
        power_off(driver)
        traffic.compare(name)


TESTS = [test_traffic]

if __name__ == "__main__":
    sys.exit(libvirt_main(TESTS, __doc__))
