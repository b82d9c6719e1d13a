# SPDX-License-Identifier: Apache-2.0
"""The stock guest: Debian's cloud kernel, fetched once and kept outside the tree, and a
small initramfs for it.  Nothing here needs root."""

import os
import pathlib
import re
import shutil
import struct
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
CLOUD_KERNEL = "linux-image-cloud-amd64"
# Larger, and with drivers of real hardware; few scenarios need it.
FULL_KERNEL = "linux-image-amd64"
# What only some scenarios put into their guests.
TOOL_PROGRAMS = ["dmidecode", "qemu-ga", "mke2fs", "e2fsck"]
TOOL_MODULES = ["qemu_fw_cfg", "virtio_console", "pvpanic-mmio", "pvpanic-pci",
                "vmw_vsock_virtio_transport", "virtio_balloon", "virtio_blk",
                "virtio_mem", "virtio_net", "virtio_scsi", "sd_mod", "sr_mod", "isofs",
                "8021q"]
FULL_MODULES = ["button", "evdev", "lpc_ich", "iTCO_wdt", "i6300esb",
                "xhci_pci", "sd_mod", "sr_mod", "ahci"]
FOLDERS = ["proc", "sys", "dev", "tmp", "root"]
SCRIPTS = {"init": HERE / "init" / "guest-init.sh",
           "etc/acpi/PWRF/00000080": HERE / "init" / "power-button.sh"}
# Where the agent of QEMU looks for it.
SHUTDOWN = ("sbin/shutdown", HERE / "init" / "shutdown.sh")
GUEST_MODULES = ["button", "evdev", "virtio_pci", "virtio-rng"]
# In lib for a guest that loads them by itself.
SPARE_MODULES = ["efivarfs", "qemu_fw_cfg"]
PATH = os.environ.get("PATH", "/usr/bin:/bin") + ":/usr/sbin:/sbin"


def cache_dir():
    base = os.environ.get("XDG_CACHE_HOME") or pathlib.Path.home() / ".cache"
    folder = pathlib.Path(base) / "berth"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def output_of(*argv, **options):
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          text=True, check=True, env={**os.environ, "PATH": PATH},
                          **options)
    return done.stdout


class StockKernel:
    """An unpacked kernel package: .release, .vmlinuz, .vmlinux and its modules."""

    def __init__(self, folder):
        self.folder = folder
        self.vmlinuz = next(folder.glob("boot/vmlinuz-*"))
        self.release = self.vmlinuz.name.partition("-")[2]
        self.vmlinux = folder / "vmlinux"

    def modules(self, names):
        """The files of these modules and of what they need, in the order of loading."""
        files = []
        for name in names:
            text = output_of("modprobe", "--dirname", str(self.folder), "--set-version",
                             self.release, "--show-depends", name)
            for line in text.splitlines():
                kind, _, rest = line.partition(" ")
                path = pathlib.Path(rest.split()[0]) if kind == "insmod" else None
                if path and path not in files:
                    files.append(path)
        return files


def write_vmlinux(vmlinuz, target):
    """Takes the ELF file out of a bzImage (boot protocol 2.08, payload_offset)."""
    image = vmlinuz.read_bytes()
    setup_size = ((image[0x1f1] or 4) + 1) * 512
    offset, length = struct.unpack_from("<II", image, 0x248)
    payload = image[setup_size + offset:setup_size + offset + length]
    tools = {b"\x02\x21\x4c\x18": ["lz4", "-dc"], b"\xfd7zX": ["xz", "-dc"],
             b"\x28\xb5\x2f\xfd": ["zstd", "-dc"], b"\x1f\x8b\x08": ["gzip", "-dc"]}
    tool = next((tools[magic] for magic in tools if payload.startswith(magic)), None)
    if tool is None:
        raise RuntimeError(f"{vmlinuz}: unknown compression {payload[:4].hex()}")
    with tempfile.TemporaryFile() as packed, open(target, "wb") as out:
        packed.write(payload[:-4])
        packed.seek(0)
        subprocess.run(tool, stdin=packed, stdout=out, check=True)


def unpack(package, target):
    """Unpacks a kernel package beside its place, then renames: no half a cache entry."""
    with tempfile.TemporaryDirectory(dir=target.parent) as work:
        folder = pathlib.Path(work) / "kernel"
        subprocess.run(["dpkg-deb", "-x", str(package), str(folder)], check=True)
        kernel = StockKernel(folder)
        write_vmlinux(kernel.vmlinuz, kernel.vmlinux)
        output_of("depmod", "-b", str(folder), kernel.release)
        shutil.rmtree(folder / "usr", ignore_errors=True)
        folder.rename(target)


