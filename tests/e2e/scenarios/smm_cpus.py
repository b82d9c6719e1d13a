# SPDX-License-Identifier: Apache-2.0
"""A vCPU comes to a stock guest whose firmware is in system management mode, and goes:
OVMF is told of both by SMIs of all vCPUs, and gives the new one a place of its own.  An
emulated host is ended by QEMU's SVM each third time or so, so there it is asked for by
its name."""

import pathlib
import shutil

CODE = pathlib.Path("/usr/share/OVMF/OVMF_CODE_4M.secboot.fd")
VARS = pathlib.Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
REAL_KVM = True
CYCLES = 2
# As in uefi.py: QEMU's SVM ends the emulator now and then when OVMF's ticks are frequent.
TIMERS = pathlib.Path("/sys/module/kvm/parameters/min_timer_period_us")
RARE = "2000000"
CPU1 = "/sys/devices/system/cpu/cpu1"


def scenario(lab):
    usual = TIMERS.read_text()
    guest = start(lab)
    try:
        if lab.emulated:
            TIMERS.write_text(RARE)
        guest.start().wait_up()
    finally:
        if lab.emulated:
            TIMERS.write_text(usual)
    check(lab, guest)


def start(lab):
    variables = pathlib.Path(lab.folder) / "vars.fd"
    shutil.copy(VARS, variables)
    return lab.guest(
        "-smp", "maxcpus=2,cores=2", "-machine", "smm=on", "-global",
        "driver=cfi.pflash01,property=secure,value=on",
        "-global", "kvm-pit.lost_tick_policy=discard", "-trace", "irq_smi", "-trace",
        "smi_features",
        "-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={CODE}",
        "-drive", f"if=pflash,unit=1,format=raw,file={variables}",
        kernel=lab.bzimage, cpus=1, memory=512)


def check(lab, guest):
    lab.equal("the guest has one vCPU", guest.run("nproc; ls /sys/firmware/efi/systab"),
              "1\n/sys/firmware/efi/systab")
    place = next(place for place in guest.qmp.command("query-hotpluggable-cpus")
                 if place["props"]["core-id"] == 1)
    for cycle in range(CYCLES):
        guest.qmp.command("device_add", driver=place["type"], id="c1", **place["props"])
        lab.equal(f"it uses the second, time {cycle}",
                  guest.run(f"until [ -e {CPU1}/online ]; do usleep 10000; done; "
                            f"echo 1 > {CPU1}/online; nproc"), "2")
        guest.qmp.command("device_del", id="c1")
        guest.qmp.wait_event("DEVICE_DELETED",
                             accept=lambda data: data.get("device") == "c1")
        lab.equal("and lets it go", guest.run("nproc"), "1")
        told = guest.qmp.command("query-acpi-ospm-status")
        lab.equal("as its ACPI says", [(t["slot"], t["source"], t["status"])
                                       for t in told], [("1", 3, 0)])
    complaints = guest.run("dmesg | grep -E 'BUG:|WARNING:|Call Trace|ACPI (BIOS )?Error|"
                           "lockup|smpboot: .*(fail|stuck)'; true")
    lab.equal("the kernel has nothing to complain of", complaints, "")
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)
    lab.match("firmware agreed on hot-plug", guest.stderr, "smi_features.*0x7")
    lab.equal("no call was forbidden", guest.forbidden_call(), None)
