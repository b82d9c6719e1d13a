#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real libvirtd with berth for its emulator, and tiny guests: what virsh does to a
domain in its life.  The test is the guest's driver where something has to let go.
Domains are in control groups where the host has such."""

import json
import os
import pathlib
import re
import shutil
import signal
import sys
import time

from domain_groups import DomainGroups
from libvirt_rig import (DIMM, DISK, NIC, VIRTIO_MEM, let_go, libvirt_main,
                         power_off, released, started_with_all, LibvirtRig)
from libvirtd import VirshError
from poke import Poke
from rig import ROOT, heard, wait_until
import tasks

VOLUME = """<disk type='volume' device='disk'>
  <driver name='qemu' type='qcow2'/>
  <source pool='pool' volume='top'/><target dev='vdd' bus='virtio'/>
</disk>"""
PM_STATUS, PM_BUTTON = 0x600, 1 << 8
MEMORY_AND_TIME = """<memory unit='MiB'>128</memory>
<cputune>
  <shares>512</shares>
  <period>100000</period><quota>10000</quota>
  <emulator_period>100000</emulator_period><emulator_quota>20000</emulator_quota>
  <iothread_period>100000</iothread_period><iothread_quota>30000</iothread_quota>
  <vcpupin vcpu='1' cpuset='0'/>