def download(package, folder):
    """apt-get download; refreshes the lists once if apt's are stale and we may."""
    for attempt in range(2):
        done = subprocess.run(["apt-get", "-q", "download", package], cwd=folder,
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.STDOUT, text=True)
        found = list(pathlib.Path(folder).glob("*.deb"))
        if done.returncode == 0 and found:
            return found[0]
        if attempt == 0:
            update = ["apt-get", "-q", "update"]
            if os.geteuid() != 0:
                update = ["sudo", "-n"] + update
            subprocess.run(update, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
    raise RuntimeError(f"apt-get download {package}: {done.stdout.strip()}")


def candidate(meta):
    """What the meta package stands for, and its version; None when apt has no lists."""
    depends = output_of("apt-cache", "depends", meta,
                        stderr=subprocess.DEVNULL)
    name = re.search(r"Depends: (linux-image-\S+)", depends)
    if not name:
        return None
    policy = output_of("apt-cache", "policy", name[1])
    version = re.search(r"Candidate: (\S+)", policy)
    return (name[1], version[1]) if version and version[1] != "(none)" else None


def fetched_before(cache, meta):
    """Kernels in the cache, the newest last."""
    found = [p for p in cache.glob("linux-image-*") if p.is_dir()
             and ("-cloud-" in p.name) == ("-cloud-" in meta)]
    return sorted(found, key=lambda p: p.stat().st_mtime)


def fetch_kernel(say=lambda text: print(text, file=sys.stderr), meta=CLOUD_KERNEL):
    """The newest stock kernel that apt knows, else the newest one fetched before."""
    cache = cache_dir()
    try:
        known = candidate(meta)
        if known is None:
            with tempfile.TemporaryDirectory() as nowhere:
                download(meta, nowhere)
            known = candidate(meta)
        name, version = known
        target = cache / f"{name}_{version.replace(':', '.')}"
        if not target.exists():
            say(f"fetching {name} {version} (kept in {cache})")
            with tempfile.TemporaryDirectory(dir=cache) as work:
                unpack(download(name, work), target)
        return StockKernel(target)
    except (OSError, RuntimeError, TypeError, subprocess.CalledProcessError) as error:
        old = fetched_before(cache, meta)
        if not old:
            raise RuntimeError(f"no stock kernel: {error}") from error
        say(f"using {old[-1].name}, fetched before ({error})")
        return StockKernel(old[-1])


def shared_libraries(binary):
    done = subprocess.run(["ldd", str(binary)], stdout=subprocess.PIPE,
                          stderr=subprocess.DEVNULL, text=True)
    return re.findall(r"(/\S+) \(0x", done.stdout)


def find_library(name):
    """The path of a library that the loader knows, or None."""
    found = re.search(rf"^\s*{re.escape(name)} .* => (/\S+)", output_of("ldconfig", "-p"),
                      re.MULTILINE)
    return found[1] if found else None


class Initramfs:
    """A newc archive of files, folders and links, owned by root, made by anybody."""

    def __init__(self):
        self.parts = []
        self.count = 0
        self.folders = {""}

    def _entry(self, name, mode, data=b""):
        fields = [self.count + 1, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0,
                  len(name) + 1, 0]
        head = b"070701" + b"".join(b"%08X" % f for f in fields) + name.encode() + b"\0"
        for part in (head, data):
            self.parts += [part, b"\0" * (-len(part) % 4)]
        self.count += 1

    def folder(self, name):
        if name not in self.folders:
            self.folder(name.rpartition("/")[0])
            self.folders.add(name)
            self._entry(name, 0o40755)

    def data(self, name, data, mode=0o644):
        self.folder(name.rpartition("/")[0])
        self._entry(name, 0o100000 | mode, data)

    def file(self, name, path, mode=0o644):
        self.data(name, pathlib.Path(path).read_bytes(), mode)

    def program(self, path):
        """A program of this machine, in bin, with the libraries that it needs."""
        self.file(f"bin/{pathlib.Path(path).name}", path, 0o755)
        for library in shared_libraries(path):
            self.file(library.lstrip("/"), library, 0o755)

    def link(self, name, target):
        self.folder(name.rpartition("/")[0])
        self._entry(name, 0o120777, target.encode())

    def busybox(self):
        busybox = shutil.which("busybox", path=PATH)
        self.file("bin/busybox", busybox, 0o755)
        for applet in output_of(busybox, "--list").split():
            if applet != "busybox":
                self.link(f"bin/{applet}", "busybox")

    def modules(self, files):
        """Copies them and lists them in /modules in the order of loading."""
        for path in files:
            self.file(f"lib/{path.name}", path)
        self.data("modules", "".join(f"/lib/{p.name}\n" for p in files).encode())

    def write(self, target):
        self._entry("TRAILER!!!", 0)
        pathlib.Path(target).write_bytes(b"".join(self.parts))


def write_guest_initramfs(kernel, target, modules=GUEST_MODULES):
    image = Initramfs()
    for name in FOLDERS:
        image.folder(name)
    image.busybox()
    image.modules(kernel.modules(modules))
    for path in kernel.modules(SPARE_MODULES):
        image.file(f"lib/{path.name}", path)
    for name, path in SCRIPTS.items():
        image.file(name, path, 0o755)
    image.write(target)


def place_guest(root):
    """Fills the folder @root with the same guest; it has no modules to load."""
    for name in FOLDERS + ["bin"]:
        (root / name).mkdir()
    busybox = shutil.which("busybox", path=PATH)
    shutil.copy(busybox, root / "bin" / "busybox")
    for applet in output_of(busybox, "--list").split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    for name, path in SCRIPTS.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, root / name)
        (root / name).chmod(0o755)
    (root / "modules").touch()


def write_guest_disk(target, size):
    """A disk with ext4 and no partition table: the same guest, with it as its root."""
    with tempfile.TemporaryDirectory() as root:
        place_guest(pathlib.Path(root))
        output_of("mke2fs", "-q", "-t", "ext4", "-d", root, str(target), size)


def write_guest_tools(kernel, target):
    """Another archive, to be put behind the first: programs, and modules in lib."""
    image = Initramfs()
    for name in TOOL_PROGRAMS:
        image.program(shutil.which(name, path=PATH))
    image.file(*SHUTDOWN, 0o755)
    for path in kernel.modules(TOOL_MODULES):
        image.file(f"lib/{path.name}", path)
    image.write(target)


if __name__ == "__main__":
    for package in (CLOUD_KERNEL, FULL_KERNEL):
        print(fetch_kernel(meta=package).vmlinuz)
