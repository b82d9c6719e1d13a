#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A real libvirtd and what it learns by events: a guest that panics, a watchdog that
bites, disks that fill; what it then does as a domain's XML says; and `virsh event`,
`virsh console` and what only a guest's agent could answer."""

import os
import shutil
import signal
import sys
import termios
import types

from esb import Esb
from libvirt_rig import libvirt_main, started_with_all
from libvirtd import Events
from poke import Poke
from rig import wait_until
from terminal import Terminal

PVPANIC, PANICKED = 0x505, 1
PANIC = "<panic model='isa'/>"
# <on_crash>, the state, whether there is a dump then.
CRASHES = [("destroy", "shut off (crashed)", False),
           ("restart", "running (crashed)", False),
           ("preserve", "crashed (panicked)", False),
           ("coredump-destroy", "shut off (crashed)", True),
           ("coredump-restart", "running (crashed)", True)]
# The action, the state.
BITES = [("none", "running (unpaused)"), ("inject-nmi", "running (unpaused)"),
         ("pause", "paused (watchdog)"), ("poweroff", "shut off (shutdown)")]
NEEDS_AGENT = [["domtime"], ["domhostname"], ["domfsinfo"], ["domfstrim"], ["guestinfo"],
               ["guestvcpus"], ["vcpucount", "--guest"], ["dompmsuspend", "mem"],
               ["set-user-password", "root", "x"], ["shutdown", "--mode", "agent"],
               ["reboot", "--mode", "agent"], ["domifaddr", "--source", "agent"]]
ESCAPE = "\x1d"


def define_poke(t, name, devices, change=("", "")):
    t.define(name, "poke", devices)
    xml = t.virsh("dumpxml", name, "--inactive")
    t.virsh("define", t.write("changed.xml", xml.replace(*change)))


def is_in(t, name, state):
    return wait_until(lambda: t.state(name) == state)


def test_panic(t):
    dumps = t.libvirt.folder / "lib/libvirt/qemu/dump"
    for action, state, has_dump in CRASHES:
        name = f"p-{action}"
        define_poke(t, name, PANIC, ("<on_crash>destroy<", f"<on_crash>{action}<"))
        guest = t.start(name)
        driver = Poke(guest)
        driver.order("b", PVPANIC, PANICKED)
        t.check(f"on_crash {action}: {state}", is_in(t, name, state), t.state(name))
        if "restart" in action:
            driver.heard("!")
        found = list(dumps.glob(f"*{name}-*"))
        t.equal(f"on_crash {action}: there is a dump", len(found), int(has_dump))
        for path in found:
            with open(path, "rb") as file:
                t.equal("which is one", file.read(4), b"\x7fELF")
        if not state.startswith("shut off"):
            t.virsh("destroy", name)


def test_watchdog(t):
    define_poke(t, "bite", "<watchdog model='i6300esb' action='reset'/>")
    events = Events(t.libvirt, t.folder / "events")
    driver = Poke(t.start("bite"))
    Esb.find(driver).start()
    t.check("libvirt knows that it has bitten", events.has("'watchdog'", "reset"))
    t.check("and that the guest starts again", events.has("'reboot'"), events.text)
    driver.heard("!")
    for action, state in BITES:
        t.virsh("qemu-monitor-command", "bite",
                '{"execute":"watchdog-set-action","arguments":{"action":"%s"}}' % action)
        esb = Esb.find(driver)
        esb.start()
        t.check(f"{action}: libvirt knows", events.has("'watchdog'", action), events.text)
        t.check(f"{action}: {state}", is_in(t, "bite", state), t.state("bite"))
        if action == "poweroff":
            break
        if action == "pause":
            t.virsh("resume", "bite")
        driver.heard(".")
        driver.config_write(esb.bdf, esb.LOCK, 0)
    events.close()


def test_watchdog_dumps(t):
    define_poke(t, "bite", "<watchdog model='i6300esb' action='dump'/>")
    Esb.find(Poke(t.start("bite"))).start()
    dumps = t.libvirt.folder / "lib/libvirt/qemu/dump"
    t.check("there is a dump", wait_until(lambda: list(dumps.glob("*bite-*"))))
    t.check("the domain goes on", is_in(t, "bite", "running (unpaused)"), t.state("bite"))


def test_events(t):
    events = Events(t.libvirt, t.folder / "events")
    started_with_all(t)
    t.check("of its start", events.has("'lifecycle'", "Started Booted"), events.text)
    t.virsh("suspend", "all")
    t.virsh("resume", "all")
    t.check("of pauses", events.has("Suspended Paused", "Resumed Unpaused"), events.text)
    t.virsh("change-media", "all", "sda", "--eject")
    t.check("of trays", events.has("'tray-change'", "opened"), events.text)
    t.virsh("attach-disk", "all", t.folder / "c.raw", "vdc", "--live")
    t.check("of devices", events.has("'device-added'", "virtio-disk2"), events.text)
    t.virsh("reset", "all")
    t.check("of resets", events.has("'reboot'"), events.text)
    t.virsh("destroy", "all")
    t.check("of its end", events.has("Stopped Destroyed"), events.text)
    events.close()


def test_without_an_agent(t):
    """What it answers is said to need it; the domain goes on."""
    started_with_all(t)
    for command, *args in NEEDS_AGENT:
        t.refused(f"{command} {args} needs an agent",
                  "agent is not (connected|configured)", command, "all", *args)
    t.equal("the domain goes on", t.state("all"), "running (unpaused)")


def test_console(t):
    t.define("line", devices="<serial type='pty'/>")
    t.virsh("start", "line")
    virsh = types.SimpleNamespace(vmm=shutil.which("virsh"))
    terminal = Terminal(virsh, *[word for word in t.libvirt.argv("console", "line")[1:]
                                 if word != "--quiet"])
    t.check("a terminal is connected", terminal.hears("Escape character is"),
            terminal.text)
    # What is typed before virsh has the terminal raw is echoed by that, or lost.
    t.check("which is raw", wait_until(
        lambda: not termios.tcgetattr(terminal.fd)[3] & termios.ECHO))
    terminal.type("hello")
    t.check("the guest answers on it", terminal.hears("hello"), terminal.text)
    terminal.type(ESCAPE)
    if not t.check("and it can be left", wait_until(
            lambda: os.waitpid(terminal.pid, os.WNOHANG)[0] != 0)):
        os.kill(terminal.pid, signal.SIGKILL)
    os.close(terminal.fd)
    t.match("its device is told", t.virsh("ttyconsole", "line"), "/dev/pts/")


TESTS = [test_panic, test_watchdog, test_watchdog_dumps, test_events,
         test_without_an_agent, test_console]

if __name__ == "__main__":
    sys.exit(libvirt_main(TESTS, __doc__))