</cputune>"""


class GroupsRig(LibvirtRig):
    groups = True


def test_probe(t):
    """Also that libvirt is content with one process: a second one would be for TCG."""
    t.says("the emulator in its PATH is berth", "<machine [^>]*>pc-q35-berth",
           "capabilities")
    known = t.virsh("domcapabilities", "--virttype", "kvm")
    t.match("a domain may have I/O threads", known, "<iothreads supported='yes'/>")
    t.match("and the host's processor", known,
            "<mode name='host-passthrough' supported='yes'>")
    t.refused("there is no emulation of processors", "KVM|kvm|qemu", "domcapabilities",
              "--virttype", "qemu", "--emulatorbin", t.options.vmm)


def test_life(t):
    t.define("life", devices="<memballoon model='virtio'/>")
    guest = t.start("life")
    heard(guest, "B")
    t.equal("it runs", t.state("life"), "running (unpaused)")
    t.virsh("suspend", "life")
    t.equal("it is paused", t.state("life"), "paused (user)")
    t.virsh("resume", "life")
    t.equal("it runs again", t.state("life"), "running (unpaused)")
    guest.process.stdin.write(b"hello")
    heard(guest, "hello")
    t.says("it has two vCPUs", r"CPU\(s\): +2\b", "dominfo", "life")
    times = t.virsh("domstats", "life")
    t.match("whose time counts", times, r"vcpu\.0\.time=[1-9]")
    t.match("and halts", times, r"cpu\.haltpoll\.success\.time=\d")
    t.match("and what KVM counts of each", times, r"vcpu\.1\.exits\.sum=\d")
    t.says("its memory is told", r"actual 131072\b", "dommemstat", "life")
    t.virsh("setmem", "life", "100M")
    last = os.cpu_count() - 1
    for command in (["reset"], ["inject-nmi"], ["reboot"], ["vcpupin", 0, 0],
                    ["vcpupin", 1, last], ["emulatorpin", 0], ["iothreadpin", 1, last],
                    ["domstats"], ["shutdown", "--mode", "acpi"], ["domjobinfo"],
                    ["domblkerror"]):
        t.virsh(command[0], "life", *command[1:])
    pid = t.libvirt.pid_of("life")
    texts = [tasks.text_of(task, "status") or "" for task in tasks.lasting(pid)]
    pinned = {re.search(r"Name:\s+(.*)", text)[1]:
              re.search(r"Cpus_allowed_list:\s+(.*)", text)[1] for text in texts if text}
    wanted = {"CPU 0/KVM": "0", "CPU 1/KVM": str(last), "IO iothread1": str(last)}
    t.equal("each thread is where it is pinned",
            {name: pinned.get(name) for name in wanted}, wanted)
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    t.match("and the process", status, r"Cpus_allowed_list:\s+0\n")
    t.equal("it runs all the time", t.state("life"), "running (unpaused)")
    t.virsh("destroy", "life")
    t.equal("it is destroyed", t.state("life"), "shut off (destroyed)")
    t.check("its process is gone", t.libvirt.pid_of("life") is None)
    t.virsh("start", "life")
    t.libvirt.virsh("destroy", "life", "--graceful")
    t.equal("it is destroyed with grace", t.state("life"), "shut off (destroyed)")


def test_power(t):
    """What libvirt makes of a power button and of a guest that powers off."""
    t.define("power", "poke")
    driver = Poke(t.start("power"))
    t.virsh("reboot", "power", "--mode", "acpi")
    t.equal("the button is pressed", driver.inp(PM_STATUS, 2) & PM_BUTTON, PM_BUTTON)
    power_off(driver)
    driver.heard("!")
    t.check("a guest that is to reboot and powers off starts again", wait_until(
        lambda: t.state("power").split()[0] == "running"))
    t.virsh("shutdown", "power", "--mode", "acpi")
    t.equal("the button is pressed again", driver.inp(PM_STATUS, 2) & PM_BUTTON,
            PM_BUTTON)
    power_off(driver)
    t.check("a guest that powers off is shut off", wait_until(
        lambda: t.state("power") == "shut off (shutdown)"))
    t.check("and its process ends", wait_until(
        lambda: t.libvirt.pid_of("power") is None))


def pressed(driver):
    """Whether the guest is told that the power button was; it takes note."""
    if not driver.inp(PM_STATUS, 2) & PM_BUTTON:
        return False
    driver.out(PM_STATUS, PM_BUTTON, 2)
    return True


def killed_unanswered(t, pid, *command):
    """Kills libvirtd when it has asked, for that command, the VMM, which is stopped."""
    mark = len(t.libvirt.monitor_log())
    os.kill(pid, signal.SIGSTOP)
    process = t.libvirt.background(*command)
    t.check(f"{command[0]}: the VMM is asked", wait_until(
        lambda: "QEMU_MONITOR_SEND_MSG" in t.libvirt.monitor_log()[mark:]))
    time.sleep(0.1)
    t.libvirt.kill()
    process.communicate(timeout=60)
    os.kill(pid, signal.SIGCONT)
    t.libvirt.start()


def dies_unanswered(t, command, driver, pid):
    """What libvirtd asked for is dropped when it is gone before the VMM has read it."""
    killed_unanswered(t, pid, command, "power", "--mode", "acpi")
    t.check(f"{command}, unanswered: it runs", wait_until(
        lambda: t.state("power").split()[0] == "running"), t.state("power"))
    t.check(f"{command}, unanswered: no button is pressed", not pressed(driver))


def test_libvirtd_away_while_a_guest_ends(t):
    """A guest that is to reboot, or to end, does so when libvirtd has been killed: it is
    done when libvirtd is back."""
    t.define("power", "poke")
    driver = Poke(t.start("power"))
    pid = t.libvirt.pid_of("power")
    for command in ("reboot", "shutdown"):
        dies_unanswered(t, command, driver, pid)
        t.virsh(command, "power", "--mode", "acpi")
        t.libvirt.kill()
        t.check(f"{command}: the button is pressed", wait_until(lambda: pressed(driver)))
        power_off(driver)
        t.libvirt.start()
        if command == "reboot":
            driver.heard("!")
            t.check("reboot: it runs", wait_until(
                lambda: t.state("power").split()[0] == "running"), t.state("power"))
            t.equal("reboot: in the same process", t.libvirt.pid_of("power"), pid)
    t.check("shutdown: it is shut off", wait_until(
        lambda: t.state("power") == "shut off (shutdown)"), t.state("power"))
    t.check("shutdown: the process has ended", wait_until(
        lambda: t.libvirt.pid_of("power") is None))


def test_domain_of_qemu(t):
    """Defined for QEMU, it is berth's by a change of its emulator alone."""
    qemu = shutil.which("qemu-system-x86_64")
    if not qemu:
        t.skip("a domain of QEMU", "there is no QEMU")
        return
    t.define("web1", devices=f"<emulator>{qemu}</emulator>"
             "<controller type='usb' model='none'/>")
    xml = t.virsh("dumpxml", "web1", "--inactive")
    t.match("it names a release of QEMU's board", xml, r"machine='pc-q35-\d")
    berth = f"<emulator>{t.options.vmm}<"
    t.virsh("define", t.write("web1.xml", re.sub("<emulator>.*<", berth, xml)))
    heard(t.start("web1"), "B")
    now = t.virsh("dumpxml", "web1")
    t.check("the emulator is another", berth in now, now)
    t.match("the name of the board is the same", now, r"machine='pc-q35-\d")
    t.virsh("destroy", "web1")


