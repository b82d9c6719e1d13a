# SPDX-License-Identifier: Apache-2.0
"""system_reset 20 times in a row at random moments, then a boot to the end."""

import random
import time

RESETS = 20
LONGEST = 1.5
BY_CLIENT = {"guest": False, "reason": "host-qmp-system-reset"}


def scenario(lab):
    seed = random.randrange(1 << 32)
    lab.out(f"# reset_storm: seed {seed}")
    moments = random.Random(seed)
    guest = lab.guest().start()
    for _ in range(RESETS):
        time.sleep(moments.uniform(0, LONGEST))
        guest.qmp.command("system_reset")
    # A guest's firmware that finds itself half reset may add resets of its own.
    for _ in range(RESETS):
        guest.qmp.wait_event("RESET", accept=lambda data: data == BY_CLIENT)
    lab.check("each reset is an event", True)
    guest.mark = len(guest.console.text)
    guest.qmp.command("system_reset")
    guest.wait_up()
    lab.equal("it boots after all", guest.run("nproc"), "2")
    lab.equal("running", guest.status, "running")
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)
