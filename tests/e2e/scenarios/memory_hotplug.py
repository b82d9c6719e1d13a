# SPDX-License-Identifier: Apache-2.0
"""A module of memory comes to a stock guest, is used, and goes; the guest keeps one; one
is there before the guest runs."""

import re
import time

SECONDS = 35
MIB = 1 << 20
DIMM = 256
WAIT = 300
SYS = "/sys/devices/system/memory"
FILL = f"dd if=/dev/zero of=/tmp/x bs=1M count={DIMM - 96} 2>/dev/null"


def resident(guest):
    with open(f"/proc/{guest.process.pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


def total(guest):
    return int(re.search(r"\d+", guest.run("grep MemTotal: /proc/meminfo"))[0]) << 10


def wait_until(condition):
    end = time.monotonic() + WAIT
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)
    return condition()


def plug(guest, name, **more):
    memdev = f"mem{name}"
    guest.qmp.command("object-add", **{"qom-type": "memory-backend-ram", "id": memdev,
                                       "size": DIMM * MIB})
    guest.qmp.command("device_add", driver="pc-dimm", id=name, memdev=memdev, **more)


def is_gone(guest, name):
    """A page that is in use for a moment makes the guest refuse: it is asked again."""
    states = {u["device"]: u["state"] for u in guest.qmp.command("x-query-unplug")}
    if states.get(name) == "kept":
        guest.qmp.command("device_del", id=name)
    devices = guest.qmp.command("query-memory-devices")
    return name not in [device["data"]["id"] for device in devices]


def unplug(guest, name):
    guest.qmp.command("device_del", id=name)
    wait_until(lambda: is_gone(guest, name))
    guest.qmp.wait_event("DEVICE_DELETED", timeout=WAIT,
                         accept=lambda data: data.get("device") == name)
    guest.wait_ejected({"slot-type": "DIMM"}, timeout=WAIT)
    guest.qmp.command("object-del", id=f"mem{name}")


def policy(guest, text):
    """What becomes of memory that comes."""
    guest.run(f"echo {text} > {SYS}/auto_online_blocks")


def scenario(lab):
    guest = lab.guest("-object", f"memory-backend-ram,id=memcold,size={DIMM}M",
                      "-device", "pc-dimm,id=cold,memdev=memcold,slot=3",
                      memory="256,slots=4,maxmem=4G", append="memhp_default_state=online_"
                      "movable", tools=True, cpus=1).boot()
    lab.check("memory of the command line is there from the start",
              total(guest) > (DIMM + 64) * MIB, total(guest))
    unplug(guest, "cold")
    small = total(guest)
    lab.check("and goes", small < 256 * MIB, small)
    check_use(lab, guest, small)
    check_refusal(lab, guest)
    check_reset(lab, guest, small)
    complaints = guest.run("dmesg | grep -E 'BUG:|WARNING:|Call Trace|ACPI (BIOS )?Error|"
                           "Eject incomplete'; true")
    lab.equal("the kernel has nothing to complain of", complaints, "")
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)


def check_use(lab, guest, small):
    plug(guest, "dimm0", node=0, slot=0)
    lab.check("the guest has what came", wait_until(
        lambda: total(guest) >= small + DIMM * MIB), f"{small} {total(guest)}")
    told = guest.qmp.wait_event("ACPI_DEVICE_OST", timeout=WAIT, accept=lambda data:
                                data["info"].get("device") == "dimm0")
    lab.equal("it told so", (told["info"]["source"], told["info"]["status"]), (1, 0))
    lab.equal("QMP lists it", [d["data"]["id"] for d in
                               guest.qmp.command("query-memory-devices")], ["dimm0"])
    before = resident(guest)
    guest.run("mount -t tmpfs -o size=1G none /tmp; " + FILL)
    full = resident(guest)
    lab.check("it uses it", full - before > (DIMM - 128) * MIB, f"{before} {full}")
    guest.run("umount /tmp")
    unplug(guest, "dimm0")
    lab.equal("it gives it back", total(guest), small)
    lab.check("the host has it again", resident(guest) < full - (DIMM - 128) * MIB,
              f"{full} {resident(guest)}")
    lab.equal("QMP says so", guest.qmp.command("query-memory-size-summary"),
              {"base-memory": 256 * MIB, "plugged-memory": 0})


def check_refusal(lab, guest):
    """The kernel has things of its own in the memory, which cannot be moved."""
    policy(guest, "online_kernel")
    plug(guest, "dimm1")
    wait_until(lambda: total(guest) > (DIMM + 64) * MIB)
    guest.run("mount -t tmpfs none /tmp; cd /tmp; i=0; while [ $i -lt 1000 ]; do "
              ": > $i; i=$((i+1)); done", silence=600)
    guest.qmp.command("device_del", id="dimm1")
    kept = guest.qmp.wait_event("DEVICE_UNPLUG_GUEST_ERROR", timeout=WAIT)
    lab.equal("the guest keeps it", kept["device"], "dimm1")
    lab.check("it says why", "_OST" in kept["x-reason"], kept)
    lab.equal("that is to be seen", guest.qmp.command("x-query-unplug"), [
        {"device": "dimm1", "path": "/machine/peripheral/dimm1", "state": "kept",
         "reason": kept["x-reason"]}])


def check_reset(lab, guest, small):
    """What the guest keeps stays over a reset; then it goes.  No two boots have the same
    memory to the page."""
    guest.mark = len(guest.console.text)
    guest.qmp.command("system_reset")
    guest.wait_up()
    lab.check("after a reset it is memory like other", wait_until(
        lambda: total(guest) >= small + (DIMM - 1) * MIB), f"{small} {total(guest)}")
    unplug(guest, "dimm1")
    lab.check("and goes as well", total(guest) <= small + MIB, f"{small} {total(guest)}")
