#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Run control with a guest that does what the test orders: sleep and wake-up, power-off,
NMI."""

import sys

from rig import main
from esb import Esb
from poke import WAKING, Poke
from qmp import QmpError

PM_STATUS, PM_ENABLE, PM_CONTROL = 0x600, 0x602, 0x604
SCI_EN, SLEEP = 1, 1 << 13
S3, S4, S5 = 1 << 10, 2 << 10, 0
TMR, WAK, PWRBTN, RTC_STS = 1, 0x8000, 0x0100, 0x0400
FACS_VECTOR, FACS_X_VECTOR = 12, 24
LONG_TEXT, N_TEXTS = 60000, 2
APIC_SPURIOUS, APIC_ON, LINT1, LINT_NMI = 0xfee000f0, 0x1ff, 0xfee00360, 0x400


def poke(t, *args):
    guest = t.guest("poke", *args)
    return guest, guest.qmp, Poke(guest)


def fall_asleep(guest, vector=WAKING):
    guest.write(guest.facs + FACS_VECTOR, vector)
    guest.order("w", PM_CONTROL, S3 | SLEEP | SCI_EN)


def status_of(driver):
    """But for the timer's, which comes every 2.3 s."""
    return driver.inp(PM_STATUS, 2) & ~TMR


def refused(qmp, command):
    try:
        qmp.command(command)
    except QmpError as error:
        return error.text
    return None


def test_suspend(t):
    guest, qmp, driver = poke(t)
    t.equal("can be woken", qmp.command("query-current-machine"),
            {"wakeup-suspend-support": True})
    t.equal("nothing to wake", refused(qmp, "system_wakeup"),
            "Unable to wake up: guest is not in suspended state")
    driver.facs = driver.table("FACS")
    driver.write(0x9000, 0x12345678)

    fall_asleep(driver)
    t.equal("SUSPEND event", qmp.wait_event("SUSPEND"), {})
    t.equal("suspended", qmp.command("query-status"),
            {"running": False, "status": "suspended"})
    qmp.command("cont")
    t.equal("cont has no effect", guest.status, "suspended")
    qmp.command("system_wakeup")
    t.equal("WAKEUP event", qmp.wait_event("WAKEUP"), {})
    driver.heard("W")
    t.equal("running", guest.status, "running")
    t.equal("memory is kept", driver.read(0x9000), 0x12345678)
    t.equal("the status of a wake-up", status_of(driver), WAK)
    t.equal("in ACPI mode", driver.inp(PM_CONTROL, 2) & SCI_EN, SCI_EN)

    driver.out(PM_STATUS, WAK, 2)
    fall_asleep(driver)
    qmp.wait_event("SUSPEND")
    qmp.command("stop")
    t.equal("it can be stopped", guest.status, "paused")
    t.equal("a stopped one is not woken", refused(qmp, "system_wakeup"),
            "Unable to wake up: guest is not in suspended state")
    qmp.command("cont")
    t.equal("and be suspended again", guest.status, "suspended")
    qmp.command("system_powerdown")
    qmp.wait_event("WAKEUP")
    driver.heard("W")
    t.equal("the power button wakes", status_of(driver), WAK | PWRBTN)

    names = [event["event"] for event in qmp.events]
    t.equal("the other events", names, ["STOP", "RESUME", "POWERDOWN"])


def test_split_irqchip(t):
    guest, qmp, driver = poke(t, "-machine", "kernel-irqchip=split")
    driver.facs = driver.table("FACS")
    fall_asleep(driver)
    qmp.wait_event("SUSPEND")
    qmp.command("system_wakeup")
    driver.heard("W")
    t.equal("wakes", status_of(driver), WAK)
    driver.write(APIC_SPURIOUS, APIC_ON)
    driver.write(LINT1, LINT_NMI)
    qmp.command("inject-nmi")
    driver.heard("N")


def test_wakes_by_tables_above_1_mib(t):
    """As are those of thousands of vCPUs, or where SMBIOS takes the room below."""
    text = t.folder / "text"
    text.write_text("x" * LONG_TEXT)
    guest, qmp, driver = poke(t, "-smp", "1,maxcpus=200",
                              *["-smbios", f"type=11,path={text}"] * N_TEXTS)
    driver.facs = driver.table("FACS")
    t.check("the tables are above 1 MiB", driver.facs > 1 << 20, f"{driver.facs:#x}")
    fall_asleep(driver)
    qmp.wait_event("SUSPEND")
    qmp.command("system_wakeup")
    driver.heard("W")
    t.equal("it is running", guest.status, "running")


