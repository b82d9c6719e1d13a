#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is made for shells, man and systemd: completion, manual pages, the unit."""

import fcntl
import os
import pathlib
import pty
import re
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import termios

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "qmp" / "gen"), str(ROOT / "tests" / "kit")]
sys.dont_write_bytecode = True

import qapi_completion                                          # noqa: E402
import qapi_manual                                              # noqa: E402
from qapi_model import Schema                                   # noqa: E402
from tap import Checks, run_tests                               # noqa: E402

SCHEMA = Schema(ROOT / "qmp" / "schema" / "schema.json")
TRY = """
source "$1"
shift
COMP_WORDS=("$@")
COMP_CWORD=$(($# - 1))
"_$1" 2> /dev/null
printf '%s\\n' "${COMPREPLY[@]}"
"""

# What is typed, the last word being completed, and what is offered.
TYPED = [
    (["berth", "-devic"], ["-device"]),
    (["berth", "-device", "virtio-rng"], ["virtio-rng-pci"]),
    (["berth", "-device", "virtio-rng-pci,id=a,max-"],
     ["virtio-rng-pci,id=a,max-bytes="]),
    (["berth", "-object", "berth-m"], ["berth-metrics"]),
    (["berthctl", "sh"], ["shutdown"]),
    (["berthctl", "-t", "3", "unpl"], ["unplug"]),
    (["berthctl", "qmp", "vm", "query-blocks"], ["query-blockstats"]),
    (["berthctl", "qmp", "vm", "balloon", ""], ["value="]),
    (["berthctl", "events", "vm", "SHUT"], ["SHUTDOWN"]),
    (["berthctl", "plug", "vm", "virtio-rng-pci,rn"], ["virtio-rng-pci,rng="]),
    (["berthctl", "-d", "FOLDER", "status", "w"], ["web1"]),
    (["berthctl", "list", ""], [""]),
    (["berthctl", "-s", "wr"], ["write"]),
    (["berthctl", "-s", "cpu", "to"], ["top"]),
]


# What is typed before Tab, and the line behind it.
TYPED_IN_ZSH = [
    ("berth -devic", "berth -device "),
    ("berth -device virtio-rng", "berth -device virtio-rng-pci,"),
    ("berth -device virtio-rng-pci,id=a,max-",
     "berth -device virtio-rng-pci,id=a,max-bytes="),
    ("berth -object berth-m", "berth -object berth-metrics,"),
    ("berthctl sh", "berthctl shutdown "),
    ("berthctl -t 3 unpl", "berthctl -t 3 unplug "),
    ("berthctl status w", "berthctl status web1 "),
    ("berthctl qmp vm query-blocks", "berthctl qmp vm query-blockstats "),
    ("berthctl -t 3 qmp vm balloon ", "berthctl -t 3 qmp vm balloon value="),
    ("berthctl -s wr", "berthctl -s write "),
    ("berthctl events vm SHUT", "berthctl events vm SHUTDOWN "),
    ("berthctl plug vm virtio-rng-pci,rn", "berthctl plug vm virtio-rng-pci,rng="),
]
ZSH_RC = ("PS1='ready''> '; unsetopt prompt_cr prompt_sp; fpath=($PWD $fpath);"
          " autoload -Uz compinit; compinit -u -D\n")
SILENCE = 60


# Names of sockets, and words that bash gives back for "berthctl status": by Tab nothing
# in a name is executed, and nothing when the line is entered.
FOREIGN = {"x$(touch ran)": "x\\$\\(touch\\ ran\\)",
           "x`touch ran`": "x\\`touch\\ ran\\`",
           "x;touch ran": "x\\;touch\\ ran", "x y": "x\\ y", "x*": "x\\*", "x1": "x1"}


class Zsh:
    """A zsh on a terminal, which completes by what is in its folder."""

    def __init__(self, folder):
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 400, 0, 0))
        self.process = subprocess.Popen(
            ["zsh", "-f", "-i"], stdin=theirs, stdout=theirs, stderr=theirs, cwd=folder,
            env={**os.environ, "TERM": "dumb", "BERTH_RUN_DIR": str(folder)},
            start_new_session=True)
        os.close(theirs)

    def type(self, keys, wanted):
        """Whether the terminal shows what is wanted after them; what it shows."""
        os.write(self.ours, keys.encode())
        shown = ""
        while wanted not in shown and select.select([self.ours], [], [], SILENCE)[0]:
            shown += os.read(self.ours, 4096).decode(errors="replace").replace("\a", "")
        return wanted in shown, shown

    def close(self):
        self.process.kill()
        self.process.wait()
        os.close(self.ours)


class Folder(Checks):
    def __init__(self, name):
        super().__init__(name)
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="berth-made-"))

    def close(self):
        shutil.rmtree(self.folder)


def run(*argv):
    return subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True)