def test_statistics(t):
    started_with_all(t)
    stats = t.virsh("domstats", "all")
    for name in ("balloon.current=131072", "net.0.name=vnet", "block.0.name=vda",
                 "block.0.capacity=16777216", "block.2.name=sda",
                 "iothread.1.poll-max-ns=", "vcpu.maximum=4"):
        t.check(f"domstats has {name}", name in stats, stats)
    t.says("reads are counted", r"vda rd_req \d", "domblkstat", "all", "vda")
    t.says("the image is measured", r"Capacity: +16777216\b", "domblkinfo", "all", "vda")
    t.says("frames are counted", r"rx_packets \d", "domifstat", "all", "vnet0")
    t.says("all disks are there", "vda.*\n.*vdb.*\n.*sda", "domblklist", "all")
    t.virsh("domif-setlink", "all", "vnet0", "down")
    t.says("the link is down", "down", "domif-getlink", "all", "vnet0")
    t.virsh("domif-setlink", "all", "vnet0", "up")
    t.virsh("blkdeviotune", "all", "vda", "--read-iops-sec", "100", "--total-bytes-sec",
            "0", "--write-iops-sec", "300", "--write-iops-sec-max", "400")
    limits = t.virsh("blkdeviotune", "all", "vda")
    t.match("limits are read back", limits, r"read_iops_sec +: 100\n")
    t.match("and their bursts", limits, r"write_iops_sec_max: 400\n")
    t.virsh("blockresize", "all", "vda", "32M")
    t.virsh("blockresize", "all", "vdb", "24M")
    t.says("the image has grown", r"Capacity: +33554432\b", "domblkinfo", "all", "vda")
    t.says("and the file", r"Capacity: +25165824\b", "domblkinfo", "all", "vdb")
    t.virsh("change-media", "all", "sda", "--eject")
    t.virsh("change-media", "all", "sda", t.folder / "2.iso", "--insert")
    t.says("the medium is another", "sda +/.*/2.iso", "domblklist", "all")
    t.virsh("iothreadadd", "all", "7")
    t.virsh("iothreadset", "all", "7", "--poll-max-ns", "1000")
    t.says("its polling is set", r"iothread\.7\.poll-max-ns=1000", "domstats", "all",
           "--iothread")
    t.virsh("iothreaddel", "all", "7")
    t.refused("one in use stays", "being used by disk", "iothreaddel", "all", "1")
    t.virsh("snapshot-create-as", "all", "s", "--disk-only", "--no-metadata",
            "--diskspec", "vdb,snapshot=no")
    t.says("the disk is an overlay", r"vda +/.*/a\.s\b", "domblklist", "all")
    t.equal("it runs all the time", t.state("all"), "running (unpaused)")


