#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The demo itself, on a host with KVM: starts a server, talks to it, powers it off.

Exit codes: 0 all went as told, 1 something did not, 3 the guest fell silent.
"""

import argparse
import os
import pathlib
import re
import select
import shlex
import subprocess
import sys
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e"), str(HERE.parent / "kit")]
from demo_network import DemoNetwork  # noqa: E402
from guest import QUIET, Guest, Stall  # noqa: E402
from qmp import Qmp  # noqa: E402

STALLED = 3
EXTRA_SIZE = 8 << 20
LEAVE = b"\x1d"


class Story:
    def __init__(self, options, folder):
        append = f"{QUIET} disk=/dev/vda"
        if options.interactive:
            append = append.replace("shell=plain", "shell=human")
        self.vmm = options.vmm
        self.disk = pathlib.Path(options.disk).resolve()
        self.overlay = pathlib.Path(folder) / "overlay.qcow2"
        root = f"qcow2,node-name=root,file.driver=file,file.filename={self.overlay}"
        self.network = DemoNetwork(options.own_network)
        self.guest = self.make_guest(options, folder, ["-blockdev", root], append)
        self.began = None

    def make_guest(self, options, folder, root, append):
        """@root are arguments that make the disk's node "root"."""
        return Guest(
            options.vmm, folder, "-name", "demo", "-device", "virtio-rng-pci",
            "-object", "iothread,id=io0", *root,
            "-device", "virtio-blk-pci,drive=root,iothread=io0", *self.network.args,
            "-device", "pcie-root-port,id=slot0,chassis=1",
            "-device", "pcie-root-port,id=slot1,chassis=2",
            kernel=options.kernel, initrd=options.initrd, append=append, cpus=2,
            memory=512)

    def say(self, text):
        print(f"[{time.monotonic() - self.began:5.1f} s] {text}", flush=True)

    def show(self, text, mark="| "):
        for line in text.splitlines():
            print(f"          {mark}{line}", flush=True)

    def ask(self, name):
        """Runs a QMP command and tells it."""
        reply = self.guest.qmp.command(name)
        self.say(f"QMP {name}: {reply}")
        return reply

    def make_overlay(self):
        """What the guest writes goes to an image of its own, which berth makes."""
        size = self.disk.stat().st_size
        image = {"driver": "file", "filename": str(self.overlay)}
        path = self.overlay.parent / "maker"
        argv = [self.vmm, "-machine", "none", "-nodefaults", "-display", "none",
                "-qmp", f"unix:{path},server=on,wait=off"]
        with subprocess.Popen(argv, stdin=subprocess.DEVNULL) as maker:
            qmp = Qmp.connect(path)
            self.run_job(qmp, {**image, "size": 0})
            qmp.command("blockdev-add", **{**image, "node-name": "file"})
            self.run_job(qmp, {
                "driver": "qcow2", "file": "file", "size": size,
                "backing-file": str(self.disk), "backing-fmt": "raw"})
            qmp.command("quit")
            maker.wait()
        self.say(f"QMP blockdev-create: an overlay of {self.overlay.stat().st_size} "
                 f"bytes on a root of {size}")

    def run_job(self, qmp, image):
        qmp.command("blockdev-create", **{"job-id": "make", "options": image})
        qmp.wait_event("JOB_STATUS_CHANGE",
                       accept=lambda data: data["status"] == "concluded")
        error = qmp.command("query-jobs")[0].get("error")
        if error:
            raise RuntimeError(error)
        qmp.command("job-dismiss", id="make")

    def start(self):
        self.began = time.monotonic()
        self.root = self.disk.read_bytes()
        self.make_overlay()
        self.say("starting " + shlex.join(self.guest.argv))
        self.guest.start()
        version = self.guest.qmp.greeting["version"]
        self.say(f"QMP greets: {version['package'] or version['qemu']}")
        self.ask("query-status")

    def talk(self):
        guest = self.guest
        guest.wait_up()
        self.say("the stock kernel is up, with a shell on its serial console; it says")
        for command in ("uname -sr", "nproc", "dmesg | grep -i hypervisor", "df /"):
            self.show(command, "guest# ")
            self.show(guest.run(command))
        if guest.run("nproc") != "2":
            raise RuntimeError("the guest does not count 2 CPUs")
        for cpu in self.guest.qmp.command("query-cpus-fast"):
            self.say(f"QMP query-cpus-fast: vCPU {cpu['cpu-index']} is thread "
                     f"{cpu['thread-id']}")
        for command, event, status in (("stop", "STOP", "paused"),
                                       ("cont", "RESUME", "running")):
            self.ask(command)
            guest.qmp.wait_event(event)
            self.say(f"event {event}, status {guest.status}")
            if guest.status != status:
                raise RuntimeError(f"the status is not {status}")
        self.show(guest.run("echo the guest goes on"))
        self.write()
        self.fetch("eth0")
        self.plug()

    def plug(self):
        """A disk and a NIC come, are used, and go."""
        qmp = self.guest.qmp
        extra = self.overlay.parent / "extra"
        extra.write_bytes(bytes(EXTRA_SIZE))
        qmp.command("blockdev-add", driver="file", node_name="extra", filename=str(extra))
        qmp.command("netdev_add", id="net1", **self.network.netdev)
        for device in ({"driver": "virtio-blk-pci", "id": "disk1", "drive": "extra"},
                       {"driver": "virtio-net-pci", "id": "nic1", "netdev": "net1"}):
            qmp.command("device_add", **device)
            self.say(f"QMP device_add: {device}")
        self.guest.run("until [ -b /dev/vdb ] && [ -e /sys/class/net/eth1 ]; do "
                       "usleep 10000; done; ip link set eth0 down")
        for command in ("grep vdb /proc/partitions",
                        "echo it came while we ran > /dev/vdb; sync"):
            self.show(command, "guest# ")
            self.show(self.guest.run(command))
        if not extra.read_bytes().startswith(b"it came while we ran"):
            raise RuntimeError("the disk that came has not what the guest wrote")
        self.fetch("eth1")
        for name in ("disk1", "nic1"):
            began = time.monotonic()
            qmp.command("device_del", id=name)
            qmp.wait_event("DEVICE_DELETED",
                           accept=lambda data, name=name: data.get("device") == name)
            self.say(f"QMP device_del: {name} was let go in "
                     f"{1e3 * (time.monotonic() - began):.0f} ms")
        qmp.command("blockdev-del", node_name="extra")
        qmp.command("netdev_del", id="net1")

    def fetch(self, nic):
        """A file of the host's, through the guest's network."""
        network = self.network
        self.say(f"the guest's NIC is on {network.kind}; the host has a file of "
                 f"{len(network.data)} bytes:")
        self.show(f"{network.checksum}  {network.url}", "host: ")
        for command in (f"ip link set {nic} up",
                        f"ip address add {network.guest}/24 dev {nic}",
                        f"wget -q -O /fetched {network.url}", "sha256sum /fetched"):
            self.show(command, "guest# ")
            text = self.guest.run(command)
            self.show(text)
        if text.split()[0] != network.checksum:
            raise RuntimeError("the file is another one in the guest")

    def write(self):
        command = "dd if=/dev/urandom of=/file bs=64k count=64 conv=fsync"
        self.show(command, "guest# ")
        self.guest.run(f"{command} 2> /dev/null")
        if self.disk.read_bytes() != self.root:
            raise RuntimeError("the root's image has changed below its overlay")
        self.say(f"the overlay takes {self.overlay.stat().st_blocks // 2} KiB; the image "
                 "below it is as it was")

    def power_off(self):
        self.ask("system_powerdown")
        self.guest.qmp.wait_event("POWERDOWN")
        reason = self.guest.qmp.wait_event("SHUTDOWN", 120)["reason"]
        self.say(f"the guest took the power button: event SHUTDOWN, {reason}")
        code = self.guest.wait_exit()
        self.say(f"the VMM has ended with exit code {code}")
        if code != 0 or reason != "guest-shutdown":
            raise RuntimeError("the end is not what it should be")

    def console(self):
        """Leaves the person on the guest's console until it is off or Ctrl-] is typed."""
        self.say("the guest's console is yours; Ctrl-] powers it off")
        self.say(f"its eth0 is on {self.network.kind}: {self.network.guest}/24, and "
                 f"{self.network.url} on the host")
        self.converse()
        if self.guest.process.poll() is None:
            self.power_off()
        else:
            self.say(f"the guest is off; exit code {self.guest.wait_exit()}")

    def converse(self):
        """Passes on what is typed and written, until the guest is off or to be."""
        guest = self.guest
        shown = 0
        while guest.process.poll() is None:
            ready, _, _ = select.select([0], [], [], 0.03)
            data = os.read(0, 256) if ready else b""
            before, leave, _ = data.partition(LEAVE)
            if before:
                guest.type(before.decode(errors="replace"))
            text = guest.console.text
            sys.stdout.write(text[shown:])
            sys.stdout.flush()
            shown = len(text)
            if leave or (ready and not data):
                print(flush=True)
                # A button that is pressed before is lost.
                guest.wait_up()
                return


def beat():
    """Lets the reader tell a host that hangs from a guest that is slow."""
    while True:
        time.sleep(4)
        print("# alive", flush=True)


def main(kind=Story):
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("--vmm", "--disk"):
        parser.add_argument(name, required=True)
    for name in ("--kernel", "--initrd"):
        parser.add_argument(name)
    parser.add_argument("--interactive", action="store_true")
    parser.add_argument("--own-network", action="store_true",
                        help="the network namespace is the demo's")
    parser.add_argument("--heartbeat", action="store_true",
                        help="write a line each few seconds")
    options = parser.parse_args()
    if options.heartbeat:
        threading.Thread(target=beat, daemon=True).start()
    with tempfile.TemporaryDirectory(prefix="berth-demo-") as folder:
        story = kind(options, folder)
        try:
            story.start()
            if options.interactive:
                story.console()
            else:
                story.talk()
                story.power_off()
            return 0
        except Exception as error:
            print(f"failed: {type(error).__name__}: {error}")
            for line in story.guest.story():
                print(f"  {re.sub(chr(13), '', line)}")
            return STALLED if isinstance(error, Stall) else 1
        finally:
            story.guest.close()


if __name__ == "__main__":
    sys.exit(main())
