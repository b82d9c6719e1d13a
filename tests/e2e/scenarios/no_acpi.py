# SPDX-License-Identifier: Apache-2.0
"""A machine without ACPI tables.  A kernel that can read MP tables has its processors and
the pins of PCI from there; Debian's cloud kernel cannot, and runs on one processor."""

ACPI = "dmesg | grep ACPI"
TROUBLE = "dmesg | grep -E 'BUG:|WARNING:|Call Trace|lockup|nobody cared'; true"
READ = "head -c 8 /dev/hwrng | xxd -p"
MP = "dmesg | grep -c MultiProcessor; true"


def scenario(lab):
    guest = lab.guest("-no-acpi", "-device", "pcie-root-port,id=port0,chassis=1,addr=4",
                      "-device", "virtio-rng-pci,bus=port0", cpus=2,
                      kernel=lab.bzimage).boot()
    lab.match("there are no ACPI tables", guest.run(ACPI), "A valid RSDP was not found")
    cpus = "1" if guest.run(MP) == "0" else "2"
    lab.equal("the guest counts its CPUs", guest.run("nproc"), cpus)
    lab.equal("it has nothing to complain of", guest.run(TROUBLE), "")
    lab.match("entropy, from behind a bridge", guest.run(READ), "^[0-9a-f]{16}$")
    lab.match("by MSI-X", guest.run("grep virtio /proc/interrupts"), "MSI")
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)
