# SPDX-License-Identifier: Apache-2.0
"""A virtual machine under test: the VMM's process, its QMP session and its console.

It takes the path of any VMM that speaks QEMU's command line, so what a test expects can
be proven on another one.
"""

import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "kit"))
from qmp import Qmp, QmpClosed  # noqa: E402

UP = "guest: up"
# Linux looks for peers of the root bus, 256 x 32 places by two ports each: more than half
# of the exits of a boot, which an emulated host takes a third of its time for.
QUIET = "console=ttyS0 quiet shell=plain panic=-1 mitigations=off pci=lastbus=0"
SILENCE = 180
ANSWER = 180
# What firmware's console does between any two characters, late: it moves the cursor, and
# writes the end of what it had.
BETWEEN = r"(?:\x1b\[[0-9;?]*[A-Za-z]|[!.\r\n])*"
# Linux finds what is on a PS/2 port in a thread of its own.
KEYBOARD = ("until grep -q 'AT Translated Set 2 keyboard' /proc/bus/input/devices; "
            "do usleep 10000; done")
# Of _OST, as ACPI (6.3.5) has them.
OST_EJECT, OST_DONE = 3, 0
COMMAND_MARK = re.compile(r"@@(\d+)@@\r?\n")


class Stall(Exception):
    """Nothing was heard of the guest for so long that it, or the host below, hangs."""


def shown(text):
    """The pattern of a text on a console that firmware shares."""
    return re.compile(BETWEEN.join(map(re.escape, text)))


class Console:
    """What the guest wrote so far; a thread reads it from a file descriptor.

    In an emulated host a wake-up for each byte costs the guest its time: hence @pause.
    """

    def __init__(self, fd, pause=0.02):
        self.pause = pause
        self.text = ""
        self.end = False
        self.heard = time.monotonic()
        self.changed = threading.Condition()
        self.thread = threading.Thread(target=self._read, args=[fd], daemon=True)
        self.thread.start()

    def _read(self, fd):
        while True:
            try:
                data = os.read(fd, 1 << 16)
            except OSError:
                data = b""
            with self.changed:
                self.text += data.decode(errors="replace")
                self.end = not data
                self.heard = time.monotonic()
                self.changed.notify_all()
            if not data:
                return
            time.sleep(self.pause)

    def wait(self, pattern, start=0, silence=SILENCE):
        """Waits for a pattern after that position; returns the match.

        Time counts from the guest's last sign of life: slow is no failure, dead is.
        """
        pattern = re.compile(pattern) if isinstance(pattern, str) else pattern
        began = time.monotonic()
        with self.changed:
            while True:
                match = pattern.search(self.text, start)
                if match:
                    return match
                if self.end:
                    raise EOFError(f"the console ended before {pattern.pattern!r}")
                left = max(self.heard, began) + silence - time.monotonic()
                if left <= 0:
                    raise Stall(f"no {pattern.pattern!r} on the console")
                self.changed.wait(left)


