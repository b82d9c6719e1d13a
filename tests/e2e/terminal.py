# SPDX-License-Identifier: Apache-2.0
"""A VMM on a terminal of its own."""

import os
import pty
import re
import select
import time

from guest import SILENCE


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
