# SPDX-License-Identifier: Apache-2.0
"""What comes to a stock guest, changes and goes under a real libvirtd: disks, interfaces,
media, memory, I/O threads.  What virsh does is looked for in the guest."""

import re

import tasks
from domain_guest import (BALLOON, DISK, NIC, PORT, ROOT, domain_guest, eventually)
from libvirtd import VirshError

SECONDS = 66
MIB = 1 << 20
CD = """<disk type='file' device='cdrom'>
  <driver name='qemu' type='raw'/>
  <source file='{path}'/><target dev='sda' bus='scsi'/><readonly/>
</disk>
"""
DEVICES = (ROOT + PORT * 10 + BALLOON + NIC.format(number=1) +
           "<controller type='scsi' model='virtio-scsi' index='0'/>" + CD)
MEMORY = "<vcpu>1</vcpu><maxMemory slots='4' unit='MiB'>1024</maxMemory>"
NUMA = "<numa><cell id='0' cpus='0' memory='256' unit='MiB'/></numa>"
MODULES = ("virtio_blk failover net_failover virtio_net scsi_common scsi_mod virtio_scsi "
           "cdrom sr_mod virtio_mem")
DIMM = """<memory model='dimm'>
  <target><size unit='MiB'>128</size><node>0</node></target>
</memory>"""
VIRTIO_MEM = """<memory model='virtio-mem'>
  <target>
    <size unit='MiB'>256</size><node>0</node><block unit='MiB'>4</block>
    <requested unit='MiB'>64</requested>
  </target>
</memory>"""
CARRIER = "/sys/class/net/eth0/carrier"
BLOCK = "/sys/block/vda"
REQUESTS = 30


def scenario(lab):
    guest = domain_guest(lab)
    if not guest:
        return
    for number in (1, 2, 3):
        disc(lab, number).write_bytes(f"disc-{number}".encode().ljust(64 << 10))
    with open(lab.folder / "disk", "wb") as file:
        file.truncate(16 * MIB)
    guest.define(lab, vcpu=MEMORY, cpu=NUMA, append="memhp_default_state=online_movable",
                 devices=DEVICES.format(path=disc(lab, 1)))
    guest.start().wait_up()
    guest.load_modules(MODULES)
    check_disk(lab, guest)
    check_size(lab, guest)
    check_limits(lab, guest)
    check_snapshot(lab, guest)
    check_detached(lab, guest)
    check_links(lab, guest)
    check_interface(lab, guest)
    check_media(lab, guest)
    check_module(lab, guest)
    check_virtio_mem(lab, guest)
    guest.virsh("shutdown", "--mode", "acpi")
    lab.check("the power button powers it off", guest.is_in("shut off (shutdown)"),
              guest.state)


def disc(lab, number):
    return lab.folder / f"disc{number}"


def until(guest, condition):
    """Waits in the guest."""
    guest.run(f"until {condition}; do usleep 10000; done")


def threads(guest):
    """The names of its VMM's, but of those that are ending."""
    return [(tasks.text_of(task, "comm") or "").strip()
            for task in tasks.living(guest.libvirt.pid_of("vm"))]


def check_disk(lab, guest):
    """A disk comes, on a thread of its own that comes before."""
    guest.virsh("iothreadadd", "2")
    guest.virsh("iothreadpin", "2", "0")
    lab.match("iothreadadd, iothreadpin", guest.virsh("iothreadinfo"), r"(?m)^ *2 +0$")
    lab.check("the thread is there", "IO iothread2" in threads(guest))
    xml = DISK.format(path=lab.folder / "disk", dev="vda")
    guest.virsh("attach-device", guest.libvirt.write(
        "disk.xml", xml.replace("type='raw'", "type='raw' iothread='2'")))
    until(guest, "[ -b /dev/vda ]")
    guest.run("echo first > /dev/vda; sync")
    lab.equal("attach-device of a disk, which can be written",
              (lab.folder / "disk").read_bytes()[:6], b"first\n")
    refused(lab, guest, "a thread that a disk uses stays", "being used by disk",
            "iothreaddel", "2")


def refused(lab, guest, what, words, *command):
    try:
        lab.check(what, False, f"is done: {guest.virsh(*command)}")
    except VirshError as error:
        lab.match(what, str(error), words)


def check_size(lab, guest):
    guest.virsh("blockresize", "vda", "24M")
    until(guest, f"[ $(cat {BLOCK}/size) = {24 * MIB // 512} ]")
    lab.equal("blockresize is seen at once, and the file grows",
              (lab.folder / "disk").stat().st_size, 24 * MIB)


def seconds(guest):
    """That so many requests take, by the guest's clock."""
    text = guest.run("cat /proc/uptime; dd if=/dev/zero of=/dev/vda bs=4k seek=1024 "
                     f"count={REQUESTS} oflag=direct 2> /dev/null; cat /proc/uptime")
    before, _, after, _ = map(float, text.split())
    return after - before


def check_limits(lab, guest):
    guest.virsh("blkdeviotune", "vda", "--total-iops-sec", "10")
    slow = seconds(guest)
    lab.check("blkdeviotune makes it slow", slow > 0.8 * REQUESTS / 10, slow)
    guest.virsh("blkdeviotune", "vda", "--total-iops-sec", "0")
    # Whatever else the machine does takes time, too, but not always.
    lab.check("and fast again", eventually(lambda: seconds(guest) < slow / 2))


