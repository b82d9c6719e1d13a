# SPDX-License-Identifier: Apache-2.0
"""A libvirtd of the test's own, as it comes from the distribution.

It runs in namespaces of its own (mounts, network, processes) with empty folders where it
keeps things, so nothing of the machine's libvirt is read or changed, and all that it
started ends with it.  Control groups are in there if the test asks for them
(control_groups.py).  Its emulator is a link named qemu-system-x86_64, first in its PATH.
"""

import os
import pathlib
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import time

import control_groups
from control_groups import ControlGroups

FOLDERS = {"run": "/run", "lib": "/var/lib", "cache": "/var/cache", "log": "/var/log",
           "etc": "/etc/libvirt"}
NO_GROUPS = "cgroup_controllers = [ ]\n"
USER = "libvirt-qemu"           # that it looks for when it starts
USER_ID = 64055
QEMU_CONF = """user = "root"
group = "root"
security_driver = "none"
namespaces = [ ]
{groups}dynamic_ownership = 0
remember_owner = 0
stdio_handler = "file"
"""
CONF = """auth_unix_rw = "none"
auth_unix_ro = "none"
log_outputs = "{level}:file:/var/log/libvirtd.log"
log_filters = "1:qemu.qemu_monitor 3:*"
"""
PREFIX = ["unshare", "--mount", "--net", "--ipc", "--pid", "--fork", "--kill-child",
          "--mount-proc", "--propagation", "private"]
WATCHED = """<domain type='kvm'>
  <name>watched</name>
  <memory unit='MiB'>64</memory>
  <os><type arch='x86_64' machine='q35'>hvm</type></os>
</domain>
"""
BRIDGE = "br0"
TIMEOUT = 180
ENVIRONMENT = {**os.environ, "LC_ALL": "C"}


def why_not():
    """Why there can be none here, or None."""
    if os.geteuid() != 0:
        return "not root"
    missing = [name for name in ("libvirtd", "virsh", "unshare", "ip")
               if not shutil.which(name)]
    if missing:
        return f"{', '.join(missing)} is not installed"
    if not os.path.exists("/dev/net/tun"):
        return "there is no /dev/net/tun"
    if subprocess.run([*PREFIX, "true"], stderr=subprocess.DEVNULL).returncode:
        return "there are no namespaces to be had"
    return None


class VirshError(Exception):
    """virsh ended with an error; the text is what it said."""


def children_of(pid):
    try:
        return pathlib.Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:             # or where the kernel does not tell
        return []


def is_running(pid):
    try:
        stat = pathlib.Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in "ZX"


