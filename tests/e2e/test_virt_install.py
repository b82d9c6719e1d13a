#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""virt-install as it comes from the distribution, under a real libvirtd with berth for
its emulator: a disk that is there, a kernel out of an ISO, and an installation from a CD
over the serial console, with the reboot into what was installed."""

import os
import shutil
import subprocess
import sys

import libvirtd
from libvirt_rig import LibvirtRig, libvirt_main
from rig import GUESTS, main, wait_until
from test_firmware import SEABIOS, SILENCE, cd, disk

SERVER = ["--memory", "256", "--vcpus", "2", "--osinfo", "linux2022", "--graphics",
          "none", "--noautoconsole", "--check", "all=off"]


class InstallRig(LibvirtRig):
    def __init__(self, name, options):
        super().__init__(name, options)
        self.lines = []
        uri = f"qemu+unix:///system?socket={self.libvirt.socket}"
        self.environment = {**libvirtd.ENVIRONMENT, "HOME": str(self.folder),
                            "LIBVIRT_DEFAULT_URI": uri}
        # Where it puts the kernels of ISOs; a package of libvirt's has made it.
        (self.libvirt.folder / "lib/libvirt/boot").mkdir(parents=True, exist_ok=True)

    def install(self, name, *args):
        """Starts it; its guest's serial port is written to a file."""
        self.log = self.folder / f"{name}.console"
        serial = f"pty,log.file={self.log},log.append=on"
        argv = ["virt-install", "--name", name, *SERVER, "--serial", serial,
                *args]
        return subprocess.Popen([*map(str, argv)], stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, env=self.environment)

    def installed(self, name, *args):
        done = self.install(name, *args)
        output = done.communicate(timeout=300)[0]
        self.equal(f"{name}: virt-install is content", done.returncode, 0)
        if done.returncode:
            self.out(f"#   {output}")

    def writes(self, text, seconds=60):
        return wait_until(lambda: self.log.exists() and
                          text in self.log.read_text(errors="replace"), seconds)

    def type(self, name, text):
        """The line stays open: what the guest has not taken by its end is dropped."""
        line = os.open(self.virsh("ttyconsole", name), os.O_WRONLY | os.O_NOCTTY)
        self.lines.append(line)
        os.write(line, text.encode())

    def close(self):
        for line in self.lines:
            os.close(line)
        super().close()

    def judge(self, name, change=("", "")):
        """What -check-libvirt-xml says of the domain's description."""
        xml = self.virsh("dumpxml", name, "--inactive").replace(*change)
        path = self.write("judged.xml", xml)
        return subprocess.run([self.vmm, "-check-libvirt-xml", path],
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True, env=self.environment)


def test_import(t):
    t.files()
    t.installed("vm", "--import", "--disk", f"{t.folder}/b.raw,format=raw", "--network",
                "bridge=br0", "--boot", f"kernel={GUESTS / 'echo.elf'}")
    t.check("its guest runs", t.writes("B"))
    t.equal("in a domain", t.state("vm"), "running (booted)")
    xml = t.virsh("dumpxml", "vm")
    for part in ("model='qemu-xhci'", "name='org.qemu.guest_agent.0'",
                 "<rng model='virtio'", "<memballoon model='virtio'",
                 "mode='host-passthrough'"):
        t.check(f"which has {part}", part in xml, xml)
    if shutil.which("xmllint"):
        path = t.write("live.xml", xml)
        valid = subprocess.run(["virt-xml-validate", path], stdout=subprocess.PIPE,
                               stderr=subprocess.STDOUT, text=True)
        t.equal("its description is a valid one", valid.returncode, 0)
    else:
        t.skip("its description is a valid one", "there is no xmllint")


def test_check_before_the_start(t):
    """By the command line that a real libvirt makes of a description."""
    t.files()
    t.installed("vm", "--import", "--disk", f"{t.folder}/b.raw,format=raw", "--network",
                "none", "--boot", f"kernel={GUESTS / 'echo.elf'}")
    done = t.judge("vm")
    t.equal("nothing is refused", (done.returncode, "refused  " in done.stdout),
            (0, False))
    t.match("as each option", done.stdout,
            r'(honoured|differs) +-device .*"driver":"qemu-xhci"')
    t.match("it is summed up", done.stdout, r"\n\d+ options: \d+ honoured.*, 0 refused")
    done = t.judge("vm", ("<channel", "<sound model='ich9'/><channel"))
    t.equal("what libvirt knows berth not to have ends it", done.returncode, 1)
    t.match("with libvirt's words", done.stdout,
            "virsh: error: unsupported configuration: The ich9-intel-hda")


def test_location(t):
    if not shutil.which("xorriso"):
        t.skip("--location", "there is no xorriso")
        return
    tree = t.folder / "tree"
    tree.mkdir()
    shutil.copy(GUESTS / "echo.elf", tree / "vmlinuz")
    (tree / "initrd").write_bytes(bytes(100))
    iso = t.folder / "location.iso"
    subprocess.run(["xorriso", "-as", "mkisofs", "-quiet", "-o", iso, tree], check=True,
                   stderr=subprocess.DEVNULL)
    t.installed("vm", "--location", f"{iso},kernel=vmlinuz,initrd=initrd", "--disk",
                "none", "--network", "none", "--extra-args", "console=ttyS0")
    t.check("the kernel of the ISO runs", t.writes("B"))
    t.type("vm", "hello")
    t.check("and hears what is typed", t.writes("hello"))
    t.says("its arguments are given", "console=ttyS0", "dumpxml", "vm", "--xpath",
           "//os/cmdline")


def test_cdrom(t):
    if not SEABIOS.exists():
        t.skip("--cdrom", "there is no SeaBIOS")
        return
    cd(t, "c")
    disk(t, "d")
    process = t.install("vm", "--cdrom", t.folder / "disc-c.iso", "--disk",
                        f"{t.folder}/disk-d.img,format=raw", "--network", "none",
                        "--wait", "5")
    t.check("the CD boots", t.writes("c!", SILENCE))
    t.type("vm", "r")
    output = process.communicate(timeout=300)[0]
    t.equal("it reboots, and virt-install starts the domain again", process.returncode, 0)
    t.check("as it says", "Restarting guest" in output, output)
    t.check("the disk boots", t.writes("d!", SILENCE))
    t.says("the CD is not in the drive any more", "^$|^-$|<source", "dumpxml", "vm",
           "--inactive", "--xpath", "//disk[@device='cdrom']/source")


TESTS = [test_import, test_check_before_the_start, test_location, test_cdrom]


def nothing(t):
    t.skip("virt-install", "it is not installed")


if __name__ == "__main__":
    if not shutil.which("virt-install"):
        sys.exit(main([nothing], __doc__))
    sys.exit(libvirt_main(TESTS, __doc__, InstallRig))
