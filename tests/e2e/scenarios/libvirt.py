# SPDX-License-Identifier: Apache-2.0
"""A stock guest under a real libvirtd: what needs a kernel that answers, or the agent of
QEMU in the guest."""

import os
import time

import libvirtd
from domain_guest import DISK, DOMAIN, DomainGuest
from guest import QUIET
from libvirtd import VirshError

AGENT = "org.qemu.guest_agent.0"
WAIT = 120
DEVICES = """    <controller type='pci' index='0' model='pcie-root'/>
    {ports}
    <channel type='unix'><target type='virtio' name='{agent}'/></channel>
    <memballoon model='virtio'><stats period='1'/></memballoon>
"""
PORT = "<controller type='pci' model='pcie-root-port'/>\n"
NIC = """<interface type='bridge'>
  <source bridge='br0'/><mac address='52:54:00:00:00:02'/><model type='virtio'/>
</interface>"""
MODULES = "virtio_balloon virtio_blk failover net_failover virtio_net virtio_console"
# What udev does elsewhere.
QEMU_GA = ("until [ -e /dev/vport*p1 ]; do "
           "usleep 10000; done; "
           "(qemu-ga -m virtio-serial -p $(ls /dev/vport*p1) -t /tmp > /tmp/ga 2>&1 &)")
FILE_SYSTEM = ("until [ -b /dev/vda ]; do usleep 10000; done; "
               "mke2fs -q /dev/vda > /dev/null; "
               "mkdir -p /tmp/d; mount -t ext4 /dev/vda /tmp/d && "
               "echo data > /tmp/d/file && cat /tmp/d/file")
# A kernel waits for a vCPU for 10 s; where hosts are emulated that may be short.
ONLINE = ("cd /sys/devices/system/cpu; until [ -e cpu1/online ]; do usleep 10000; done; "
          "for try in 1 2 3; do (echo 1 > cpu1/online) 2> /dev/null && break; done; "
          "nproc")


def eventually(condition):
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


def scenario(lab):
    if libvirtd.why_not():
        lab.skip("libvirt", libvirtd.why_not())
        return
    libvirt = libvirtd.Libvirtd(lab.folder / "libvirt", lab.options.vmm, log=False)
    guest = DomainGuest(lab.options.vmm, lab.folder, libvirt, "vm")
    lab.guests.append(guest)
    serial = lab.folder / "serial"
    libvirt.virsh("define", libvirt.write("vm.xml", DOMAIN.format(
        kernel=os.path.abspath(lab.options.kernel),
        name="vm", memory=256, vcpu="<vcpu current='1'>2</vcpu>",
        initrd=lab.initrd_with_tools(), serial=serial, append=QUIET,
        devices=DEVICES.format(agent=AGENT, ports=PORT * 6))))
    guest.start(serial)
    guest.wait_up()
    guest.run(f"for m in {MODULES}; do insmod /lib/$m.ko; done")
    check_devices(lab, libvirt, guest)
    check_agent(lab, libvirt, guest)
    check_vcpus(lab, libvirt, guest)
    libvirt.virsh("shutdown", "vm", "--mode", "acpi")
    lab.check("the power button powers it off", eventually(
        lambda: libvirt.virsh("domstate", "vm", "--reason") == "shut off (shutdown)"))


def check_devices(lab, libvirt, guest):
    path = lab.folder / "disk"
    with open(path, "wb") as file:
        file.truncate(16 << 20)
    disk = libvirt.write("disk.xml", DISK.format(path=path, dev="vda"))
    libvirt.virsh("attach-device", "vm", disk)
    lab.equal("a disk that comes can be written", guest.run(FILE_SYSTEM), "data")
    lab.check("which libvirt counts",
              " wr_req 0" not in libvirt.virsh("domblkstat", "vm", "vda"))
    nic = libvirt.write("nic.xml", NIC)
    libvirt.virsh("attach-device", "vm", nic)
    lab.equal("an interface that comes is there", guest.run(
        "until [ -e /sys/class/net/eth0 ]; do usleep 10000; done; "
        "cat /sys/class/net/eth0/address"), "52:54:00:00:00:02")
    libvirt.virsh("detach-device", "vm", nic)
    lab.check("and goes", eventually(
        lambda: "52:54:00:00:00:02" not in libvirt.virsh("domiflist", "vm")))
    libvirt.virsh("setmem", "vm", "200M")
    lab.check("the balloon takes memory", eventually(
        lambda: "actual 204800\n" in libvirt.virsh("dommemstat", "vm") + "\n"))
    lab.check("and the guest tells of its own", eventually(
        lambda: "unused " in libvirt.virsh("dommemstat", "vm")))


def check_agent(lab, libvirt, guest):
    guest.run(QEMU_GA)

    def answers():
        try:
            return libvirt.virsh("qemu-agent-command", "vm",
                                 '{"execute":"guest-ping"}') == '{"return":{}}'
        except VirshError:
            return False

    lab.check("the agent in the guest answers", eventually(answers))
    lab.match("it freezes file systems", libvirt.virsh("domfsfreeze", "vm"),
              "Froze [1-9]|^$")
    lab.match("and tells so", libvirt.virsh("qemu-agent-command", "vm",
                                           '{"execute":"guest-fsfreeze-status"}'),
              "frozen")
    libvirt.virsh("domfsthaw", "vm")
    lab.equal("and thaws them", guest.run("echo more > /tmp/d/file; cat /tmp/d/file"),
              "more")
    lab.equal("the file system goes", guest.run("umount /tmp/d; echo ok"), "ok")
    libvirt.virsh("detach-disk", "vm", "vda")
    lab.check("and its disk", eventually(
        lambda: "vda" not in libvirt.virsh("domblklist", "vm")))


def check_vcpus(lab, libvirt, guest):
    libvirt.virsh("setvcpus", "vm", "2")
    lab.equal("a vCPU comes", guest.run(ONLINE).split()[-1], "2")
    try:
        libvirt.virsh("setvcpus", "vm", "1")
    except VirshError as late:
        # libvirt waits for 5 s, which may be short in an emulated host.
        lab.match("libvirt waits for the guest", str(late), "unplug request timed out")
    lab.equal("and goes", guest.run(
        "while [ -e /sys/devices/system/cpu/cpu1 ]; do usleep 10000; done; nproc"), "1")
