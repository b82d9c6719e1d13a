#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demo of a domain: a libvirtd of its own, as the distribution has it, is told by one
line that the emulator is berth, and virsh does the rest.  Exit codes are those of
story.py."""

import pathlib
import re
import shlex
import sys
import time

from story import QUIET, Story, main
import libvirtd
from domain_guest import DISK, DOMAIN, DomainGuest

TIMEOUT = 120
DEVICES = """    <emulator>{vmm}</emulator>
    <disk type='file' device='disk'>
      <driver name='qemu' type='qcow2'/>
      <source file='{overlay}'/><target dev='vda' bus='virtio'/>
    </disk>
    <rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
"""
NOTE = "it came while we ran"
STATISTICS = (r"(cpu\.time|balloon\.current|vcpu\.current|vcpu\.\d\.(time|exits)"
              r"|block\.0\.(name|rd|wr|capacity)).*")


class LibvirtStory(Story):
    def __init__(self, options, folder):
        reason = libvirtd.why_not()
        if reason:
            sys.exit(f"no libvirtd: {reason}")
        self.vmm = pathlib.Path(options.vmm).resolve()
        self.folder = pathlib.Path(folder)
        self.disk = pathlib.Path(options.disk).resolve()
        self.overlay = self.folder / "overlay.qcow2"
        self.serial = self.folder / "serial"
        append = f"{QUIET} disk=/dev/vda"
        if options.interactive:
            append = append.replace("shell=plain", "shell=human")
        self.xml = DOMAIN.format(
            name="demo", memory=384, vcpu="<vcpu>2</vcpu>", cpu="", serial=self.serial,
            append=append, devices=DEVICES.format(vmm=self.vmm, overlay=self.overlay),
            kernel=pathlib.Path(options.kernel).resolve(),
            initrd=pathlib.Path(options.initrd).resolve())
        self.libvirt = libvirtd.Libvirtd(self.folder / "libvirt", self.vmm, log=False)
        self.guest = DomainGuest(self.vmm, folder, self.libvirt, "demo")
        self.began = None

    def virsh(self, *command, only=""):
        """Runs it and shows it with what it says, or the lines of that which match."""
        self.show(shlex.join(["virsh", *map(str, command)]), "host# ")
        text = self.libvirt.virsh(*command)
        self.show("\n".join(line for line in text.splitlines()
                            if re.fullmatch(only or ".*", line.strip())))
        return text

    def xml_file(self, name, text):
        self.say(f"{name}:")
        self.show(text)
        return self.libvirt.write(name, text)

    def start(self):
        self.began = time.monotonic()
        self.root = self.disk.read_bytes()
        self.make_overlay()
        self.say("a libvirtd of the demo's own, with folders of its own")
        self.virsh("version", only="Using library.*|Using API.*")
        self.virsh("define", self.xml_file("demo.xml", self.xml))
        self.show("virsh start demo", "host# ")
        self.guest.start(self.serial)
        self.virsh("qemu-monitor-command", "demo", "--hmp", "info version")

    def talk(self):
        guest = self.guest
        guest.wait_up()
        self.say("the stock kernel is up, with a shell on its serial console; it says")
        for command in ("uname -sr", "nproc", "df /"):
            self.show(command, "guest# ")
            self.show(guest.run(command))
        self.virsh("dominfo", "demo", only="(State|CPU|Used|Max|Id|Name).*")
        self.virsh("suspend", "demo")
        self.expect("domstate", "paused (user)", "--reason")
        self.virsh("resume", "demo")
        self.expect("domstate", "running (unpaused)", "--reason")
        self.write()
        self.virsh("domstats", "demo", only=STATISTICS)
        self.plug()
        self.say("libvirtd ends and starts again; the domain goes on")
        self.libvirt.restart()
        self.expect("domstate", "running")
        self.show(guest.run("uptime"))

    def expect(self, command, wanted, *options):
        text = self.virsh(command, "demo", *options).partition("\n")[0]
        if not text.startswith(wanted):
            raise RuntimeError(f"{command} is not '{wanted}'")

    def plug(self):
        """A disk comes, is written to, and goes."""
        extra = self.folder / "extra"
        extra.write_bytes(bytes(8 << 20))
        xml = self.xml_file("extra.xml", DISK.format(path=extra, dev="vdb"))
        self.virsh("attach-device", "demo", xml)
        command = f"echo {NOTE} > /dev/vdb; sync"
        self.guest.run("until [ -b /dev/vdb ]; do usleep 10000; done")
        self.show(command, "guest# ")
        self.guest.run(command)
        if not extra.read_bytes().startswith(NOTE.encode()):
            raise RuntimeError("the disk that came has not what the guest wrote")
        self.virsh("detach-disk", "demo", "vdb")
        self.eventually("vdb goes", lambda: "vdb" not in self.libvirt.virsh(
            "domblklist", "demo"))
        self.virsh("domblklist", "demo")

    def eventually(self, what, condition):
        deadline = time.monotonic() + TIMEOUT
        while not condition():
            if time.monotonic() > deadline:
                raise RuntimeError(f"{what}: not within {TIMEOUT} s")
            time.sleep(0.1)

    def power_off(self):
        self.virsh("shutdown", "demo", "--mode", "acpi")
        self.eventually("the domain ends", lambda: self.libvirt.virsh(
            "domstate", "demo").startswith("shut off"))
        self.expect("domstate", "shut off (shutdown)", "--reason")
        self.virsh("undefine", "demo")

    def console(self):
        """Leaves the person on the guest's console until it is off or Ctrl-] is typed."""
        self.say("the guest's console is yours; Ctrl-] powers it off")
        self.converse()
        if self.guest.process.poll() is None:
            self.power_off()


if __name__ == "__main__":
    sys.exit(main(LibvirtStory))
