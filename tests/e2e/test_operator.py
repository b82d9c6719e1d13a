#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the operator gets: every refused option and image by its name, help, daemon."""

import os
import pathlib
import pty
import re
import resource
import signal
import socket
import subprocess
import sys
import termios
import time

from rig import GUESTS, SILENCE, main, stays, wait_until
from qmp import Qmp


PLAIN = ["-nodefaults", "-no-user-config", "-display", "none", "-machine", "q35",
         "-accel", "kvm", "-m", "128"]

# Arguments after PLAIN, and the words that the error has.
BAD_OPTIONS = [
    (["-no-such-option"], ["no-such-option"]),
    (["stray.img"], ["stray.img"]),
    (["-machine", "pc-i440fx-99"], ["pc-i440fx-99"]),
    (["-machine", "q35,nonsense=1"], ["nonsense"]),
    (["-machine", "q35,smbus=on"], ["smbus"]),
    (["-machine", "q35,sata=off", "-device", "ide-cd"], ["IDE bus", "ide-cd"]),
    (["-machine", "graphics=on"], ["graphics=on"]),
    (["-machine", "kernel_irqchip=off"], ["irqchip"]),
    (["-device", "no-such-device,help"], ["no-such-device"]),
    (["-object", "no-such-object,help"], ["no-such-object"]),
    (["-cpu", "no-such-model"], ["no-such-model"]),
    (["-cpu", "host,+no-such-feature"], ["no-such-feature"]),
    (["-smp", "0"], ["0"]),
    (["-smp", "2,maxcpus=1"], ["maxcpus"]),
    (["-smp", "3,sockets=2,cores=2,threads=2"], ["3"]),
    (["-smp", "cpus=two"], ["-smp", "cpus"]),
    (["-smp", "100000"], ["100000"]),
    (["-m", "0"], ["m"]),
    (["-m", "12Q"], ["-m", "size"]),
    (["-m", "size=128M,slots=4"], ["slots", "maxmem"]),
    (["-m", "size=128M,maxmem=64M"], ["maxmem"]),
    (["-m"], ["m"]),
    (["-name", "guest=a,x=y"], ["x"]),
    (["-uuid", "not-a-uuid"], ["not-a-uuid"]),
    (["-append", "x"], ["append"]),
    (["-initrd", "/dev/null"], ["initrd"]),
    (["-device", "no-such-device"], ["no-such-device"]),
    (["-device", "virtio-rng-pci,no-such-property=1"], ["no-such-property"]),
    (["-device", "virtio-rng-pci,max-bytes=-1"], ["max-bytes"]),
    (["-device", "virtio-rng-pci,addr=99"], ["addr"]),
    (["-device", "virtio-rng-pci,bus=nowhere"], ["nowhere"]),
    (["-device", "virtio-rng-pci,rng=nothing"], ["nothing"]),
    (["-device", "virtio-rng-pci,id=a", "-device", "virtio-rng-pci,id=a"], ["a"]),
    (["-device", "virtio-rng-pci,addr=5", "-device", "pcie-root-port,addr=5"], ["5"]),
    (["-device", "virtio-rng-pci,id=1bad"], ["1bad"]),
    (["-device", '{"driver": "virtio-rng-pci", "max-bytes": "x"}'], ["max-bytes"]),
    (["-device", '{"driver": "virtio-rng-pci"'], ["device"]),
    (["-object", "no-such-object,id=x"], ["no-such-object"]),
    (["-object", "rng-random,id=x,filename=/no-such-file"], ["no-such-file"]),
    (["-object", "memory-backend-ram,id=x"], ["size"]),
    (["-object", "memory-backend-ram,id=x,prealloc=on,size=16T"],
     ["16777216 MiB", "available"]),
    (["-mem-path", "/proc/no-such-folder/ram"], ["no-such-folder"]),
    (["-mem-path", "/tmp", "-object", "memory-backend-ram,id=x,size=1M",
      "-machine", "memory-backend=x"], ["-mem-path", "memory-backend"]),
    (["-object", "iothread"], ["id"]),
    (["-chardev", "null"], ["id"]),
    (["-chardev", "teapot,id=x"], ["teapot"]),
    (["-chardev", "socket,id=x"], ["x"]),
    (["-chardev", "socket,id=x,host=127.0.0.1,port=99999,server=on,wait=off"], ["99999"]),
    (["-qmp", "tcp:127.0.0.1:65536,server=on,wait=off"], ["65536"]),
    (["-chardev", "socket,id=x,path=/tmp/s,server=on,wait=off,nodelay=on"], ["nodelay"]),
    (["-chardev", "file,id=x,path=/proc/no-such-folder/f"], ["no-such-folder"]),
    (["-chardev", "null,id=x", "-chardev", "null,id=x"], ["x"]),
    (["-mon", "chardev=nowhere,mode=control"], ["nowhere"]),
    (["-mon", "chardev=nowhere,mode=fancy"], ["fancy"]),
    (["-chardev", "null,id=x", "-mon", "chardev=x,mode=control,id=1"], ["1"]),
    (["-chardev", "null,id=x", "-chardev", "null,id=y",
      "-mon", "chardev=x,mode=control,id=m", "-mon", "chardev=y,mode=control,id=m"],
     ["m"]),
    (["-qmp", "unix:/proc/no-such-folder/s,server=on,wait=off"], ["no-such-folder"]),
    (["-serial", "chardev:nowhere"], ["nowhere"]),
    (["-serial", "teapot"], ["teapot"]),
    (["-display", "gtk"], ["gtk"]),
    (["-monitor", "nothing"], ["-monitor", "nothing"]),
    (["-pidfile", "/proc/no-such-folder/pid"], ["no-such-folder"]),
    (["-add-fd", "fd=99,set=1"], ["-add-fd", "fd"]),
    (["-d", "no-such-item"], ["no-such-item"]),
    (["-d", "in_asm"], ["in_asm"]),
    (["-d", "unimp,trace:no-such-point"], ["no-such-point"]),
    (["-D", "/proc/no-such-folder/log"], ["-D", "no-such-folder"]),
    (["-D", "%d-%d"], ["-D", "%d"]),
    (["-D", "100%"], ["-D", "%d"]),
    (["-trace", "no-such-point"], ["no-such-point"]),
    (["-trace", "enable=*,file=/proc/no-such-folder/log"], ["no-such-folder"]),
    (["-trace", "events=/no-such-file"], ["no-such-file"]),
    (["-trace", "colour=red"], ["colour"]),
    (["-smbios", "type=1,colour=red"], ["colour"]),
    (["-smbios", "type=5"], ["type"]),
    (["-smbios", "file=/no-such-file"], ["no-such-file"]),
    (["-smbios", "type=9,pci_device=nowhere"], ["nowhere"]),
    (["-machine", "smbios-entry-point-type=16"], ["smbios-entry-point-type"]),
    (["-fw_cfg", "name=opt/a"], ["opt/a", "file", "string"]),
    (["-fw_cfg", "name=opt/a,gen_id=x"], ["gen_id"]),
    (["-device", "vmgenid,guid=x"], ["guid"]),
    (["-device", "vmgenid", "-device", "vmgenid"], ["vmgenid", "already"]),
    (["-rtc", "base=yesterday"], ["yesterday"]),
    (["-boot", "order=z"], ["-boot", "z"]),
    (["-msg", "colour=on"], ["colour"]),
    (["-overcommit", "mem-lock=maybe"], ["mem-lock"]),
    (["-action", "reboot=dance"], ["dance"]),
]


