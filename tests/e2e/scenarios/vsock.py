# SPDX-License-Identifier: Apache-2.0
"""Sockets between host and guest: the guest agent listens on one, the host connects."""

import base64
import hashlib
import json
import os
import socket
import subprocess
import time

from guest import SILENCE

CID = 5
PORT = 1234
MODULES = "vsock vmw_vsock_virtio_transport_common vmw_vsock_virtio_transport"
LISTEN = (f"for m in {MODULES}; do insmod /lib/$m.ko; done; "
          f"(qemu-ga -m vsock-listen -p {CID}:{PORT} -t /tmp > /tmp/ga 2>&1 &)")
INTERRUPTS = "grep virtio /proc/interrupts"


class Agent:
    """A connection to the agent in the guest."""

    def __init__(self):
        deadline = time.monotonic() + SILENCE
        while True:
            self.sock = socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM)
            self.sock.settimeout(SILENCE)
            try:
                self.sock.connect((CID, PORT))
                break
            except OSError:
                self.sock.close()
                if time.monotonic() > deadline:
                    raise TimeoutError("the agent does not listen") from None
                time.sleep(0.1)
        self.file = self.sock.makefile("rb")

    def ask(self, name, **arguments):
        request = {"execute": name, "arguments": arguments}
        self.sock.sendall(json.dumps(request).encode() + b"\n")
        return json.loads(self.file.readline())["return"]

    def read_file(self, path):
        """The file, in pieces that do not fit into one packet."""
        handle = self.ask("guest-file-open", path=path)
        data = b""
        while True:
            part = self.ask("guest-file-read", handle=handle, count=1 << 17)
            data += base64.b64decode(part["buf-b64"])
            if part["eof"]:
                break
        self.ask("guest-file-close", handle=handle)
        return data

    def close(self):
        self.file.close()
        self.sock.close()


def scenario(lab):
    if not os.path.exists("/dev/vhost-vsock"):
        lab.skip("sockets between host and guest", "the host has no /dev/vhost-vsock")
        return
    guest = lab.guest("-device", "pcie-root-port,id=port0,chassis=1,addr=4",
                      "-device", f"vhost-vsock-pci,guest-cid={CID},id=vsock0,bus=port0",
                      tools=True).boot()
    guest.run(LISTEN)
    agent = Agent()
    lab.equal("the agent answers on a socket", agent.ask("guest-ping"), {})
    guest.run("dd if=/dev/urandom of=/tmp/file bs=1k count=300 2> /dev/null")
    digest = hashlib.md5(agent.read_file("/tmp/file")).hexdigest()
    lab.match("300 KiB arrive whole", guest.run("md5sum /tmp/file"), digest)
    lab.match("by MSI-X", guest.run(INTERRUPTS), "virtio0-rx")
    check_pause(lab, guest, agent)
    check_second(lab, guest)
    guest.qmp.command("system_reset")
    guest.wait_up()
    agent.close()
    guest.run(LISTEN)
    agent = Agent()
    lab.equal("after a reset it answers again", agent.ask("guest-ping"), {})
    agent.close()
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)


def check_pause(lab, guest, agent):
    guest.qmp.command("stop")
    request = {"execute": "guest-sync", "arguments": {"id": 4711}}
    agent.sock.sendall(json.dumps(request).encode() + b"\n")
    agent.sock.settimeout(0.5)
    try:
        heard = agent.sock.recv(1, socket.MSG_PEEK)
    except TimeoutError:
        heard = b""
    lab.equal("a paused guest does not answer", heard, b"")
    agent.sock.settimeout(SILENCE)
    guest.qmp.command("cont")
    lab.equal("it does when it goes on", json.loads(agent.file.readline()),
              {"return": 4711})


def check_second(lab, guest):
    argv = [guest.argv[0], "-nodefaults", "-display", "none", "-S", "-device",
            f"vhost-vsock-pci,guest-cid={CID}"]
    done = subprocess.run(argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.STDOUT, text=True, timeout=SILENCE)
    lab.check("a CID is one guest's", done.returncode != 0, done.stdout)
    lab.match("and the error says so", done.stdout, f"CID {CID} is in use")
