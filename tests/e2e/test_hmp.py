#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The monitor for people on sockets and terminals, and what clients say by QMP."""

import os
import re
import signal
import socket
import sys

from rig import GUESTS, SILENCE, main, resident, wait_until
from qmp import QmpError
from terminal import Terminal

BANNER = re.compile(rb"^QEMU \d+\.\d+\.\d+ monitor - type 'help' for more "
                    rb"information\s+\(qemu\) $")
PROMPT = b"\r\n(qemu) "
# What the terminal gets beside the text of a line that is typed.
KEYS = re.compile(rb"\x1b\[[DK]")
PLAIN = ["-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35",
         "-accel", "kvm", "-m", "128"]


class Client:
    """A program at the socket that knows the prompt."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(SILENCE)
        self.sock.connect(str(path))
        self.banner = self.until(b"(qemu) ")

    def until(self, end):
        data = b""
        while not data.endswith(end):
            piece = self.sock.recv(4096)
            if not piece:
                break
            data += piece
        return data

    def ask(self, line):
        """What is said between the line, as the terminal shows it, and the prompt."""
        self.sock.sendall(line.encode() + b"\n")
        data = KEYS.sub(b"", self.until(PROMPT))
        return data.partition(b"\r\n")[2].removesuffix(b"(qemu) ").decode()

    def rest(self):
        """All up to the end, after no more is sent."""
        self.sock.shutdown(socket.SHUT_WR)
        data = b""
        while piece := self.sock.recv(4096):
            data += piece
        return data


def guest_with_monitor(t, image, *args):
    path = t.folder / "hmp"
    guest = t.guest(image, "-monitor", f"unix:{path},server=on,wait=off", *args)
    assert guest.qmp
    return guest, path


def hmp(guest, line, **more):
    return guest.qmp.command("human-monitor-command", **{"command-line": line}, **more)


def test_socket(t):
    guest, path = guest_with_monitor(t, None, "-S", "-name", "of mine")
    first = Client(path)
    t.check("the banner and the prompt", BANNER.match(first.banner))
    t.equal("info status", first.ask("info status"), "VM status: paused (prelaunch)\r\n")
    t.match("info cpus, as it is parsed", first.ask("info cpus"),
            r"^\* CPU #0: thread_id=\d+\r\n")
    t.match("info version", first.ask("info version"), r"^\d+\.\d+\.\d+ \(.*\)\r\n$")
    second = Client(path)
    t.check("a second client has a session of its own", BANNER.match(second.banner))
    t.equal("both are served", (second.ask("info name"), first.ask("info name")),
            ("of mine\r\n", "of mine\r\n"))
    t.equal("what there is not", second.ask("drive_mirror x"),
            "Error: there are no block jobs: copy an image while the machine is off "
            "(qemu-img), or below an overlay (snapshot_blkdev)\r\n")
    t.equal("a network backend comes", second.ask(
        f"netdev_add stream,id=n0,server=on,addr.type=unix,addr.path={t.folder}/net"), "")
    t.equal("and goes", second.ask("netdev_del n0"), "")
    t.equal("what nobody knows", second.ask("sotp"), "unknown command: 'sotp'; "
            "did you mean 'stop'?\r\n")
    t.equal("a line with nothing", second.ask("  "), "")

    # One command a connection, as by "echo info status | socat - UNIX:..."
    third = Client(path)
    third.sock.sendall(b"info status\ninfo name\n")
    t.match("what is sent before the end is answered", third.rest().decode(),
            r"(?s)VM status: paused.*\(qemu\) .*of mine\r\n\(qemu\) $")
    t.equal("the others go on", first.ask("info name"), "of mine\r\n")

    first.sock.sendall(b"quit\n")
    t.check("no prompt after quit",
            KEYS.sub(b"", first.rest()).endswith(b"quit\r\n"))
    t.equal("it ends with 0", guest.wait_exit(), 0)


def test_run_control(t):
    guest, path = guest_with_monitor(t, "echo")
    client = Client(path)
    guest.console.wait("B")
    t.equal("it runs", client.ask("info status"), "VM status: running\r\n")
    t.equal("stop", client.ask("stop"), "")
    guest.qmp.wait_event("STOP")
    t.equal("it is stopped", client.ask("info status"), "VM status: paused\r\n")
    t.match("registers", client.ask("info registers"),
            r"(?s)^\r\nCPU#0\r\nEAX=[0-9a-f]{8} .*\r\nEIP=[0-9a-f]{8} EFL=.* CPL=0 .*"
            r"\r\nCS =\S{4} 0{8} f{8} \S{8} DPL=0 CS32 \[-R[A-]\]\r\n.*XMM07=")
    t.match("code is where eip is", client.ask("x/4xb $eip"),
            r"^[0-9a-f]{16}: 0x\w\w 0x\w\w 0x\w\w 0x\w\w\r\n$")
    t.equal("virtual and physical are the same here", client.ask("x/16xg $eip"),
            client.ask("xp/16xg $eip"))
    t.match("the chips", client.ask("info pic"),
            r"(?s)^ioapic0: ver=0x.*pin 23.*\r\npic0: irr=\w\w .*\r\npic1: ")
    t.match("interrupts", client.ask("info irq"), r"^IRQ statistics ")
    t.match("a local APIC", client.ask("info lapic 0"),
            r"(?s)^dumping local APIC state for CPU 0 \r\n\r\n"
            r"LVT0\t 0x[0-9a-f]{8} active-hi .*\r\nTimer\t DCR=0x\w+ \(divide by \d+\) .*"
            r"SPIV\t 0x[0-9a-f]{8} APIC \w+, focus=off, spurious vec \d+\r\n"
            r"ICR\t 0x.*\r\nICR2\t 0x.*\r\nESR\t 0x0{8}\r\nISR\t .*\r\nIRR\t .*"
            r"\r\n\r\nAPR 0x\w\w TPR 0x\w\w DFR 0x0f LDR 0x\w\w PPR 0x\w\w\r\n$")
    t.match("statistics of KVM", client.ask("info stats vcpu exits kvm"),
            r"^(provider: kvm\r\n    exits \(cumulative\): \d+\r\n)?$")
    t.equal("cont", client.ask("c"), "")
    guest.qmp.wait_event("RESUME")
    t.equal("system_reset", client.ask("system_reset"), "")
    guest.qmp.wait_event("RESET")
    guest.console.wait("BB")
    t.match("a running vCPU is read too", client.ask("info registers"), r"CPU#0\r\nEAX=")
    dump = t.folder / "memory"
    t.equal("dump-guest-memory waits for its end",
            (client.ask(f"dump-guest-memory {dump}"), dump.read_bytes()[:4]),
            ("", b"\x7fELF"))
    t.equal("and it runs again", client.ask("info status"), "VM status: running\r\n")
    t.equal("pmemsave", (client.ask(f"pmemsave 0 4096 \"{dump}\""), dump.stat().st_size),
            ("", 4096))
    guest.qmp.command("quit")
    t.equal("it ends with 0", guest.wait_exit(), 0)


def test_page_tables(t):
    guest, _ = guest_with_monitor(t, "paged")
    guest.console.wait("P")
    t.equal("what is mapped", hmp(guest, "info mem"),
            "0000000000000000-0000000040000000 0000000040000000 -rw\r\n"
            "ffffffff80000000-ffffffff80800000 0000000000800000 -rw\r\n")
    pages = hmp(guest, "info tlb").splitlines()
    t.equal("page by page", len(pages), 512 + 4)
    t.match("the last of them", pages[-1],
            "^ffffffff80600000: 0000000000600000 --P[D-][A-]---W$")


def test_media(t):
    discs = [t.folder / "disc", t.folder / "other disc"]
    for disc in discs:
        disc.write_bytes(bytes(1 << 20))
    guest, _ = guest_with_monitor(
        t, "echo", "-device", "virtio-scsi-pci",
        "-drive", f"if=none,id=cd0,media=cdrom,format=raw,file={discs[0]}",
        "-device", "scsi-cd,drive=cd0,id=cd")
    t.match("a disc", hmp(guest, "info block cd0"), f"^cd0.*: {discs[0]} ")
    t.equal("change", hmp(guest, f'change cd0 "{discs[1]}" raw'), "")
    t.match("another disc", hmp(guest, "info block cd0"), f"^cd0.*: {discs[1]} ")
    t.match("a format there is not", hmp(guest, f"change cd0 {discs[0]} iso"),
            r"^Error: .*iso")
    t.match("a file there is not", hmp(guest, f"change cd0 {t.folder}/nowhere raw"),
            r"^Error: .*/nowhere")
    t.equal("limits", hmp(guest, "block_set_io_throttle cd0 0 1048576 0 0 100 0"), "")
    limits = guest.qmp.command("query-block")[0]["inserted"]
    t.equal("are set", (limits["bps_rd"], limits["iops_rd"], limits["bps"]),
            (1 << 20, 100, 0))
    t.match("some exclude others", hmp(guest, "block_set_io_throttle cd0 1 1 0 0 0 0"),
            r"^Error: ")
    t.equal("eject", hmp(guest, "eject cd0"), "")
    t.match("no disc", hmp(guest, "info block cd0"), r"^cd0.*not inserted")
    t.equal("eject of nothing", hmp(guest, "eject -f cd0"), "")
    t.match("no drive", hmp(guest, "eject cd1"), r"^Error: .*cd1")


def test_by_qmp(t):
    """What libvirt, Proxmox and people send by human-monitor-command."""
    disk = t.folder / "disk"
    disk.write_bytes(bytes(1 << 20))
    guest, _ = guest_with_monitor(
        t, "echo", "-smp", "2", "-blockdev", f"file,filename={disk},node-name=f",
        "-device", "virtio-blk-pci,drive=f,id=d")
    t.equal("info status", hmp(guest, "info status"), "VM status: running\r\n")
    t.match("info version", hmp(guest, "info version"), r"^\d+\.\d+\.\d+.*\r\n$")
    t.equal("info block", hmp(guest, "info block"),
            f"f: {disk} (file)\r\n"
            "    Attached to:      /machine/peripheral/d/virtio-backend\r\n"
            "    Cache mode:       writeback\r\n")
    for line in ('savevm "int1"', 'delvm "int1"', "loadvm int1", "drive_del d",
                 'drive_add auto "file=/x,if=none,id=y,format=raw"',
                 "device_add virtio-rng-pci"):
        t.match(f"{line} is refused in words that are looked for", hmp(guest, line),
                r"^Error: .+\r\n$")
    t.equal("block_resize", hmp(guest, "block_resize d 2M"), "")
    t.equal("the disk is larger", disk.stat().st_size, 2 << 20)
    t.match("the vCPU that is meant", hmp(guest, "info cpus", **{"cpu-index": 1}),
            r"^  CPU #0: .*\r\n\* CPU #1: ")
    try:
        hmp(guest, "info cpus", **{"cpu-index": 2})
        t.check("one that there is not", False)
    except QmpError as error:
        t.match("one that there is not", error.text, "cpu-index")
    t.equal("nothing is kept from one to the next",
            (hmp(guest, "cpu 1"), hmp(guest, "info cpus")[:3]), ("", "* C"))
    t.equal("stop", hmp(guest, "stop"), "")
    t.equal("one state", guest.status, "paused")
    t.equal("chardev-add", hmp(guest, "chardev-add ringbuf,id=r"), "")
    t.match("one set of chardevs", str(guest.qmp.command("query-chardev")), "'r'")
    t.equal("quit answers", hmp(guest, "quit"), "")
    t.equal("it ends with 0", guest.wait_exit(), 0)


def test_drives(t):
    """As ganeti and Proxmox add disks: a drive by this monitor, then its device."""
    disk = t.folder / "a disk"
    disk.write_bytes(bytes(1 << 20))
    guest, path = guest_with_monitor(
        t, "echo", "-device", "pcie-root-port,id=p0")
    pairs = ("if=none,format=raw,aio=threads,cache=none,auto-read-only=off,"
             "throttling.iops-total=100")
    t.equal("drive_add", Client(path).ask(f'drive_add dummy "file={disk},id=a,{pairs}"'),
            "OK\r\n")
    block, = guest.qmp.command("query-block")
    t.equal("as -drive makes it",
            (block["device"], block["inserted"]["file"], block["inserted"]["iops"],
             block["inserted"]["cache"]["direct"]), ("a", str(disk), 100, True))
    for line, words in ((f'drive_add 0 "file={disk},id=a,{pairs}"', "already"),
                        (f'drive_add 0 "file={disk},id=b,format=raw"', "device_add"),
                        (f'drive_add 0 "file={disk},if=none,id=b"', "format"),
                        (f'drive_add 0 "file={disk},if=none,format=raw"', "'id'"),
                        ("drive_add 0 file=/no,if=none,id=b,format=raw", "/no"),
                        (f'drive_add 0 "file={disk},if=none,id=b,format=raw,snapshot=on"',
                         "snapshot"),
                        ("drive_del b", r"Device 'b' not found")):
        t.match(f"{words}: refused", hmp(guest, line), f"^Error: .*{words}.*\r\n$")
    hmp(guest, "device_add virtio-blk-pci,id=disk,drive=a,bus=p0")
    t.match("a drive that a device has", hmp(guest, "drive_del a"), "^Error: .*in use")
    guest.qmp.command("x-device-del-force", id="disk")
    t.match("it goes with that", hmp(guest, "drive_del a"), "Device 'a' not found")
    t.equal("a drive without a medium", hmp(guest, "drive_add 0 if=none,id=cd"), "OK\r\n")
    t.equal("drive_del", hmp(guest, "drive_del cd"), "")
    t.equal("nothing is left", (guest.qmp.command("query-block"),
                                guest.qmp.command("query-named-block-nodes")), ([], []))
    guest.qmp.command("quit")
    t.equal("it ends with 0", guest.wait_exit(), 0)


def test_beside_the_console(t):
    tty = Terminal(t, "-M", "q35", "-accel", "kvm", "-m", "128", "-nographic", "-kernel",
                   GUESTS / "echo.elf")
    t.check("the guest's first byte", tty.hears("B"))
    tty.type("xy")
    t.check("the guest echoes what is typed", tty.hears("xy"))
    tty.type("\x01c")
    t.check("Ctrl-A c brings the monitor", tty.hears(
        r"QEMU .* monitor - type 'help' for more information\s+\(qemu\) $"))
    tty.type("info sta\t\x1b[D\x1b[Dtu\n")
    t.check("keys are completed and edited", tty.hears("stats     status"))
    t.check("an answer", tty.hears(r"unknown command|VM status"))
    tty.type("info status\n")
    t.check("another", tty.hears(r"VM status: running\s+\(qemu\) $"))
    tty.type("\x1b[A\n")
    t.check("the last line again", tty.hears(r"VM status: running\s+\(qemu\) $"))
    tty.type("\x01cz")
    t.check("the guest has the keys again", tty.hears("z"))
    tty.type("\x01c")
    t.check("no banner the second time", tty.hears(r"^\s*\(qemu\) $"))
    tty.type("q\n")
    t.equal("it ends with 0", tty.wait_exit(), 0)


def test_on_a_terminal(t):
    tty = Terminal(t, *PLAIN, "-S", "-monitor", "stdio")
    t.check("the banner", tty.hears(r"type 'help' for more information\s+\(qemu\) $"))
    tty.type("sys\t")
    t.check("what begins so", tty.hears("system_powerdown"))
    tty.type("\x17x/1xb 0\n")
    t.check("a word is erased", tty.hears(r"0000000000000000: 0x00\s+\(qemu\) $"))
    tty.type("quit\n")
    t.equal("it ends with 0", tty.wait_exit(), 0)


def test_pty(t):
    guest = t.guest(None, "-S", "-monitor", "pty")
    chardevs = {c["label"]: c["filename"] for c in guest.qmp.command("query-chardev")}
    name = chardevs["compat_monitor0"].removeprefix("pty:")
    fd = os.open(name, os.O_RDWR | os.O_NOCTTY)
    data = b""
    os.write(fd, b"info status\n")
    signal.alarm(SILENCE)
    while not re.search(rb"VM status: paused \(prelaunch\)\r\n\(qemu\) $", data):
        data += os.read(fd, 4096)
    signal.alarm(0)
    t.check("the monitor on a terminal that it makes", True)
    os.close(fd)


def test_options(t):
    path = t.folder / "named"
    guest = t.guest(None, "-S", "-chardev", f"socket,id=m,path={path},server=on,wait=off",
                    "-mon", "chardev=m,mode=readline")
    assert guest.qmp
    t.check("-mon mode=readline", BANNER.match(Client(path).banner))
    for args, words in (
            (["-monitor", "nothing:x"], "-monitor nothing:x: "),
            (["-chardev", "null,id=m", "-mon", "chardev=m,pretty=on,mode=readline"],
             "pretty"),
            (["-mon", "chardev=m"], "there is no character device 'm'"),
            (["-monitor", "null", "-monitor", "stdio", "-serial", "stdio"], "stdio")):
        done = t.run(*PLAIN, "-S", *args)
        t.check(f"{' '.join(args)} is refused",
                done.returncode == 1 and words in done.stderr)


def test_hostile_clients(t):
    guest, path = guest_with_monitor(t, None, "-S")
    before = resident(guest.process.pid)
    for data in (b"help\n" * 1000, bytes(range(32, 256)) * 100):
        deaf = Client(path)
        deaf.sock.settimeout(1)
        try:
            while True:
                deaf.sock.sendall(data)
        except TimeoutError:
            pass
        t.check("one that does not read is not served without end",
                resident(guest.process.pid) - before < 32 << 20)
    sly = Client(path)
    sly.sock.sendall(b"\x1b[999999999999999999999A\xff\x9b\0\0p ((((((((\n" + b"(" * 5000)
    sly.sock.close()
    t.equal("another is", Client(path).ask("info status"),
            "VM status: paused (prelaunch)\r\n")
    guest.qmp.command("quit")
    t.equal("it ends with 0", guest.wait_exit(), 0)


def made_images(t, guest, names):
    """qcow2 images, each a drive of its name."""
    for name in names:
        path = t.folder / name
        path.write_bytes(b"")
        guest.qmp.command("blockdev-add", driver="file", node_name="n",
                          filename=str(path))
        guest.qmp.command("blockdev-create", job_id=name, options={
            "driver": "qcow2", "file": "n", "size": 1 << 20})
        t.check(f"{name} is made", wait_until(lambda: guest.qmp.command(
            "query-jobs")[0]["status"] == "concluded"))
        guest.qmp.command("job-dismiss", id=name)
        guest.qmp.command("blockdev-del", node_name="n")
        hmp(guest, f"drive_add 0 if=none,id={name},file={path},format=qcow2")


def test_snapshots(t):
    guest, _ = guest_with_monitor(t, None, "-S")
    t.equal("no image has any", hmp(guest, "info snapshots"),
            "no block device can store vmstate for snapshot\r\n")
    made_images(t, guest, ["a", "b"])
    t.equal("none is taken", hmp(guest, "info snapshots"),
            "There is no snapshot available.\r\n")
    for disk, name in (("a", "both"), ("b", "both"), ("b", "one")):
        t.equal(f"snapshot_blkdev_internal {disk} {name}",
                hmp(guest, f"snapshot_blkdev_internal {disk} {name}"), "")
    head = ("ID        TAG               VM SIZE                DATE     VM CLOCK"
            "     ICOUNT")
    date = r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d"
    row = r"%-10s%-17s     0 B " + date + r" \d\d:\d\d:\d\d\.\d{3}           "
    lines = ("List of snapshots present on all disks:", head, row % ("--", "both"), "",
             r"List of partial \(non-loadable\) snapshots on 'b':", head,
             row % ("2", "one"), "")
    t.match("what is on all, and on one", hmp(guest, "info snapshots"),
            "^" + "\r\n".join(lines) + "$")
    t.equal("snapshot_delete_blkdev_internal",
            hmp(guest, "snapshot_delete_blkdev_internal a both"), "")
    t.match("none is on all", hmp(guest, "info snapshots"), "^List of .*:\r\nNone\r\n")
    t.match("one that there is not",
            hmp(guest, "snapshot_delete_blkdev_internal a both"), "^Error: .*both")


def test_an_image_commands_no_terminal(t):
    """Who wrote an image is not who looks at it; virsh --hmp prints what it is told."""
    guest, path = guest_with_monitor(t, None, "-S", "-name", "evil\x1b[2J\x07")
    made_images(t, guest, ["a"])
    guest.qmp.command("blockdev-snapshot-internal-sync", device="a",
                      name="\x1b]0;owned\x07\x9b")
    shown = hmp(guest, "info snapshots")
    t.check("a snapshot's name is shown", "\\u001B]0;owned\\u0007\\u009B" in shown, shown)
    t.equal("and no control character",
            re.findall("[\x00-\x09\x0b\x0c\x0e-\x1f\x7f-\x9f]", shown), [])
    t.equal("nor of the machine's name", hmp(guest, "info name"),
            "evil\\u001B[2J\\u0007\r\n")
    t.equal("also at the socket", Client(path).ask("info name"),
            "evil\\u001B[2J\\u0007\r\n")


TESTS = [test_socket, test_run_control, test_page_tables, test_media, test_by_qmp,
         test_drives, test_snapshots, test_an_image_commands_no_terminal,
         test_beside_the_console, test_on_a_terminal, test_pty, test_options,
         test_hostile_clients]

if __name__ == "__main__":
    sys.exit(main(TESTS, __doc__))