def test_alarm(t):
    guest, qmp, driver = poke(t)
    driver.facs = driver.table("FACS")
    for reg in (1, 3, 5):           # any second, minute, hour
        driver.out(0x70, reg)
        driver.out(0x71, 0xc0)
    driver.out(0x70, 0xb)
    driver.out(0x71, driver.inp(0x71) | 0x20)
    driver.out(PM_STATUS, RTC_STS, 2)
    driver.out(PM_ENABLE, RTC_STS, 2)
    # The last of all: an alarm that comes after it is a new one.
    driver.out(0x70, 0xc)
    driver.inp(0x71)

    fall_asleep(driver)
    qmp.wait_event("SUSPEND")
    qmp.wait_event("WAKEUP")
    driver.heard("W")
    t.equal("woken by the alarm", driver.inp(PM_STATUS, 2) & (WAK | RTC_STS),
            WAK | RTC_STS)


def test_no_waking_vector(t):
    """As firmware that finds none, the machine boots."""
    for vector in (0, 0x100000, 0xfffffff0):
        guest, qmp, driver = poke(t)
        driver.facs = driver.table("FACS")
        fall_asleep(driver, vector)
        qmp.wait_event("SUSPEND")
        qmp.command("system_wakeup")
        t.equal(f"{vector:#x}: reset", qmp.wait_event("RESET"),
                {"guest": True, "reason": "guest-reset"})
        driver.heard("!")
        t.equal(f"{vector:#x}: running", guest.status, "running")


def test_suspended_reset(t):
    guest, qmp, driver = poke(t)
    driver.facs = driver.table("FACS")
    fall_asleep(driver)
    qmp.wait_event("SUSPEND")
    qmp.command("system_reset")
    qmp.wait_event("RESET")
    t.equal("system_reset leaves it to be continued", guest.status, "prelaunch")
    qmp.command("cont")
    driver.heard("!")
    t.equal("its vector is gone", driver.read(driver.facs + FACS_VECTOR), 0)


def test_disabled(t):
    guest, qmp, driver = poke(t, "-global", "ICH9-LPC.disable_s3=1", "-global",
                              "ICH9-LPC.disable_s4=1")
    for state in (S3, S4):
        driver.out(PM_CONTROL, state | SLEEP, 2)
    t.equal("no sleep state: it runs on", guest.status, "running")
    t.equal("cannot be woken", qmp.command("query-current-machine"),
            {"wakeup-suspend-support": False})
    t.equal("system_wakeup says so", refused(qmp, "system_wakeup"),
            "wake-up from suspend is not supported by this guest")


def test_power_off(t):
    guest, qmp, driver = poke(t, "-no-shutdown")
    driver.order("w", PM_CONTROL, S4 | SLEEP)
    qmp.wait_event("SUSPEND_DISK")
    t.equal("S4 is a power-off", qmp.wait_event("SHUTDOWN"),
            {"guest": True, "reason": "guest-shutdown"})
    t.equal("the process stays", guest.status, "shutdown")
    t.equal("cont is refused", refused(qmp, "cont"),
            "Resetting the Virtual Machine is required")
    qmp.command("system_reset")
    qmp.command("cont")
    driver.heard("!")
    qmp.command("set-action", shutdown="poweroff")
    driver.order("w", PM_CONTROL, S5 | SLEEP)
    qmp.wait_event("SHUTDOWN", accept=lambda data: data["guest"])
    t.equal("S5 ends the process", guest.wait_exit(), 0)


def test_nmi(t):
    guest, qmp, driver = poke(t)
    qmp.command("inject-nmi")
    t.equal("LINT1 is masked: no NMI", driver.read(LINT1) & 0x10000, 0x10000)
    driver.write(APIC_SPURIOUS, APIC_ON)
    driver.write(LINT1, LINT_NMI)
    qmp.command("inject-nmi")
    driver.heard("N")
    t.equal("the guest goes on", status_of(driver), 0)


def test_preconfig(t):
    done = t.run("-preconfig")
    t.equal("-preconfig is refused", done.returncode, 1)
    t.match("with its name", done.stderr, "-preconfig")
    guest = t.guest("poke", "-S")
    t.equal("x-exit-preconfig", refused(guest.qmp, "x-exit-preconfig"),
            "The command is permitted only before machine initialization")


POWEROFF = ("GUEST_PANICKED", {"action": "poweroff"})
PAUSE = ("GUEST_PANICKED", {"action": "pause"})
DOWN = ("SHUTDOWN", {"guest": True, "reason": "guest-panic"})
STOP = ("STOP", {})

