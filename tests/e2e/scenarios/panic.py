# SPDX-License-Identifier: Apache-2.0
"""A guest that panics: with panic=-1 it reboots, with panic=0 it alone hangs."""

PANIC = "echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger\n"


def scenario(lab):
    guest = lab.guest().boot()
    guest.type(PANIC)
    lab.equal("panic=-1: the guest resets", guest.qmp.wait_event("RESET", 120),
              {"guest": True, "reason": "guest-reset"})
    lab.match("it was a panic", guest.console.text, "Kernel panic")
    guest.wait_up()
    lab.equal("it boots again", guest.run("echo again"), "again")

    guest.run("echo 0 > /proc/sys/kernel/panic")
    guest.type(PANIC)
    guest.console.wait("end Kernel panic", guest.mark)
    qmp = guest.qmp
    lab.equal("panic=0: the machine runs on", guest.status, "running")
    qmp.command("stop")
    lab.equal("it can be stopped", guest.status, "paused")
    qmp.command("cont")
    guest.mark = len(guest.console.text)
    qmp.command("system_reset")
    guest.wait_up()
    lab.equal("it can be reset", guest.run("echo reset"), "reset")
    qmp.command("quit")
    lab.equal("it can be ended", guest.wait_exit(), 0)
