#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The life of the process: background, pid file, what it gives up, how it ends."""

import os
import pathlib
import pwd
import signal
import subprocess
import sys

from rig import GUESTS, SILENCE, heard, main, wait_until
import tasks
from qmp import Qmp

PLAIN = ["-nodefaults", "-no-user-config", "-display", "none"]
USER = "nobody"


def proc(pid, name):
    return pathlib.Path(f"/proc/{pid}/{name}")


def status(pid, field):
    for line in proc(pid, "status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return line.partition(":")[2].split()
    return None


def is_gone(pid):
    """A zombie that init has not asked after is gone as well."""
    try:
        return status(pid, "State")[0] == "Z"
    except OSError:
        return True


def wait_for_process(name):
    """Its id, or None; it holds nothing when it is there as it is to be."""
    wait_until(lambda: find_process(name) and
               status(find_process(name), "Seccomp") == ["2"])
    return find_process(name)


def find_process(name):
    for path in pathlib.Path("/proc").glob("[0-9]*/comm"):
        try:
            if path.read_text().strip() == name:
                return int(path.parent.name)
        except OSError:
            pass
    return None


class Daemon:
    """A VM in the background."""

    def __init__(self, t, *args, **options):
        self.path, self.pidfile = t.folder / "qmp", t.folder / "pid"
        self.done = t.run(*PLAIN, "-daemonize", "-pidfile", self.pidfile, "-qmp",
                          f"unix:{self.path},server=on,wait=off", *args, **options)
        self.pid = int(self.pidfile.read_text()) if self.done.returncode == 0 else None

    def quit(self):
        qmp = Qmp.connect(self.path, timeout=SILENCE)
        qmp.command("quit")
        return wait_until(lambda: is_gone(self.pid))


def test_daemon_is_detached(t):
    daemon = Daemon(t, "-S")
    pid = daemon.pid
    t.equal("the parent ends with 0", daemon.done.returncode, 0)
    t.equal("its directory", os.readlink(proc(pid, "cwd")), "/")
    t.equal("its streams", {os.readlink(proc(pid, f"fd/{n}")) for n in range(3)},
            {"/dev/null"})
    t.equal("its mask", status(pid, "Umask"), ["0027"])
    t.check("a session of its own that it does not lead",
            os.getsid(pid) not in (os.getsid(0), pid))
    ignored = int(status(pid, "SigIgn")[0], 16)
    stops = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)
    t.check("no terminal stops it", all(ignored >> (n - 1) & 1 for n in stops))
    t.check("it quits", daemon.quit())
    t.check("the pid file goes with it", not daemon.pidfile.exists())


def test_daemon_with_a_log(t):
    log = t.folder / "log"
    daemon = Daemon(t, "-S", "-D", log, "-d", "info")
    t.equal("it starts", daemon.done.returncode, 0)
    t.equal("what libraries say goes to the log",
            os.readlink(proc(daemon.pid, "fd/2")), str(log))
    os.kill(daemon.pid, signal.SIGTERM)
    t.check("it ends", wait_until(lambda: is_gone(daemon.pid)))
    t.match("the log tells of it", log.read_text(), "terminating on signal 15")
    done = Daemon(t, "-D", log, "-kernel", t.folder / "no-kernel").done
    t.equal("a failure of the start", done.returncode, 1)
    t.match("is told on stderr too", done.stderr, "no-kernel")
    t.match("and in the log", log.read_text(), "no-kernel")


def test_daemon_with_a_guest(t):
    console = t.folder / "console"
    with open(console, "wb") as file:
        daemon = Daemon(t, "-kernel", GUESTS / "first-byte.elf", "-add-fd",
                        f"set=1,fd={file.fileno()},opaque=log", "-chardev",
                        "file,id=c,path=/dev/fdset/1", "-serial", "chardev:c",
                        pass_fds=[file.fileno()])
    t.equal("it starts", daemon.done.returncode, 0)
    t.check("the guest writes to a descriptor that the parent left open",
            wait_until(lambda: console.read_bytes() == b"B"))
    t.check("it quits", daemon.quit())


def test_pid_file_is_locked(t):
    daemon = Daemon(t, "-S")
    done = t.run(*PLAIN, "-S", "-pidfile", daemon.pidfile)
    t.equal("a second one is refused", done.returncode, 1)
    t.match("with the reason", done.stderr, "held by another process")
    t.equal("and the file is as it was", int(daemon.pidfile.read_text()), daemon.pid)
    daemon.pidfile.unlink()
    daemon.pidfile.write_text("another's\n")
    daemon.quit()
    t.equal("one that was replaced is left", daemon.pidfile.read_text(), "another's\n")
    daemon = Daemon(t, "-S")
    t.equal("one that nobody holds is written over", int(daemon.pidfile.read_text()),
            daemon.pid)
    daemon.quit()
    t.check("and removed", not daemon.pidfile.exists())


def needs_root(t):
    if os.geteuid() == 0:
        return False
    t.skip("as another user", "needs root")
    return True


