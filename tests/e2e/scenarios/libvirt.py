# SPDX-License-Identifier: Apache-2.0
"""The life of a stock guest under a real libvirtd: starts, statistics, pauses, vCPUs,
threads and their control groups, console, the agent of QEMU, and each way in which it
reboots or ends."""

import os
import pathlib
import re
import termios
import types

import tasks
from domain_guest import (BALLOON, CHANNEL, DISK, NIC, PORT, ROOT, domain_guest,
                          eventually)
from domain_groups import DomainGroups
from libvirtd import VirshError
from terminal import Terminal

SECONDS = 116
MIB = 1 << 20
DEVICES = (ROOT + PORT * 6 + CHANNEL + BALLOON + NIC.format(number=1) +
           "<serial type='pty'><target port='1'/></serial>")
# Without control groups libvirt sets the policy of a thread by its number.
VCPU = """<vcpu current='1'>2</vcpu><iothreads>1</iothreads>
<cputune>
  <shares>512</shares><period>100000</period><quota>100000</quota>
  <vcpupin vcpu='0' cpuset='0'/>
  <vcpusched vcpus='0' scheduler='batch'/>
  <iothreadsched iothreads='1' scheduler='batch'/>
</cputune>
<numatune><memory mode='strict' nodeset='0'/></numatune>"""
# A kernel waits for a vCPU for 10 s; where hosts are emulated that may be short.
ONLINE = ("cd /sys/devices/system/cpu; until [ -e cpu1/online ]; do usleep 10000; done; "
          "for try in 1 2 3; do (echo 1 > cpu1/online) 2> /dev/null && break; done; "
          "nproc")
FILE_SYSTEM = ("mke2fs -q /dev/vda > /dev/null; mkdir -p /tmp/d; "
               "mount -t ext4 /dev/vda /tmp/d && echo data > /tmp/d/file && sync")
ANSWERING = ("(while read -r line; do echo \"<$line>\"; done "
             "< /dev/ttyS1 > /dev/ttyS1 &)")
BUSY = "timeout 1 sh -c 'while :; do :; done'; true\n"
LATER = 1900000000
ESCAPE = "\x1d"


def scenario(lab):
    guest = domain_guest(lab, groups=True)
    if not guest:
        return
    with open(lab.folder / "disk", "wb") as file:
        file.truncate(16 * MIB)
    guest.define(lab, vcpu=VCPU, devices=DEVICES + DISK.format(
        path=lab.folder / "disk", dev="vda"))
    check_autostart(lab, guest)
    guest.load_modules()
    check_statistics(lab, guest)
    check_pause(lab, guest)
    check_threads(lab, guest)
    check_control_groups(lab, guest)
    check_console(lab, guest)
    check_memory(lab, guest)
    check_vcpus(lab, guest)
    check_nmi(lab, guest)
    check_restart_of_libvirtd(lab, guest)
    guest.virsh("reset")
    guest.wait_up()
    lab.check("reset begins anew", True)
    check_agent(lab, guest)
    guest.virsh("reboot", "--mode", "agent")
    guest.wait_up()
    lab.check("the agent reboots it", True)
    guest.virsh("reboot", "--mode", "acpi")
    guest.wait_up()
    lab.check("a guest that is to reboot and powers off starts again", True)
    lab.equal("libvirt takes note", guest.state.split()[0], "running")
    check_end(lab, guest)


def check_autostart(lab, guest):
    """libvirtd starts it by itself, once per boot of the host."""
    guest.virsh("autostart")
    guest.libvirt.kill()
    (guest.libvirt.folder / "run/libvirt/qemu/autostarted").unlink()
    guest.libvirt.start()
    guest.connect()
    guest.wait_up()
    lab.equal("autostart", guest.state, "running (booted)")


def numbers(text):
    """Lines or words "name value", "name: value", "name=value" of virsh."""
    return {name: int(value) for name, value in
            re.findall(r"(\S+)(?::\s+|=|\s)(\d+)\b", text)}


def guest_number(guest, path):
    return int(guest.run(f"cat {path}"))


def check_statistics(lab, guest):
    guest.run(FILE_SYSTEM)
    # A kernel writes when it likes.
    lab.check("domblkstat counts what the guest has written", eventually(
        lambda: 512 * int(guest.run("cat /sys/block/vda/stat").split()[6]) == numbers(
            guest.virsh("domblkstat", "vda").replace("vda ", ""))["wr_bytes"] > 0))
    lab.equal("domblkinfo has the size that the guest sees",
              numbers(guest.virsh("domblkinfo", "vda"))["Capacity"],
              512 * guest_number(guest, "/sys/block/vda/size"))
    guest.run("ip link set eth0 up")
    name = guest.virsh("domiflist").split()[0]
    sent = "/sys/class/net/eth0/statistics/tx_packets"
    lab.check("domifstat counts what the guest has sent", eventually(
        lambda: 0 < guest_number(guest, sent) == numbers(
            guest.virsh("domifstat", name).replace(name + " ", ""))["tx_packets"]))
    total = numbers(guest.run("grep MemTotal /proc/meminfo"))["MemTotal"]
    lab.check("dommemstat has the memory that the guest has", eventually(
        lambda: numbers(guest.virsh("dommemstat")).get("available") == total))
    stats = numbers(guest.virsh("domstats"))
    for what in ("vcpu.0.time", "vcpu.0.exits.sum", "balloon.available",
                 "block.0.wr.bytes", "net.0.tx.pkts", "cpu.time"):
        lab.check(f"domstats counts {what}", stats.get(what, 0) > 0, stats)
    lab.match("dominfo", guest.virsh("dominfo"), r"State: +running\nCPU\(s\): +1\n")


