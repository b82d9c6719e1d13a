# SPDX-License-Identifier: Apache-2.0
"""A stock guest gives half of its memory, what is free, and what it does not use."""

import re
import time

SECONDS = 80
MIB = 1 << 20
MEMORY = 384
SIZE = 160
BALLOON = "/machine/peripheral/balloon0"
FILL = f"dd if=/dev/zero of=/tmp/x bs=1M count={SIZE} 2>/dev/null"
WAIT = 300


def resident(guest):
    with open(f"/proc/{guest.process.pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


def meminfo(guest, name):
    line = guest.run(f"grep {name}: /proc/meminfo")
    return int(re.search(r"\d+", line)[0]) << 10


def wait_until(condition):
    end = time.monotonic() + WAIT
    while not condition() and time.monotonic() < end:
        time.sleep(0.1)
    return condition()


def actual(guest):
    return guest.qmp.command("query-balloon")["actual"]


def scenario(lab):
    guest = lab.guest("-device", "virtio-balloon-pci,id=balloon0,deflate-on-oom=on,"
                      "free-page-reporting=on,guest-stats-polling-interval=1",
                      memory=MEMORY, tools=True, cpus=1).boot()
    guest.run("insmod /lib/virtio_balloon.ko; mount -t tmpfs -o size=300m none /tmp")
    guest.run(FILL)
    full = resident(guest)
    lab.check("the guest has filled its memory", full > (SIZE + 80) * MIB, full)
    guest.run("rm /tmp/x")
    free = meminfo(guest, "MemAvailable")
    half = MEMORY // 2 * MIB
    guest.qmp.command("balloon", value=half)
    lab.check("the guest gives half", wait_until(lambda: actual(guest) == half),
              actual(guest))
    left = meminfo(guest, "MemAvailable")
    lab.check("it has that much less", free - left > 0.95 * half, f"{free} {left}")
    lab.check("the VMM has no more than the rest", resident(guest) < half + 40 * MIB,
              f"{full} {resident(guest)}")
    event = guest.qmp.wait_event("BALLOON_CHANGE")
    lab.check("BALLOON_CHANGE", event["actual"] < MEMORY * MIB, event)

    def stats():
        return guest.qmp.command("qom-get", path=BALLOON, property="guest-stats")

    lab.check("it tells of itself", wait_until(lambda: stats()["last-update"] > 0),
              stats())
    # What it told last may be from before.
    lab.check("how much is free",
              wait_until(lambda: 0 < stats()["stats"]["stat-free-memory"] < half),
              stats())
    told = stats()["stats"]
    lab.check("how much it has in all",
              half < told["stat-total-memory"] <= MEMORY * MIB, told)
    guest.qmp.command("balloon", value=MEMORY * MIB)
    lab.check("it takes all back", wait_until(lambda: actual(guest) == MEMORY * MIB),
              actual(guest))
    guest.run(FILL)
    full = resident(guest)
    lab.check("and uses it", full > SIZE * MIB, full)
    guest.run("rm /tmp/x")
    lab.check("free pages are reported, and the host has them",
              wait_until(lambda: resident(guest) < full - 0.75 * SIZE * MIB),
              f"{full} {resident(guest)}")
    guest.qmp.command("object-add", **{
        "qom-type": "berth-autoballoon", "id": "auto", "device": "balloon0",
        "min": 96 * MIB, "headroom": 64 * MIB, "aggressiveness": 50, "interval": 1})

    def auto():
        return guest.qmp.command("x-query-autoballoon")[0]["state"]

    lab.check("an idle guest's target falls until it has no more than it needs",
              wait_until(lambda: auto()["reason"] in ("settled", "at-min")), auto())
    low = auto()
    lab.check("it has given that", low["actual"] < 300 * MIB, low)
    lab.check("and keeps its headroom", meminfo(guest, "MemAvailable") > 60 * MIB, low)
    guest.run(FILL)
    lab.check("the target rises when it uses memory",
              wait_until(lambda: auto()["target"] > low["target"] + 64 * MIB), auto())
    trouble = guest.run("dmesg | grep -iE 'balloon.*(err|fail|warn)|Out of memory'; true")
    lab.equal("the kernel has nothing to complain of", trouble, "")
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)
