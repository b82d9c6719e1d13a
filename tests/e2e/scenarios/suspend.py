# SPDX-License-Identifier: Apache-2.0
"""Suspend to RAM: the guest sleeps, is woken by the operator, the power button and its
clock, and finds its devices, its vCPUs and the time of day again.  A device that it is
asked for in its sleep goes when it wakes."""

import time

SLEEP = "echo mem > /sys/power/state"
ALARM = "/sys/class/rtc/rtc0/wakealarm"
ENTROPY = "head -c 8 /dev/hwrng | xxd -p"
TROUBLE = ("dmesg | grep -iE 'lockup|stall|Call Trace|acpi.*error|fail|hung' | "
           "grep -vE 'PCCT|RETBleed'")


def sleep(guest, qmp, prepare="true"):
    """Has the guest sleep; its shell's next word comes after the wake-up.  Returns how
    many seconds it took to fall asleep."""
    began = time.monotonic()
    guest.type(f"{prepare}; {SLEEP}; echo woken $?\n")
    qmp.wait_event("SUSPEND")
    return time.monotonic() - began


def woken(guest, qmp):
    qmp.wait_event("WAKEUP")
    found = guest.console.wait(r"woken (\d+)\r?\n", guest.mark)
    guest.mark = found.end()
    return found[1]


def clock_error(guest):
    """How many seconds the guest's time is before or behind, if one takes into account
    how long its answer takes."""
    before = int(time.time())
    told = int(guest.run("date +%s"))
    return max(0, before - told, told - time.time())


def ask_for_device(lab, qmp):
    qmp.command("device_del", id="goes")
    silent = qmp.wait_event("X_DEVICE_UNPLUG_SILENT")
    lab.equal("asked for a device, it sleeps on", silent["device"], "goes")


def check_gone(lab, qmp):
    qmp.wait_event("DEVICE_DELETED", accept=lambda data: data.get("device") == "goes")
    lab.equal("the device goes when it wakes, once",
              [event for event in qmp.events if "goes" in str(event.get("data"))], [])


def scenario(lab):
    channel = lab.folder / "channel"
    guest = lab.guest("-device", "pcie-root-port,id=port,chassis=1", "-device",
                      "virtio-rng-pci,bus=port", "-device",
                      "pcie-root-port,id=other,chassis=2", "-device",
                      "virtio-rng-pci,id=goes,bus=other,x-unplug-timeout=1", "-chardev",
                      f"file,id=channel,path={channel}", "-device", "virtio-serial-pci",
                      "-device", "virtserialport,chardev=channel,name=channel",
                      tools=True).boot()
    qmp = guest.qmp
    guest.run("insmod /lib/virtio_console.ko")
    guest.run("until ls /dev/vport*; do usleep 10000; done")
    port = guest.run("ls /dev/vport*")
    guest.run(f"echo before > {port}")
    lab.match("S3 is offered", guest.run("cat /sys/power/mem_sleep"), "deep")
    lab.match("S4 is offered", guest.run("cat /sys/power/state"), "disk")
    guest.run("echo deep > /sys/power/mem_sleep")

    took = sleep(guest, qmp)
    lab.equal("suspended", guest.status, "suspended")
    ask_for_device(lab, qmp)
    time.sleep(2)
    qmp.command("system_wakeup")
    lab.equal("system_wakeup: it goes on", woken(guest, qmp), "0")
    check_gone(lab, qmp)
    lab.check("the time of day is right", clock_error(guest) < 2)
    lab.equal("both vCPUs are there", guest.run("nproc"), "2")
    lab.match("devices behind a port work", guest.run(ENTROPY), "^[0-9a-f]{16}$")
    guest.run(f"echo after > {port}")
    lab.equal("so does a channel to the host", channel.read_text().split(),
              ["before", "after"])

    # It shall sleep before the alarm.
    sleep(guest, qmp, f"echo +{3 + int(3 * took)} > {ALARM}")
    lab.equal("its clock wakes it", woken(guest, qmp), "0")
    lab.check("the time of day is right again", clock_error(guest) < 2)
    lab.equal("the alarm has gone off", guest.run(f"cat {ALARM}"), "")

    sleep(guest, qmp)
    qmp.command("stop")
    qmp.command("cont")
    lab.equal("stopped and continued in its sleep", guest.status, "suspended")
    qmp.command("system_powerdown")
    lab.equal("the power button wakes it", woken(guest, qmp), "0")
    lab.match("devices work", guest.run(ENTROPY), "^[0-9a-f]{16}$")
    lab.equal("nothing to complain of", guest.run(TROUBLE + " || true"), "")

    sleep(guest, qmp)
    qmp.command("quit")
    lab.equal("it can be ended in its sleep", guest.wait_exit(), 0)