def check_pause(lab, guest):
    guest.virsh("suspend")
    lab.equal("suspend", guest.state, "paused (user)")
    guest.type("echo goes $((20 + 3))\n")
    guest.virsh("domstats")
    lab.check("it does nothing meanwhile", "goes 23" not in guest.console.text)
    guest.virsh("resume")
    guest.mark = guest.console.wait(r"goes 23\r?\n", guest.mark).end()
    lab.equal("resume", guest.state, "running (unpaused)")


def threads(guest):
    """The numbers of its VMM's threads, by name; that of the process is None."""
    pid = guest.libvirt.pid_of("vm")
    return {**{(tasks.text_of(task, "comm") or "").strip(): int(task.name)
               for task in tasks.lasting(pid)}, None: pid}


def allowed(number):
    text = pathlib.Path(f"/proc/{number}/status").read_text()
    return re.search(r"Cpus_allowed_list:\s+(\S+)", text)[1]


def check_threads(lab, guest):
    """Each is found by what the VMM says of it.  With one CPU there is little choice."""
    last = str(os.cpu_count() - 1)
    guest.virsh("vcpupin", "0", last)
    guest.virsh("emulatorpin", "0")
    guest.virsh("iothreadpin", "1", last)
    found = threads(guest)
    lab.equal("vcpupin, emulatorpin, iothreadpin",
              [allowed(found[name]) for name in ("CPU 0/KVM", None, "IO iothread1")],
              [last, "0", last])
    lab.equal("threads have the policy that they shall have",
              [os.sched_getscheduler(found[name])
               for name in ("CPU 0/KVM", None, "IO iothread1")],
              [os.SCHED_BATCH, os.SCHED_OTHER, os.SCHED_BATCH])
    maps = pathlib.Path(f"/proc/{guest.libvirt.pid_of('vm')}/numa_maps").read_text()
    lab.match("the guest's memory is where it shall be", maps, " bind:0 .*(anon|dirty)=")


def check_control_groups(lab, guest):
    """Limits of processor time and of memory, of groups of version 2."""
    version = guest.libvirt.groups.version
    if not version:
        lab.skip("control groups", "there are none to be had")
        return
    groups = DomainGroups(guest.libvirt.pid_of("vm"), version)
    wanted = {"CPU 0/KVM": "vcpu0", "IO iothread1": "iothread1"}
    names = groups.names()
    lab.equal("each thread is in its control group", names,
              {name: wanted.get(name, "emulator") for name in names})
    vcpu = groups.task("CPU 0/KVM")
    lab.equal("which has the limit that the domain says",
              (groups.quota(vcpu), groups.shares()), ("100000", "512"))
    guest.virsh("schedinfo", "vcpu_period=100000", "vcpu_quota=20000", "cpu_shares=1000")
    lab.equal("schedinfo", (groups.quota(vcpu), groups.shares()), ("20000", "1000"))
    guest.type(BUSY)
    used, stopped = groups.spent(vcpu, 1)
    lab.check("a busy vCPU is stopped by its limit", stopped > 0)
    lab.check("and uses no more than that", used < 0.4, used)
    guest.virsh("schedinfo", "vcpu_quota=-1")
    guest.run("true")
    lab.equal("without a limit nothing stops it", groups.spent(vcpu, 0.2)[1], 0)


def check_console(lab, guest):
    guest.run(ANSWERING)
    virsh = types.SimpleNamespace(vmm="/usr/bin/virsh")
    terminal = Terminal(virsh, *guest.libvirt.argv(
        "console", "vm", "--devname", "serial0")[2:])
    lab.check("virsh console", terminal.hears("Escape character is"), terminal.text)
    # What is typed before virsh has the terminal raw is echoed by that, or lost.
    lab.check("its terminal is raw", eventually(
        lambda: not termios.tcgetattr(terminal.fd)[3] & termios.ECHO))
    terminal.type("hello\r")
    lab.check("the guest answers on it", terminal.hears("<hello>"), terminal.text)
    terminal.type(ESCAPE)
    lab.equal("and it can be left", terminal.wait_exit(), 0)


def check_memory(lab, guest):
    path = "/proc/meminfo"
    before = numbers(guest.run(f"grep MemTotal {path}"))["MemTotal"]
    guest.virsh("setmem", "240M")
    lab.check("the balloon takes memory", eventually(
        lambda: numbers(guest.virsh("dommemstat"))["actual"] == 240 << 10))
    after = numbers(guest.run(f"grep MemTotal {path}"))["MemTotal"]
    lab.equal("that the guest has no more", before - after, 16 << 10)


