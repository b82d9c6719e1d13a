# SPDX-License-Identifier: Apache-2.0
"""vCPUs come to a stock guest, work, and go; one is there before the guest runs; the
guest refuses; a reset in between."""

SECONDS = 45
CYCLES = 10
SYS = "/sys/devices/system/cpu"


def props(guest, index):
    for place in guest.qmp.command("query-hotpluggable-cpus"):
        if place["props"]["core-id"] == index:
            return place["type"], place["props"]
    raise LookupError(index)


def plug(guest, index):
    driver, place = props(guest, index)
    guest.qmp.command("device_add", driver=driver, id=f"vcpu{index}", **place)


def online(guest, count):
    """The guest has so many, and runs a program on each, by its own numbers of them."""
    return guest.run(f"cd {SYS}; until set -- cpu[1-9]/online && [ -e $1 ] && "
                     f"[ $# = {count - 1} ]; do usleep 10000; done; "
                     "for c in cpu0/ $*; do [ $c = cpu0/ ] || echo 1 > $c; c=${c%%/*}; "
                     "taskset -c ${c#cpu} true && echo ok; done")


def unplug(guest, index):
    guest.qmp.command("device_del", id=f"vcpu{index}")
    gone(guest, index)
    guest.wait_ejected({"slot": str(index), "slot-type": "CPU"})


def gone(guest, index):
    guest.qmp.wait_event("DEVICE_DELETED",
                         accept=lambda data: data.get("device") == f"vcpu{index}")


def scenario(lab):
    guest = lab.guest("-smp", "maxcpus=4,cores=4", "-S", cpus=1, tools=True)
    guest.start()
    plug(guest, 3)
    guest.qmp.command("cont")
    guest.wait_up()
    lab.equal("what was plugged before the start is there from the start",
              guest.run("nproc"), "2")
    unplug(guest, 3)
    lab.equal("and goes", guest.run("nproc"), "1")
    for cycle in range(CYCLES):
        for index in (1, 2, 3):
            plug(guest, index)
        if online(guest, 4) != "ok\nok\nok\nok":
            lab.check(f"four run programs, time {cycle}", False)
        if cycle == 0:
            check_views(lab, guest)
        for index in (3, 1, 2):
            unplug(guest, index)
    lab.equal("after ten times one is left", guest.run("nproc"), "1")
    lab.equal("QMP says so", len(guest.qmp.command("query-cpus-fast")), 1)
    check_refusal(lab, guest)
    complaints = guest.run("dmesg | grep -E 'BUG:|WARNING:|Call Trace|ACPI (BIOS )?Error|"
                           "Eject incomplete|lockup|smpboot: .*(fail|stuck)'; true")
    lab.equal("the kernel has nothing to complain of", complaints, "")
    check_reset(lab, guest)
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)


def check_views(lab, guest):
    lab.equal("the guest counts four", guest.run("nproc"), "4")
    listed = guest.qmp.command("query-cpus-fast")
    lab.equal("QMP lists them", [cpu["qom-path"] for cpu in listed],
              ["/machine/unattached/device[0]"] +
              [f"/machine/peripheral/vcpu{i}" for i in (1, 2, 3)])
    guest.qmp.command("stop")
    guest.qmp.command("cont")
    lab.equal("stop and cont are all vCPUs'", online(guest, 4), "ok\nok\nok\nok")


def check_refusal(lab, guest):
    plug(guest, 2)
    online(guest, 2)
    guest.run("echo 0 > /sys/firmware/acpi/hotplug/processor/enabled")
    guest.qmp.command("device_del", id="vcpu2")
    kept = guest.qmp.wait_event("DEVICE_UNPLUG_GUEST_ERROR")
    lab.equal("the guest keeps it", kept["device"], "vcpu2")
    told = guest.qmp.command("query-acpi-ospm-status")
    lab.equal("it said why", [t["status"] for t in told if t.get("device") == "vcpu2"],
              [0x80])
    lab.equal("that is to be seen", guest.qmp.command("x-query-unplug"),
              [{"device": "vcpu2", "path": "/machine/peripheral/vcpu2", "state": "kept",
                "reason": kept["x-reason"]}])
    guest.run("echo 1 > /sys/firmware/acpi/hotplug/processor/enabled")
    unplug(guest, 2)


def check_reset(lab, guest):
    """One stays, another has been asked for and goes."""
    plug(guest, 1)
    plug(guest, 2)
    online(guest, 3)
    guest.qmp.command("stop")
    guest.qmp.command("device_del", id="vcpu2")
    guest.mark = len(guest.console.text)
    guest.qmp.command("system_reset")
    guest.qmp.command("cont")
    gone(guest, 2)
    guest.wait_up()
    lab.equal("after a reset it is a processor like another", guest.run("nproc"), "2")
    unplug(guest, 1)
    lab.equal("and goes as well", guest.run("nproc"), "1")
    lab.equal("each has gone once", [event for event in guest.qmp.events
                                     if event["event"] == "DEVICE_DELETED"], [])