# What the guest tells, the options, the events, the state or the exit status: as QEMU.
PANICS = [
    (1, [], [POWEROFF, DOWN], 0),
    (1, ["-no-shutdown"], [PAUSE, STOP], "guest-panicked"),
    (1, ["-action", "panic=pause"], [PAUSE, STOP], "guest-panicked"),
    (1, ["-action", "panic=none"], [("GUEST_PANICKED", {"action": "run"})], "running"),
    (1, ["-action", "panic=exit-failure"], [POWEROFF, DOWN], 1),
    (1, ["-action", "panic=exit-failure", "-no-shutdown"], [POWEROFF, DOWN, STOP],
     "shutdown"),
    (2, [], [("GUEST_CRASHLOADED", {"action": "run"})], "running"),
    (4, [], [("GUEST_PVSHUTDOWN", {}),
             ("SHUTDOWN", {"guest": True, "reason": "guest-shutdown"})], 0),
]


def test_panic(t):
    for told, options, events, end in PANICS:
        name = f"{told} {' '.join(options)}"
        guest, qmp, driver = poke(t, "-device", "pvpanic", *options)
        driver.order("b", 0x505, told)
        for event, data in events:
            t.equal(f"{name}: {event}", qmp.wait_event(event), data)
        if isinstance(end, int):
            t.equal(f"{name}: exit status", guest.wait_exit(), end)
        else:
            t.equal(f"{name}: state", guest.status, end)
            if end == "guest-panicked":
                qmp.command("cont")
            if end != "shutdown":
                driver.heard(".")
        t.equal(f"{name}: no other events", [e["event"] for e in qmp.events],
                ["RESUME"] if end == "guest-panicked" else [])


def watchdog(t, *args):
    guest, qmp, driver = poke(t, "-device", "pcie-root-port,id=port,chassis=1", "-device",
                              "pcie-pci-bridge,id=pci,bus=port", "-device",
                              "i6300esb,bus=pci,addr=0x1", *args)
    return guest, qmp, driver, Esb(driver, 2 << 8 | 1 << 3)


def test_watchdog_actions(t):
    guest, qmp, driver, esb = watchdog(t)
    t.equal("the function", driver.config_read(esb.bdf, 0), Esb.ID)
    esb.start()
    t.equal("reset", qmp.wait_event("WATCHDOG"), {"action": "reset"})
    t.equal("resets", qmp.wait_event("RESET"), {"guest": True, "reason": "guest-reset"})
    driver.heard("!")
    t.check("the guest sees why", esb.timed_out())

    for action, event, data, status in (
            ("pause", "STOP", {}, "watchdog"),
            ("shutdown", "POWERDOWN", {}, "running"),
            ("none", None, None, "running"),
            ("debug", None, None, "running")):
        qmp.command("watchdog-set-action", action=action)
        esb.start()
        t.equal(action, qmp.wait_event("WATCHDOG"), {"action": action})
        if event:
            t.equal(f"{action}: {event}", qmp.wait_event(event), data)
        t.equal(f"{action}: status", guest.status, status)
        qmp.command("cont")
        driver.heard(".")
        driver.config_write(esb.bdf, esb.LOCK, 0)
    t.match("debug writes a line", guest.stderr, "watchdog has expired")

    qmp.command("set-action", watchdog="inject-nmi")
    driver.write(APIC_SPURIOUS, APIC_ON)
    driver.write(LINT1, LINT_NMI)
    esb.start()
    t.equal("inject-nmi", qmp.wait_event("WATCHDOG"), {"action": "inject-nmi"})
    driver.heard("N")

    qmp.command("watchdog-set-action", action="poweroff")
    driver.config_write(esb.bdf, esb.LOCK, 0)
    esb.start()
    t.equal("poweroff", qmp.wait_event("WATCHDOG"), {"action": "poweroff"})
    t.equal("is told", qmp.wait_event("SHUTDOWN"),
            {"guest": True, "reason": "guest-shutdown"})
    t.equal("ends the process", guest.wait_exit(), 0)


def test_tco(t):
    guest, qmp, driver = poke(t, "-watchdog-action", "pause")
    driver.out(0x672, 2, 2)
    driver.out(0x660, 1, 2)
    driver.out(0x668, 0, 2)
    t.equal("after two rounds", qmp.wait_event("WATCHDOG"), {"action": "pause"})
    qmp.wait_event("STOP")
    t.equal("watchdog", guest.status, "watchdog")
    qmp.command("cont")
    t.equal("SECOND_TO_STS", driver.inp(0x666, 2), 2)

    guest, qmp, driver = poke(t, "-global", "ICH9-LPC.noreboot=on")
    driver.write(0xfed1f410, 0)
    t.equal("strapped", driver.read(0xfed1f410), 0x20)


TESTS = [test_suspend, test_split_irqchip, test_wakes_by_tables_above_1_mib, test_alarm,
         test_no_waking_vector, test_suspended_reset, test_disabled, test_power_off,
         test_nmi, test_panic, test_watchdog_actions, test_tco, test_preconfig]

if __name__ == "__main__":
    sys.exit(main(TESTS, __doc__))
