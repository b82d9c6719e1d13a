#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Timers on this machine's own /dev/kvm: ticks over a stop, lost ticks, clocks."""

import sys
import time

from poke import Poke
from rig import SILENCE, context_switches, main, stays

RATE = 50                       # of ticks.S, in Hz
CHIPS = "on", "split"
TRIES = 5                       # of a machine that may be late, but never early

HPET = 0xfed00000
CONFIGURATION, STATUS, COUNTER = HPET + 0x10, HPET + 0x20, HPET + 0xf0
ENABLE, LEGACY = 1, 2
TN_LEVEL, TN_ENABLE, TN_32_BITS = 2, 4, 0x100
MS = 100000                     # ticks


def timer(n):
    return HPET + 0x100 + 0x20 * n


def ticks(guest, n, mark):
    """Waits for @n more ticks after @mark."""
    guest.console.wait(f"(?:[^t]*t){{{n}}}", mark, silence=SILENCE)


def test_stop(t):
    for where in CHIPS:
        guest = t.guest("ticks", "-machine", f"kernel-irqchip={where}")
        ticks(guest, 5, 0)
        guest.qmp.command("stop")
        time.sleep(0.2)
        t.check(f"{where}: a stopped machine has no ticks, and wakes nobody", stays(
            lambda: (len(guest.console.text), context_switches(guest.process.pid)), 1))
        mark, began = len(guest.console.text), time.monotonic()
        guest.qmp.command("cont")
        ticks(guest, RATE // 2, mark)
        took = time.monotonic() - began
        t.check(f"{where}: nor are they made up for", took > 0.4, f"{took} s")
        guest.qmp.command("quit")
        t.equal(f"{where}: it quits", guest.wait_exit(SILENCE), 0)


def after_a_second(guest):
    """How long a second's ticks take after one without interrupts, before which the guest
    is told and after which it has said that it has some again."""
    mark = len(guest.console.text)
    guest.type("w")
    guest.console.wait("w", mark, silence=SILENCE)
    time.sleep(1)
    told = time.monotonic()
    guest.type("r")
    mark = guest.console.wait("r", mark, silence=SILENCE).end()
    said = time.monotonic()
    ticks(guest, RATE, mark)
    end = time.monotonic()
    return end - told, end - said


def test_lost_ticks(t):
    for where in CHIPS:
        for policy in "delay", "discard":
            guest = t.guest("ticks", "-machine", f"kernel-irqchip={where}",
                            "-global", f"kvm-pit.lost_tick_policy={policy}")
            ticks(guest, 5, 0)
            name = f"{where}, {policy}: ticks of a second without interrupts"
            times = [after_a_second(guest)]
            if policy == "discard":
                t.check(name, times[0][0] > 0.9, f"the next {RATE} took {times[0]} s")
            else:
                while times[-1][1] >= 0.8 and len(times) < TRIES:
                    times.append(after_a_second(guest))
                t.check(name, times[-1][1] < 0.8, f"the next {RATE} took {times} s")
            guest.qmp.command("quit")
            t.equal(f"{where}, {policy}: it quits", guest.wait_exit(SILENCE), 0)


def look(guest):
    """What clock.c says: seconds, TSC, how often either went back, stops it knows of."""
    mark = len(guest.console.text)
    guest.type("?")
    line = guest.console.wait(r"(\w+) (\w+) (\w+) (\w+)\n", mark, silence=SILENCE)
    ns, tsc, went_back, stops = (int(number, 16) for number in line.groups())
    return ns / 1e9, tsc, went_back, stops


def test_kvm_clock(t):
    guest = t.guest("clock")
    guest.console.wait("!", 0, silence=SILENCE)
    began, first = time.monotonic(), look(guest)
    guest.qmp.command("stop")
    time.sleep(1)
    guest.qmp.command("cont")
    second, took = look(guest), time.monotonic() - began
    passed = second[0] - first[0]
    t.check("KVM's clock stands still over a stop", 0 < passed <= took - 1, passed)
    t.equal("and the guest is told, once", second[3], 1)
    for _ in range(20):
        guest.qmp.command("stop")
        guest.qmp.command("cont")
    third = look(guest)
    t.equal("told each time that it has looked at", third[3] > 1, True)
    t.equal("neither it nor the TSC ever goes back", third[2], 0)
    mark = len(guest.console.text)
    guest.qmp.command("system_reset")
    guest.console.wait("!", mark, silence=SILENCE)
    last = look(guest)
    t.check("KVM's clock goes on over a reset", last[0] > third[0], (third, last))
    t.equal("and neither goes back from there", last[2], 0)
    guest.qmp.command("quit")
    t.equal("it quits", guest.wait_exit(SILENCE), 0)


class Pic:
    """Which interrupts wait at the PIC, of a guest that takes none."""

    def __init__(self, driver):
        self.driver = driver
        for port, values in (0x20, (0x11, 0x20, 4, 1)), (0xa0, (0x11, 0x28, 2, 1)):
            driver.out(port, values[0])
            for value in values[1:]:
                driver.out(port + 1, value)
        self.driver.out(0x21, 0xff)
        self.driver.out(0xa1, 0xff)

    def waiting(self):
        self.driver.out(0x20, 0x0a)
        self.driver.out(0xa0, 0x0a)
        return self.driver.inp(0x20) | self.driver.inp(0xa0) << 8


def program_pit(driver):
    driver.out(0x43, 0x34)
    driver.out(0x40, 0)
    driver.out(0x40, 4)


def wait_for(condition):
    end = time.monotonic() + SILENCE
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


def test_hpet(t):
    for where in CHIPS:
        guest = t.guest("poke", "-machine", f"kernel-irqchip={where},hpet=on")
        driver = Poke(guest)
        t.equal(f"{where}: capabilities", (driver.read(HPET), driver.read(HPET + 4)),
                (0x8086a201, 10000000))
        pic = Pic(driver)
        driver.write(CONFIGURATION, ENABLE | LEGACY)
        program_pit(driver)
        time.sleep(0.1)
        t.equal(f"{where}: the HPET has taken the place of the timer", pic.waiting() & 1,
                0)
        # Halted, however long it takes to program them.
        driver.write(CONFIGURATION, LEGACY)
        for n in 0, 1:
            driver.write(timer(n), TN_ENABLE | TN_32_BITS)
            driver.write(timer(n) + 8, driver.read(COUNTER) + 20 * MS)
        driver.write(timer(2), TN_ENABLE | TN_LEVEL | TN_32_BITS | 20 << 9)
        driver.write(timer(2) + 8, driver.read(COUNTER) + 300 * MS)
        driver.write(CONFIGURATION, ENABLE | LEGACY)
        t.check(f"{where}: and interrupts in its and the clock's place",
                wait_for(lambda: pic.waiting() & 0x101 == 0x101), hex(pic.waiting()))

        began, before = time.monotonic(), driver.read(COUNTER)
        guest.qmp.command("stop")
        time.sleep(0.5)
        guest.qmp.command("cont")
        passed = (driver.read(COUNTER) - before) / MS / 1000
        took = time.monotonic() - began
        t.check(f"{where}: it stands while the machine does", 0 < passed <= took - 0.5,
                f"{passed} of {took} s")
        t.check(f"{where}: and goes on", wait_for(lambda: driver.read(STATUS) == 4),
                driver.read(STATUS))
        time.sleep(0.5)
        t.check(f"{where}: one that has nothing to do wakes nobody",
                stays(lambda: context_switches(guest.process.pid), 1))

        driver.write(CONFIGURATION, ENABLE)
        pic = Pic(driver)
        t.check(f"{where}: the timer has its place again",
                wait_for(lambda: pic.waiting() & 1), hex(pic.waiting()))
        driver.write(CONFIGURATION, ENABLE | LEGACY)
        guest.qmp.command("system_reset")
        driver.heard("!")
        pic = Pic(driver)
        program_pit(driver)
        t.check(f"{where}: and after a reset", wait_for(lambda: pic.waiting() & 1),
                hex(pic.waiting()))
        t.equal(f"{where}: which halts the HPET", driver.read(CONFIGURATION), 0)
        guest.qmp.command("quit")
        t.equal(f"{where}: it quits", guest.wait_exit(SILENCE), 0)


if __name__ == "__main__":
    sys.exit(main([test_stop, test_lost_ticks, test_kvm_clock, test_hpet], __doc__))
