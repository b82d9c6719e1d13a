# SPDX-License-Identifier: Apache-2.0
"""A stock guest that is a domain of libvirt's: its VMM is libvirtd's child, its console
a socket that the domain's XML names."""

import os
import socket
import time
import types

import libvirtd
from guest import QUIET, Console, Guest, Stall
from libvirtd import VirshError


DOMAIN = """<domain type='kvm'>
  <name>{name}</name>
  <memory unit='MiB'>{memory}</memory>
  {vcpu}
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{kernel}</kernel>
    <initrd>{initrd}</initrd>
    <cmdline>{append}</cmdline>
  </os>
  <features><acpi/><apic/></features>
  <cpu mode='host-passthrough'>{cpu}</cpu>
  <devices>
{devices}    <serial type='unix'>
      <source mode='bind' path='{serial}'/><target port='0'/>
    </serial>
  </devices>
</domain>
"""
DISK = """<disk type='file' device='disk'>
  <driver name='qemu' type='raw'/>
  <source file='{path}'/><target dev='{dev}' bus='virtio'/>
</disk>
"""
NIC = """<interface type='bridge'>
  <source bridge='br0'/><mac address='52:54:00:00:00:{number:02}'/><model type='virtio'/>
</interface>
"""
ROOT = "<controller type='pci' index='0' model='pcie-root'/>\n"
PORT = "<controller type='pci' model='pcie-root-port'/>\n"
AGENT = "org.qemu.guest_agent.0"
CHANNEL = f"<channel type='unix'><target type='virtio' name='{AGENT}'/></channel>\n"
BALLOON = "<memballoon model='virtio'><stats period='1'/></memballoon>\n"
MODULES = "virtio_balloon virtio_blk failover net_failover virtio_net virtio_console"
# What udev does elsewhere.
QEMU_GA = ("until [ -e /dev/vport*p1 ]; do "
           "usleep 10000; done; "
           "(qemu-ga -m virtio-serial -p $(ls /dev/vport*p1) -t /tmp > /tmp/ga 2>&1 &)")
WAIT = 300


def eventually(condition):
    deadline = time.monotonic() + WAIT
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.1)
    return False


class DomainGuest(Guest):
    def __init__(self, vmm, folder, libvirt, name):
        super().__init__(vmm, folder)
        self.libvirt = libvirt
        self.name = name
        self.line = None

    def define(self, lab, kernel=None, initrd=None, devices="", memory="256", cpu="",
               vcpu="<vcpu>1</vcpu>", append=""):
        """Of a lab's stock guest with these devices; its console is that of connect()."""
        xml = DOMAIN.format(
            name=self.name, kernel=os.path.abspath(kernel or lab.vmlinux),
            initrd=os.path.abspath(initrd or lab.initrd_with_tools()),
            serial=self.serial, append=f"{QUIET} {append}", devices=devices,
            memory=memory, vcpu=vcpu, cpu=cpu)
        self.libvirt.virsh("define", self.libvirt.write(f"{self.name}.xml", xml))

    @property
    def serial(self):
        return self.libvirt.folder / f"{self.name}.serial"

    def start(self, serial=None):
        """Starts it with a console from its first byte on."""
        self.virsh("start", "--paused")
        self.connect(serial)
        self.virsh("resume")
        return self

    def connect(self, serial=None):
        """Its console, of a process that has just started."""
        if self.line:
            self.line.close()
        self.line = socket.socket(socket.AF_UNIX)
        deadline = time.monotonic() + WAIT
        while self.line.connect_ex(str(serial or self.serial)):
            if time.monotonic() > deadline:
                raise Stall(f"domain {self.name} has no console")
            time.sleep(0.01)
        self.console = Console(self.line.fileno())
        self.mark = 0
        pipe = types.SimpleNamespace(write=self.line.sendall, flush=lambda: None)
        self.process = types.SimpleNamespace(
            stdin=pipe, poll=lambda: 0 if self.console.end else None)

    def wait_up(self):
        super().wait_up()
        return self

    def load_modules(self, names=MODULES):
        self.run(f"for m in {names}; do insmod /lib/$m.ko; done")

    def virsh(self, command, *args):
        return self.libvirt.virsh(command, self.name, *args)

    @property
    def state(self):
        return self.virsh("domstate", "--reason")

    def is_in(self, state):
        return eventually(lambda: self.state == state)

    def start_agent(self):
        """Runs it in the guest; whether it answers libvirt."""
        self.run(QEMU_GA)
        return eventually(self.agent_answers)

    def agent_answers(self):
        try:
            return self.virsh("qemu-agent-command",
                              '{"execute":"guest-ping"}') == '{"return":{}}'
        except VirshError:
            return False

    @property
    def stderr(self):
        return self.libvirt.log_of(self.name)

    def close(self):
        self.libvirt.close()
        if self.line:
            self.line.close()


def domain_guest(lab, groups=False):
    """A guest in a libvirtd of its own, which ends with it; None where there is none."""
    if libvirtd.why_not():
        lab.skip("libvirt", libvirtd.why_not())
        return None
    libvirt = libvirtd.Libvirtd(lab.folder / "libvirt", lab.options.vmm, log=False,
                                groups=groups)
    guest = DomainGuest(lab.options.vmm, lab.folder, libvirt, "vm")
    lab.guests.append(guest)
    return guest
