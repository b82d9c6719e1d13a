# SPDX-License-Identifier: Apache-2.0
"""The demo's network: a bridge where it has a network namespace of its own (root), else a
user network, and a file that the host has for the guest."""

import hashlib
import http.server
import os
import subprocess
import threading

from host_network import ip

BRIDGE = "demo0"
FILE_SIZE = 2 << 20
OWN = ["unshare", "-n"]


def may_have_own():
    try:
        return os.geteuid() == 0 and subprocess.run(
            [*OWN, "true"], stdin=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL).returncode == 0
    except OSError:
        return False


class DemoNetwork:
    """.args for the VMM, .netdev for a NIC that comes later, .guest and .host are
    addresses, .url is the file's."""

    def __init__(self, is_own):
        self.is_bridged = is_own and os.path.exists("/dev/net/tun")
        if is_own:
            ip("link", "set", "lo", "up")
        if self.is_bridged:
            self.host, self.guest = "192.168.77.1", "192.168.77.2"
            self.args = ["-nic", f"tap,br={BRIDGE}"]
            self.netdev = {"type": "tap", "br": BRIDGE}
            ip("link", "add", BRIDGE, "type", "bridge")
            ip("address", "add", f"{self.host}/24", "dev", BRIDGE)
            ip("link", "set", BRIDGE, "up")
        else:
            self.host, self.guest = "10.0.2.2", "10.0.2.15"
            self.args = ["-nic", "user"]
            self.netdev = {"type": "user"}
        self.data = os.urandom(FILE_SIZE)
        self.checksum = hashlib.sha256(self.data).hexdigest()
        self.url = f"http://{self.host}:{self._serve()}/file"

    @property
    def kind(self):
        return f"bridge {BRIDGE} in a namespace of its own" if self.is_bridged else \
            "a user network, without rights"

    def _serve(self):
        """Starts a server of the file; its port."""
        data = self.data

        class File(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        address = self.host if self.is_bridged else "127.0.0.1"
        server = http.server.HTTPServer((address, 0), File)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server.server_address[1]