def test_user(t):
    if needs_root(t):
        return
    entry = pwd.getpwnam(USER)
    groups = sorted(set(os.getgrouplist(USER, entry.pw_gid)))
    for args, uid, gid, wanted in (
            (["-runas", USER], entry.pw_uid, entry.pw_gid, groups),
            (["-run-with", f"user={USER}"], entry.pw_uid, entry.pw_gid, groups),
            (["-run-with", "user=1234:567"], 1234, 567, [567])):
        guest = t.guest("echo", *args)
        heard(guest, "B")
        pid = guest.process.pid
        for task in tasks.lasting(pid):
            name = (tasks.text_of(task, "comm") or "").strip()
            text = tasks.text_of(task, "status") or ""
            t.check(f"{' '.join(args)}: {name}", f"\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n"
                    in text and f"\nGid:\t{gid}\t{gid}\t{gid}\t{gid}\n" in text, text)
        t.equal(f"{' '.join(args)}: groups", list(map(int, status(pid, "Groups"))),
                wanted)
        guest.type("x")
        heard(guest, "Bx")
    for args, words in ((["-runas", "no-such-user"], "no-such-user"),
                        (["-run-with", "user=1:2:3"], "1:2:3"),
                        (["-run-with", "user=4294967295:0"], "4294967295:0"),
                        (["-run-with", "usr=x"], "'usr'")):
        done = t.run(*PLAIN, "-S", *args)
        t.check(f"{args} is refused", done.returncode == 1 and words in done.stderr,
                done.stderr)


def test_user_without_rights(t):
    if needs_root(t):
        return
    done = t.run(*PLAIN, "-machine", "none", "-S", "-runas", USER,
                 preexec_fn=lambda: os.setuid(1234))
    t.equal("it cannot be done without root", done.returncode, 1)
    t.match("and is told", done.stderr, "-run-with: cannot change the")


def test_root_folder(t):
    if needs_root(t):
        return
    cell = t.folder / "cell"
    cell.mkdir()
    for option in (["-chroot", cell], ["-run-with", f"chroot={cell}"]):
        guest = t.guest("echo", *option)
        heard(guest, "B")
        pid = guest.process.pid
        t.equal("the root", os.readlink(proc(pid, "root")), str(cell))
        t.equal("the directory", os.readlink(proc(pid, "cwd")), str(cell))
        guest.qmp.command("pmemsave", val=0x100000, size=16, filename="/inside")
        t.equal("files are in it", (cell / "inside").stat().st_size, 16)
        guest.qmp.command("system_reset")
        heard(guest, "BB")
        guest.qmp.command("quit")
        t.equal("it ends", guest.wait_exit(), 0)
    done = t.run(*PLAIN, "-S", "-chroot", t.folder / "no-cell")
    t.check("a folder that is not there", done.returncode == 1 and
            "no-cell" in done.stderr, done.stderr)
    cell = t.folder / "both"
    cell.mkdir()
    (cell / "run").mkdir()
    (cell / "run" / "pid").write_text("not ours")
    daemon = Daemon(t, "-S", "-run-with", f"chroot={cell},user={USER}")
    t.equal("a daemon, as another user", status(daemon.pid, "Uid")[0],
            str(pwd.getpwnam(USER).pw_uid))
    t.equal("its streams", os.readlink(proc(daemon.pid, "fd/2")), "/dev/null")
    daemon.quit()
    t.check("a pid file outside is left", daemon.pidfile.exists())


def test_teardown(t):
    guest = t.guest("echo", "-run-with", "async-teardown=on")
    heard(guest, "B")
    pid = guest.process.pid
    child = wait_for_process(f"cleanup/{pid}")
    t.check("a process waits", child is not None)
    t.equal("it is ours", status(child, "PPid"), [str(pid)])
    t.equal("it holds no descriptors", os.listdir(proc(child, "fd")), [])
    t.equal("and can do nothing", status(child, "Seccomp"), ["2"])
    os.kill(child, signal.SIGTERM)
    guest.type("x")
    heard(guest, "Bx")
    t.check("signals do not end it", wait_until(
        lambda: status(child, "State")[0] == "S"), status(child, "State"))
    guest.process.kill()
    guest.process.wait()
    t.check("it ends when the VMM is killed", wait_until(lambda: is_gone(child)))
    guest = t.guest("echo", "-run-with", "async-teardown=on")
    heard(guest, "B")
    child = wait_for_process(f"cleanup/{guest.process.pid}")
    guest.qmp.command("quit")
    t.equal("quit ends the VMM", guest.wait_exit(), 0)
    t.check("and the other", wait_until(lambda: is_gone(child)))


def test_end_with_the_parent(t):
    for user in [[], ["-runas", USER]] if os.geteuid() == 0 else [[]]:
        path = t.folder / f"qmp{len(user)}"
        argv = [t.vmm, *PLAIN, "-S", "-qmp", f"unix:{path},server=on,wait=off",
                "-run-with", "exit-with-parent=on", *user]
        with subprocess.Popen(
                [sys.executable, "-c", "import subprocess, sys, time\n"
                 "child = subprocess.Popen(sys.argv[1:]); print(child.pid, flush=True)\n"
                 "time.sleep(600)", *map(str, argv)], stdout=subprocess.PIPE,
                text=True) as parent:
            pid = int(parent.stdout.readline())
            qmp = Qmp.connect(path, timeout=SILENCE)
            parent.kill()
            t.equal(f"{user}: it is told", qmp.wait_event("SHUTDOWN", SILENCE)["reason"],
                    "host-signal")
        t.check(f"{user}: it ends", wait_until(lambda: is_gone(pid)))
    done = t.run(*PLAIN, "-daemonize", "-run-with", "exit-with-parent=on")
    t.check("not for a daemon", done.returncode == 1 and "parent" in done.stderr,
            done.stderr)


TESTS = [test_daemon_is_detached, test_daemon_with_a_log, test_daemon_with_a_guest,
         test_pid_file_is_locked, test_user, test_user_without_rights, test_root_folder,
         test_teardown, test_end_with_the_parent]


if __name__ == "__main__":
    sys.exit(main(TESTS, __doc__))
