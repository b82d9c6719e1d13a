# SPDX-License-Identifier: Apache-2.0
"""libvirtd is killed in the middle of what it does to a stock guest, and comes back: the
guest goes on, what was to be done can be done, and libvirt and the guest agree on it.
What libvirtd has to do when the guest powers off, it does when it is back.

Commands are cut off while the VMM is stopped, so that libvirtd has asked and has no
answer yet, or some time after virsh has started.  What the VMM has done by then libvirt
may not know, so the next try is refused, as a name is taken.  Nodes of a disk get other
names then; an object is to be deleted first."""

import os
import re
import signal
import time

from domain_guest import DISK, NIC, PORT, ROOT, domain_guest, eventually
from libvirtd import TIMEOUT, VirshError

SECONDS = 100
MIB = 1 << 20
DEVICES = ROOT + PORT * 8 + DISK
VCPU = ("<vcpu current='1'>2</vcpu>"
        "<maxMemory slots='2' unit='MiB'>512</maxMemory>")
NUMA = "<numa><cell id='0' cpus='0-1' memory='256' unit='MiB'/></numa>"
DIMM = """<memory model='dimm'>
  <target><size unit='MiB'>128</size><node>0</node></target>
</memory>"""
MAC = "52:54:00:00:00:02"
MODULES = "virtio_blk failover net_failover virtio_net"
ONLINE = "(echo 1 > /sys/devices/system/cpu/cpu1/online) 2> /dev/null"
LATER = 2
BUTTON = "/etc/acpi/PWRF/00000080"
POWER_DOWN = "reboot: Power down"
TAKEN = r"there is an object '(\w+)' already"


class Operation:
    """A command of virsh; when it has been done, the output of @known has @text in it, or
    has not, and @seen is true in the guest's shell."""

    def __init__(self, command, known, text, seen="true", is_there=True):
        self.command = command
        self.known = known
        self.text = text
        self.seen = seen
        self.is_there = is_there

    @property
    def name(self):
        return self.command[0]

    def is_known(self, guest):
        return (self.text in guest.virsh(*self.known)) == self.is_there


def unanswered(lab, guest):
    disk, nic = xml_files(lab, guest)
    dimm = guest.libvirt.write("dimm.xml", DIMM)
    return [
        Operation(["suspend"], ["domstate"], "paused", None),
        Operation(["resume"], ["domstate"], "running"),
        Operation(["blockresize", "vda", "24M"], ["domblkinfo", "vda"], str(24 * MIB),
                  f"[ $(cat /sys/block/vda/size) = {24 * MIB // 512} ]"),
        Operation(["iothreadadd", "2"], ["iothreadinfo"], "2 "),
        Operation(["attach-device", dimm], ["dumpxml"], "memory model",
                  "[ $(ls -d /sys/devices/system/memory/memory[0-9]* | wc -l) = 3 ]"),
        attach_disk(disk),
        detach_disk(disk),
        Operation(["attach-device", nic], ["domiflist"], MAC,
                  "[ -e /sys/class/net/eth0 ]"),
        Operation(["setvcpus", "2"], ["vcpucount", "--current", "--live"], "2",
                  f"{{ {ONLINE}; [ $(nproc) = 2 ]; }}"),
        snapshot(lab.folder / "overlay1")]


def in_their_midst(lab, guest):
    disk, nic = xml_files(lab, guest)
    return [
        attach_disk(disk),
        Operation(["detach-device", nic], ["domiflist"], MAC,
                  "[ ! -e /sys/class/net/eth0 ]", is_there=False),
        Operation(["setvcpus", "1"], ["vcpucount", "--current", "--live"], "1",
                  "[ ! -e /sys/devices/system/cpu/cpu1 ]"),
        detach_disk(disk),
        snapshot(lab.folder / "overlay2")]


def xml_files(lab, guest):
    disk = DISK.format(path=lab.folder / "b", dev="vdb")
    return (guest.libvirt.write("disk.xml", disk),
            guest.libvirt.write("nic.xml", NIC.format(number=2)))


def attach_disk(xml):
    return Operation(["attach-device", xml], ["domblklist"], "vdb", "[ -b /dev/vdb ]")


def detach_disk(xml):
    return Operation(["detach-device", xml], ["domblklist"], "vdb",
                     "[ ! -e /sys/block/vdb ]", is_there=False)


