# SPDX-License-Identifier: Apache-2.0
"""Control groups for a process and all that it starts, of either version: below a group
of its own in each hierarchy, which is the root for it, and which goes with it.

The process is started within that group (join()) and in a namespace for groups; there it
mounts what it may see (mount()).  A group of version 2 that has groups with controllers
has no processes, so whoever is in it steps aside.
"""

import os
import pathlib
import subprocess
import time

ROOT = "/sys/fs/cgroup"
NEEDED = {"cpu", "cpuset"}
# Not the one of memory: what a machine's tests may use of that is for others to say.
VERSION_1 = {"cpu", "cpuacct", "cpuset", "blkio", "devices", "freezer"}
INHERITED = ("cpuset.mems", "cpuset.cpus")
ASIDE = "aside"
GONE_SECONDS = 60


def groups_of(task="/proc/self"):
    """The controllers of each hierarchy (none: that of version 2) and the group that a
    process or thread is in, by its folder in /proc."""
    with open(f"{task}/cgroup") as file:
        for line in file:
            _, controllers, path = line.rstrip("\n").split(":", 2)
            yield set(filter(None, controllers.split(","))), path


def mounted():
    """Where hierarchies are, by the controllers that their options name."""
    with open("/proc/self/mounts") as file:
        for _, place, kind, options, *_ in map(str.split, file):
            if kind in ("cgroup", "cgroup2"):
                yield kind, pathlib.Path(place), set(options.split(","))


def places_of_version_1():
    """The group that this process is in, of each hierarchy that is of use."""
    for controllers, path in groups_of():
        for kind, place, options in mounted():
            if kind == "cgroup" and controllers & VERSION_1 and controllers <= options:
                yield controllers, place / path.lstrip("/")


class ControlGroups:
    """A group @name in each hierarchy that is of use; .version is 1, 2, or None if what
    libvirt needs is not to be had."""

    def __init__(self, name):
        self.version = None
        self.places = []
        above = list(places_of_version_1())
        try:
            if NEEDED <= set().union(*(controllers for controllers, _ in above)):
                self.version = 1
                for _, place in above:
                    self.make(place / name)
            else:
                for place in [place for kind, place, _ in mounted() if kind == "cgroup2"]:
                    enable(place)
                    self.version = 2
                    self.make(place / name)
                    break
        except OSError:
            self.version = None
            self.remove()

    def make(self, place):
        place.mkdir()
        self.places.append(place)
        for name in INHERITED if self.version == 1 else ():
            if (place / name).exists():
                (place / name).write_text((place.parent / name).read_text())

    def join(self):
        """Of a process that has yet to become the one that is for it."""
        for place in self.places:
            (place / "cgroup.procs").write_text("0")

    def step_aside(self, pid):
        """Of a process that has joined but is out of the namespace."""
        if self.version == 2:
            step_aside(self.places[0], pid)

    def remove(self):
        """When what was in it is about to end."""
        for place in self.places:
            deadline = time.monotonic() + GONE_SECONDS
            while place.exists() and time.monotonic() < deadline:
                for folder, _, _ in os.walk(place, topdown=False):
                    try:
                        os.rmdir(folder)
                    except OSError:
                        time.sleep(0.01)


def step_aside(group, pid=0):
    (group / ASIDE).mkdir(exist_ok=True)
    (group / ASIDE / "cgroup.procs").write_text(str(pid))


def enable(group):
    """Has the groups below it have controllers; OSError if not those that are needed."""
    for name in {*(group / "cgroup.controllers").read_text().split(), *NEEDED}:
        try:
            (group / "cgroup.subtree_control").write_text(f"+{name}")
        except OSError:
            if name in NEEDED:
                raise


def unmount_all():
    """In the namespace: whoever looks for groups sees none of others."""
    for _, place, _ in reversed(list(mounted())):
        run("umount", str(place))


def mount(version):
    """In the namespace: shows its groups as a system of this version has them."""
    if version == 2:
        run("mount", "-t", "cgroup2", "cgroup2", ROOT)
        step_aside(pathlib.Path(ROOT))
        return
    run("mount", "-t", "tmpfs", "tmpfs", ROOT)
    for controllers, _ in groups_of():
        if controllers & VERSION_1:
            names = ",".join(sorted(controllers))
            os.mkdir(f"{ROOT}/{names}")
            run("mount", "-t", "cgroup", "-o", names, "cgroup", f"{ROOT}/{names}")


def run(*argv):
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
