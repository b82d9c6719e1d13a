# SPDX-License-Identifier: Apache-2.0
"""Breaks on the serial console are magic SysRq in the guest, also of a mux's keys; so are
the keys of the keyboard."""


def scenario(lab):
    guest = lab.guest("-chardev", "stdio,id=tty,mux=on,signal=off",
                      serial=("-serial", "chardev:tty")).boot()
    qmp = guest.qmp
    guest.run("echo 1 > /proc/sys/kernel/sysrq")
    kinds = {c["label"]: c["filename"] for c in qmp.command("query-chardev")}
    lab.equal("the console is a mux", (kinds["tty"], kinds["tty-base"]), ("mux", "stdio"))

    mark = len(guest.console.text)
    qmp.command("chardev-send-break", id="tty")
    guest.type("h")
    lab.check("a break by QMP, and a key", guest.console.wait("sysrq: HELP", mark))
    mark = guest.console.wait("\n", mark).end()
    guest.type("\x01bh")
    lab.check("a break by a key of the mux", guest.console.wait("sysrq: HELP", mark))

    mark = guest.console.wait("\n", mark).end()
    qmp.command("send-key", keys=[{"type": "qcode", "data": name}
                                  for name in ("alt", "sysrq", "h")])
    lab.check("keys by QMP", guest.console.wait("sysrq: HELP", mark))
    mark = guest.console.wait("\n", mark).end()
    qmp.command("human-monitor-command", **{"command-line": "sendkey alt-print-h 20"})
    lab.check("and by the monitor for people", guest.console.wait("sysrq: HELP", mark))

    guest.mark = len(guest.console.text)
    guest.type("\n")
    lab.equal("the shell has seen none of it", guest.run("echo a''b"), "ab")
    lab.equal("nor of a Ctrl-A that was meant",
              guest.run("printf '\x01\x01' | od -An -tx1"), "01")
    lab.match("a break is counted by the driver",
              guest.run("cat /proc/tty/driver/serial"), r"0: uart:16550A .* brk:2")
    guest.type("\x01x")
    lab.equal("the mux ends the VMM", guest.wait_exit(), 0)