def check_volumes(t, driver):
    """A disk that is a volume of a pool, with another one below it."""
    (t.folder / "pool").mkdir()
    t.virsh("pool-create-as", "pool", "dir", "--target", t.folder / "pool")
    t.virsh("vol-create-as", "pool", "base", "16M", "--format", "qcow2")
    t.virsh("vol-create-as", "pool", "top", "16M", "--format", "qcow2", "--backing-vol",
            "base", "--backing-vol-format", "qcow2")
    t.virsh("attach-device", "all", t.write("volume.xml", VOLUME))
    t.says("the volume is a disk", "vdd +top", "domblklist", "all")
    t.says("and has its size", r"Capacity: +16777216\b", "domblkinfo", "all", "vdd")
    t.virsh("blockresize", "all", "vdd", "24M")
    t.virsh("pool-refresh", "pool")
    t.says("which a volume follows", r"(?m)^Capacity: +24\.00 MiB", "vol-info", "top",
           "--pool", "pool")
    released(t, driver, "detach-disk", "all", "vdd")
    t.check("it is gone", wait_until(
        lambda: "vdd" not in t.virsh("domblklist", "all")))
    for name in ("top", "base"):
        t.virsh("vol-delete", name, "--pool", "pool")


def test_devices_come_and_go(t):
    driver = started_with_all(t)
    xml = {"disk": DISK.format(folder=t.folder), "nic": NIC.format(link="up"),
           "down": NIC.format(link="down"), "dimm": DIMM, "mem": VIRTIO_MEM}
    files = {name: t.write(f"{name}.xml", text) for name, text in xml.items()}
    for _ in range(2):
        t.virsh("attach-device", "all", files["disk"])
        t.says("the disk is there", "vdc", "domblklist", "all")
        released(t, driver, "detach-disk", "all", "vdc")
        t.check("the disk is gone", wait_until(
            lambda: "vdc" not in t.virsh("domblklist", "all")))
    check_volumes(t, driver)
    t.virsh("attach-device", "all", files["nic"])
    t.virsh("update-device", "all", files["down"])
    t.says("the interface is there, its link down", "down", "domif-getlink", "all",
           "vnet1")
    released(t, driver, "detach-interface", "all", "bridge", "--mac", "52:54:00:00:00:02")
    t.check("the interface is gone", wait_until(
        lambda: "52:54:00:00:00:02" not in t.virsh("domiflist", "all")))

    t.virsh("attach-device", "all", files["dimm"])
    t.says("the module is there", r"Max memory: +262144 ", "dominfo", "all")
    released(t, driver, "detach-device", "all", files["dimm"])
    t.check("the module is gone", wait_until(
        lambda: re.search(r"Max memory: +131072 ", t.virsh("dominfo", "all"))))
    t.virsh("attach-device", "all", files["mem"])
    t.virsh("update-memory-device", "all", "--requested-size", "32M")
    t.says("virtio-mem is asked for another size", "requested.*>32768<", "dumpxml", "all",
           "--xpath", "//memory[@model='virtio-mem']//requested")

    t.virsh("setvcpus", "all", "4")
    t.says("there are four vCPUs", r"current +live +4\b", "vcpucount", "all")
    process = t.libvirt.background("setvcpus", "all", "2")
    while process.poll() is None:
        let_go(driver)
    t.equal("vCPUs can go", (process.returncode, process.communicate()[0].strip()),
            (0, ""))
    t.says("there are two vCPUs", r"current +live +2\b", "vcpucount", "all")
    t.equal("it runs all the time", t.state("all"), "running (unpaused)")


def refusals():
    """What docs/libvirt.md says is refused: virsh's command, and libvirt's words."""
    text = (ROOT / "docs/libvirt.md").read_text()
    table = text.partition("| virsh | what libvirt says |")[2].partition("\n\n")[0]
    return re.findall(r"^\| (.*) \| `(.*)` \|$", table, re.M)


