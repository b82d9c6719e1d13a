# SPDX-License-Identifier: Apache-2.0
"""A stock guest that is a domain of libvirt's: its VMM is libvirtd's child, its console
a socket that the domain's XML names."""

import socket
import types

from guest import Console, Guest


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
  <cpu mode='host-passthrough'/>
  <devices>
{devices}    <serial type='unix'><source mode='bind' path='{serial}'/></serial>
  </devices>
</domain>
"""
DISK = """<disk type='file' device='disk'>
  <driver name='qemu' type='raw'/>
  <source file='{path}'/><target dev='{dev}' bus='virtio'/>
</disk>
"""


class DomainGuest(Guest):
    def __init__(self, vmm, folder, libvirt, name):
        super().__init__(vmm, folder)
        self.libvirt = libvirt
        self.name = name
        self.line = socket.socket(socket.AF_UNIX)

    def start(self, serial):
        """Starts it with a console from its first byte on."""
        self.libvirt.virsh("start", self.name, "--paused")
        self.line.connect(str(serial))
        self.console = Console(self.line.fileno())
        pipe = types.SimpleNamespace(write=self.line.sendall, flush=lambda: None)
        self.process = types.SimpleNamespace(
            stdin=pipe, poll=lambda: 0 if self.console.end else None)
        self.libvirt.virsh("resume", self.name)
        return self

    @property
    def stderr(self):
        return self.libvirt.log_of(self.name)

    def close(self):
        self.libvirt.close()
        self.line.close()
