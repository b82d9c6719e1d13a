# SPDX-License-Identifier: Apache-2.0
"""The watchdog of a domain, the i6300esb of its XML, by a kernel with drivers of real
hardware.  The board's own, which libvirt 9 has no element for, is in `watchdog`."""

from domain_guest import domain_guest
from esb import STARVE, watchdog_of
from libvirtd import Events

SECONDS = 40
FULL_KERNEL = True
DEVICES = "<watchdog model='i6300esb' action='reset'/>"


def scenario(lab):
    guest = domain_guest(lab)
    if not guest:
        return
    guest.define(lab, kernel=lab.options.full_kernel, initrd=lab.options.full_initrd,
                 devices=DEVICES, memory=512)
    guest.start().wait_up()
    pid = guest.libvirt.pid_of("vm")
    check_bite(lab, guest, "6300ESB")
    lab.equal("the domain runs", (guest.state, guest.libvirt.pid_of("vm")),
              ("running (unpaused)", pid))
    guest.virsh("destroy")


def check_bite(lab, guest, identity):
    events = Events(guest.libvirt, lab.folder / identity)
    guest.run(f"watchdog -t 1 -T 4 {watchdog_of(guest, identity)}")
    lab.check(f"{identity}: fed, it is silent", "watchdog" not in events.text)
    guest.run(STARVE)
    lab.check(f"{identity}: starved, it bites, and libvirt knows",
              events.has("'watchdog'", "reset"), events.text)
    lab.check(f"{identity}: the guest is reset", events.has("'reboot'"), events.text)
    events.close()
