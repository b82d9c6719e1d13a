# SPDX-License-Identifier: Apache-2.0
"""stop and cont while both vCPUs are busy and the console writes."""

import time

from guest_cpus import check_cpus

LOAD = """for i in 1 2; do (while :; do :; done) & done
(while :; do echo tick; sleep 0.2; done) &
"""
QUIET = "kill $(jobs -p); echo qui''et\n"
TROUBLE = "dmesg | grep -cE 'lockup|stall|Call Trace'; true"


def scenario(lab):
    guest = lab.guest().boot()
    qmp = guest.qmp
    check_cpus(lab, guest, 2)
    guest.type(LOAD)
    guest.console.wait("tick\r?\n", guest.mark)
    qmp.command("stop")
    lab.equal("STOP event", qmp.wait_event("STOP"), {})
    lab.equal("paused", guest.status, "paused")
    time.sleep(1)               # What it wrote before comes.
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
    # Ticks may come in the midst of what the terminal echoes.
    guest.type(QUIET)
    guest.mark = guest.console.wait(r"quiet\r?\n", guest.mark).end()
    lab.equal("the kernel has nothing to complain of", guest.run(TROUBLE), "0")
    qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)