def refused(t, what, args, *words):
    """The VMM ends with 1 and one line on stderr that has all the words."""
    done = t.run(*args)
    lines = done.stderr.strip().splitlines()
    good = (done.returncode == 1 and len(lines) == 1
            and all(word in done.stderr for word in words))
    t.check(f"{what}: refused by name", good,
            f"{args}: exit {done.returncode}: {done.stderr}")


def test_bad_images(t):
    good = (GUESTS / "echo.elf").read_bytes()
    no_note = good.replace(b"Xen\0", b"Nex\0")
    far = bytearray(good)
    far[64 + 24:64 + 32] = (1 << 62).to_bytes(8, "little")
    short = good[:0x130]
    bzimage = bytearray(4096)
    bzimage[0x1f1], bzimage[0x1fe:0x200], bzimage[0x202:0x206] = 4, b"\x55\xaa", b"HdrS"
    images = {
        "empty": b"", "text": b"this is no kernel\n" * 100, "truncated-elf": short,
        "no-note": no_note, "far-segment": bytes(far), "elf-magic-only": b"\x7fELF",
        "truncated-bzimage": bytes(bzimage), "old-bzimage": bytes(bzimage) + bytes(8192),
    }
    for name, data in images.items():
        path = t.folder / name
        path.write_bytes(data)
        refused(t, name, PLAIN + ["-kernel", path], name)
    refused(t, "a missing kernel", PLAIN + ["-kernel", t.folder / "no"], "no",
            "No such file")
    refused(t, "a folder", PLAIN + ["-kernel", t.folder], str(t.folder))
    refused(t, "a missing initrd", PLAIN + ["-kernel", GUESTS / "echo.elf", "-initrd",
                                            t.folder / "nothing"], "nothing")
    big = t.folder / "big"
    with open(big, "wb") as file:
        file.truncate(512 << 20)
    refused(t, "an initrd that does not fit",
            PLAIN + ["-kernel", GUESTS / "echo.elf", "-initrd", big], "big")
    fifo = t.folder / "fifo"
    os.mkfifo(fifo)
    refused(t, "a FIFO", PLAIN + ["-kernel", fifo], "fifo")


