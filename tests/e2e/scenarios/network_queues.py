# SPDX-License-Identifier: Apache-2.0
"""A stock guest with four pairs of queues on four CPUs, once with frames that go through
the VMM and once with frames that the host's kernel moves (vhost-net): jumbo frames, IPv6,
UDP, VLANs of the bridge and in the guest, TCP in both directions, stop and cont under
traffic, another address, every frame, and interrupts that move to other CPUs."""

import fcntl
import os
import pathlib
import shutil
import socket
import struct
import subprocess

import stock
import tcp
from host_network import check_back, ip

SECONDS = 90
BRIDGE = "berthbr1"
HOST, HOST6, GUEST, GUEST6 = "192.168.78.1", "fd00:78::1", "192.168.78.2", "fd00:78::2"
TAGGED_HOST, TAGGED_GUEST = "192.168.79.1", "192.168.79.2"
MODULES = "llc stp garp mrp 8021q failover net_failover virtio_net"
SIZE = 100 << 20
# In an emulated host four CPUs take turns on one.
EMULATED_SIZE = 4 << 20
PORT = 5001
PAIRS = 4
MTU = 9000
MAC = "52:54:00:aa:bb:cc"
ANSWERED = "1 packets received|1 received"
TUNSETIFF, TUNSETPERSIST, TAP_NO_PI = 0x400454ca, 0x400454cb, 0x1002
BRIDGE_TOOL = shutil.which("bridge", path=stock.PATH)


def vlans():
    return subprocess.run([BRIDGE_TOOL, "vlan", "show"], check=True, text=True,
                          stdin=subprocess.DEVNULL, stdout=subprocess.PIPE).stdout


def add_vlan(device, number, *words):
    subprocess.run([BRIDGE_TOOL, "vlan", "add", "dev", device, "vid", str(number),
                    *words], check=True, stdin=subprocess.DEVNULL)


def make_bridge():
    """VLAN 10 is the host's own, 20 has an interface there."""
    ip("link", "add", BRIDGE, "type", "bridge")
    knobs = pathlib.Path("/sys/class/net", BRIDGE, "bridge")
    (knobs / "default_pvid").write_text("10")
    (knobs / "vlan_filtering").write_text("1")
    add_vlan(BRIDGE, 20, "self")
    ip("link", "set", BRIDGE, "up")
    pathlib.Path("/proc/sys/net/ipv6/conf", BRIDGE, "accept_dad").write_text("0")
    ip("address", "add", f"{HOST}/24", "dev", BRIDGE)
    ip("-6", "address", "add", f"{HOST6}/64", "dev", BRIDGE)
    ip("link", "add", "link", BRIDGE, "name", "berthv20", "type", "vlan", "id", "20")
    ip("address", "add", f"{TAGGED_HOST}/24", "dev", "berthv20")
    ip("link", "set", "berthv20", "up")


def scenario(lab):
    if os.geteuid() != 0 or not os.path.exists("/dev/net/tun") or not BRIDGE_TOOL:
        lab.skip("a guest with several queues",
                 "not root, or there is no /dev/net/tun or bridge(8)")
        return
    make_bridge()
    try:
        check_kept_interface(lab)
        check_guest(lab, os.path.exists("/dev/vhost-net"))
    finally:
        ip("link", "del", BRIDGE)


def check_kept_interface(lab):
    """A persistent interface in VLANs of its own has them when it is given back."""
    with open("/dev/net/tun", "rb+", buffering=0) as tap:
        fcntl.ioctl(tap, TUNSETIFF, struct.pack("16sH22x", b"berthkept", TAP_NO_PI))
        fcntl.ioctl(tap, TUNSETPERSIST, 1)
    ip("link", "set", "berthkept", "master", BRIDGE)
    for number in (31, 33, 34, 35):
        add_vlan("berthkept", number)
    before = vlans()
    guest = lab.guest("-S", "-netdev", f"tap,id=n0,ifname=berthkept,br={BRIDGE},vlan=7,"
                      "trunk=8-9:12").start()
    guest.qmp.command("query-status")
    found = vlans()
    guest.qmp.command("quit")
    guest.wait_exit()
    lab.match("an interface is an access port and a trunk", found,
              r"berthkept\s+7 PVID Egress Untagged\s+8\s+9\s+12\s")
    lab.equal("and has its own VLANs at the end", vlans(), before)
    ip("link", "del", "berthkept")


def check_guest(lab, has_vhost):
    options = f"br={BRIDGE},queues={PAIRS},mtu={MTU},vlan=10,trunk=20"
    device = f"mq=on,host_mtu={MTU}"
    guest = lab.guest("-netdev", f"tap,id=n0,ifname=berthq0,{options}",
                      "-device", f"virtio-net-pci,id=nic0,netdev=n0,{device},addr=4",
                      "-netdev", f"tap,id=n1,ifname=berthq1,vhost=on,{options}",
                      "-device", f"virtio-net-pci,id=nic1,netdev=n1,{device},addr=5",
                      tools=True, cpus=PAIRS).boot()
    guest.run(f"for m in {MODULES}; do insmod /lib/$m.ko || break; done")
    check_nic(lab, guest, 0)
    if has_vhost:
        lab.match("the kernel has the other", guest.qmp.command(
            "human-monitor-command", **{"command-line": "info network"}),
            "ifname=berthq1,queues=4,vhost=on")
        check_nic(lab, guest, 1)
    else:
        lab.skip("frames that the host's kernel moves", "there is no /dev/vhost-net")
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)
    lab.check("and its interfaces are gone", not os.path.exists("/sys/class/net/berthq1"))


