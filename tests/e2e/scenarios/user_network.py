# SPDX-License-Identifier: Apache-2.0
"""A stock guest on a user network: an address by DHCP, names, files from the host by TCP
and to it, IPv6, a port of the host that leads to the guest, a connection when the machine
is paused and when it ends."""

import contextlib
import hashlib
import http.server
import os
import pathlib
import re
import socket
import struct
import tempfile
import threading

from guest import SILENCE

MODULES = "failover net_failover virtio_net"
HOST = "10.0.2.2"
SIZE = 4 << 20
NAME_SERVER = "127.0.0.77"
ANSWER = bytes([192, 0, 2, 33])
LEASE = """[ "$1" != bound ] || ip address add $ip/$mask dev $interface
[ "$1" != bound ] || ip route add default via $router
[ "$1" != bound ] || echo nameserver $dns > /etc/resolv.conf
[ "$1" != bound ] || echo "$ip $router $dns $hostname" > /tmp/lease
"""


class Files(http.server.BaseHTTPRequestHandler):
    """GET gives the server's .data."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(self.server.data)))
        self.end_headers()
        self.wfile.write(self.server.data)

    def log_message(self, *_):
        pass


class Server6(http.server.HTTPServer):
    address_family = socket.AF_INET6


@contextlib.contextmanager
def serve(kind, address, data):
    """A server of files at a free port of an address of the loopback interface."""
    with kind((address, 0), Files) as server:
        server.data = data
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def answer_names(sock):
    """A name server that knows one address for all names."""
    while True:
        try:
            question, sender = sock.recvfrom(512)
        except OSError:
            return
        wants_ipv4 = question[-4:-2] == b"\0\1"
        record = b"\xc0\x0c\0\1\0\1" + struct.pack(">IH", 60, 4) + ANSWER
        sock.sendto(question[:2] + b"\x81\x80\0\1" + struct.pack(">H", wants_ipv4) +
                    b"\0\0\0\0" + question[12:] + (record if wants_ipv4 else b""), sender)


def scenario(lab):
    data = os.urandom(SIZE)
    with tempfile.TemporaryDirectory() as root, \
            serve(http.server.HTTPServer, "127.0.0.1", data) as server, \
            serve(Server6, "::1", data) as server6:
        is_root = os.geteuid() == 0
        args = []
        if is_root:
            # The host's own file stays as it is.
            (pathlib.Path(root) / "etc").mkdir()
            (pathlib.Path(root) / "etc/resolv.conf").write_text(
                f"nameserver {NAME_SERVER}\n")
            args = ["-run-with", f"chroot={root}"]
        guest = lab.guest("-nic", "user,hostname=vm1,hostfwd=tcp:127.0.0.1:0-:80,"
                          "mac=52:54:00:00:00:77", *args, tools=True).boot()
        guest.run(f"for m in {MODULES}; do insmod /lib/$m.ko; done")
        check_address(lab, guest)
        check_names(lab, guest, is_root)
        check_files(lab, guest, server, server6)
        check_forward(lab, guest)
        check_connection(lab, guest)


def check_address(lab, guest):
    for line in ["#!/bin/sh", *LEASE.splitlines()]:
        guest.run(f"echo '{line}' >> /lease")
    guest.run("mkdir -p /etc; chmod +x /lease; ip link set lo up; ip link set eth0 up")
    guest.run("udhcpc -i eth0 -n -q -t 20 -s /lease > /tmp/dhcp 2>&1")
    lab.equal("the guest has an address, a router, a name server and a name",
              guest.run("cat /tmp/lease"), "10.0.2.15 10.0.2.2 10.0.2.3 vm1")
    lab.match("the host answers", guest.run(f"ping -c 3 -W 20 {HOST}"),
              "3 packets received|3 received")


def check_names(lab, guest, is_root):
    if not is_root:
        lab.skip("names", "a name server at port 53 needs root")
        return
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((NAME_SERVER, 53))
        threading.Thread(target=answer_names, args=[sock], daemon=True).start()
        lab.match("a name has an address",
                  guest.run("nslookup -type=a host.example 10.0.2.3"), "192.0.2.33")


def take_file(guest):
    """What the guest sends of the file."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(SILENCE)
        guest.run(f"(nc {HOST} {server.getsockname()[1]} < /tmp/file > /dev/null) & true")
        sock, _ = server.accept()
    data = b""
    with sock:
        sock.settimeout(SILENCE)
        while len(data) < SIZE:
            more = sock.recv(1 << 16)
            if not more:
                break
            data += more
    return data


def check_files(lab, guest, server, server6):
    wanted = hashlib.sha256(server.data).hexdigest()
    port, port6 = server.server_address[1], server6.server_address[1]
    guest.run(f"wget -q -O /tmp/file http://{HOST}:{port}/file")
    lab.match(f"{SIZE >> 20} MiB come from the host", guest.run("sha256sum /tmp/file"),
              wanted)
    lab.equal("and go to it", hashlib.sha256(take_file(guest)).hexdigest(), wanted)
    guest.run("until ip -6 address show dev eth0 | grep fec0 | grep -qv tentative; "
              "do usleep 10000; done")
    guest.run(f"wget -q -O /tmp/file6 'http://[fec0::2]:{port6}/file'")
    lab.match("by IPv6, too", guest.run("sha256sum /tmp/file6"), wanted)


def check_forward(lab, guest):
    table = guest.qmp.command("human-monitor-command",
                              **{"command-line": "info usernet"})
    port = int(re.search(r"TCP.HOST_FORWARD. +\d+ +127.0.0.1 +(\d+)", table)[1])
    guest.run("mkdir -p /tmp/www; echo from the guest > /tmp/www/page; "
              "httpd -p 80 -h /tmp/www")
    with socket.create_connection(("127.0.0.1", port), SILENCE) as sock:
        sock.sendall(b"GET /page HTTP/1.0\r\n\r\n")
        text = b"".join(iter(lambda: sock.recv(4096), b""))
    lab.match("a port of the host leads to the guest", text.decode(), "from the guest")


def check_connection(lab, guest):
    """It goes on after a pause, and ends with the machine."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(SILENCE)
        guest.run(f"(nc {HOST} {server.getsockname()[1]} > /tmp/said) & true")
        sock, _ = server.accept()
    with sock:
        sock.settimeout(SILENCE)
        guest.qmp.command("stop")
        sock.sendall(b"on\n")
        guest.qmp.command("cont")
        guest.run("until grep -q on /tmp/said; do usleep 10000; done")
        lab.check("a connection goes on after a pause", True)
        guest.qmp.command("quit")
        lab.equal("quit ends the VMM", guest.wait_exit(), 0)
        try:
            end = sock.recv(1)
        except ConnectionError:
            end = b""
        lab.equal("and its connections", end, b"")
