# SPDX-License-Identifier: Apache-2.0
"""1, 2 and 4 vCPUs: the stock kernel boots, is healthy, and powers the machine off."""

import re

TROUBLE = "dmesg | grep -E 'BUG:|WARNING:|Call Trace|ACPI (BIOS )?Error|lockup' | head -5; true"
EXIT_OF = {"guest": True, "reason": "guest-shutdown"}


def boot(lab, cpus):
    guest = lab.guest(cpus=cpus).boot()
    lab.equal(f"{cpus} vCPUs: the guest counts them", guest.run("nproc"), str(cpus))
    lab.equal(f"{cpus} vCPUs: the kernel has nothing to complain of", guest.run(TROUBLE), "")
    apics = re.findall(r"\d+", guest.run("grep -w '^apicid' /proc/cpuinfo"))
    lab.equal(f"{cpus} vCPUs: APIC ids are distinct", len(set(apics)), cpus)
    listed = guest.qmp.command("query-cpus-fast")
    lab.equal(f"{cpus} vCPUs: QMP lists them", [c["cpu-index"] for c in listed],
              list(range(cpus)))
    lab.equal(f"{cpus} vCPUs: runstate", guest.qmp.command("query-status")["status"], "running")
    guest.type("poweroff\n")
    lab.equal(f"{cpus} vCPUs: poweroff is an event", guest.qmp.wait_event("SHUTDOWN"), EXIT_OF)
    lab.equal(f"{cpus} vCPUs: poweroff ends the VMM", guest.wait_exit(), 0)


def scenario(lab):
    for cpus in (1, 2, 4):
        boot(lab, cpus)
