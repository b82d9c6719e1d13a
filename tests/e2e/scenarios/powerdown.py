# SPDX-License-Identifier: Apache-2.0
"""system_powerdown is the ACPI power button; with -no-shutdown the machine stays, and can
be reset and continued, as a management program reboots it."""

import signal


def scenario(lab):
    guest = lab.guest("-no-shutdown").boot()
    qmp = guest.qmp
    qmp.command("system_powerdown")
    lab.equal("POWERDOWN event", qmp.wait_event("POWERDOWN"), {})
    lab.equal("the guest powers off", qmp.wait_event("SHUTDOWN"),
              {"guest": True, "reason": "guest-shutdown"})
    guest.console.wait("guest: power button", guest.mark)
    lab.check("its init saw the button", True)
    lab.equal("STOP event", qmp.wait_event("STOP"), {})
    lab.equal("the VMM is still there", guest.status, "shutdown")
    guest.mark = len(guest.console.text)
    qmp.command("system_reset")
    lab.equal("RESET event", qmp.wait_event("RESET"),
              {"guest": False, "reason": "host-qmp-system-reset"})
    qmp.command("cont")
    lab.equal("RESUME event", qmp.wait_event("RESUME"), {})
    guest.wait_up()
    lab.equal("it boots again", guest.run("echo again"), "again")
    guest.process.send_signal(signal.SIGTERM)
    lab.equal("SIGTERM is an event", qmp.wait_event("SHUTDOWN"),
              {"guest": False, "reason": "host-signal"})
    lab.equal("SIGTERM ends the VMM with 0", guest.wait_exit(), 0)
