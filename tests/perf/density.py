# SPDX-License-Identifier: Apache-2.0
"""Many tiny VMs at once, and memory that is taken before a VM starts, for bench.py."""

import os
import signal
import subprocess
import time

import tasks


def cpu_of(pid):
    """CPU time of all threads in nanoseconds."""
    return sum(int((tasks.text_of(task, "schedstat") or "0").split()[0])
               for task in tasks.living(pid))


def fleet(start, count, seconds):
    """Starts, idles and stops @count machines, each made by start().

    Milliseconds that the start of one takes, that the stop of one takes, and its CPU of
    both; private KiB of one above RAM; CPU of all in that many seconds of idling, in
    milliseconds.
    """
    began = time.monotonic()
    machines = [start() for _ in range(count)]
    try:
        for machine in machines:
            machine.heard(b"H")
        started = time.monotonic() - began
        private = sum(machine.memory()[2] for machine in machines) / count
        time.sleep(0.5)
        before = sum(cpu_of(machine.pid) for machine in machines)
        time.sleep(seconds)
        spent = sum(cpu_of(machine.pid) for machine in machines) - before
    finally:
        began = time.monotonic()
        for machine in machines:
            os.kill(machine.pid, signal.SIGKILL)
        for machine in machines:
            machine.end()
    stopped = time.monotonic() - began
    work = sum(machine.cpu for machine in machines) - spent / 1e9
    return {"fleet start": started / count * 1e3, "fleet stop": stopped / count * 1e3,
            "fleet work": work / count * 1e3, "fleet private": private,
            "fleet CPU": spent / 1e6}


def parallel_memset(program, mib):
    """Seconds that as many threads as there are processors take to fill new memory."""
    threads = len(os.sched_getaffinity(0))
    return float(subprocess.run([program, str(mib), str(threads)], check=True, text=True,
                                capture_output=True).stdout)
