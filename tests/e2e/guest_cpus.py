# SPDX-License-Identifier: Apache-2.0
"""What a stock guest's vCPUs are to its kernel and to clients."""

import re

TROUBLE = "dmesg | grep -E 'BUG:|WARNING:|Call Trace|ACPI (BIOS )?Error|lockup'; true"


def check_cpus(lab, guest, cpus):
    lab.equal(f"the guest counts its CPUs, {cpus}", guest.run("nproc"), str(cpus))
    lab.equal("the kernel has nothing to complain of", guest.run(TROUBLE), "")
    apics = re.findall(r"\d+", guest.run("grep -w '^apicid' /proc/cpuinfo"))
    lab.equal("APIC ids are distinct", len(set(apics)), cpus)
    listed = guest.qmp.command("query-cpus-fast")
    lab.equal("QMP lists them", [c["cpu-index"] for c in listed], list(range(cpus)))
