# SPDX-License-Identifier: Apache-2.0
"""stop and cont while both vCPUs are busy and the console writes."""

import time

LOAD = """for i in 1 2; do (while :; do :; done) & done
(while :; do echo tick; sleep 0.2; done) &
"""
TROUBLE = "kill $(jobs -p); dmesg | grep -cE 'lockup|stall|Call Trace'; true"


def scenario(lab):
    guest = lab.guest().boot()
    qmp = guest.qmp
    guest.type(LOAD)
    guest.console.wait("tick\r?\n", guest.mark)
    qmp.command("stop")
    lab.equal("STOP event", qmp.wait_event("STOP"), {})
    lab.equal("paused", guest.status, "paused")
    time.sleep(1)
    silent = len(guest.console.text)
    time.sleep(2)
    lab.equal("a paused guest is silent", guest.console.text[silent:], "")
    qmp.command("cont")
    lab.equal("RESUME event", qmp.wait_event("RESUME"), {})
    guest.console.wait("tick\r?\n", silent)
    for _ in range(50):
        qmp.command("stop")
        qmp.command("cont")
    guest.console.wait("tick\r?\n", len(guest.console.text))
    lab.equal("50 times in a row: running", guest.status, "running")
    names = [event["event"] for event in qmp.events]
    lab.equal("an event for each", names, ["STOP", "RESUME"] * 50)
    guest.mark = len(guest.console.text)
    trouble = guest.run(TROUBLE)
    lab.equal("the kernel has nothing to complain of", trouble.splitlines()[-1], "0")
    qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)
