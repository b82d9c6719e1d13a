# SPDX-License-Identifier: Apache-2.0
"""An emulated AMD host with KVM, for machines that have no VMX or SVM of their own.

QEMU's TCG emulates SVM with nested paging; the stock kernel runs there as host, with the
VMM under test, Python and the tests on an ext4 disk, and runs one job.  The job's
terminal is the host's second serial port, here a socket.

The host has one CPU.  With two the emulator, whose SVM code changes a CPU's state while
another thread raises interrupts there, resets a guest or ends about every two minutes
under load, whatever the VMM.

Its kernel is told to trust the time stamp counter.  Else it finds out, after a minute or
so, that the counter does not agree with a timer that the emulator was late with, and KVM
sets guests' counters back whenever they run: a guest's timer is then as late as the host
has been up.
"""

import os
import pathlib
import re
import select
import shlex
import shutil
import socket
import subprocess
import time

import stock

HERE = pathlib.Path(__file__).resolve().parent
TESTS = HERE.parent
EMULATOR = "qemu-system-x86_64"
HOST_MODULES = ["virtio_pci", "virtio_blk", "kvm", "kvm-amd", "tun", "bridge",
                "vhost_vsock", "vhost_net", "8021q"]
PYTHON_LEFT_OUT = {"__pycache__", "test", "idlelib", "lib2to3", "ensurepip", "distutils",
                   "pydoc_data", "tkinter", "turtledemo", "dist-packages", "unittest",
                   "sqlite3", "xmlrpc", "wsgiref", "curses", "dbm", "lib-dynload"}
# Parts of it that are libraries of their own and that a terminal needs.
PYTHON_LIBRARIES = ["termios"]
# What scenarios use if it is there.
OPTIONAL_TOOLS = ["qemu-img", "crash", "bridge", "dnsmasq", "unshare"]
# What libvirt's daemon is, with its driver of QEMU alone.
LIBVIRT = ["libvirtd", "virsh"]
LIBVIRT_DRIVER = "libvirt/connection-driver/libvirt_driver_qemu.so"
# What it takes snapshots of disks with.
LIBVIRT_STORAGE = "storage-file/libvirt_storage_file_fs.so"
LIBVIRT_DATA = "/usr/share/libvirt/cpu_map"
# What the VMM loads by itself when it needs it.
LOADED_LIBRARIES = ["libslirp.so.0"]
QEMU_DATA = ["/usr/share/qemu", "/usr/share/seabios", "/usr/lib/ipxe/qemu",
             "/boot", "/usr/share/OVMF", "/usr/share/ovmf"]
QEMU_DATA_FILES = re.compile(
    r"(bios.*|kvmvapic|linuxboot_dma|pvh)\.bin|qboot\.rom|(efi|pxe)-virtio\.rom|"
    r"memtest86\+.*\.bin|OVMF_(CODE|VARS)_4M(\.secboot|\.snakeoil)?\.fd|OVMF\.fd")
# QEMU's SVM has no intercept of XSETBV: KVM would not see a guest's XCR0 and show it a
# wrong CPUID leaf 0xD.  Without XSAVE, and what needs it, the question does not arise.
# What follows costs the emulator time: with each exit of a guest it forgets its TLB, and
# walks the tables of host and guest, which have five levels with LA57; it copies byte by
# byte where the kernel believes ERMS; and each copy from or to a user ends two of its
# blocks for SMAP.
CPU = "max,-xsave,-avx,-avx2,-f16c,-fma,-vaes,-pku,-la57,-erms,-smap"
DISK_SIZE = 640 << 20
SILENCE = 120


class HostHang(Exception):
    """The emulated host itself gave no sign of life."""


def cpu_flags():
    with open("/proc/cpuinfo") as file:
        for line in file:
            if line.startswith("flags"):
                return set(line.split(":")[1].split())
    return set()


def host_runs_stock_guests():
    """Whether /dev/kvm is usable and has VMX or SVM behind it, not software."""
    return bool(cpu_flags() & {"vmx", "svm"}) and os.access("/dev/kvm", os.R_OK | os.W_OK)


