# SPDX-License-Identifier: Apache-2.0
"""The threads of a process, as they come and go."""

import pathlib

PF_EXITING = 0x4


def text_of(task, name):
    """Of a file in a thread's folder; None when the thread is gone."""
    try:
        return (task / name).read_text()
    except (FileNotFoundError, ProcessLookupError):
        return None


def living(pid):
    """The folders of threads that are not ending: one that was joined is in /proc for a
    moment still."""
    tasks = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        stat = text_of(task, "stat")
        # proc(5): flags are the seventh word after the name.
        if stat and not int(stat.rpartition(")")[2].split()[6]) & PF_EXITING:
            tasks.append(task)
    return tasks


def lasting(pid):
    """Those of them that no pool of workers has: its threads come with load and end when
    there is none, and have the name of the loop that they work for."""
    names = {task: (text_of(task, "comm") or "").rstrip() for task in living(pid)}
    loops = {"main"} | {name[len("IO "):] for name in names.values()
                        if name.startswith("IO ")}
    return [task for task, name in names.items() if name not in loops]
