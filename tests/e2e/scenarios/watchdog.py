# SPDX-License-Identifier: Apache-2.0
"""What only a kernel with drivers of real hardware knows: watchdogs, which are silent
while fed and bite when starved, and a USB controller without devices."""

import re
import time

from esb import STARVE, watchdog_of

SECONDS = 40
FULL_KERNEL = True

HUBS = "cat /sys/bus/usb/devices/usb*/maxchild"
USB = "ls /sys/bus/usb/devices | grep -v usb | grep -v :"
XHCI = "dmesg | grep -i xhci"


def nmis(guest, command):
    """Of each CPU.  The kernel complains of the one it has on the console meanwhile."""
    return [int(n) for n in re.search(r"NMI: +(\d+) +(\d+)", guest.run(command)).groups()]


def scenario(lab):
    guest = lab.guest("-device", "pcie-root-port,id=pci.1,chassis=1", "-device",
                      "pcie-pci-bridge,id=pci.2,bus=pci.1,addr=0x0", "-device",
                      "i6300esb,id=watchdog0,bus=pci.2,addr=0x1", "-watchdog-action",
                      "pause", "-device", "qemu-xhci,id=usb,p2=15,p3=15,addr=0x8",
                      full=True, memory=512).boot()
    qmp = guest.qmp
    esb = watchdog_of(guest, "6300ESB")
    tco = watchdog_of(guest, "iTCO_wdt")

    lab.equal("root hubs of the USB controller", guest.run(HUBS).split(), ["15", "15"])
    lab.equal("without devices", guest.run(f"{USB} || true"), "")
    lab.check("its driver has no complaint", not re.search(
        r"(?i)error|fail|timeout|died|halt", guest.run(XHCI)), guest.run(XHCI))

    guest.run(f"watchdog -t 1 -T 6 {esb}")
    time.sleep(8)
    lab.equal("fed, the 6300ESB's is silent", qmp.events, [])
    guest.run(STARVE)
    lab.equal("starved, it bites", qmp.wait_event("WATCHDOG", 120), {"action": "pause"})
    qmp.wait_event("STOP")
    lab.equal("the machine is stopped", guest.status, "watchdog")
    qmp.command("cont")
    guest.run("killall -CONT watchdog; killall watchdog")
    lab.match("and goes on", guest.run("dmesg | grep -i 6300esb"), "initialized")

    before = nmis(guest, "grep NMI: /proc/interrupts")
    qmp.command("inject-nmi")
    after = nmis(guest, "sleep 1; grep NMI: /proc/interrupts")
    lab.equal("inject-nmi comes to the first CPU",
              [a - b for a, b in zip(after, before)], [1, 0])

    qmp.command("set-action", watchdog="reset")
    guest.run(f"watchdog -t 1 -T 4 {tco}")
    guest.run(STARVE)
    lab.equal("the TCO's, too", qmp.wait_event("WATCHDOG", 120), {"action": "reset"})
    lab.equal("and resets", qmp.wait_event("RESET", 120),
              {"guest": True, "reason": "guest-reset"})
    qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)
