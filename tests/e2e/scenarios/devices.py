# SPDX-License-Identifier: Apache-2.0
"""What the guest finds: virtio-rng with MSI-X, a root port, a serial port, a clock, a
keyboard and a mouse."""

KVM = "dmesg | grep Hypervisor"
FLAGS = "grep -m1 ^flags /proc/cpuinfo"
CLOCK = "cat /sys/devices/system/clocksource/*/current_clocksource"
RNG = "cat /sys/class/misc/hw_random/rng_available"
PCI = "for d in /sys/bus/pci/devices/*; do echo ${d##*/} $(cat $d/class); done"


def scenario(lab):
    guest = lab.guest("-device", "pcie-root-port,id=port0,chassis=1,addr=4",
                      "-device", "virtio-rng-pci,id=rng0,addr=5",
                      "-device", "virtio-rng-pci,id=rng1,bus=port0").boot()
    functions = dict(line.split() for line in guest.run(PCI).splitlines())
    lab.equal("the root port is a bridge", functions.get("0000:00:04.0"), "0x060400")
    lab.check("the host bridge is there", "0000:00:00.0" in functions, functions)
    lab.equal("virtio-rng behind nothing", functions.get("0000:00:05.0"), "0x00ff00")
    lab.equal("virtio-rng behind the port", functions.get("0000:01:00.0"), "0x00ff00")
    lab.match("the driver takes it", guest.run(RNG), "virtio_rng")
    first, second = (guest.run("head -c 16 /dev/hwrng | xxd -p") for _ in range(2))
    good = len(first) == 32 and first != second
    lab.check("it gives bytes", good, f"{first} {second}")
    lab.match("by MSI-X", guest.run("grep virtio /proc/interrupts"), "virtio0-input")
    lab.match("the root port has its services",
              guest.run("ls /sys/bus/pci_express/devices"), "0000:00:04.0:pcie")
    lab.match("a serial port 16550A", guest.run("dmesg | grep ttyS0.*16550A"), "irq = 4")
    lab.match("a keyboard", guest.run("cat /proc/bus/input/devices"),
              "AT Translated Set 2 keyboard")
    lab.match("which interrupts, and a mouse, too",
              guest.run("grep i8042 /proc/interrupts"), r"(?s)\b1: +\d.*\b12: +\d")
    year = int(guest.run("hwclock -r -u | grep -oE '20[0-9][0-9]'"))
    lab.check("the clock has the year", year >= 2024, year)
    lab.match("KVM's clock, or the TSC", guest.run(CLOCK), "^(kvm-clock|tsc)$")
    lab.match("the kernel finds KVM", guest.run(KVM), "Hypervisor detected: KVM")
    lab.match("the APIC timer has deadlines", guest.run(FLAGS), "tsc_deadline_timer")
    lab.match("and the APIC is in x2APIC mode", guest.run(FLAGS), "x2apic")
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)