def answered(lab, guest, what, command):
    lab.match(what, guest.run(command), ANSWERED)


def check_nic(lab, guest, number):
    eth, nic = f"eth{number}", f"nic{number}"

    def title(text):
        return f"{nic}: {text}"

    guest.run(f"echo 0 > /proc/sys/net/ipv6/conf/{eth}/accept_dad")
    guest.run(f"ip link set {eth} up && ip address add {GUEST}/24 dev {eth} && "
              f"ip -6 address add {GUEST6}/64 dev {eth}")
    found = guest.run(f"ls -d /sys/class/net/{eth}/queues/rx-* | wc -l")
    lab.equal(title("pairs"), found, str(PAIRS))
    lab.equal(title("MTU"), guest.run(f"cat /sys/class/net/{eth}/mtu"), str(MTU))
    answered(lab, guest, title("a jumbo frame goes and comes"),
             f"ping -c 1 -W 20 -s {MTU - 100} {HOST}")
    answered(lab, guest, title("IPv6"), f"ping -6 -c 1 -W 20 {HOST6}")
    check_udp(lab, guest, title)
    check_vlan(lab, guest, eth, title)
    check_queues(lab, guest, nic, title)
    size = EMULATED_SIZE if lab.emulated else SIZE
    tcp.check_to_guest(lab, guest, GUEST, size, nic)
    move_interrupts(guest)
    tcp.check_to_host(lab, guest, HOST, size, nic)
    check_link(lab, guest, nic, eth, title)
    check_filters(lab, guest, nic, eth, title)
    guest.run(f"ip link set {eth} down; ip address flush dev {eth}")


def check_udp(lab, guest, title):
    """The guest asks for a file by TFTP."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((HOST, PORT))
        sock.settimeout(tcp.SILENCE)
        guest.run(f"(tftp -g -r over -l /tmp/udp {HOST} {PORT} > /dev/null 2>&1) & true")
        request, sender = sock.recvfrom(2000)
        lab.check(title("UDP to the host"), request.startswith(b"\0\1over\0"), request)
        sock.sendto(b"\0\3\0\1and back\n", sender)
        # A guest that has waited has asked more than once.
        answer = request
        while answer == request:
            answer = sock.recvfrom(2000)[0]
        lab.equal(title("and to the guest"), answer, b"\0\4\0\1")
    guest.run("until [ -s /tmp/udp ]; do usleep 10000; done")
    lab.equal(title("whole"), guest.run("cat /tmp/udp; rm /tmp/udp"), "and back")


def check_vlan(lab, guest, eth, title):
    guest.run(f"ip link add link {eth} name tagged type vlan id 20 && ip link set tagged "
              f"up && ip address add {TAGGED_GUEST}/24 dev tagged")
    answered(lab, guest, title("a VLAN in the guest"), f"ping -c 1 -W 20 {TAGGED_HOST}")
    guest.run("ip link del tagged")


def check_queues(lab, guest, nic, title):
    """Each CPU sends by a pair of its own."""
    for cpu in range(PAIRS):
        guest.run(f"taskset {1 << cpu:x} ping -c 2 -W 20 {HOST} > /dev/null")
    results = [one for one in guest.qmp.command("query-stats", target="nic")
               if one["qom-path"].endswith(nic)]
    if nic == "nic1":
        lab.equal(title("what the kernel moves is not counted here"), results, [])
        return
    sent = [stat["value"] for one in results for stat in one["stats"]
            if stat["name"] == "tx_packets"]
    lab.check(title("each pair has sent"), len(sent) == PAIRS and all(sent), sent)


def move_interrupts(guest):
    """Linux masks a vector while it moves it."""
    guest.run("for i in /proc/irq/*/virtio*put*; do "
              "for mask in 2 1 f; do echo $mask > ${i%/*}/smp_affinity; done; done "
              "2> /dev/null; true")


def check_link(lab, guest, nic, eth, title):
    for up in (False, True):
        guest.qmp.command("set_link", name=nic, up=up)
        guest.run(f"until [ $(cat /sys/class/net/{eth}/carrier) = {int(up)} ]; do "
                  "usleep 10000; done")
        if not up:
            lab.match(title("nothing goes without a cable"),
                      guest.run(f"ping -c 1 -W 1 {HOST}; true"), " 0 (packets )?received")
    check_back(lab, guest, title("the cable is in again"), HOST)


def check_filters(lab, guest, nic, eth, title):
    guest.run(f"ip link set {eth} down && ip link set {eth} address {MAC} && "
              f"ip link set {eth} up && ip link set {eth} promisc on")
    check_back(lab, guest, title("another address"), HOST)
    state, = guest.qmp.command("query-rx-filter", name=nic)
    lab.equal(title("clients know the address"), state["main-mac"], MAC)
    lab.check(title("and that all frames are taken"), state["promiscuous"])
    guest.run(f"ip link set {eth} promisc off")
