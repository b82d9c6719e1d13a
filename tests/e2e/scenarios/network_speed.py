# SPDX-License-Identifier: Apache-2.0
"""TCP of a stock guest through a tap, without and with vhost-net: 100 MiB each way, and
32 MiB (in an emulated host 32 and 16), arrive whole, and rates are printed.  With lab.py
--beside the two VMMs take turns: one is stopped while the other is measured, in the same
host, so that their ratio means something on a busy machine, too."""

import os
import pathlib
import socket
import time

import tcp
from host_network import ip

SECONDS = 120
MODULES = "failover net_failover virtio_net"
SIZE = 2 << 20
WHOLE_SIZE = {"off": 100 << 20, "on": 32 << 20}
EMULATED_SIZE = {"off": 32 << 20, "on": 16 << 20}
PORT, WEB_PORT = 5001, 8080
TURNS_BESIDE = 9
BLOCK = tcp.numbers(SIZE)
REQUEST = b"GET /block HTTP/1.0\r\n\r\n"


def median(rates):
    return sorted(rates)[len(rates) // 2]


class Nic:
    """One of a guest's, with the interface and the network that are its alone."""

    def __init__(self, guest_number, number, vhost):
        self.vhost = vhost
        self.interface = f"berths{guest_number}{number}"
        self.eth = f"eth{number}"
        network = f"192.168.{80 + 2 * guest_number + number}"
        self.host, self.guest = f"{network}.1", f"{network}.2"
        self.arguments = [
            "-netdev", f"tap,id=n{number},ifname={self.interface},vhost={vhost},"
            "script=no,downscript=no",
            "-device", f"virtio-net-pci,netdev=n{number},addr={4 + number},romfile="]
        self.to_guest, self.from_guest = [], []
        self.broken = []

    def set_up(self, guest):
        ip("link", "set", self.interface, "up")
        ip("address", "add", f"{self.host}/24", "dev", self.interface)
        guest.run(f"ip link set {self.eth} up; "
                  f"ip address add {self.guest}/24 dev {self.eth}")


class Side:
    """A VMM with its guest."""

    def __init__(self, lab, vmm, number):
        self.name = pathlib.Path(vmm).name
        kinds = ["off", "on"] if os.path.exists("/dev/vhost-net") else ["off"]
        self.nics = [Nic(number, i, vhost) for i, vhost in enumerate(kinds)]
        arguments = [word for nic in self.nics for word in nic.arguments]
        self.guest = lab.guest(*arguments, tools=True, vmm=vmm).boot()
        self.guest.run(f"for m in {MODULES}; do insmod /lib/$m.ko; done")
        for nic in self.nics:
            nic.set_up(self.guest)
        tcp.write_numbers(self.guest, "/tmp/block", SIZE)
        self.guest.run(f"httpd -p {WEB_PORT} -h /tmp")

    def take_turn(self):
        self.guest.qmp.command("cont")
        for nic in self.nics:
            nic.to_guest.append(self.send(nic))
            nic.from_guest.append(self.receive(nic))
        self.guest.qmp.command("stop")

    def send(self, nic):
        """Megabytes a second.  The guest hangs up when it has all; its input stays open,
        or it would say at once that it has nothing to send."""
        self.guest.run(f"rm -f /tmp/n; (sleep 600 | nc -l -p {PORT} | wc -c > /tmp/n) "
                       f"& until netstat -ltn | grep -q :{PORT}; do usleep 10000; done")
        with socket.create_connection((nic.guest, PORT), timeout=tcp.SILENCE) as sock:
            begin = time.monotonic()
            sock.sendall(bytes(SIZE))
            sock.shutdown(socket.SHUT_WR)
            sock.recv(1)
            took = time.monotonic() - begin
        self.guest.run("until [ -s /tmp/n ]; do usleep 10000; done")
        count = self.guest.run("cat /tmp/n")
        if count != str(SIZE):
            nic.broken.append(f"the guest has {count} bytes")
        return SIZE / took / 1e6

    def receive(self, nic):
        pieces = []
        with socket.create_connection((nic.guest, WEB_PORT), timeout=tcp.SILENCE) as sock:
            begin = time.monotonic()
            sock.sendall(REQUEST)
            while not pieces or pieces[-1]:
                pieces.append(sock.recv(1 << 18))
            took = time.monotonic() - begin
        got = b"".join(pieces).partition(b"\r\n\r\n")[2]
        if got != BLOCK:
            nic.broken.append(f"the host has {len(got)} bytes, or others")
        return SIZE / took / 1e6

    def check_whole(self, lab):
        self.guest.qmp.command("cont")
        for nic in self.nics:
            sizes = EMULATED_SIZE if lab.emulated else WHOLE_SIZE
            name, size = f"vhost={nic.vhost}", sizes[nic.vhost]
            tcp.check_to_guest(lab, self.guest, nic.guest, size, name)
            tcp.check_to_host(lab, self.guest, nic.host, size, name)

    def tell(self, lab):
        for nic in self.nics:
            lab.equal(f"{self.name}, vhost={nic.vhost}: what is sent both ways is whole",
                      nic.broken, [])
            lab.out(f"#   {self.name}, vhost={nic.vhost}: "
                    f"{median(nic.to_guest):.1f} MB/s to the guest, "
                    f"{median(nic.from_guest):.1f} from it")


def scenario(lab):
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        lab.skip("TCP through a tap", "not root, or there is no /dev/net/tun")
        return
    vmms = [vmm for vmm in (lab.options.vmm, lab.options.beside) if vmm]
    sides = []
    for number, vmm in enumerate(vmms):
        sides.append(Side(lab, vmm, number))
        sides[-1].guest.qmp.command("stop")
    for _ in range(1 if len(sides) == 1 else TURNS_BESIDE):
        for side in sides:
            side.take_turn()
    if len(sides) == 1:
        sides[0].check_whole(lab)
    for side in sides:
        side.tell(lab)
        side.guest.qmp.command("quit")
        lab.equal(f"{side.name} ends", side.guest.wait_exit(), 0)
