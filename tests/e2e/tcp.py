# SPDX-License-Identifier: Apache-2.0
"""Much data by TCP to a stock guest and from it, with checksums on both sides; the guest
has the tools.  It is paused and goes on meanwhile."""

import hashlib
import os
import socket
import threading

BLOCK = 4 << 20
PORT = 5001
SILENCE = 300
PIECE = "".join(f"{number}\n" for number in range(1, 10001)).encode()


def numbers(size):
    """Those from 1 to 10000, line by line, again and again."""
    return (PIECE * copies(size))[:size]


def copies(size):
    return size // len(PIECE) + 1


def write_numbers(guest, path, size):
    """The same into a file of the guest, which would take long to count on."""
    guest.run(f"seq 10000 > {path}.1; cat $(yes {path}.1 | head -n {copies(size)}) | "
              f"head -c {size} > {path}")


def blink(guest):
    guest.qmp.command("stop")
    guest.qmp.command("cont")


def pieces(size):
    block = os.urandom(1 << 20)
    for number in range(size >> 20):
        yield number.to_bytes(8, "little") + block[8:]


def check_to_guest(lab, guest, address, size, nic):
    digest = hashlib.md5()
    guest.run(f"rm -f /tmp/sum; (nc -l -p {PORT} | md5sum > /tmp/sum) & true")
    guest.run(f"until netstat -ltn | grep -q :{PORT}; do usleep 10000; done")
    with socket.create_connection((address, PORT), timeout=SILENCE) as sock:
        for number, piece in enumerate(pieces(size)):
            if number == size >> 22:
                blink(guest)
            digest.update(piece)
            sock.sendall(piece)
    guest.run("until [ -s /tmp/sum ]; do usleep 10000; done")
    lab.match(f"{nic}: {size >> 20} MiB reach the guest whole, through stop and cont",
              guest.run("cat /tmp/sum"), digest.hexdigest())


def receive(server, size, result):
    sock, _ = server.accept()
    digest = hashlib.md5()
    received = 0
    with sock:
        sock.settimeout(SILENCE)
        while received < size:
            try:
                data = sock.recv(1 << 18)
            except TimeoutError:
                return
            if not data:
                break
            digest.update(data)
            received += len(data)
    result.append((received, digest.hexdigest()))


def check_to_host(lab, guest, address, size, nic):
    """The guest sends a block of numbers again and again."""
    block = numbers(BLOCK)
    expected = hashlib.md5(block * (size // BLOCK)).hexdigest()
    result = []
    write_numbers(guest, "/tmp/block", BLOCK)
    with socket.create_server((address, PORT)) as server:
        server.settimeout(SILENCE)
        reader = threading.Thread(target=receive, args=[server, size, result])
        reader.start()
        # What nc itself takes from a pipe it sends in pieces of a kilobyte.
        guest.run(f"nc {address} {PORT} -e cat "
                  f"$(yes /tmp/block | head -n {size // BLOCK}) & true")
        blink(guest)
        reader.join()
    if not result:
        raise TimeoutError("nothing comes from the guest any more")
    lab.equal(f"{nic}: {size >> 20} MiB reach the host whole, through stop and cont",
              result, [(size, expected)])