def test_bad_options(t):
    for args, words in BAD_OPTIONS:
        refused(t, " ".join(args), PLAIN + args, *words)



def usb_controllers(t, *args):
    """The slots in which they are."""
    guest = t.guest("echo", "-S", *args)
    devices = guest.qmp.command("query-pci")[0]["devices"]
    guest.qmp.command("quit")
    t.equal(f"{args[1]}: it ends", guest.wait_exit(), 0)
    return [device["slot"] for device in devices
            if device["class_info"]["class"] == 0x0c03]


def test_usb(t):
    """-usb is the controller of the board; it takes a slot that nobody wants."""
    full = [arg for slot in range(1, 31)
            for arg in ("-device", f"virtio-rng-pci,addr={slot:x}")]
    t.equal("there is none", usb_controllers(t, "-machine", "usb=off"), [])
    t.equal("where ICH9 has its own", usb_controllers(t, "-machine", "usb=on"), [0x1d])
    t.equal("below it", usb_controllers(t, "-usb", "-device", "qemu-xhci,addr=1d"),
            [0x1c, 0x1d])
    done = t.run(*PLAIN, "-S", "-usb", *full)
    t.check("no slot is left", done.returncode == 1 and "usb=on" in done.stderr,
            done.stderr)


def test_accelerators(t):
    """The first that is there is taken, of a list or of several options, as QEMU does."""
    refused(t, "tcg alone", ["-machine", "none", "-accel", "tcg"], "-accel", "tcg")
    for args in (["-accel", "tcg", "-accel", "kvm"], ["-machine", "accel=tcg:kvm"]):
        done = t.run("-nodefaults", "-display", "none", "-m", "128", "-bios", "/nowhere",
                     *args)
        t.match(f"{args}: went on to what it boots", done.stderr, "-bios /nowhere")


def test_few_descriptors(t):
    """Every part of the machine in turn is the one that cannot be made."""
    image = ["-smp", "4", "-device", "virtio-rng-pci", "-device",
             "isa-debug-exit,iobase=0xf4,iosize=4", "-kernel", GUESTS / "first-byte.elf"]
    ends = set()
    for limit in range(5, 24):
        done = t.run(*PLAIN, *image, preexec_fn=lambda: resource.setrlimit(
            resource.RLIMIT_NOFILE, (limit, limit)))
        ends.add((done.returncode, "Too many open files" in done.stderr))
    t.equal("each end is an error that says so, or the guest's", ends,
            {(1, True), (1, False)})


