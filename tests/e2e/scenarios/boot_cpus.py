# SPDX-License-Identifier: Apache-2.0
"""1, 2 and 4 vCPUs: the stock kernel boots, is healthy, and powers the machine off."""

import re

TROUBLE = "dmesg | grep -E 'BUG:|WARNING:|Call Trace|ACPI (BIOS )?Error|lockup'; true"


def boot(lab, cpus):
    guest = lab.guest(cpus=cpus).boot()
    lab.name = f"boot_cpus {cpus}"
    lab.equal("the guest counts its CPUs", guest.run("nproc"), str(cpus))
    lab.equal("the kernel has nothing to complain of", guest.run(TROUBLE), "")
    apics = re.findall(r"\d+", guest.run("grep -w '^apicid' /proc/cpuinfo"))
    lab.equal("APIC ids are distinct", len(set(apics)), cpus)
    listed = guest.qmp.command("query-cpus-fast")
    lab.equal("QMP lists them", [c["cpu-index"] for c in listed], list(range(cpus)))
    lab.equal("running", guest.status, "running")
    guest.type("poweroff\n")
    lab.equal("poweroff is an event", guest.qmp.wait_event("SHUTDOWN"),
              {"guest": True, "reason": "guest-shutdown"})
    lab.equal("poweroff ends the VMM", guest.wait_exit(), 0)


def scenario(lab):
    for cpus in (1, 2, 4):
        boot(lab, cpus)