def place(root, path, target=None):
    """Copies a file with its libraries to their places here, or the file to @target."""
    for source in [str(path)] + stock.shared_libraries(path):
        to = root / (target if target and source == str(path) else source).lstrip("/")
        to.parent.mkdir(parents=True, exist_ok=True)
        if not to.exists():
            shutil.copy(os.path.realpath(source), to)


def place_python(root):
    """Debian's interpreter with most of its library."""
    place(root, "/usr/bin/python3")
    library = stock.output_of("/usr/bin/python3", "-c",
                              "import os; print(os.path.dirname(os.__file__))").strip()
    shutil.copytree(library, root / library.lstrip("/"), symlinks=True,
                    ignore=lambda folder, names: [n for n in names if n in PYTHON_LEFT_OUT
                                                  or n.startswith("config-")])
    loaded = pathlib.Path(library) / "lib-dynload"
    (root / str(loaded).lstrip("/")).mkdir()
    for name in PYTHON_LIBRARIES:
        for path in loaded.glob(f"{name}.*.so"):
            place(root, path)


def place_qemu_data(root):
    for folder in QEMU_DATA:
        for path in pathlib.Path(folder).glob("*"):
            if QEMU_DATA_FILES.fullmatch(path.name):
                to = root / str(path).lstrip("/")
                to.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(os.path.realpath(path), to)


def place_libvirt(root):
    """If it is installed: its libraries are large for a host without need of them."""
    driver = next(pathlib.Path("/usr/lib").glob(f"*/{LIBVIRT_DRIVER}"), None)
    if not driver or not all(shutil.which(name, path=stock.PATH) for name in LIBVIRT):
        return
    for name in LIBVIRT:
        place(root, shutil.which(name, path=stock.PATH))
    place(root, driver)
    storage = driver.parent.parent / LIBVIRT_STORAGE
    if storage.exists():
        place(root, storage)
    shutil.copytree(LIBVIRT_DATA, root / LIBVIRT_DATA.lstrip("/"))
    for name in ("etc/libvirt", "var/lib", "var/cache", "var/log"):
        (root / name).mkdir(parents=True, exist_ok=True)
    (root / "var/lock").symlink_to("/run/lock")
    for name in ("passwd", "group"):
        (root / "etc" / name).write_text("root:x:0:0::/root:/bin/sh\n"
                                         if name == "passwd" else "root:x:0:\n")


def write_root(root, vmms, extra_files):
    """Fills the folder that becomes the host's disk."""
    for name in ("bin", "dev", "proc", "sys", "tmp", "run", "root", "etc", "sbin", "lab"):
        (root / name).mkdir(parents=True)
    busybox = shutil.which("busybox", path=stock.PATH)
    shutil.copy(busybox, root / "bin/busybox")
    for applet in stock.output_of(busybox, "--list").split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    shutil.copy(HERE / "init" / "host-init.sh", root / "sbin/init")
    (root / "sbin/init").chmod(0o755)
    place_python(root)
    for vmm in vmms:
        place(root, vmm, f"/usr/bin/{pathlib.Path(vmm).name}")
    for tool in OPTIONAL_TOOLS:
        if shutil.which(tool, path=stock.PATH):
            place(root, shutil.which(tool, path=stock.PATH))
    place_libvirt(root)
    for library in LOADED_LIBRARIES:
        path = stock.find_library(library)
        if path:
            place(root, path)
    place_qemu_data(root)
    shutil.copytree(TESTS, root / "lab/tests",
                    ignore=lambda folder, names: [n for n in names if n == "__pycache__"])
    tiny_guests = TESTS.parent / "build" / "guests"
    if tiny_guests.exists():
        shutil.copytree(tiny_guests, root / "lab/build/guests")
    for name, path in extra_files.items():
        shutil.copy(path, root / "lab" / name)


def write_disk(root, disk):
    with open(disk, "wb") as file:
        file.truncate(DISK_SIZE)
    stock.output_of("mkfs.ext4", "-q", "-F", "-O", "^has_journal",
                    "-E", "root_owner=0:0,lazy_itable_init=1", "-d", str(root), str(disk))


