# SPDX-License-Identifier: Apache-2.0
"""What tells a stock kernel the time: HPET, real-time clock, and KVM's clock over a stop
that is long for a guest that has been told to be impatient."""

import calendar
import time

START = "2021-03-04T05:06:07"
SOURCES = "/sys/devices/system/clocksource/clocksource0"
LOAD = "for i in 1 2; do (while :; do :; done) & done"
TROUBLE = ("dmesg | grep -iE 'lockup|stall|Call Trace|clocksource.*(unstable|skew|wrong)'"
           "; true")
STOP = 6
# Since the VMM has started.
LONGEST = 3600
RTC = "cat /sys/class/rtc/rtc0/since_epoch"


def seconds(guest, command="cut -d' ' -f1 /proc/uptime"):
    return float(guest.run(command))


def check_hpet(lab, guest):
    lab.match("the HPET is there", guest.run("dmesg | grep -i hpet"),
              "hpet0: 3 comparators, 64-bit 100.000000 MHz counter")
    lab.match("and can be the clock",
              guest.run(f"cat {SOURCES}/available_clocksource"), "hpet")
    guest.run(f"echo hpet > {SOURCES}/current_clocksource")
    began = time.monotonic()
    before = seconds(guest)
    guest.run("sleep 2")
    passed, real = seconds(guest) - before, time.monotonic() - began
    lab.check("it keeps time", 1.9 < passed < real + 0.1, f"{passed} of {real} s")
    guest.run(f"echo kvm-clock > {SOURCES}/current_clocksource")


def check_rtc(lab, guest):
    start = calendar.timegm(time.strptime(START, "%Y-%m-%dT%H:%M:%S"))
    now = seconds(guest, RTC)
    lab.check("the real-time clock began as -rtc says", start <= now < start + LONGEST,
              now)
    date = guest.qmp.command("qom-get", path="/machine", property="rtc-time")
    told = calendar.timegm((date["tm_year"] + 1900, date["tm_mon"] + 1, date["tm_mday"],
                            date["tm_hour"], date["tm_min"], date["tm_sec"]))
    lab.check("clients read the same", abs(told - now) < 60, date)
    guest.run("date -s '2031-01-02 03:04:05' && hwclock -w -u")
    event = guest.qmp.wait_event("RTC_CHANGE")
    ahead = calendar.timegm((2031, 1, 2, 3, 4, 5)) - start
    lab.check("a new time is an event", ahead - LONGEST < event["offset"] <= ahead + 5,
              event)
    # With legacy replacement the alarm comes by ACPI's interrupt.
    alarm = "/sys/class/rtc/rtc0/wakealarm"
    before = guest.run("grep -E 'rtc0|acpi' /proc/interrupts")
    guest.run(f"echo +2 > {alarm}; until [ -z \"$(cat {alarm})\" ]; do usleep 10000; "
              "done")
    after = guest.run("grep -E 'rtc0|acpi' /proc/interrupts")
    lab.check("its alarm interrupts, and is over", before != after, f"{before} {after}")


def check_stop(lab, guest):
    lab.equal("its clock is KVM's",
              guest.run(f"cat {SOURCES}/current_clocksource"), "kvm-clock")
    # A vCPU that does not run for four seconds is a lockup now.
    guest.run("echo 2 > /proc/sys/kernel/watchdog_thresh")
    guest.type(LOAD + "\n")
    began = time.monotonic()
    system, rtc = seconds(guest), seconds(guest, RTC)
    guest.qmp.command("stop")
    time.sleep(STOP)
    guest.qmp.command("cont")
    system = seconds(guest) - system
    rtc = seconds(guest, RTC) - rtc
    real = time.monotonic() - began
    lab.check("its own time stood still meanwhile", 0 <= system <= real - STOP + 0.1,
              f"{system} of {real} s")
    lab.check("its real-time clock went on", STOP - 1 <= rtc <= real + 1,
              f"{rtc} of {real} s")
    guest.run("sleep 4")
    lab.equal("nothing looks like a lockup to it", guest.run(TROUBLE), "")
    guest.run("kill $(jobs -p); true")


def scenario(lab):
    guest = lab.guest("-machine", "hpet=on", "-rtc", f"base={START}").boot()
    check_hpet(lab, guest)
    check_rtc(lab, guest)
    check_stop(lab, guest)
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)
