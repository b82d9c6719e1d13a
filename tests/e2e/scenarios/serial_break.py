# SPDX-License-Identifier: Apache-2.0
"""Breaks on the serial console are magic SysRq in the guest, also of a mux's keys; so are
the keys of the keyboard."""

from guest import KEYBOARD


def check_help(lab, guest, what):
    """SysRq and the key h, once."""
    guest.mark = guest.console.wait(r"sysrq: HELP.*\n", guest.mark).end()
    lab.check(what, True)


def scenario(lab):
    guest = lab.guest("-chardev", "stdio,id=tty,mux=on,signal=off",
                      serial=("-serial", "chardev:tty")).boot()
    qmp = guest.qmp
    guest.run("echo 1 > /proc/sys/kernel/sysrq")
    kinds = {c["label"]: c["filename"] for c in qmp.command("query-chardev")}
    lab.equal("the console is a mux", (kinds["tty"], kinds["tty-base"]), ("mux", "stdio"))

    qmp.command("chardev-send-break", id="tty")
    guest.type("h")
    check_help(lab, guest, "a break by QMP, and a key")
    guest.type("\x01bh")
    check_help(lab, guest, "a break by a key of the mux")

    guest.run(KEYBOARD)
    qmp.command("send-key", keys=[{"type": "qcode", "data": name}
                                  for name in ("alt", "sysrq", "h")])
    check_help(lab, guest, "keys by QMP")
    qmp.command("human-monitor-command", **{"command-line": "sendkey alt-print-h 20"})
    check_help(lab, guest, "and by the monitor for people")

    guest.mark = len(guest.console.text)
    guest.type("\n")
    lab.equal("the shell has seen none of it", guest.run("echo a''b"), "ab")
    lab.equal("nor of a Ctrl-A that was meant",
              guest.run("printf '\x01\x01' | od -An -tx1"), "01")
    lab.match("a break is counted by the driver",
              guest.run("cat /proc/tty/driver/serial"), r"0: uart:16550A .* brk:2")
    guest.type("\x01x")
    lab.equal("the mux ends the VMM", guest.wait_exit(), 0)
