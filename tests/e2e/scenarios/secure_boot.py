# SPDX-License-Identifier: Apache-2.0
"""System management mode: a tiny guest whose handler sees what is hidden outside;
SeaBIOS; and OVMF with Secure Boot, which writes its variables there alone, and starts
nothing that is not signed."""

import pathlib
import shutil

CODE = pathlib.Path("/usr/share/OVMF/OVMF_CODE_4M.secboot.fd")
VARS = pathlib.Path("/usr/share/OVMF/OVMF_VARS_4M.snakeoil.fd")
GUESTS = pathlib.Path(__file__).resolve().parents[3] / "build" / "guests"
# As in uefi.py: QEMU's SVM ends the emulator now and then when OVMF's ticks are frequent.
TIMERS = pathlib.Path("/sys/module/kvm/parameters/min_timer_period_us")
RARE = "200000"


def scenario(lab):
    check_mode(lab)
    check_seabios(lab)
    usual = TIMERS.read_text()
    try:
        if lab.emulated:
            TIMERS.write_text(RARE)
        check_firmware(lab)
    finally:
        if lab.emulated:
            TIMERS.write_text(usual)


def check_mode(lab):
    """Memory that is hidden, an interrupt whose handler sees it, and the lock."""
    guest = lab.guest("-machine", "smm=on", "-device", "isa-debug-exit,iobase=0xf4",
                      kernel=GUESTS / "smm.elf", initrd=None, cpus=1, memory=64).start()
    guest.console.wait("(?:.. .. ..\n){3}")
    lab.equal("system management mode sees what is hidden", guest.console.text,
              "ff 42 01\nff 43 02\nff 44 03\n")
    guest.wait_exit()
    lab.equal("no call was forbidden", guest.forbidden_call(), None)


def check_seabios(lab):
    """It has its own handler, which it places and locks, and goes on."""
    guest = lab.disk_guest("-machine", "smm=on", cpus=1).start()
    guest.console.wait("No bootable device")
    guest.qmp.command("quit")
    lab.equal("SeaBIOS sets the mode up, and comes to its end", guest.wait_exit(), 0)
    lab.equal("no call was forbidden", guest.forbidden_call(), None)


def check_firmware(lab):
    """The shell in the firmware is not signed."""
    variables = pathlib.Path(lab.folder) / "vars.fd"
    shutil.copy(VARS, variables)
    guest = lab.disk_guest(
        "-machine", "smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on",
        "-global", "kvm-pit.lost_tick_policy=discard",
        "-drive", f"if=pflash,unit=0,format=raw,readonly=on,file={CODE}",
        "-drive", f"if=pflash,unit=1,format=raw,file={variables}", cpus=1).start()
    guest.console.wait("No bootable option")
    lab.match("Secure Boot starts nothing that is not signed", guest.console.text,
              "failed to start Boot0001 .*: Security Violation")
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)
    lab.check("variables were written", variables.read_bytes() != VARS.read_bytes())
    lab.check("from system management mode alone", "mode only" not in guest.stderr,
              guest.stderr)
    lab.equal("no call was forbidden", guest.forbidden_call(), None)
