# SPDX-License-Identifier: Apache-2.0
"""-daemonize: when the parent is gone the machine is there; the pidfile goes with it."""

import os
import time


def gone(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    # In a host whose init does not wait for it, a dead process stays as a zombie.
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] == "Z"


def scenario(lab):
    guest = lab.guest(serial=())
    log, pidfile = guest.folder / "console", guest.folder / "pid"
    guest.argv += ["-chardev", f"file,id=con,path={log}", "-serial", "chardev:con",
                   "-daemonize", "-pidfile", str(pidfile)]
    guest.start()
    lab.equal("the parent exits with 0", guest.wait_exit(), 0)
    pid = int(pidfile.read_text())
    lab.check("the pidfile names a process", not gone(pid), pid)
    qmp = guest.qmp
    lab.equal("QMP answers at once", qmp.command("query-status")["status"], "running")
    deadline = time.monotonic() + 120
    while "guest: up" not in log.read_text() and time.monotonic() < deadline:
        time.sleep(0.2)
    lab.match("the guest boots", log.read_text(), "guest: up")
    qmp.command("system_powerdown")
    lab.equal("the guest powers off", qmp.wait_event("SHUTDOWN", 120)["reason"],
              "guest-shutdown")
    deadline = time.monotonic() + 30
    while not gone(pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    lab.check("the process ends", gone(pid), pid)
    lab.check("the pidfile is removed", not pidfile.exists())