def test_daemonize(t):
    path, pidfile = t.folder / "qmp", t.folder / "pid"
    done = t.run("-S", "-no-user-config", "-nodefaults", "-nographic", "-machine",
                 "none,accel=kvm:tcg", "-qmp", f"unix:{path},server=on,wait=off",
                 "-pidfile", pidfile, "-daemonize")
    t.equal("the parent exits with 0", done.returncode, 0)
    t.equal("without a word", done.stderr, "")
    text = pidfile.read_text()
    t.match("the pidfile is a number and a newline", text, r"^\d+\n$")
    qmp = Qmp.connect(path, timeout=SILENCE)
    t.match("a version", str(qmp.command("query-version")), "'major'")
    qmp.command("quit")
    deadline = time.monotonic() + SILENCE
    while pidfile.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    t.check("the pidfile goes with the process", not pidfile.exists())
    done = t.run("-nodefaults", "-machine", "none", "-daemonize",
                 "-qmp", "unix:/proc/no-such-folder/qmp,server=on,wait=off")
    t.equal("an error exits with 1", done.returncode, 1)
    t.match("and is told by the parent", done.stderr, "no-such-folder")


def test_process_name(t):
    guest = t.guest(None, "-S", "-name", "web,process=vm-web", "-msg",
                    "guest-name=on", "-mon", "none-there,mode=control")
    t.equal("a refusal", guest.wait_exit(), 1)
    t.match("names the machine", guest.stderr, "^web berth: ")
    guest = t.guest(None, "-S", "-name", "web,process=vm-web")
    t.equal("the VM runs", guest.status, "prelaunch")
    comm = pathlib.Path(f"/proc/{guest.process.pid}/comm").read_text()
    t.equal("the process has the name", comm, "vm-web\n")


def is_asleep(pid):
    """And stays so: before, it does something or waits for a processor."""
    proc = pathlib.Path(f"/proc/{pid}")
    return stays(lambda: (proc / "schedstat").read_text(), 0.2, tries=1) and (
        proc / "stat").read_text().rpartition(")")[2].split()[0] == "S"


