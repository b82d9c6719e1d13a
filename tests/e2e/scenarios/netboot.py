# SPDX-License-Identifier: Apache-2.0
"""Boot from the network by SeaBIOS and the option ROM of a network device: PXE with a
server of DHCP and TFTP on a bridge, and the boot file of a user network.  What is loaded
is GRUB, which comes to its prompt."""

import contextlib
import os
import shutil
import subprocess

from guest import Stall, shown

SECONDS = 36
NETBOOT = True
ROM = "/usr/lib/ipxe/qemu/efi-virtio.rom"
SERVER = """
ip link set lo up
ip link add pxe0 type bridge
ip address add 192.168.78.1/24 dev pxe0
ip link set pxe0 up
exec dnsmasq --no-daemon --conf-file=/dev/null --user= --port=0 --interface=pxe0 \\
    --bind-interfaces --dhcp-range=192.168.78.10,192.168.78.20,255.255.255.0 \\
    --dhcp-boot={file} --enable-tftp --tftp-root={folder} --leasefile-ro
"""
CAME = shown("GRUB came from the network")
PROMPT = shown("grub rescue>")
TRIES, PATIENCE = 6, 30


@contextlib.contextmanager
def boot_server(lab):
    """Runs in a network namespace of its own; yields how to get into it."""
    script = SERVER.format(file="netboot.0", folder=lab.folder)
    with subprocess.Popen(["unshare", "-n", "sh", "-ec", script], text=True,
                          stdin=subprocess.DEVNULL, stderr=subprocess.PIPE) as server:
        try:
            line = server.stderr.readline()
            while line and "started" not in line:
                line = server.stderr.readline()
            if not line:
                raise RuntimeError("the server of boot files does not start")
            yield ["nsenter", "-t", str(server.pid), "-n"]
        finally:
            server.kill()


def scenario(lab):
    if not os.path.exists(ROM):
        lab.skip("boot from the network", "ipxe-qemu is not installed")
        return
    shutil.copy(lab.netboot, lab.folder / "netboot.0")
    check_user_network(lab)
    if os.geteuid() == 0 and shutil.which("dnsmasq") and os.path.exists("/dev/net/tun"):
        check_server(lab)
    else:
        lab.skip("PXE", "not root, no dnsmasq, or no /dev/net/tun")


def wait_prompt(guest):
    match = guest.console.wait(CAME, guest.mark)
    guest.mark = guest.console.wait(PROMPT, match.end()).end()


def order(guest, text, answer):
    """Of what is typed some comes by SeaBIOS, some by the port, perhaps in another order:
    then it is typed again."""
    for _ in range(TRIES):
        guest.type(text)
        with contextlib.suppress(Stall):
            guest.console.wait(answer, guest.mark, silence=PATIENCE)
            return
    raise Stall(f"nothing comes of {text!r}")


def check_user_network(lab):
    guest = lab.disk_guest(
        "-netdev", f"user,id=n,tftp={lab.folder},bootfile=netboot.0",
        "-device", "virtio-net-pci,netdev=n,bootindex=1", cpus=1).start()
    wait_prompt(guest)
    lab.check("the boot file of a user network is booted", True)
    order(guest, "reboot\r", CAME)
    wait_prompt(guest)
    lab.check("and again after a reboot by the boot loader", True)
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)


def check_server(lab):
    with boot_server(lab) as inside:
        guest = lab.disk_guest("-netdev", "tap,id=n,br=pxe0", "-device",
                               "virtio-net-pci,netdev=n,bootindex=1", cpus=1)
        guest.argv = inside + guest.argv
        guest.start()
        guest.console.wait(shown("Press Ctrl-B for the iPXE command line"))
        guest.type("\x02")
        guest.mark = guest.console.wait(shown("iPXE>")).end()
        lab.check("iPXE comes to its prompt", True)
        guest.type("autoboot\r")
        wait_prompt(guest)
        lab.check("a server on a bridge is booted from", True)
        guest.qmp.command("quit")
        lab.equal("quit ends the VMM", guest.wait_exit(), 0)