def test_what_is_refused(t):
    """Each as the table says, and the domain goes on."""
    t.files()
    t.define("vm", devices=DISK.replace("raw", "qcow2").replace("c.q", "a.q")
             .format(folder=t.folder))
    t.start("vm")
    t.virsh("snapshot-create-as", "vm", "overlay", "--disk-only")
    file = t.folder / "file"
    commands = {
        "save": ["save", "vm", file],
        "managedsave": ["managedsave", "vm"],
        "dump, without `--memory-only`": ["dump", "vm", file],
        "snapshot-create-as `--memspec`": ["snapshot-create-as", "vm", "m", "--memspec",
                                           file],
        "snapshot-create-as, within a qcow2 image": ["snapshot-create-as", "vm", "s"],
        "snapshot-delete, of one that is an overlay": ["snapshot-delete", "vm",
                                                       "overlay"],
        "blockcommit": ["blockcommit", "vm", "vdc", "--active", "--pivot"],
        "blockpull": ["blockpull", "vm", "vdc"],
        "blockcopy": ["blockcopy", "vm", "vdc", file, "--transient-job"],
        "backup-begin": ["backup-begin", "vm"],
        "checkpoint-create-as": ["checkpoint-create-as", "vm", "c"],
        "domdirtyrate-calc": ["domdirtyrate-calc", "vm"],
        "screenshot": ["screenshot", "vm", file]}
    told = refusals()
    t.equal("each row of the table is run", sorted(row for row, _ in told),
            sorted(commands))
    for row, words in told:
        t.refused(f"{row} is refused", re.escape(words), *commands[row])
        t.equal(f"{row}: the domain goes on", t.state("vm").split()[0], "running")
    t.virsh("send-key", "vm", "KEY_LEFTCTRL", "KEY_LEFTALT", "KEY_DELETE")
    t.virsh("dump", "vm", file, "--memory-only")
    with open(file, "rb") as core:
        t.equal("but a dump is one", core.read(4), b"\x7fELF")


def runs(t, name):
    """Whether the VMM says so; libvirtd asks it when it has connected again."""
    return '"running":true' in t.virsh("qemu-monitor-command", name,
                                       '{"execute":"query-status"}').replace(" ", "")


def test_libvirtd_comes_back(t):
    t.define("back", devices="<memballoon model='virtio'/>")
    guest = t.start("back")
    heard(guest, "B")
    pid = t.libvirt.pid_of("back")
    t.libvirt.restart()
    t.check("it runs after a restart of libvirtd", runs(t, "back"))
    t.match("its vCPUs are asked for", t.virsh("domstats", "back"), r"vcpu\.0\.time=")
    t.virsh("suspend", "back")
    t.libvirt.restart()
    t.check("it is paused after another", not runs(t, "back"))
    t.equal("and libvirt knows it", t.state("back").split()[0], "paused")
    t.virsh("resume", "back")
    t.files()
    disk = t.write("disk.xml", DISK.format(folder=t.folder))
    for number, command in enumerate((
            ["suspend", "back"], ["setmem", "back", "100M"],
            ["attach-device", "back", disk], ["domstats", "back"],
            ["dump", "back", t.folder / "core", "--memory-only"], ["reset", "back"])):
        process = t.libvirt.background(*command)
        time.sleep(0.01 * (number % 3))
        t.libvirt.kill()
        process.communicate(timeout=60)
        t.libvirt.start()
        # A dump that was begun is brought to its end, before which nothing runs.
        wait_until(lambda: runs(t, "back") or is_done(t, ["resume", "back"]))
        guest.process.stdin.write(f"<{number}>".encode())
        heard(guest, f"<{number}>")
        t.check(f"libvirtd is killed in {command[0]}: the domain goes on", wait_until(
            lambda: t.state("back").split()[0] == "running") and
            t.libvirt.pid_of("back") == pid, t.state("back"))
    t.virsh("destroy", "back")
    t.check("it can be destroyed", t.libvirt.pid_of("back") is None)


def is_done(t, command):
    try:
        t.virsh(*command)
        return True
    except VirshError:
        return False


