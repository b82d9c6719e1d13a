# SPDX-License-Identifier: Apache-2.0
"""A guest's panic, told by its drivers of pvpanic: as a port, and as a PCI function.  It
is a machine without sleep states, too."""

PANIC = "echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger\n"


def scenario(lab):
    guest = lab.guest("-device", "pvpanic", "-device", "pvpanic-pci", "-action",
                      "panic=pause", "-global", "ICH9-LPC.disable_s3=1", "-global",
                      "ICH9-LPC.disable_s4=1", tools=True).boot()
    qmp = guest.qmp
    lab.equal("no S3", guest.run("cat /sys/power/mem_sleep"), "[s2idle]")
    states = guest.run("dmesg | grep 'ACPI: PM:.*supports'")
    lab.match("no S4", states, r"supports S0 S5\)")
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
        lab.equal(f"{which} tells", qmp.wait_event("GUEST_PANICKED"),
                  {"action": "pause"})
        qmp.wait_event("STOP")
        lab.equal(f"{which}: stopped", guest.status, "guest-panicked")
        qmp.command("cont")
    guest.console.wait("not syncing: sysrq triggered crash")
    lab.check("it was a panic", True)
    lab.equal("it goes on to reboot", qmp.wait_event("RESET"),
              {"guest": True, "reason": "guest-reset"})
    qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)
