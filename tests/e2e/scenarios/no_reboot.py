# SPDX-License-Identifier: Apache-2.0
"""-no-reboot: a guest's reboot ends the VMM."""


def scenario(lab):
    guest = lab.guest("-no-reboot").boot()
    qmp = guest.qmp
    guest.type("reboot\n")
    lab.equal("the event says why", qmp.wait_event("SHUTDOWN"),
              {"guest": True, "reason": "guest-reset"})
    lab.equal("the VMM exits", guest.wait_exit(), 0)
    lab.check("nothing was reset", not [e for e in qmp.events if e["event"] == "RESET"])
