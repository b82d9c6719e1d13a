#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Timers on this machine's own /dev/kvm: ticks over a stop, lost ticks, clocks."""

import sys
import time

from rig import SILENCE, context_switches, main

RATE = 50                       # of ticks.S, in Hz
CHIPS = "on", "split"


def ticks(guest, n, mark):
    """Waits for @n more ticks after @mark; the seconds that took."""
    began = time.monotonic()
    guest.console.wait(f"(?:[^t]*t){{{n}}}", mark, silence=SILENCE)
    return time.monotonic() - began


def test_stop(t):
    for where in CHIPS:
        guest = t.guest("ticks", "-machine", f"kernel-irqchip={where}")
        ticks(guest, 5, 0)
        guest.qmp.command("stop")
        time.sleep(0.2)
        mark = len(guest.console.text)
        before = context_switches(guest.process.pid)
        time.sleep(1)
        t.equal(f"{where}: a stopped machine has no ticks, and wakes nobody",
                (guest.console.text[mark:], context_switches(guest.process.pid)),
                ("", before))
        guest.qmp.command("cont")
        took = ticks(guest, RATE // 2, mark)
        t.check(f"{where}: nor are they made up for", took > 0.4, f"{took} s")
        guest.qmp.command("quit")
        t.equal(f"{where}: it quits", guest.wait_exit(SILENCE), 0)


def test_lost_ticks(t):
    for where in CHIPS:
        for policy in "delay", "discard":
            guest = t.guest("ticks", "-machine", f"kernel-irqchip={where}",
                            "-global", f"kvm-pit.lost_tick_policy={policy}")
            ticks(guest, 5, 0)
            guest.type("w")
            guest.console.wait("w", 0, silence=SILENCE)
            time.sleep(1)
            guest.type("r")
            mark = guest.console.wait("r", 0, silence=SILENCE).end()
            took = ticks(guest, RATE, mark)
            good = took > 0.9 if policy == "discard" else took < 0.5
            t.check(f"{where}, {policy}: ticks of a second without interrupts", good,
                    f"the next {RATE} took {took} s")
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


if __name__ == "__main__":
    sys.exit(main([test_stop, test_lost_ticks, test_kvm_clock], __doc__))