def ends_while_it_waits(t, what, *args):
    """SIGTERM ends a VMM that has not come to its loop yet; nothing is left behind."""
    process = subprocess.Popen(
        [t.vmm, *PLAIN, "-S", "-pidfile", t.folder / "pid", *map(str, args)],
        stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + SILENCE
    while not (t.folder / "pid").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    t.check(f"{what}: it waits", wait_until(lambda: is_asleep(process.pid)))
    process.terminate()
    try:
        _, stderr = process.communicate(timeout=SILENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        _, stderr = process.communicate()
    t.equal(f"{what}: SIGTERM ends it", process.returncode, 1)
    t.match(f"{what}: it says so", stderr, "a signal ended the wait")
    t.check(f"{what}: the pidfile is gone", not (t.folder / "pid").exists())


def test_sigterm_before_the_first_client(t):
    path = t.folder / "monitor"
    ends_while_it_waits(t, "server", "-qmp", f"unix:{path},server=on")
    t.check("the socket's file is gone", not path.exists())
    with socket.socket() as full:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        fillers = []
        for _ in range(4):
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
            fillers.append(filler)
        ends_while_it_waits(t, "client", "-chardev",
                            f"socket,id=c,host=127.0.0.1,port={full.getsockname()[1]}")
        for filler in fillers:
            filler.close()


def test_socket_files(t):
    path = t.folder / "qmp"
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    pidfile = t.folder / "pid"
    done = t.run(*PLAIN, "-S", "-daemonize", "-pidfile", pidfile, "-qmp",
                 "unix:qmp,server=on,wait=off", cwd=t.folder)
    t.equal("a stale socket file is replaced", done.returncode, 0)
    qmp = Qmp.connect(path, timeout=SILENCE)
    t.equal("the VM answers there", qmp.command("query-status")["status"], "prelaunch")
    qmp.command("quit")
    deadline = time.monotonic() + SILENCE
    while pidfile.exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    t.check("its file goes with the process", not path.exists())


def test_port_of_the_host(t):
    guest = t.guest(None, "-S", "-chardev",
                    "socket,id=any,host=127.0.0.1,port=0,server=on,wait=off")
    chardevs = {c["label"]: c["filename"] for c in guest.qmp.command("query-chardev")}
    t.match("query-chardev tells the port", chardevs["any"],
            r"^disconnected:tcp:127\.0\.0\.1:[1-9]\d*,server=on$")


def has_lines(master, wanted):
    """Waits until the terminal edits lines, or does not; whether it came to that."""
    deadline = time.monotonic() + SILENCE
    while time.monotonic() < deadline:
        if bool(termios.tcgetattr(master)[3] & termios.ICANON) == wanted:
            return True
        time.sleep(0.01)
    return False


def test_terminal_comes_back(t):
    pid, master = pty.fork()
    if pid == 0:
        os.execv(t.vmm, [t.vmm, *PLAIN, "-S", "-serial", "stdio"])
    t.check("the terminal is raw", has_lines(master, False))
    os.kill(pid, signal.SIGSTOP)
    os.waitpid(pid, os.WUNTRACED)
    mode = termios.tcgetattr(master)
    mode[3] |= termios.ICANON | termios.ECHO
    termios.tcsetattr(master, termios.TCSANOW, mode)
    t.check("as a shell sets it", has_lines(master, True))
    os.kill(pid, signal.SIGCONT)
    t.check("raw again after SIGCONT", has_lines(master, False))
    os.kill(pid, signal.SIGTERM)
    t.check("as it was at the end", has_lines(master, True))
    t.equal("exit status", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), 0)
    os.close(master)


def test_machine_none(t):
    for args in (["-kernel", GUESTS / "echo.elf"], ["-m", "64"], ["-smp", "2"],
                 ["-cpu", "host"], ["-device", "virtio-rng-pci"], ["-serial", "null"],
                 ["-machine", "memory-backend=x"]):
        refused(t, f"none {args[0]}", ["-nodefaults", "-machine", "none", *args],
                args[0], "none")
    path = t.folder / "qmp"
    done = t.run("-nodefaults", "-machine", "none", "-daemonize", "-qmp",
                 f"unix:{path},server=on,wait=off")
    t.equal("it starts", done.returncode, 0)
    qmp = Qmp.connect(path, timeout=SILENCE)
    status = qmp.command("query-status")
    t.equal("it runs without -S", status["status"], "running")
    qmp.command("stop")
    qmp.command("cont")
    qmp.command("quit")


def test_help(t):
    done = t.run("-version")
    t.match("-version", done.stdout, r"^\D* version 10\.0\.0 \(berth-")
    # What management tools look for.
    for what, args, pattern in (
            ("the level of the interface comes first", ["-help"], r"\A\D*10\.0\.0"),
            ("-help: enable-kvm", ["-help"], r"(?m)^-enable-kvm"),
            ("-help: qmp", ["-help"], r"(?m)^-qmp\s"),
            ("-help: machine", ["-help"], r"(?m)^-machine\s"),
            ("-help: display", ["-help"], r"(?m)^-display\s"),
            ("-help: uuid", ["-help"], r"(?m)^-uuid\s"),
            ("-help: queues of a tap", ["-help"],
             r"(?ms)^-netdev\stap.*,fds=x:y:\.\.\.:z"),
            ("-help: vhost of a tap", ["-help"], r"(?ms)^-netdev\stap.*,vhost=on\|off"),
            ("-help: -netdev user", ["-help"], r"(?m)^-netdev user,id=str"),
            ("-help: -chardev socket", ["-help"], r"(?m)^-chardev socket,id=str"),
            ("-help: auto-read-only", ["-help"],
             r"(?ms)^-blockdev.*,auto-read-only=on\|off"),
            ("-device ? has short names", ["-device", "?"],
             r'(?m)^name "virtio-serial-pci", bus PCI, alias "virtio-serial"'),
            ("-machine ? has QEMU's", ["-machine", "?"], r"(?m)^pc-q35-7\.2 +.*PC"),
            ("-display none -help", ["-display", "none", "-help"],
             r"\A.*QEMU emulator version"),
            ("-machine ? names the default", ["-machine", "?"],
             r"(?m)^(\S+).*\(default\)$"),
            ("-M help", ["-M", "help"], r"(?m)^pc-q35-\S+ +.*PC"),
            ("-machine q35,help", ["-machine", "q35,help"], r"(?m)^  acpi=<OnOffAuto>"),
            ("-device ?", ["-display", "none", "-M", "accel=kvm:tcg", "-device", "?"],
             r'(?m)^name "virtio-rng-pci", bus PCI'),
            ("-device of the board", ["-device", "ICH9-LPC,help"], "disable_s3=<uint8>"),
            ("-object help", ["-object", "help"], r"(?m)^  memory-backend-memfd$"),
            ("-object X,help", ["-object", "secret,help"], "keyid=<str>"),
            ("-chardev help", ["-chardev", "help"], r"(?m)^  pty$"),
            ("-chardev X,help", ["-chardev", "pty,help"], "path=<str>"),
            ("-smp help", ["-smp", "help"], r"smp-opts options:\n(.*\n)*  dies=<int>"),
            ("-accel help", ["-accel", "help"], r"(?m)^kvm$"),
            ("-cpu help", ["-cpu", "help"], r"(?m)^  host ")):
        done = t.run(*args)
        t.match(what, done.stdout, pattern)
        t.equal(f"{what}: exits with 0", done.returncode, 0)
    done = t.run("-device", "help")
    t.match("-device help lists devices", done.stdout, "virtio-rng-pci")
    t.equal("and exits with 0", done.returncode, 0)
    done = t.run("-device", "virtio-rng-pci,help")
    t.match("-device X,help lists properties", done.stdout, "max-bytes")
    done = t.run("-device", "host-x86_64-cpu,help")
    t.match("of vCPUs, too", done.stdout, "core-id")
    done = t.run("-machine", "help")
    t.match("-machine help lists machines", done.stdout, "q35")


def memory_of(guest):
    """What is resident and locked, in MiB."""
    guest.qmp.command("query-status")
    text = pathlib.Path(f"/proc/{guest.process.pid}/status").read_text()
    return [int(re.search(rf"{key}:\s+(\d+)", text)[1]) // 1024
            for key in ("VmRSS", "VmLck")]


def test_memory_lock(t):
    resident, locked = memory_of(t.guest(None, "-S", memory=128))
    t.check("without, nothing is taken or locked", resident < 64 and locked == 0,
            [resident, locked])
    guest = t.guest(None, "-S", "-overcommit", "mem-lock=on", memory=128)
    resident, locked = memory_of(guest)
    t.check("mem-lock=on takes and locks all", resident >= 128 and locked >= 128,
            [resident, locked])
    guest = t.guest(None, "-S", "-overcommit", "mem-lock=on-fault", memory=128)
    resident, locked = memory_of(guest)
    t.check("on-fault locks, and takes nothing", resident < 64 and locked >= 128,
            [resident, locked])
    resident, locked = memory_of(t.guest(None, "-S", "-mem-prealloc", memory=128))
    t.check("-mem-prealloc takes, and locks nothing", resident >= 128 and locked == 0,
            [resident, locked])


def test_check_host(t):
    done = t.run("-check-host")
    flags = pathlib.Path("/proc/cpuinfo").read_text()
    able = re.search(r"\b(vmx|svm)\b", flags) is not None
    t.equal("the exit code says whether stock guests can run", done.returncode,
            0 if able else 1)
    t.match("it speaks of KVM", done.stdout, "KVM")


TESTS = [
    test_bad_images, test_bad_options, test_usb, test_accelerators, test_few_descriptors,
    test_daemonize, test_process_name, test_sigterm_before_the_first_client,
    test_socket_files, test_port_of_the_host, test_terminal_comes_back,
    test_machine_none, test_help, test_memory_lock, test_check_host,
]


if __name__ == "__main__":
    sys.exit(main(TESTS, __doc__))