class HostFiles:
    """What any number of hosts boot from, as often as wanted: .kernel, .disk, to which
    none of them writes, and .initramfs."""

    def __init__(self, kernel, vmms, folder, extra_files=None):
        folder = pathlib.Path(folder)
        self.kernel = kernel
        self.disk = folder / "host.img"
        self.initramfs = folder / "host.cpio"
        write_root(folder / "root", vmms, extra_files or {})
        write_disk(folder / "root", self.disk)
        image = stock.Initramfs()
        for name in ("proc", "dev", "mnt"):
            image.folder(name)
        image.busybox()
        image.modules(kernel.modules(HOST_MODULES))
        image.file("init", HERE / "init" / "host-initramfs.sh", 0o755)
        image.write(self.initramfs)


class EmulatedHost:
    """One that boots from @files and has @folder for what is its own."""

    def __init__(self, files, folder):
        self.files = files
        self.folder = pathlib.Path(folder)
        self.process = None
        self.channel = None

    def write_initramfs(self, job):
        """That of all hosts, and the job; the kernel unpacks one after the other."""
        path = self.folder / "job.cpio"
        image = stock.Initramfs()
        image.data("job", f"exec {shlex.join(job)}\n".encode())
        image.write(path)
        path.write_bytes(self.files.initramfs.read_bytes() + path.read_bytes())
        return path

    def start(self, job):
        """Boots the host for a job, an argument vector that is run in /lab; .channel is
        the job's terminal."""
        initramfs = self.write_initramfs(job)
        ours, theirs = socket.socketpair()
        argv = [EMULATOR, "-nodefaults", "-no-user-config", "-display", "none",
                "-accel", "tcg,thread=multi", "-M", "q35", "-cpu", CPU, "-smp", "1",
                "-m", "2048", "-no-reboot", "-kernel", str(self.files.kernel.vmlinux),
                "-initrd", str(initramfs),
                "-append", "console=ttyS0 quiet panic=-1 mitigations=off tsc=reliable",
                "-drive", f"file={self.files.disk},format=raw,if=virtio,cache=unsafe,"
                "snapshot=on",
                "-chardev", f"file,id=log,path={self.folder / 'host.log'}",
                "-serial", "chardev:log",
                "-chardev", f"socket,id=job,fd={theirs.fileno()}",
                "-serial", "chardev:job"]
        with open(self.folder / "emulator.log", "wb") as log:
            # What is written to the disk goes to a file there.
            self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log,
                                            stderr=log, pass_fds=[theirs.fileno()],
                                            env={**os.environ,
                                                 "TMPDIR": str(self.folder)})
        theirs.close()
        self.channel = ours

    def lines(self, silence=SILENCE):
        """Yields what the job writes, by line, until the host is off.  HostHang when it
        is silent for that long; the runner's heartbeat keeps a living one from being so.

        The emulator now and then forgets that its CPU has an interrupt pending (its SVM
        code changes that word without atomics).  Any later interrupt makes it look again,
        so each second an empty line is typed that nobody reads.
        """
        pending = b""
        heard = time.monotonic()
        while True:
            ready, _, _ = select.select([self.channel], [], [], 1)
            if not ready:
                if time.monotonic() - heard > silence:
                    raise HostHang(f"silent for {silence} s")
                self.poke()
                continue
            heard = time.monotonic()
            try:
                data = self.channel.recv(1 << 16)
            except ConnectionError:
                data = b""
            if not data:
                break
            pending += data
            *whole, pending = pending.split(b"\n")
            for line in whole:
                yield line.decode(errors="replace").rstrip("\r")

    def poke(self):
        self.type("")

    def type(self, line):
        """Is read by the job, if it reads."""
        try:
            self.channel.send(f"{line}\n".encode(), socket.MSG_DONTWAIT)
        except OSError:
            pass

    def log(self):
        """The last words of the emulator and of the host's own console."""
        lines = []
        for name in ("emulator.log", "host.log"):
            path = self.folder / name
            if path.exists():
                lines += path.read_text(errors="replace").splitlines()[-15:]
        return lines

    def stop(self, grace=10):
        """Ends the host, by itself or not."""
        if self.process is None:
            return
        try:
            self.process.wait(grace)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.channel.close()
        self.process = None
