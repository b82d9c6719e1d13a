# SPDX-License-Identifier: Apache-2.0
"""A stock guest on a bridge of its host: ping, TCP both ways with checksums and segments
left to the other side, two pairs of queues, a cable that is pulled out, stop and cont,
and an interface that is gone at the end."""

import hashlib
import os
import socket
import struct
import time

import tcp
from host_network import check_back, ip

SECONDS = 40
HOST = "192.168.77.1"
GUEST = "192.168.77.2"
MODULES = "failover net_failover virtio_net"
SIZE = 2 << 20
PORT = 5000
CSUM, TSO4, MRG_RXBUF, MQ = 0, 11, 15, 22


def scenario(lab):
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun"):
        lab.skip("a guest on a bridge", "not root, or there is no /dev/net/tun")
        return
    ip("link", "add", "berthbr0", "type", "bridge")
    try:
        ip("address", "add", f"{HOST}/24", "dev", "berthbr0")
        ip("link", "set", "berthbr0", "up")
        check_guest(lab)
    finally:
        ip("link", "del", "berthbr0")


def check_guest(lab):
    guest = lab.guest("-netdev", "tap,id=n0,ifname=berth0,br=berthbr0,queues=2",
                      "-device", "virtio-net-pci,id=nic,netdev=n0,mq=on,addr=4",
                      tools=True).boot()
    guest.run(f"for m in {MODULES}; do insmod /lib/$m.ko; done")
    guest.run(f"ip link set eth0 up && ip address add {GUEST}/24 dev eth0")
    lab.match("the guest has an address by default",
              guest.run("cat /sys/class/net/eth0/address"), "52:54:00:12:34:56")
    features = guest.run("cat /sys/class/net/eth0/device/features")
    for name, bit in (("checksums", CSUM), ("segmentation", TSO4),
                      ("mergeable buffers", MRG_RXBUF), ("several pairs", MQ)):
        lab.equal(f"it has {name}", features[bit], "1")
    pairs = guest.run("ls -d /sys/class/net/eth0/queues/rx-* | wc -l")
    lab.equal("and both pairs", pairs, "2")
    lab.match("the guest reaches the host", guest.run(f"ping -c 3 -W 20 {HOST}"),
              "3 packets received|3 received")
    lab.equal("and the host the guest", answers(3), 3)
    check_to_guest(lab, guest)
    check_to_host(lab, guest)
    check_link(lab, guest)
    guest.qmp.command("stop")
    guest.qmp.command("cont")
    lab.match("after stop and cont, too", guest.run(f"ping -c 1 -W 20 {HOST}"),
              "1 packets received|1 received")
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)
    lab.check("and its interface is gone", not os.path.exists("/sys/class/net/berth0"))


def answers(count):
    """How many of so many echo requests the guest answers, one after another."""
    got = 0
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP) as sock:
        for number in range(count):
            words = [0x0800, 0, 0x6274, number]
            total = sum(words)
            words[1] = ~((total & 0xffff) + (total >> 16)) & 0xffff
            sock.sendto(struct.pack(">4H", *words), (GUEST, 0))
            got += is_answered(sock, number, time.monotonic() + 20)
    return got


def is_answered(sock, number, deadline):
    answer = struct.pack(">3H", 0, 0x6274, number)
    while time.monotonic() < deadline:
        sock.settimeout(max(0.01, deadline - time.monotonic()))
        try:
            packet, (sender, _) = sock.recvfrom(2048)
        except TimeoutError:
            return False
        if sender == GUEST and packet[20:22] + packet[24:28] == answer:
            return True
    return False


def check_to_guest(lab, guest):
    data = os.urandom(SIZE)
    guest.run(f"(nc -l -p {PORT} > /tmp/in; md5sum /tmp/in > /tmp/sum) & true")
    guest.run(f"until netstat -ltn | grep -q :{PORT}; do usleep 10000; done")
    with socket.create_connection((GUEST, PORT), timeout=tcp.SILENCE) as sock:
        sock.sendall(data)
    guest.run("until [ -s /tmp/sum ]; do usleep 10000; done")
    lab.match(f"{SIZE >> 20} MiB by TCP reach the guest whole", guest.run("cat /tmp/sum"),
              hashlib.md5(data).hexdigest())


def check_to_host(lab, guest):
    with socket.create_server((HOST, PORT)) as server:
        server.settimeout(tcp.SILENCE)
        guest.run(f"(nc {HOST} {PORT} < /tmp/in > /dev/null) & true")
        sock, _ = server.accept()
        digest = hashlib.md5()
        with sock:
            sock.settimeout(tcp.SILENCE)
            left = SIZE
            while left > 0:
                data = sock.recv(1 << 16)
                if not data:
                    break
                digest.update(data)
                left -= len(data)
    lab.match("and the host, from it", guest.run("cat /tmp/sum"), digest.hexdigest())


def check_link(lab, guest):
    carrier = "/sys/class/net/eth0/carrier"
    for up in (False, True):
        guest.qmp.command("set_link", name="nic", up=up)
        guest.run(f"until [ $(cat {carrier}) = {int(up)} ]; do usleep 10000; done")
        lab.check(f"the guest sees its link {'up' if up else 'down'}", True)
    check_back(lab, guest, "and the network is back", HOST)
