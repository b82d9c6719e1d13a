# SPDX-License-Identifier: Apache-2.0
"""Which control group each thread of a domain is in, and what is written there."""

import pathlib
import re
import sys
import time

from control_groups import groups_of, mounted

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "kit"))
import tasks  # noqa: E402

# Names of files, by the version.
QUOTA = {1: "cpu.cfs_quota_us", 2: "cpu.max"}
SHARES = {1: "cpu.shares", 2: "cpu.weight"}
DISKS = {1: ("blkio", "blkio.throttle.read_iops_device"), 2: ("io", "io.max")}
OF_THE_KERNEL = "kvm-"


def group_of(task, controller):
    """The folder of the group that a thread is in, @task being its folder in /proc."""
    for names, path in groups_of(task):
        if controller in names or not names:
            for kind, place, options in mounted():
                if controller in options or (not names and kind == "cgroup2"):
                    found = place / path.lstrip("/")
                    if (found / "cgroup.procs").exists():
                        return found
    raise LookupError(f"{task} is in no group with {controller}")


class DomainGroups:
    """Of the process @pid; the version is that of its libvirtd's groups."""

    NO_QUOTA = {1: "-1", 2: "max"}

    def __init__(self, pid, version):
        self.pid = pid
        self.tasks = pathlib.Path(f"/proc/{pid}/task")
        self.version = version

    def task(self, name=None):
        """The first thread of this name; None for that of the process."""
        if name is None:
            return self.tasks / str(self.pid)
        for task in tasks.living(self.pid):
            if (tasks.text_of(task, "comm") or "").strip() == name:
                return task
        raise LookupError(name)

    def numbered(self, number):
        """The thread with this number in the namespace of its process."""
        for task in tasks.living(self.pid):
            for line in (tasks.text_of(task, "status") or "").splitlines():
                if line.startswith("NSpid:") and int(line.split()[-1]) == number:
                    return task
        raise LookupError(number)

    def names(self, controller="cpu"):
        """The last part of each group's name, by the thread's name.  What the kernel has
        made for KVM is where the vCPU is that ran first."""
        names = {(tasks.text_of(task, "comm") or "").strip():
                 group_of(task, controller).name for task in tasks.lasting(self.pid)}
        return {name: group for name, group in names.items()
                if not name.startswith(OF_THE_KERNEL)}

    def read(self, task, controller, name):
        return (group_of(task, controller) / name).read_text().strip()

    def quota(self, task):
        """In microseconds of each period."""
        return self.read(task, "cpu", QUOTA[self.version]).split()[0]

    def shares(self):
        """Of the whole domain."""
        group = group_of(self.task(), "cpu").parent
        return (group / SHARES[self.version]).read_text().strip()

    def limits_of_disks(self):
        """Of the whole domain; None without a controller."""
        controller, name = DISKS[self.version]
        try:
            group = group_of(self.task(), controller)
        except LookupError:
            return None
        for place in (group, group.parent):
            if (place / name).exists():
                return (place / name).read_text()
        return None

    def spent(self, task, seconds):
        """Which part of a processor a thread uses for so long, and how often a limit
        stops it."""
        before = self.now(task)
        time.sleep(seconds)
        took, used, stopped = (b - a for a, b in zip(before, self.now(task)))
        return used / took, stopped

    def now(self, task):
        limits = self.read(task, "cpu", "cpu.stat")
        return (time.monotonic(), int((task / "schedstat").read_text().split()[0]) / 1e9,
                int(re.search(r"nr_throttled (\d+)", limits)[1]))
