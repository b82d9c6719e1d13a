# SPDX-License-Identifier: Apache-2.0
"""What the guest finds: virtio-rng with MSI-X behind the board and in a tree of ports as
libvirt makes it, a serial port, a clock, a keyboard and a mouse; and what a server guest
does with PCI: resets, rescans."""

from guest import KEYBOARD

KVM = "dmesg | grep Hypervisor"
FLAGS = "grep -m1 ^flags /proc/cpuinfo"
CLOCK = "cat /sys/devices/system/clocksource/*/current_clocksource"
RNG = "cat /sys/class/misc/hw_random/rng_available"
PCI = "for d in /sys/bus/pci/devices/*; do echo ${d##*/} $(cat $d/class); done"
COMPLAINTS = ("dmesg | grep -iE 'pci|virtio' | grep -iE "
              "'fail|error|no space|can.t|conflict|invalid|firmware bug|not claimed'")
READ = "head -c 8 /dev/hwrng | xxd -p"
BELOW = "/sys/bus/pci/devices/0000:01:00.0"
DRIVER = "/sys/bus/virtio/drivers/virtio_rng"
BRIDGE, OTHER = "0x060400", "0x00ff00"


def scenario(lab):
    ports = []
    for i in range(4):
        place = "addr=0x2,multifunction=on" if i == 0 else f"addr=0x2.{i:#x}"
        ports += ["-device", f"pcie-root-port,port={16 + i},chassis={i + 1},"
                  f"id=pci.{i + 1},bus=pcie.0,{place}"]
    guest = lab.guest(*ports, "-device", "virtio-rng-pci,id=rng0,bus=pci.1,addr=0x0",
                      "-device", "virtio-rng-pci,bus=pci.3",
                      "-device", "virtio-rng-pci,id=rng2,addr=5").boot()
    check_functions(lab, guest)
    check_board(lab, guest)
    check_reset(lab, guest)
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)


def check_functions(lab, guest):
    lab.equal("nothing to complain of", guest.run(COMPLAINTS + " || true"), "")
    functions = dict(line.split() for line in guest.run(PCI).splitlines())
    lab.check("the host bridge is there", "0000:00:00.0" in functions, functions)
    lab.equal("four ports in one slot",
              [functions.get(f"0000:00:02.{i}") for i in range(4)], [BRIDGE] * 4)
    lab.equal("virtio-rng behind nothing", functions.get("0000:00:05.0"), OTHER)
    lab.equal("virtio-rng behind the first port", functions.get("0000:01:00.0"), OTHER)
    lab.equal("and behind the third", functions.get("0000:03:00.0"), OTHER)
    lab.match("the driver takes it", guest.run(RNG), "virtio_rng")
    first, second = (guest.run("head -c 16 /dev/hwrng | xxd -p") for _ in range(2))
    good = len(first) == 32 and first != second
    lab.check("it gives bytes", good, f"{first} {second}")
    lab.match("by MSI-X", guest.run("grep virtio /proc/interrupts"), "virtio0-input")
    lab.match("the root port has its services",
              guest.run("ls /sys/bus/pci_express/devices"), "0000:00:02.0:pcie")


def check_board(lab, guest):
    lab.match("a serial port 16550A", guest.run("dmesg | grep ttyS0.*16550A"), "irq = 4")
    guest.run(KEYBOARD)
    lab.check("a keyboard", True)
    lab.match("which interrupts, and a mouse, too",
              guest.run("grep i8042 /proc/interrupts"), r"(?s)\b1: +\d.*\b12: +\d")
    year = int(guest.run("hwclock -r -u | grep -oE '20[0-9][0-9]'"))
    lab.check("the clock has the year", year >= 2024, year)
    lab.match("KVM's clock, or the TSC", guest.run(CLOCK), "^(kvm-clock|tsc)$")
    lab.match("the kernel finds KVM", guest.run(KVM), "Hypervisor detected: KVM")
    lab.match("the APIC timer has deadlines", guest.run(FLAGS), "tsc_deadline_timer")
    lab.match("and the APIC is in x2APIC mode", guest.run(FLAGS), "x2apic")


def check_reset(lab, guest):
    lab.match("the function can be reset", guest.run(f"cat {BELOW}/reset_method"), "flr")
    name = guest.run(f"basename {BELOW}/virtio*")
    guest.run(f"echo {name} > {DRIVER}/unbind; echo 1 > {BELOW}/reset; "
              f"echo {name} > {DRIVER}/bind")
    lab.match("entropy after function level reset", guest.run(READ), "^[0-9a-f]{16}$")

    guest.run(f"echo 1 > {BELOW}/remove; echo 1 > /sys/bus/pci/rescan")
    lab.match("found again by a rescan", guest.run(f"ls {BELOW}"), "virtio")
    lab.match("entropy after the rescan", guest.run(READ), "^[0-9a-f]{16}$")
    pins = guest.run("grep -c virtio /proc/interrupts")
    lab.check("vectors are in use", int(pins) >= 3, pins)
    lab.equal("still nothing to complain of", guest.run(COMPLAINTS + " || true"), "")
