# SPDX-License-Identifier: Apache-2.0
"""The stock kernel boots from its bzImage on four vCPUs, is healthy, and powers the
machine off.  On one it is in `console`, on two in `stop_cont`."""

from guest_cpus import check_cpus


def scenario(lab):
    guest = lab.guest(kernel=lab.bzimage, append="mark=bzimage", cpus=4).boot()
    lab.match("the command line arrives", guest.run("cat /proc/cmdline"),
              r"\bmark=bzimage$")
    check_cpus(lab, guest, 4)
    lab.equal("running", guest.status, "running")
    guest.type("poweroff\n")
    lab.equal("poweroff is an event", guest.qmp.wait_event("SHUTDOWN"),
              {"guest": True, "reason": "guest-shutdown"})
    lab.equal("poweroff ends the VMM", guest.wait_exit(), 0)
