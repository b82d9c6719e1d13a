# SPDX-License-Identifier: Apache-2.0
"""OVMF in flash memory reaches its shell; a variable that is set there outlives the VMM,
which is killed, and the machine's share of the firmware's pages is the page cache's."""

import pathlib
import re
import shutil

CODE = pathlib.Path("/usr/share/OVMF/OVMF_CODE_4M.fd")
VARS = pathlib.Path("/usr/share/OVMF/OVMF_VARS_4M.fd")
PROMPT = "Shell> "
# QEMU's SVM ends the emulator when an interrupt comes just as the guest sets CR8, which
# OVMF does at the end of each tick.  KVM can make ticks rarer: 200 ms in place of 10.
TIMERS = pathlib.Path("/sys/module/kvm/parameters/min_timer_period_us")
RARE = "200000"
ESCAPE = re.compile("\x1b\\[[0-9;=]*[A-Za-z]")


def scenario(lab):
    variables = pathlib.Path(lab.folder) / "vars.fd"
    shutil.copy(VARS, variables)
    usual = TIMERS.read_text()
    try:
        if lab.emulated:
            TIMERS.write_text(RARE)
        check_first(lab, start(lab, variables))
        check_second(lab, start(lab, variables))
    finally:
        if lab.emulated:
            TIMERS.write_text(usual)


def start(lab, variables):
    """As libvirt has it: a node for each flash."""
    guest = lab.disk_guest(
        "-global", "kvm-pit.lost_tick_policy=discard",
        "-blockdev", f"driver=file,filename={CODE},node-name=f0,read-only=on",
        "-blockdev", "driver=raw,file=f0,node-name=code,read-only=on",
        "-blockdev", f"driver=file,filename={variables},node-name=f1",
        "-blockdev", "driver=raw,file=f1,node-name=vars",
        "-machine", "pflash0=code,pflash1=vars", cpus=1).start()
    guest.console.wait("any other key")
    guest.type(" ")
    guest.mark = guest.console.wait(PROMPT).end()
    return guest


def order(guest, command):
    """What the shell writes, the echo of the command first."""
    start = guest.mark
    guest.type(f"{command}\r")
    guest.mark = guest.console.wait(PROMPT, start).end()
    return ESCAPE.sub("", guest.console.text[start:guest.mark])


def mapped(guest, name):
    """Of the mappings of a file, how many KiB the process has of its own and shared."""
    own = shared = 0
    inside = False
    for line in pathlib.Path(f"/proc/{guest.process.pid}/smaps").read_text().splitlines():
        if re.match("[0-9a-f]+-", line):
            inside = line.endswith(name)
        elif inside and line.startswith("Private_Dirty:"):
            own += int(line.split()[1])
        elif inside and line.startswith("Rss:"):
            shared += int(line.split()[1])
    return own, shared - own


def check_first(lab, guest):
    lab.check("OVMF's shell is on the serial port", True)
    order(guest, "set berth kept")
    own, shared = mapped(guest, CODE.name)
    lab.check(f"the code is shared: {shared} KiB, and {own} KiB of its own",
              own == 0 and shared > 0)
    own, _ = mapped(guest, "vars.fd")
    lab.check(f"of the variables {own} KiB are its own", 0 < own <= 528)
    disks = {disk["qdev"]: disk["inserted"] for disk in guest.qmp.command("query-block")}
    lab.equal("both are told of",
              {path: (disk["node-name"], disk["ro"]) for path, disk in disks.items()},
              {"/machine/system.flash0": ("code", True),
               "/machine/system.flash1": ("vars", False)})
    # The guest does not wait for the file, which is a moment behind.
    guest.qmp.command("stop")
    guest.process.kill()
    guest.wait_exit()


def check_second(lab, guest):
    lab.match("a variable is there after the VMM was killed",
              order(guest, "set berth"), r"berth\s*=\s*kept")
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)
    lab.equal("no call was forbidden", guest.forbidden_call(), None)
