# SPDX-License-Identifier: Apache-2.0
"""-S holds the machine until cont."""

import time


def scenario(lab):
    guest = lab.guest("-S").start()
    lab.equal("prelaunch", guest.status, "prelaunch")
    time.sleep(2)
    lab.equal("nothing runs", guest.console.text, "")
    guest.qmp.command("cont")
    lab.equal("RESUME event", guest.qmp.wait_event("RESUME"), {})
    guest.wait_up()
    lab.equal("running", guest.status, "running")
    guest.type("poweroff\n")
    lab.equal("poweroff ends the VMM", guest.wait_exit(), 0)
