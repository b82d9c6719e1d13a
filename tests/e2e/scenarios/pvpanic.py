# SPDX-License-Identifier: Apache-2.0
"""A guest's panic, told by its drivers of pvpanic: as a port, and as a PCI function."""

PANIC = "echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger\n"


def scenario(lab):
    guest = lab.guest("-device", "pvpanic", "-device", "pvpanic-pci", "-action",
                      "panic=pause", tools=True).boot()
    qmp = guest.qmp
    for module in ("pvpanic", "pvpanic-mmio", "pvpanic-pci"):
        guest.run(f"insmod /lib/{module}.ko")
    lab.match("the port is found by ACPI",
              guest.run("ls /sys/bus/platform/drivers/pvpanic-mmio"), "QEMU0001")
    lab.match("the function by its number",
              guest.run("ls /sys/bus/pci/drivers/pvpanic-pci"), "0000:00:")
    lab.equal("what each offers", guest.run(
        "cat /sys/bus/platform/drivers/pvpanic-mmio/QEMU0001*/capability "
        "/sys/bus/pci/drivers/pvpanic-pci/0000*/capability").split(), ["3", "3"])

    guest.type(PANIC)
    for which in ("one", "the other"):
        lab.equal(f"{which} tells", qmp.wait_event("GUEST_PANICKED", 120),
                  {"action": "pause"})
        qmp.wait_event("STOP")
        lab.equal(f"{which}: stopped", guest.status, "guest-panicked")
        qmp.command("cont")
    lab.match("it was a panic", guest.console.text, "Kernel panic")
    lab.equal("it goes on to reboot", qmp.wait_event("RESET", 120),
              {"guest": True, "reason": "guest-reset"})
    qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)
