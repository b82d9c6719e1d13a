# SPDX-License-Identifier: Apache-2.0
"""stop and cont while both vCPUs are busy and the console writes."""

import time

LOAD = "for i in 1 2; do (while :; do :; done) & done; (while :; do echo tick; sleep 0.2; done) &"


def scenario(lab):
    guest = lab.guest().boot()
    qmp = guest.qmp
    guest.type(LOAD + "\n")
    guest.console.wait("tick\r?\n", guest.mark)
    qmp.command("stop")
    lab.equal("STOP event", qmp.wait_event("STOP"), {})
    lab.equal("paused", qmp.command("query-status")["status"], "paused")
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
    lab.equal("50 times in a row: running", qmp.command("query-status")["status"], "running")
    counts = [len([0 for e in qmp.events if e["event"] == name]) for name in ("STOP", "RESUME")]
    lab.equal("an event for each", counts, [50, 50])
    guest.mark = len(guest.console.text)
    trouble = guest.run("kill $(jobs -p); dmesg | grep -cE 'lockup|stall|Call Trace'; true")
    lab.equal("the kernel has nothing to complain of", trouble.splitlines()[-1], "0")
    qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)