def snapshot(overlay):
    return Operation(["snapshot-create-as", "s", "--disk-only", "--no-metadata",
                      "--diskspec", f"vda,file={overlay}"], ["domblklist"], overlay.name,
                     "dd if=/dev/zero of=/dev/vda bs=4k count=1 oflag=direct 2> /tmp/dd")


def scenario(lab):
    guest = domain_guest(lab)
    if not guest:
        return
    for name in ("a", "b"):
        with open(lab.folder / name, "wb") as file:
            file.truncate(16 * MIB)
    guest.define(lab, vcpu=VCPU, cpu=NUMA,
                 devices=DEVICES.format(path=lab.folder / "a", dev="vda"))
    guest.start().wait_up()
    guest.load_modules(MODULES)
    pid = guest.libvirt.pid_of("vm")
    for operation in unanswered(lab, guest):
        cut_off_unanswered(guest, operation, pid)
        check(lab, guest, operation, pid, "unanswered")
    began = time.monotonic()
    guest.virsh("domstate")
    turn = time.monotonic() - began
    for number, operation in enumerate(in_their_midst(lab, guest)):
        cut_off(guest, operation, turn * (0.7 + 0.2 * (number % 4)))
        check(lab, guest, operation, pid, "in its midst")
    complaints = guest.run("dmesg | grep -E 'BUG:|WARNING:|Call Trace|I/O error'; true")
    lab.equal("the kernel has nothing to complain of", complaints, "")
    check_power(lab, guest, pid)


def begin(guest, operation):
    name, *args = operation.command
    return guest.libvirt.background(name, "vm", *args)


def cut_off_unanswered(guest, operation, pid):
    os.kill(pid, signal.SIGSTOP)
    process = begin(guest, operation)
    time.sleep(1)
    guest.libvirt.kill()
    process.communicate(timeout=TIMEOUT)
    os.kill(pid, signal.SIGCONT)
    guest.libvirt.start()


def cut_off(guest, operation, seconds):
    process = begin(guest, operation)
    time.sleep(seconds)
    guest.libvirt.kill()
    process.communicate(timeout=TIMEOUT)
    guest.libvirt.start()


def check(lab, guest, operation, pid, when):
    said = []
    done = eventually(lambda: is_done(lab, guest, operation, said))
    if done and operation.seen:
        guest.run(f"until {operation.seen}; do usleep 10000; done")
    lab.check(f"libvirtd is killed in {operation.name}, {when}: it can be done after it",
              done and guest.libvirt.pid_of("vm") == pid, said)


def check_power(lab, guest, pid):
    """The guest powers off while there is no libvirtd: its button's script waits, so that
    libvirtd is gone before, and does not hear of it."""
    powers_off(guest, "reboot")
    guest.libvirt.start()
    guest.wait_up()
    lab.check("libvirtd is killed in reboot: the guest boots again when it is back",
              eventually(lambda: guest.state.split()[0] == "running"), guest.state)
    lab.equal("in the same process", guest.libvirt.pid_of("vm"), pid)
    powers_off(guest, "shutdown")
    lab.equal("it is killed in shutdown: the process is there until it is back",
              guest.libvirt.pid_of("vm"), pid)
    guest.libvirt.start()
    lab.check("then the domain is off", guest.is_in("shut off (shutdown)"), guest.state)
    lab.check("and its process gone", eventually(
        lambda: guest.libvirt.pid_of("vm") is None))


def powers_off(guest, command):
    guest.run(f"sed -i '2i sleep {LATER}' {BUTTON}")
    guest.virsh(command, "--mode", "acpi")
    guest.libvirt.kill()
    guest.mark = guest.console.wait(POWER_DOWN, guest.mark).end()


def is_done(lab, guest, operation, said):
    """Whether libvirt knows; if it does not, it is told once more."""
    if operation.is_known(guest):
        return True
    try:
        guest.virsh(*operation.command)
    except VirshError as error:
        said.append(str(error))
        taken = re.search(TAKEN, said[-1])
        if taken:
            guest.virsh("qemu-monitor-command", "--hmp", f"object_del {taken[1]}")
        if operation.name == "snapshot-create-as" and "already exists" in said[-1]:
            (lab.folder / operation.text).unlink()
    return operation.is_known(guest)