def test_killed_unanswered(t):
    """libvirtd is killed when it has asked and has no answer yet: nothing has been done,
    and all can be done when it is back."""
    driver = started_with_all(t)
    pid = t.libvirt.pid_of("all")
    nic, down = (t.write(f"{link}.xml", NIC.format(link=link)) for link in ("up", "down"))
    for command in (
            ["setmem", "all", "100M"], ["domif-setlink", "all", "vnet0", "down"],
            ["blkdeviotune", "all", "vda", "--read-iops-sec", "100"],
            ["iothreadadd", "all", "7"], ["iothreaddel", "all", "7"],
            ["iothreadset", "all", "1", "--poll-max-ns", "1000"],
            ["change-media", "all", "sda", t.folder / "2.iso", "--update"],
            ["attach-device", "all", nic], ["update-device", "all", down],
            ["domstats", "all"], ["inject-nmi", "all"],
            ["dump", "all", t.folder / "core", "--memory-only"]):
        killed_unanswered(t, pid, *command)
        t.check(f"{command[0]}: the guest was not stopped", runs(t, "all"))
        t.check(f"{command[0]} is done later", wait_until(lambda: is_done(t, command)))
        driver.inp(PM_STATUS, 2)
        t.equal("the guest goes on", t.libvirt.pid_of("all"), pid)


def test_libvirtd_hangs(t):
    """It is stopped with its monitor open: the domain goes on, commands wait, and it
    finds the domain as it is when it goes on."""
    t.define("hung", devices="<memballoon model='virtio'/>")
    guest = t.start("hung")
    heard(guest, "B")
    pid = t.libvirt.pid_of("hung")
    t.libvirt.hang()
    try:
        process = t.libvirt.background("domstats", "hung")
        for number in range(20):
            guest.process.stdin.write(f"<{number}>".encode())
            heard(guest, f"<{number}>")
        t.check("the domain goes on while libvirtd does not", True)
        t.check("virsh waits", process.poll() is None)
    finally:
        t.libvirt.go_on()
    process.communicate(timeout=60)
    t.equal("its command ends well", process.returncode, 0)
    t.check("the domain is found as it was", runs(t, "hung"))
    t.virsh("suspend", "hung")
    t.equal("it obeys", t.state("hung"), "paused (user)")
    t.equal("it is the same process", t.libvirt.pid_of("hung"), pid)


def check_places(t, groups, vcpus, iothreads):
    """Each thread is in its own group, or in that of the process."""
    wanted = {f"CPU {i}/KVM": f"vcpu{i}" for i in range(vcpus)}
    wanted.update((f"IO iothread{i}", f"iothread{i}") for i in iothreads)
    for controller in ("cpu", "cpuset"):
        places = groups.names(controller)
        t.equal(f"{controller}: all threads are in their groups", places,
                {name: wanted.get(name, "emulator") for name in places})
        t.equal(f"{controller}: none is missing", set(wanted) - set(places), set())


def scheduled(t):
    """What virsh tells of it."""
    return {name: int(value) for name, value in re.findall(
        r"(\S+) *: (-?\d+)\b", t.virsh("schedinfo", "busy"))}


def check_blkiotune(t, groups):
    device = next((pathlib.Path("/dev") / path.name
                   for path in pathlib.Path("/sys/block").iterdir()
                   if (pathlib.Path("/dev") / path.name).is_block_device()), None)
    if not device or groups.limits_of_disks() is None:
        t.skip("blkiotune", "there is no disk, or no group for it")
        return
    t.virsh("blkiotune", "busy", "--device-read-iops-sec", f"{device},100")
    number = device.stat().st_rdev
    t.match("blkiotune", groups.limits_of_disks(),
            rf"(?m)^{os.major(number)}:{os.minor(number)} .*\b100\b")


