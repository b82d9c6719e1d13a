# SPDX-License-Identifier: Apache-2.0
"""A stock kernel with the IOAPIC, the PIC and the PIT in user space, on a machine that
has room for more vCPUs than an xAPIC can name."""

INTERRUPTS = "grep -E '{}' /proc/interrupts"
TROUBLE = "dmesg | grep -ciE 'lockup|stall|Call Trace|nobody cared|APIC error'; true"


def count(line):
    return sum(int(word) for word in line.split()[1:5] if word.isdigit())


def look(lab, guest, when):
    lab.equal(f"{when}: the guest counts its CPUs", guest.run("nproc"), "4")
    serial = guest.run(INTERRUPTS.format("ttyS0"))
    lab.match(f"{when}: the serial port is on the IOAPIC", serial, "IO-APIC.*4-edge")
    lab.check(f"{when}: it interrupts", count(serial) > 0, serial)
    lab.match(f"{when}: so is ACPI", guest.run(INTERRUPTS.format("acpi")),
              "IO-APIC.*9-fasteoi")
    first, second = (guest.run("head -c 16 /dev/hwrng | xxd -p") for _ in range(2))
    lab.check(f"{when}: virtio-rng gives bytes", first != second, f"{first} {second}")
    rng = guest.run(INTERRUPTS.format("virtio0-input"))
    lab.check(f"{when}: by MSI-X", "MSI" in rng and count(rng) > 0, rng)
    lab.equal(f"{when}: the kernel has nothing to complain of", guest.run(TROUBLE), "0")


def scenario(lab):
    guest = lab.guest("-machine", "kernel-irqchip=split", "-device", "virtio-rng-pci",
                      "-smp", "4,maxcpus=300,cores=300", memory=512).boot()
    qmp = guest.qmp
    lab.match("x2APIC mode without interrupt remapping", guest.run("dmesg | grep x2apic"),
              "physical x2apic")
    lab.equal("300 vCPUs are possible", guest.run("cat /sys/devices/system/cpu/possible"),
              "0-299")
    look(lab, guest, "at start")
    for _ in range(5):
        qmp.command("stop")
        qmp.command("cont")
    look(lab, guest, "after stop and cont")
    qmp.command("system_powerdown")
    qmp.wait_event("SHUTDOWN")
    lab.equal("the power button's interrupt arrives", guest.wait_exit(), 0)