def check_vcpus(lab, guest):
    guest.virsh("setvcpus", "2")
    lab.equal("a vCPU comes", guest.run(ONLINE).split()[-1], "2")
    guest.virsh("vcpupin", "1", "0")
    lab.equal("and is pinned", allowed(threads(guest)["CPU 1/KVM"]), "0")
    try:
        guest.virsh("setvcpus", "1")
    except VirshError as late:
        # libvirt waits for 5 s, which may be short in an emulated host.
        lab.match("libvirt waits for the guest", str(late), "unplug request timed out")
    lab.equal("and goes", guest.run(
        "while [ -e /sys/devices/system/cpu/cpu1 ]; do usleep 10000; done; nproc"), "1")


def check_nmi(lab, guest):
    def count():
        return int(re.search(r"NMI: +(\d+)", guest.run("grep NMI: /proc/interrupts"))[1])

    before = count()
    guest.virsh("inject-nmi")
    lab.check("inject-nmi", eventually(lambda: count() == before + 1))


def check_restart_of_libvirtd(lab, guest):
    pid = guest.libvirt.pid_of("vm")
    guest.libvirt.restart()
    lab.equal("libvirtd restarts under it", (guest.state, guest.libvirt.pid_of("vm")),
              ("running (unpaused)", pid))
    lab.check("and asks it", numbers(guest.virsh("domstats"))["vcpu.0.exits.sum"] > 0)
    lab.equal("it has not noticed", guest.run("echo it goes on"), "it goes on")


def check_agent(lab, guest):
    guest.load_modules()
    guest.run("mkdir -p /tmp/d; mount -t ext4 /dev/vda /tmp/d")
    lab.check("the agent in the guest answers", guest.start_agent())
    lab.match("it freezes file systems", guest.virsh("domfsfreeze"), "Froze [1-9]|^$")
    lab.match("and tells so", guest.virsh("qemu-agent-command",
                                          '{"execute":"guest-fsfreeze-status"}'),
              "frozen")
    guest.run("(echo more > /tmp/d/file; echo done > /tmp/done) & true")
    guest.virsh("domfsthaw")
    lab.equal("and thaws them", guest.run("until [ -e /tmp/done ]; do usleep 10000; done;"
                                          "cat /tmp/d/file"), "more")
    check_what_the_agent_knows(lab, guest)
    guest.libvirt.restart()
    lab.check("it answers a libvirtd that comes back", eventually(guest.agent_answers))
    check_sleep(lab, guest)


def check_what_the_agent_knows(lab, guest):
    told = guest.virsh("guestinfo")
    for what in ("os.kernel-release +: " + guest.run("uname -r"),
                 "fs.0.mountpoint +: /tmp/d", "fs.0.disk.0.alias +: vda",
                 "if.1.hwaddr +: 52:54:00:00:00:01"):
        lab.match("guestinfo", told, f"(?m)^{what}$")
    lab.match("domfsinfo", guest.virsh("domfsinfo"), r"(?m)^ */tmp/d +vda +ext[234] +vda")
    lab.equal("domhostname", guest.virsh("domhostname"), guest.run("hostname"))
    lab.match("domifaddr", guest.virsh("domifaddr", "--source", "agent"),
              "eth0 +52:54:00:00:00:01")
    guest.virsh("domfstrim")
    guest.run("mkdir -p /sbin; ln -s /bin/busybox /sbin/hwclock")
    guest.virsh("domtime", "--time", LATER)
    guest.run(f"date -s @{LATER // 2}")
    guest.virsh("domtime", "--sync")
    for clock, now in (("domtime", int(guest.virsh("domtime").split()[1])),
                       ("the guest's clock, by that of its board",
                        int(guest.run("date +%s")))):
        lab.check(f"{clock}, as it was set", 0 <= now - LATER < 600, now)
    try:
        lab.check("a password, without a program for it", False,
                  guest.virsh("set-user-password", "root", "secret"))
    except VirshError as error:
        lab.match("a password, without a program for it", str(error), "passwd")


def check_sleep(lab, guest):
    """The agent has the guest sleep, and libvirt wakes it."""
    guest.virsh("dompmsuspend", "mem")
    lab.check("dompmsuspend", guest.is_in("pmsuspended (unknown)"), guest.state)
    guest.virsh("dompmwakeup")
    lab.check("dompmwakeup", guest.is_in("running (event wakeup)"), guest.state)
    lab.equal("the guest goes on", guest.run("echo awake"), "awake")
    lab.check("and its agent", eventually(guest.agent_answers))


def check_end(lab, guest):
    guest.load_modules()
    lab.check("the agent answers after reboots", guest.start_agent())
    guest.virsh("shutdown", "--mode", "agent")
    lab.check("the agent powers it off", guest.is_in("shut off (shutdown)"), guest.state)
    lab.check("its process ends", eventually(
        lambda: guest.libvirt.pid_of("vm") is None))
    guest.virsh("start", "--paused")
    guest.virsh("destroy")
    lab.equal("destroy", guest.state, "shut off (destroyed)")
    lab.check("its process is gone", guest.libvirt.pid_of("vm") is None)
