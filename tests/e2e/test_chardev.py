#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Character devices with a guest behind them: terminals, and what far ends may do."""

import os
import pty
import re
import select
import sys
import time

from rig import GUESTS, SILENCE, main


PLAIN = ["-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35",
         "-accel", "kvm", "-m", "128"]


class Terminal:
    """A VMM on a terminal of its own."""

    def __init__(self, t, *args):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execv(t.vmm, [t.vmm, *map(str, args)])
        self.text = ""

    def type(self, text):
        os.write(self.fd, text.encode())

    def hears(self, pattern):
        """Waits for the pattern after what was found before."""
        deadline = time.monotonic() + SILENCE
        while True:
            found = re.search(pattern, self.text)
            if found:
                self.text = self.text[found.end():]
                return True
            ready, _, _ = select.select([self.fd], [], [], deadline - time.monotonic())
            try:
                data = os.read(self.fd, 4096) if ready else b""
            except OSError:
                data = b""
            if not data:
                return False
            self.text += data.decode(errors="replace")

    def wait_exit(self):
        status = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        os.close(self.fd)
        return status


def test_mux(t):
    tty = Terminal(t, *PLAIN, "-kernel", GUESTS / "echo.elf", "-chardev",
                   "stdio,id=tty,mux=on,signal=off", "-mon", "chardev=tty,mode=control",
                   "-serial", "chardev:tty")
    t.check("the greeting of the monitor", tty.hears('"QMP"'))
    t.check("the guest's first byte", tty.hears("B"))
    tty.type("ab\x01\x01")
    t.check("the guest echoes what is typed", tty.hears("ab\x01"))
    tty.type('\x01c{"execute": "qmp_capabilities"}\n')
    t.check("the monitor has the keys", tty.hears('"return"'))
    tty.type('{"execute": "query-chardev"}\n')
    t.check("the mux is told", tty.hears('"filename": "mux"'))
    tty.type("\x01cg")
    t.check("the guest has them again", tty.hears("g"))
    tty.type("\x01h")
    t.check("help", tty.hears("C-a x "))
    tty.type("\x01x")
    t.check("the end is told", tty.hears("terminated"))
    t.equal("it ends with 0", tty.wait_exit(), 0)


def test_escape(t):
    tty = Terminal(t, *PLAIN, "-S", "-chardev", "stdio,id=tty,mux=on", "-echr", "0x1d",
                   "-serial", "chardev:tty")
    tty.type("\x1dh")
    t.check("another key", tty.hears("0x1d x"))
    tty.type("\x1dx")
    t.equal("it ends with 0", tty.wait_exit(), 0)
    for bad in ("", "A", "256", "-1", "1x"):
        done = t.run(*PLAIN, "-S", "-echr", bad)
        t.check(f"-echr {bad}: refused", done.returncode == 1 and "-echr" in done.stderr)


TESTS = [test_mux, test_escape]

if __name__ == "__main__":
    sys.exit(main(TESTS, __doc__))
