# SPDX-License-Identifier: Apache-2.0
"""What the tests under a real libvirtd share: the rig with one, domains of tiny guests,
and the guest's side of what has to be let go."""

import socket
import subprocess
import types

import libvirtd
from guest import Console
from libvirtd import Libvirtd, VirshError
from poke import Poke
from rig import GUESTS, Rig, main, wait_until

PCI_UP, PCI_DOWN, PCI_EJECT, PCI_SELECT = 0xae00, 0xae04, 0xae08, 0xae10
CPU_SELECT, CPU_BITS = 0xcd8, 0xcdc
MEMORY_SELECT, MEMORY_BITS = 0xa00, 0xa14
GOES, EJECT = 4, 8
PM_CONTROL, PM_SLEEP = 0x604, 1 << 13
BUSES, SLOTS = 24, 4
MIB = 1 << 20

PORTS = ("<controller type='pci' index='0' model='pcie-root'/>\n" +
         "<controller type='pci' model='pcie-root-port'/>\n" * 12)
DOMAIN = """<domain type='kvm'>
  <name>{name}</name>
  {memory}
  <vcpu current='2'>4</vcpu>
  <iothreads>1</iothreads>
  <os>
    <type arch='x86_64' machine='q35'>hvm</type>
    <kernel>{kernel}</kernel>
  </os>
  <features><acpi/><apic/></features>
  <cpu mode='host-passthrough'>{cpu}</cpu>
  <devices>
    {devices}
    <serial type='unix'><source mode='bind' path='{serial}'/></serial>
  </devices>
</domain>
"""
ALL = """
<disk type='file' device='disk'>
  <driver name='qemu' type='qcow2' cache='none' iothread='1' discard='unmap'/>
  <source file='{folder}/a.qcow2'/><target dev='vda' bus='virtio'/>
</disk>
<disk type='file' device='disk'>
  <driver name='qemu' type='raw'/>
  <source file='{folder}/b.raw'/><target dev='vdb' bus='virtio'/><serial>abc</serial>
</disk>
<controller type='scsi' model='virtio-scsi' index='0'/>
<disk type='file' device='cdrom'>
  <driver name='qemu' type='raw'/>
  <source file='{folder}/1.iso'/><target dev='sda' bus='scsi'/><readonly/>
</disk>
<interface type='bridge'>
  <source bridge='br0'/><mac address='52:54:00:00:00:01'/><model type='virtio'/>
</interface>
<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>
<rng model='virtio'><backend model='random'>/dev/urandom</backend></rng>
<watchdog model='i6300esb' action='reset'/>
<panic model='isa'/>
<memballoon model='virtio' autodeflate='on' freePageReporting='on'>
  <stats period='1'/>
</memballoon>
"""
DISK = """<disk type='file' device='disk'>
  <driver name='qemu' type='raw'/>
  <source file='{folder}/c.raw'/><target dev='vdc' bus='virtio'/>
</disk>"""
NIC = """<interface type='bridge'>
  <source bridge='br0'/><mac address='52:54:00:00:00:02'/><model type='virtio'/>
  <link state='{link}'/>
</interface>"""
DIMM = """<memory model='dimm'>
  <target><size unit='MiB'>128</size><node>0</node></target>
</memory>"""
VIRTIO_MEM = """<memory model='virtio-mem'>
  <target>
    <size unit='MiB'>256</size><node>0</node><block unit='MiB'>2</block>
    <requested unit='MiB'>64</requested>
  </target>
</memory>"""


class LibvirtRig(Rig):
    """The rig with a libvirtd, and a VMM by its own name in the domains."""

    groups = False

    def __init__(self, name, options):
        super().__init__(name, options)
        self.libvirt = Libvirtd(self.folder / "libvirt", options.vmm, groups=self.groups)
        self.virsh = self.libvirt.virsh
        self.sockets = []

    def define(self, name, image="echo", devices="", memory="128", cpu=""):
        if memory.isdigit():
            memory = f"<memory unit='MiB'>{memory}</memory>"
        xml = DOMAIN.format(name=name, kernel=GUESTS / f"{image}.elf", devices=devices,
                            memory=memory, cpu=cpu, serial=self.folder / f"{name}.serial")
        self.virsh("define", self.write(f"{name}.xml", xml))

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def start(self, name):
        """Starts a domain; its guest, with a console from its first byte on."""
        self.virsh("start", name, "--paused")
        line = socket.socket(socket.AF_UNIX)
        line.connect(str(self.folder / f"{name}.serial"))
        self.sockets.append(line)
        console = Console(line.fileno(), pause=0)
        self.virsh("resume", name)
        pipe = types.SimpleNamespace(write=line.sendall, flush=lambda: None)
        return types.SimpleNamespace(console=console,
                                     process=types.SimpleNamespace(stdin=pipe))

    def files(self):
        for name in ("b.raw", "c.raw", "1.iso", "2.iso"):
            with open(self.folder / name, "wb") as file:
                file.truncate(16 * MIB)
        subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2",
                        self.folder / "a.qcow2", "16M"], check=True)

    def state(self, name):
        return self.virsh("domstate", name, "--reason")

    def says(self, what, wanted, *command):
        self.match(what, self.virsh(*command), wanted)

    def refused(self, what, words, *command):
        try:
            self.check(what, False, f"is done: {self.virsh(*command)}")
        except VirshError as error:
            self.match(what, str(error), words)

    def close(self):
        if self.failed:
            for path in sorted(self.libvirt.folder.glob("log/libvirt/qemu/*.log")):
                for text in path.read_text(errors="replace").splitlines()[-12:]:
                    self.out(f"#   {path.stem}: {text[:200]}")
        self.libvirt.close()
        for line in self.sockets:
            line.close()
        super().close()


def let_go(driver):
    """What the kernel of a guest does: it ejects what it has been asked for.
    Returns how many."""
    done = 0
    for bus in range(BUSES):
        driver.out(PCI_SELECT, bus, 4)
        slots = driver.inp(PCI_DOWN, 4)
        if slots:
            driver.out(PCI_EJECT, slots, 4)
            done += 1
    for select, bits in ((CPU_SELECT, CPU_BITS), (MEMORY_SELECT, MEMORY_BITS)):
        for slot in range(SLOTS):
            driver.out(select, slot, 4)
            if driver.inp(bits) & GOES:
                driver.out(bits, EJECT)
                done += 1
    return done


def power_off(driver):
    driver.order("w", PM_CONTROL, PM_SLEEP)


def released(t, driver, *command):
    """Runs a command that waits for the guest, which lets go if it is asked; the
    command's output."""
    process = t.libvirt.background(*command)
    wait_until(lambda: let_go(driver) > 0 or process.poll() is not None)
    output = process.communicate(timeout=60)[0].strip()
    t.equal(f"{command[0]} ends well", (process.returncode, output), (0, output))
    return output


def started_with_all(t, more=""):
    t.files()
    cell = "<cell id='0' cpus='0-3' memory='128' unit='MiB'/>"
    t.define("all", "poke", ALL.format(folder=t.folder) + more + PORTS,
             "<maxMemory slots='4' unit='MiB'>1024</maxMemory>"
             "<memory unit='MiB'>128</memory>"
             "<numatune><memory mode='strict' nodeset='0'/></numatune>",
             f"<numa>{cell}</numa>")
    return Poke(t.start("all"))


def nothing(t):
    t.skip("libvirt", libvirtd.why_not())


def libvirt_main(tests, description, rig=LibvirtRig):
    if libvirtd.why_not():
        return main([nothing], description)
    return main(tests, description, rig)