def check_snapshot(lab, guest):
    before = (lab.folder / "disk").read_bytes()
    guest.virsh("snapshot-create-as", "s", "--disk-only", "--no-metadata", "--diskspec",
                f"vda,file={lab.folder}/overlay")
    guest.run("echo second | dd of=/dev/vda bs=4k seek=1 conv=sync 2> /dev/null; sync; "
              "echo 3 > /proc/sys/vm/drop_caches")
    lab.equal("snapshot-create-as --disk-only: the image stays as it was",
              (lab.folder / "disk").read_bytes() == before, True)
    lab.check("what is written is in the overlay",
              b"second\n" in (lab.folder / "overlay").read_bytes())
    lab.equal("the guest reads both", guest.run(
        "head -n 1 /dev/vda; dd if=/dev/vda bs=4k skip=1 count=1 2> /dev/null | "
        "head -n 1"), "first\nsecond")


def check_detached(lab, guest):
    guest.virsh("detach-disk", "vda")
    until(guest, f"[ ! -e {BLOCK} ]")
    lab.check("detach-disk", eventually(lambda: "vda" not in guest.virsh("domblklist")))
    guest.virsh("iothreaddel", "2")
    lab.check("iothreaddel: the thread is gone", "IO iothread2" not in threads(guest))


def check_links(lab, guest):
    guest.run("ip link set eth0 up")
    name = guest.virsh("domiflist").split()[0]
    xml = NIC.format(number=1).replace("<model", "<link state='{}'/><model")
    down = guest.libvirt.write("down.xml", xml.format("down"))
    up = guest.libvirt.write("up.xml", xml.format("up"))
    until(guest, f"[ $(cat {CARRIER}) = 1 ]")
    for carrier, command in ((0, ("domif-setlink", name, "down")),
                             (1, ("domif-setlink", name, "up")),
                             (0, ("update-device", down)), (1, ("update-device", up))):
        guest.virsh(*command)
        until(guest, f"[ $(cat {CARRIER}) = {carrier} ]")
        lab.check(f"{command[0]}: carrier {carrier}", True)


def check_interface(lab, guest):
    xml = guest.libvirt.write("nic.xml", NIC.format(number=2))
    guest.virsh("attach-device", xml)
    until(guest, "[ -e /sys/class/net/eth1 ]")
    lab.equal("attach-device of an interface",
              guest.run("cat /sys/class/net/eth1/address"), "52:54:00:00:00:02")
    guest.virsh("detach-device", xml)
    until(guest, "[ ! -e /sys/class/net/eth1 ]")
    lab.check("detach-device of an interface", eventually(
        lambda: "52:54:00:00:00:02" not in guest.virsh("domiflist")))


def check_media(lab, guest):
    xml = guest.libvirt.write("cd.xml", CD.format(path=disc(lab, 1)))
    until(guest, "[ -b /dev/sr0 ]")
    media = "head -c 6 /dev/sr0 2>&1 || true"
    lab.equal("the medium of the start", guest.run(media), "disc-1")
    for what, wanted, command in (
            ("change-media --eject", "No medium", ("change-media", "sda", "--eject")),
            ("change-media --insert", "disc-2",
             ("change-media", "sda", disc(lab, 2), "--insert")),
            ("change-media --update", "disc-3",
             ("change-media", "sda", disc(lab, 3), "--update")),
            ("update-device of a medium", "disc-1", ("update-device", xml))):
        guest.virsh(*command)
        lab.match(what, guest.run(media), wanted)


def total(guest):
    """In MiB."""
    return int(re.search(r"\d+", guest.run("grep MemTotal /proc/meminfo"))[0]) >> 10


def unplugged(guest, condition, *command):
    """Libvirt waits for 5 s, and a page that is in use for a moment makes the guest
    refuse: then it is asked again."""
    for _ in range(5):
        try:
            guest.virsh(*command)
        except VirshError as error:
            if not re.search("timed out|unplug of the device|not found", str(error)):
                raise
        if eventually(condition):
            return True
    return False


def check_module(lab, guest):
    xml = guest.libvirt.write("dimm.xml", DIMM)
    before = total(guest)
    guest.virsh("attach-device", xml)
    lab.check("attach-device of a module of memory", eventually(
        lambda: total(guest) == before + 128), total(guest))
    lab.match("libvirt counts it", guest.virsh("dominfo"), "Max memory: +393216 ")
    lab.check("detach-device of it", unplugged(
        guest, lambda: total(guest) == before, "detach-device", xml), total(guest))
    lab.check("libvirt knows", eventually(
        lambda: re.search("Max memory: +262144 ", guest.virsh("dominfo"))))


def check_virtio_mem(lab, guest):
    before = total(guest)
    guest.virsh("attach-device", guest.libvirt.write("virtio-mem.xml", VIRTIO_MEM))
    lab.check("attach-device of virtio-mem", eventually(
        lambda: total(guest) == before + 64), total(guest))
    for size in (128, 0):
        guest.virsh("update-memory-device", "--requested-size", f"{size}M")
        lab.check(f"update-memory-device to {size} MiB", eventually(
            lambda: total(guest) == before + size), total(guest))
        lab.check("libvirt knows", eventually(lambda: f">{size << 10}<" in guest.virsh(
            "dumpxml", "--xpath", "//memory[@model='virtio-mem']//current")),
            guest.virsh("dumpxml", "--xpath", "//memory[@model='virtio-mem']"))
    live = guest.libvirt.write("live.xml", guest.virsh(
        "dumpxml", "--xpath", "//memory[@model='virtio-mem']"))
    guest.virsh("detach-device", live)
    lab.check("detach-device of it", eventually(
        lambda: "virtio-mem" not in guest.virsh("dumpxml")))
