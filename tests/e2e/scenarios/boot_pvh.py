# SPDX-License-Identifier: Apache-2.0
"""The kernel's ELF file by its PVH note, as in most scenarios; the guest reboots; quit
ends the VMM."""


def scenario(lab):
    guest = lab.guest(append="mark=pvh").boot()
    lab.match("the command line arrives", guest.run("cat /proc/cmdline"), r"\bmark=pvh$")
    lab.match("the initrd is where it was", guest.run("ls /init"), "^/init$")
    guest.type("reboot\n")
    lab.equal("reboot is an event", guest.qmp.wait_event("RESET"),
              {"guest": True, "reason": "guest-reset"})
    guest.wait_up()
    lab.match("it boots again", guest.run("uname -r"), "cloud")
    lab.equal("still running", guest.status, "running")
    guest.qmp.command("quit")
    lab.equal("quit is an event", guest.qmp.wait_event("SHUTDOWN"),
              {"guest": False, "reason": "host-qmp-quit"})
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)