def test_bash(t):
    script = t.folder / "berth.bash"
    script.write_text(qapi_completion.bash(SCHEMA))
    with socket.socket(socket.AF_UNIX) as vm:
        vm.bind(str(t.folder / "web1.qmp"))
    for typed, offered in TYPED:
        typed = [word.replace("FOLDER", str(t.folder)) for word in typed]
        done = run("bash", "-c", TRY, "bash", str(script), *typed)
        t.equal(" ".join(typed[:1] + typed[-1:]), done.stdout.splitlines(), offered)


def test_a_name_is_not_executed(t):
    """Whoever may make a socket in the folder is not who completes its name."""
    script = t.folder / "berth.bash"
    script.write_text(qapi_completion.bash(SCHEMA))
    for name in FOREIGN:
        with socket.socket(socket.AF_UNIX) as vm:
            vm.bind(str(t.folder / f"{name}.qmp"))
    done = subprocess.run(
        ["bash", "-c", TRY, "bash", str(script), "berthctl", "-d", str(t.folder),
         "status", "x"], stdout=subprocess.PIPE, text=True, cwd=t.folder)
    t.equal("the names, as words", sorted(done.stdout.splitlines()),
            sorted(FOREIGN.values()))
    t.check("nothing was executed", not (t.folder / "ran").exists())


def test_zsh(t):
    script = t.folder / "_berth"
    script.write_text(qapi_completion.zsh(SCHEMA))
    if not shutil.which("zsh"):
        t.skip("zsh reads it", "no zsh")
        return
    t.equal("zsh reads it", run("zsh", "-n", str(script)).stdout, "")
    with socket.socket(socket.AF_UNIX) as vm:
        vm.bind(str(t.folder / "web1.qmp"))
    zsh = Zsh(t.folder)
    zsh.type(ZSH_RC, "ready> ")
    for typed, line in TYPED_IN_ZSH:
        t.check(f"zsh completes {typed}", *zsh.type(typed + "\t", line))
        zsh.type("\x15\r", "ready> ")
    zsh.close()


def test_berthctl_has_these_commands(t):
    source = (ROOT / "ctl" / "ctl-main.c").read_text()
    table = source.partition("commands[] = {")[2].partition("\n};")[0]
    t.equal("those that are completed", list(qapi_completion.CTL),
            re.findall(r'^    \{ "([a-z]+)"', table, re.M))
    page = (ROOT / "docs" / "man" / "berthctl.1").read_text()
    source = (ROOT / "ctl" / "ctl-columns.c").read_text()
    t.equal("top has these columns", qapi_completion.CTL_COLUMNS,
            re.findall(r'^    \[CTL_COLUMN_\w+\] = \{ "(\w+)"', source, re.M))
    for name in qapi_completion.CTL_COLUMNS:
        t.match(f"the manual has the column {name}", page, rf'(?m)^\.BR? {name}\b')
    for name in qapi_completion.CTL:
        t.match(f"the manual has {name}", page, rf'(?m)^\.B[A-Z]* "?{name}\b')


def test_manuals(t):
    page = qapi_manual.manual(SCHEMA)
    for option in SCHEMA.options.values():
        name = option.name.replace("-", r"\-")
        t.check(f"it has -{option.name}", rf'"\-{name}' in page)
    t.check("and every device", all(f'.SS "{name}"' in page.replace("\\", "") for name in
                                    SCHEMA.options["device"].type.branches))
    (t.folder / "berth.1").write_text(page)
    if not shutil.which("groff"):
        t.skip("groff has no warnings", "no groff")
        return
    for path in (t.folder / "berth.1", ROOT / "docs" / "man" / "berthctl.1"):
        done = run("groff", "-Tutf8", "-man", "-ww", "-z", str(path))
        t.equal(f"groff has no warnings of {path.name}", done.stdout, "")


def test_unit(t):
    unit = (ROOT / "systemd" / "berth@.service.in").read_text()
    if not shutil.which("systemd-analyze"):
        t.skip("systemd takes the unit", "no systemd")
        return
    (t.folder / "bin").mkdir()
    for name in ("berth", "berthctl"):
        (t.folder / "bin" / name).symlink_to("/bin/true")
    path = t.folder / "berth@vm.service"
    path.write_text(unit.replace("@PREFIX@", str(t.folder)))
    done = run("systemd-analyze", "verify", "--man=no", str(path))
    ours = [line for line in done.stdout.splitlines() if "berth" in line]
    t.equal("systemd takes the unit", ours, [])


def test_a_guest_that_switches_off_stays_off(t):
    """systemd runs ExecStop= also when the main process has ended by itself.  There is no
    machine any more that it could ask, and a failure were a reason to start it again."""
    unit = (ROOT / "systemd" / "berth@.service.in").read_text()
    stop, = re.findall(r"(?m)^ExecStop=(.*)", unit)
    t.check("a failed stop is none", stop.startswith("-") or
            not re.search(r"(?m)^Restart=", unit), stop)


TESTS = [test_bash, test_a_name_is_not_executed, test_zsh,
         test_berthctl_has_these_commands, test_manuals, test_unit,
         test_a_guest_that_switches_off_stays_off]

if __name__ == "__main__":
    sys.exit(run_tests(TESTS, Folder, sys.argv[1:]))
