# SPDX-License-Identifier: Apache-2.0
"""virtio-serial in a stock guest: a console on hvc0, channels by name, bulk both ways,
a host that does not read, the guest agent, and a reset with ports open."""

import hashlib
import json
import socket
import time

from guest import SILENCE

SECONDS = 40
AGENT = "org.qemu.guest_agent.0"
SIZE = 1 << 20
PORTS = "/dev/virtio-ports"
# What udev does elsewhere.
NAMES = "/sys/class/virtio-ports/*/name"
LINKS = (f"until [ $(ls {NAMES} | wc -l) = 3 ]; do usleep 10000; done 2> /dev/null; "
         f"mkdir -p {PORTS}; for n in {NAMES}; do p=${{n%/name}}; "
         f"ln -sf /dev/${{p##*/}} {PORTS}/$(cat $n); done; ls {PORTS}")
GETTY = "(setsid getty -n -l /bin/sh 0 hvc0 vt100 &)"
QEMU_GA = f"(qemu-ga -m virtio-serial -p {PORTS}/{AGENT} -t /tmp > /tmp/ga 2>&1 &)"


class Client:
    """A program on the host at the far end of a channel."""

    def __init__(self, path):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(SILENCE)
        self.sock.connect(str(path))
        self.text = b""

    def send(self, data):
        self.sock.sendall(data)

    def wait(self, wanted):
        """Reads until @wanted came; returns what stood before it."""
        while wanted not in self.text:
            data = self.sock.recv(1 << 16)
            if not data:
                raise EOFError(f"no {wanted} in {self.text[-200:]}")
            self.text += data
        before, _, self.text = self.text.partition(wanted)
        return before

    def receive(self, size):
        while len(self.text) < size:
            data = self.sock.recv(1 << 16)
            if not data:
                break
            self.text += data
        data, self.text = self.text[:size], self.text[size:]
        return data

    def ask(self, command):
        """A command of the agent, after a sync."""
        for request in ({"execute": "guest-sync", "arguments": {"id": 4711}}, command):
            self.send(json.dumps(request).encode() + b"\n")
            reply = json.loads(self.wait(b"\n").lstrip(b"\xff"))
        return reply

    def close(self):
        self.sock.close()


def wait_change(guest, port):
    """The next state of the port that VSERPORT_CHANGE tells."""
    return guest.qmp.wait_event("VSERPORT_CHANGE",
                                accept=lambda data: data["id"] == port)["open"]


def frontends(guest):
    return {c["label"]: c["frontend-open"] for c in guest.qmp.command("query-chardev")}


def scenario(lab):
    argv = ["-device", "pcie-root-port,id=port0,chassis=1,addr=4",
            "-device", "virtio-serial-pci,id=vs,bus=port0"]
    for name, device in (("con", "virtconsole"),
                         ("agent", f"virtserialport,name={AGENT}"),
                         ("bulk", "virtserialport,name=org.example.bulk"),
                         ("deaf", "virtserialport,name=org.example.deaf")):
        path = lab.folder / name
        argv += ["-chardev", f"socket,id=c-{name},path={path},server=on,wait=off",
                 "-device", f"{device},chardev=c-{name},id={name},bus=vs.0"]
    guest = lab.guest(*argv, tools=True).boot()
    names = guest.run(f"insmod /lib/virtio_console.ko; {LINKS}").split()
    lab.equal("ports by their names", sorted(names),
              sorted([AGENT, "org.example.bulk", "org.example.deaf"]))
    lab.check("the console is opened by its driver", wait_change(guest, "con"))
    check_console(lab, guest)
    check_bulk(lab, guest)
    check_slow_host(lab, guest)
    check_agent(lab, guest)
    check_reset(lab, guest)
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)


def check_console(lab, guest):
    client = Client(lab.folder / "con")
    guest.run(GETTY)
    client.wait(b"# ")
    client.send(b"echo ec''ho; tty\n")
    lab.match("a terminal echoes", client.wait(b"\necho\r\n").decode(), "echo ec''ho;")
    lab.match("it is hvc0", client.wait(b"# ").decode(), "/dev/hvc0")
    client.send(b"for i in $(seq 1000 1999); do echo $i; done; exit\n")
    numbers = client.wait(b"1999\r\n").decode().split()
    lab.equal("long output arrives whole", numbers[-999:],
              [str(i) for i in range(1000, 1999)])
    client.close()


def check_bulk(lab, guest):
    data = bytes(i * i % 251 for i in range(SIZE))
    digest = hashlib.md5(data).hexdigest()
    port = f"{PORTS}/org.example.bulk"
    client = Client(lab.folder / "bulk")
    guest.run(f"{{ cat {port} > /tmp/bulk; md5sum < /tmp/bulk > /tmp/sum; }} & true")
    lab.check("a port is opened", wait_change(guest, "bulk"))
    lab.check("query-chardev tells", frontends(guest)["c-bulk"])
    began = time.monotonic()
    client.send(data)
    client.close()
    text = guest.run("wait $!; cat /tmp/sum")
    lab.out(f"# host to guest: {SIZE / 1024 / (time.monotonic() - began):.0f} KiB/s")
    lab.match("the guest reads it all, and the end", text, digest)
    lab.check("the port is closed", not wait_change(guest, "bulk"))
    lab.check("query-chardev tells that, too", not frontends(guest)["c-bulk"])
    client = Client(lab.folder / "bulk")
    began = time.monotonic()
    guest.run(f"dd if=/tmp/bulk of={port} bs=32k 2> /dev/null & true")
    got = client.receive(SIZE)
    lab.out(f"# guest to host: {SIZE / 1024 / (time.monotonic() - began):.0f} KiB/s")
    lab.equal("the host reads the same", hashlib.md5(got).hexdigest(), digest)
    client.close()


def check_slow_host(lab, guest):
    """Nobody reads this channel for a while; everything else goes on."""
    client = Client(lab.folder / "deaf")
    guest.run(f"{{ dd if=/tmp/bulk of={PORTS}/org.example.deaf bs=2k && echo sent > "
              "/tmp/sent; } 2> /dev/null & true")
    lab.check("the port is opened", wait_change(guest, "deaf"))
    lab.equal("the writer waits", guest.run("sleep 1; test -e /tmp/sent || echo waits"),
              "waits")
    other = Client(lab.folder / "bulk")
    guest.run(f"echo hello > {PORTS}/org.example.bulk")
    lab.equal("another port goes on", other.receive(6), b"hello\n")
    other.close()
    got = client.receive(SIZE)
    lab.equal("nothing was lost", hashlib.md5(got).hexdigest(),
              guest.run("md5sum < /tmp/bulk").split()[0])
    guest.run("wait $!; cat /tmp/sent")
    client.close()


def check_agent(lab, guest):
    guest.run(QEMU_GA)
    lab.check("the agent opens its channel", wait_change(guest, "agent"))
    client = Client(lab.folder / "agent")
    lab.equal("the agent answers", client.ask({"execute": "guest-ping"}), {"return": {}})
    info = client.ask({"execute": "guest-info"})
    lab.check("with a long answer, too", "supported_commands" in info["return"], info)
    client.close()
    client = Client(lab.folder / "agent")
    lab.equal("and the next client", client.ask({"execute": "guest-ping"}),
              {"return": {}})
    client.close()


def check_reset(lab, guest):
    guest.qmp.command("system_reset")
    lab.check("a reset closes the agent's channel", not wait_change(guest, "agent"))
