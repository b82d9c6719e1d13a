# SPDX-License-Identifier: Apache-2.0
"""Memory on both sides of the 32-bit hole."""


def scenario(lab):
    guest = lab.guest(memory=4096).boot()
    total = int(guest.run("awk '/^MemTotal/ {print $2}' /proc/meminfo"))
    good = 3_900_000 < total <= 4_194_304
    lab.check("the guest has nearly 4 GiB", good, f"{total} KiB")
    above = guest.run("dmesg | grep -cE 'e820.*mem 0x0000000100000000-.*usable'")
    lab.equal("part of it is above 4 GiB", above, "1")
    guest.run("dd if=/dev/zero of=/tmp/x bs=1M count=64; sync; rm /tmp/x", silence=300)
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)