class Libvirtd:
    """With @groups there are control groups, of the version that .groups has: none if
    there are none to be had."""

    def __init__(self, folder, vmm, log=True, groups=False):
        self.folder = pathlib.Path(folder)
        self.groups = ControlGroups(f"berth-{os.getpid()}") if groups else None
        version = self.groups.version if self.groups else None
        for name in (*FOLDERS, "bin", "run/lock"):
            (self.folder / name).mkdir(parents=True)
        (self.folder / "bin" / "qemu-system-x86_64").symlink_to(vmm)
        (self.folder / "etc" / "qemu.conf").write_text(
            QEMU_CONF.format(groups="" if version else NO_GROUPS))
        (self.folder / "etc" / "libvirtd.conf").write_text(
            CONF.format(level=1 if log else 3))
        self.room = subprocess.Popen(
            [*PREFIX, *(["--cgroup"] if version else []), sys.executable, "-B", __file__,
             str(self.folder), str(version or 0)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            preexec_fn=self.groups.join if version else None)
        self.order("")
        if version:
            self.groups.step_aside(self.room.pid)
        self.order("start")

    def order(self, text):
        """Has the room do something, until it has."""
        if text:
            self.room.stdin.write(text + "\n")
            self.room.stdin.flush()
        if not self.room.stdout.readline():
            raise RuntimeError("the namespaces of libvirtd are gone")

    def restart(self):
        """Ends it as an update of its package does, and starts it again."""
        self.order("stop")
        self.order("start")

    def kill(self):
        self.order("kill")

    def hang(self):
        """Stops it as it is, with all its connections, until go_on()."""
        self.order("hang")

    def go_on(self):
        self.order("go on")

    def start(self):
        self.order("start")

    @property
    def socket(self):
        return self.folder / "run" / "libvirt" / "libvirt-sock"

    def argv(self, *args):
        uri = f"qemu+unix:///system?socket={self.socket}"
        return ["virsh", "--quiet", "--connect", uri, *map(str, args)]

    def virsh(self, *args):
        """Runs a command; returns its output, raises VirshError with what it says."""
        done = subprocess.run(self.argv(*args), stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=TIMEOUT, env=ENVIRONMENT)
        if done.returncode:
            raise VirshError(done.stderr.strip())
        return done.stdout.strip()

    def background(self, *args):
        """The same without waiting."""
        return subprocess.Popen(self.argv(*args), stdin=subprocess.DEVNULL,
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                                text=True, env=ENVIRONMENT)

    def write(self, name, text):
        path = self.folder / name
        path.write_text(text)
        return path

    def log_of(self, name):
        path = self.folder / "log" / "libvirt" / "qemu" / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def monitor_log(self):
        return (self.folder / "log" / "libvirtd.log").read_text(errors="replace")

    def pid_of(self, name):
        """The process of a running domain, as the machine counts.  Another libvirtd may
        have one of that name."""
        ours = os.readlink(f"/proc/{self.room.pid}/ns/pid_for_children")
        for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
            try:
                argv = path.read_bytes().split(b"\0")
                space = os.readlink(path.parent / "ns" / "pid")
            except OSError:
                continue
            if space == ours and f"guest={name},debug-threads=on".encode() in argv:
                return int(path.parent.name)
        return None

    def close(self):
        children = children_of(self.room.pid)
        self.room.kill()
        self.room.stdin.close()
        self.room.wait()
        self.room.stdout.close()
        # The first process of the namespaces is the last to go.
        deadline = time.monotonic() + TIMEOUT
        while any(map(is_running, children)) and time.monotonic() < deadline:
            time.sleep(0.01)
        if self.groups:
            self.groups.remove()


class Events:
    """`virsh event --all` in the background, which writes to the file @path: from when
    it is there on, which a change of a domain tells that is never started."""

    def __init__(self, libvirt, path):
        self.path = path
        libvirt.virsh("define", libvirt.write("watched.xml", WATCHED))
        with open(path, "w") as file:
            self.process = subprocess.Popen(
                libvirt.argv("event", "--all", "--loop"), stdin=subprocess.DEVNULL,
                stdout=file, stderr=subprocess.STDOUT, env=ENVIRONMENT)
        deadline = time.monotonic() + TIMEOUT
        while "'metadata-change'" not in self.text and time.monotonic() < deadline:
            libvirt.virsh("metadata", "watched", "--uri", "urn:berth:test", "--key", "t",
                          "--set", f"<t n='{time.monotonic()}'/>")
            time.sleep(0.05)
        libvirt.virsh("undefine", "watched")

    @property
    def text(self):
        return self.path.read_text()

    def has(self, *texts):
        """Whether these come, in this order."""
        pattern = ".*".join(map(re.escape, texts))
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            if re.search(pattern, self.text, re.S):
                return True
            time.sleep(0.05)
        return False

    def close(self):
        self.process.kill()
        self.process.wait()


class Room:
    """The first process of the namespaces."""

    def __init__(self, folder, groups):
        self.folder = pathlib.Path(folder)
        self.groups = groups
        self.pid = None
        signal.signal(signal.SIGCHLD, self.reap)

    def reap(self, *unused):
        while True:
            try:
                pid, _ = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            if pid == self.pid:
                self.pid = None

    def furnish(self):
        for name in ("passwd", "group"):
            shutil.copy(f"/etc/{name}", self.folder / name)
        try:
            pwd.getpwnam(USER)
        except KeyError:
            with open(self.folder / "passwd", "a") as file:
                file.write(f"{USER}:x:{USER_ID}:{USER_ID}::/:/usr/sbin/nologin\n")
            with open(self.folder / "group", "a") as file:
                file.write(f"{USER}:x:{USER_ID}:\n")
        binds = {**FOLDERS, "passwd": "/etc/passwd", "group": "/etc/group"}
        for name, place in binds.items():
            run("mount", "--bind", self.folder / name, place)
        if self.groups:
            control_groups.unmount_all()
        run("mount", "-t", "sysfs", "sysfs", "/sys")
        if self.groups:
            control_groups.mount(self.groups)
        run("ip", "link", "set", "lo", "up")
        run("ip", "link", "add", BRIDGE, "type", "bridge")
        run("ip", "link", "set", BRIDGE, "up")

    def start(self):
        path = f"{self.folder}/bin:{os.environ['PATH']}"
        path_of_socket = self.folder / "run" / "libvirt" / "libvirt-sock"
        path_of_socket.unlink(missing_ok=True)
        self.pid = os.posix_spawnp(
            "libvirtd", ["libvirtd", "--config", "/etc/libvirt/libvirtd.conf"],
            {**ENVIRONMENT, "PATH": path})
        while self.pid and not is_listening(path_of_socket):
            time.sleep(0.01)

    def end(self, number):
        os.kill(self.pid, number)
        while self.pid:
            time.sleep(0.01)


def is_listening(path):
    """A socket's file is there a little before."""
    with socket.socket(socket.AF_UNIX) as sock:
        return sock.connect_ex(str(path)) == 0


def run(*argv):
    subprocess.run([*map(str, argv)], check=True, stdin=subprocess.DEVNULL,
                   stdout=sys.stderr)


def main():
    room = Room(sys.argv[1], int(sys.argv[2]))
    room.furnish()
    print("furnished", flush=True)
    for order in map(str.strip, sys.stdin):
        if order == "start":
            room.start()
        elif order in ("hang", "go on"):
            os.kill(room.pid, signal.SIGSTOP if order == "hang" else signal.SIGCONT)
        else:
            room.end(signal.SIGKILL if order == "kill" else signal.SIGTERM)
        print("done", flush=True)


if __name__ == "__main__":
    main()