def test_control_groups(t):
    """Each thread is in the group that libvirt makes for it, and gets what that gets."""
    version = t.libvirt.groups.version
    if not version:
        t.skip("control groups", "there are none to be had")
        return
    t.define("busy", memory=MEMORY_AND_TIME)
    guest = t.start("busy")
    heard(guest, "B")
    groups = DomainGroups(t.libvirt.pid_of("busy"), version)
    check_places(t, groups, 2, [1])
    told = t.virsh("qemu-monitor-command", "busy", '{"execute":"query-cpus-fast"}')
    vcpus = [groups.numbered(cpu["thread-id"]) for cpu in json.loads(told)["return"]]
    t.equal("vCPUs are the threads that the monitor tells",
            [(task / "comm").read_text() for task in vcpus],
            ["CPU 0/KVM\n", "CPU 1/KVM\n"])
    limited = [*vcpus, groups.task("IO iothread1"), groups.task()]
    t.equal("each has the limit that the domain says",
            [groups.quota(task) for task in limited],
            ["10000", "10000", "30000", "20000"])
    t.equal("and all have their shares", groups.shares(), "512")
    t.equal("vcpupin of a domain", groups.read(vcpus[1], "cpuset", "cpuset.cpus"), "0")

    guest.process.stdin.write(b"S")
    heard(guest, "S")
    t.check("a vCPU that is busy is stopped by its limit", wait_until(
        lambda: groups.spent(vcpus[0], 0.3)[1] > 0))
    used, _ = groups.spent(vcpus[0], 1)
    t.check("and uses no more than that", used < 0.2, used)
    t.virsh("schedinfo", "busy", "vcpu_quota=-1", "iothread_quota=40000",
            "emulator_quota=50000", "cpu_shares=1024")
    t.equal("schedinfo tells what it has set", {name: scheduled(t)[name] for name in (
        "vcpu_quota", "iothread_quota", "emulator_quota", "cpu_shares")}, {
            "vcpu_quota": -1, "iothread_quota": 40000, "emulator_quota": 50000,
            "cpu_shares": 1024})
    t.equal("and so it is", [groups.quota(task) for task in limited[1:]] +
            [groups.shares()], [groups.NO_QUOTA[version], "40000", "50000", "1024"])
    t.check("without its limit it uses more", wait_until(
        lambda: groups.spent(vcpus[0], 0.3)[0] > 1.5 * used))
    t.equal("nothing stops it", groups.spent(vcpus[0], 0.3)[1], 0)

    last = str(os.cpu_count() - 1)
    t.virsh("vcpupin", "busy", 0, last)
    t.virsh("emulatorpin", "busy", 0)
    t.virsh("iothreadpin", "busy", 1, last)
    t.equal("vcpupin, iothreadpin, emulatorpin of one that runs",
            [groups.read(task, "cpuset", "cpuset.cpus")
             for task in (vcpus[0], *limited[2:])], [last, last, "0"])
    check_blkiotune(t, groups)
    t.virsh("iothreadadd", "busy", 2)
    t.virsh("setvcpus", "busy", 3)
    check_places(t, groups, 3, [1, 2])
    t.match("cpu-stats", t.virsh("cpu-stats", "busy", "--total"),
            r"cpu_time +[1-9]|cpu_time +0\.\d*[1-9]")
    t.libvirt.restart()
    t.check("it runs after a restart of libvirtd", runs(t, "busy"))
    t.virsh("schedinfo", "busy", "vcpu_quota=20000")
    t.equal("which knows its groups", [groups.quota(task) for task in vcpus],
            ["20000", "20000"])
    t.virsh("destroy", "busy")


def test_autostart(t):
    t.define("self")
    t.virsh("autostart", "self")
    t.libvirt.kill()
    # Once per boot of the host.
    (t.libvirt.folder / "run/libvirt/qemu/autostarted").unlink()
    t.libvirt.start()
    t.check("what starts by itself is started by libvirtd",
            wait_until(lambda: t.state("self").split()[0] == "running"))
    t.check("in a process", t.libvirt.pid_of("self") is not None)


TESTS = [test_probe, test_life, test_power, test_libvirtd_away_while_a_guest_ends,
         test_domain_of_qemu, test_statistics,
         test_devices_come_and_go, test_what_is_refused, test_libvirtd_comes_back,
         test_killed_unanswered, test_libvirtd_hangs, test_control_groups,
         test_autostart]


if __name__ == "__main__":
    sys.exit(libvirt_main(TESTS, __doc__, GroupsRig))
