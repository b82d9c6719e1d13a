# SPDX-License-Identifier: Apache-2.0
"""The serial console both ways: what is typed is echoed, and arrives whole.  The machine
of one vCPU waits for cont before (-S), and ends with the guest's reboot (-no-reboot)."""

import hashlib
import time

from guest_cpus import check_cpus

LINE = "".join(chr(33 + i % 94) for i in range(600)).replace("'", "-")


def scenario(lab):
    guest = lab.guest("-S", "-no-reboot", cpus=1).start()
    check_start(lab, guest)
    check_cpus(lab, guest, 1)
    check_console(lab, guest)
    check_end(lab, guest)


def check_start(lab, guest):
    lab.equal("prelaunch", guest.status, "prelaunch")
    time.sleep(1)
    lab.equal("nothing runs", guest.console.text, "")
    guest.qmp.command("cont")
    lab.equal("RESUME event", guest.qmp.wait_event("RESUME"), {})
    guest.wait_up()
    lab.equal("running", guest.status, "running")


def check_console(lab, guest):
    guest.run("stty echo")
    guest.type(f"read -r x; echo \"<$x>\" | md5sum; echo wh''ole\n{LINE}\n")
    guest.console.wait("whole\r?\n", guest.mark)
    text = guest.console.text[guest.mark:]
    lab.check("a typed line is echoed", LINE in text, text)
    lab.match("it arrives whole", text, hashlib.md5(f"<{LINE}>\n".encode()).hexdigest())
    guest.mark = len(guest.console.text)
    wanted = "".join(f"{i}\n" for i in range(1000, 2500))
    lab.check("long output arrives whole", guest.run("seq 1000 2499") + "\n" == wanted)


def check_end(lab, guest):
    guest.type("reboot\n")
    lab.equal("the event says why", guest.qmp.wait_event("SHUTDOWN"),
              {"guest": True, "reason": "guest-reset"})
    lab.equal("the VMM exits", guest.wait_exit(), 0)
    lab.check("nothing was reset",
              not [event for event in guest.qmp.events if event["event"] == "RESET"])