class Guest:
    """One run of the VMM.  Arguments given are added to those of a plain server."""

    def __init__(self, vmm, folder, *args, kernel=None, initrd=None, append="", cpus=2,
                 memory=256, serial=("-serial", "stdio"), cpu="host"):
        self.folder = pathlib.Path(tempfile.mkdtemp(dir=folder))
        self.qmp_path = self.folder / "qmp"
        self.argv = [str(vmm), "-nodefaults", "-no-user-config", "-display", "none",
                     "-machine", "q35", "-accel", "kvm", "-smp", str(cpus),
                     "-m", str(memory), *serial,
                     "-qmp", f"unix:{self.qmp_path},server=on,wait=off"]
        for option, value in (("-cpu", cpu), ("-kernel", kernel), ("-initrd", initrd),
                              ("-append", append)):
            if value:
                self.argv += [option, str(value)]
        self.argv += [str(a) for a in args]
        self.process = None
        self.console = None
        self._qmp = None
        self.mark = 0
        self.typed = []

    def start(self, **popen):
        with open(self.folder / "stderr", "wb") as stderr:
            self.process = subprocess.Popen(
                self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr,
                **popen)
        self.console = Console(self.process.stdout.fileno())
        return self

    def boot(self):
        """Starts, opens the session that sees all events, waits for the guest's init."""
        self.start()
        self._qmp = self.new_session()
        self.wait_up()
        return self

    def wait_up(self):
        """Waits for the end of the next boot; the console after it is run()'s."""
        self.mark = self.console.wait(re.escape(UP) + r"\r?\n", self.mark).end()

    @property
    def qmp(self):
        if self._qmp is None:
            self._qmp = self.new_session()
        return self._qmp

    def new_session(self):
        return Qmp.connect(self.qmp_path, timeout=ANSWER)

    @property
    def status(self):
        return self.qmp.command("query-status")["status"]

    def type(self, text):
        self.typed.append(text)
        self.process.stdin.write(text.encode())
        self.process.stdin.flush()

    def run(self, command, silence=SILENCE):
        """Runs a command in the guest's shell; returns its output, raises if it fails."""
        start = self.mark
        self.type(f"{command}; echo @@$?@@\n")
        match = self.console.wait(COMMAND_MARK, start, silence)
        self.mark = match.end()
        text = self.console.text[start:match.start()].replace("\r", "")
        # If the terminal echoes, the command is the first line.
        first, echoed, rest = text.partition("@@$?@@\n")
        text = rest if echoed else first
        if match[1] != "0":
            raise RuntimeError(f"'{command}' ended with {match[1]} in the guest: {text}")
        return text.strip()

    def wait_ejected(self, what, timeout=None):
        """Until the guest is done with a vCPU or memory that it has let go, @what of its
        _OST: it looks once more whether it is gone, and takes one that comes meanwhile
        for an ejection that failed."""
        done = {**what, "source": OST_EJECT, "status": OST_DONE}
        self.qmp.wait_event("ACPI_DEVICE_OST", timeout=timeout, accept=lambda data:
                            done.items() <= data["info"].items())

    def wait_exit(self, timeout=ANSWER):
        """The VMM's exit code; negative when a signal ended it."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise Stall("the VMM did not exit") from None

    @property
    def stderr(self):
        path = self.folder / "stderr"
        return path.read_text(errors="replace") if path.exists() else ""

    def forbidden_call(self):
        """What the sandbox ended it for (docs/sandbox.md), or None."""
        lines = [line for line in self.stderr.splitlines() if "sandbox: thread" in line]
        if lines:
            return lines[-1]
        if self.process and self.process.poll() == -signal.SIGSYS:
            return "SIGSYS, and nothing in the log"
        return None

    def story(self):
        """What is known of it, for the report of a failure."""
        lines = [f"$ {' '.join(self.argv)}"]
        if self.process:
            lines.append(f"exit code: {self.process.poll()}")
        lines += [f"stderr: {line}" for line in self.stderr.splitlines()[-20:]]
        if self.console:
            lines += [f"typed: {text.strip()[:200]}" for text in self.typed[-10:]]
            console = self.console.text.splitlines()[-25:]
            lines += [f"console: {line[:200]}" for line in console]
        return lines

    def close(self):
        """Ends the process whatever its state."""
        if self._qmp:
            self._qmp.close()
            self._qmp = None
        if self.process:
            if self.process.poll() is None:
                self.process.send_signal(signal.SIGKILL)
                self.process.wait()
            self.console.thread.join(5)
            self.process.stdout.close()
            try:
                self.process.stdin.close()
            except OSError:
                pass

    def __enter__(self):
        return self

    def __exit__(self, *unused):
        self.close()


def check_calls(checks, guests):
    """Fails for each that has made a system call which the sandbox does not know."""
    for guest in guests:
        call = guest.forbidden_call()
        if call:
            checks.check(f"ended by the sandbox: {call}", False)


__all__ = ["Guest", "Stall", "Console", "Qmp", "QmpClosed", "UP", "check_calls"]
