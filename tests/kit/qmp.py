# SPDX-License-Identifier: Apache-2.0
"""A small QMP client for tests: blocking commands, events kept in order, descriptors."""

import json
import socket
import time


class QmpError(Exception):
    """An error reply; .kind is its class, .text its description."""

    def __init__(self, error):
        super().__init__(f"{error['class']}: {error['desc']}")
        self.kind = error["class"]
        self.text = error["desc"]


class QmpClosed(Exception):
    """The other side closed the session."""


class Qmp:
    """One session over one socket; events that come while waiting are kept in .events."""

    def __init__(self, sock, timeout=30):
        self.sock = sock
        self.timeout = timeout
        self.buffer = b""
        self.events = []
        self.greeting = None

    @classmethod
    def connect(cls, path, timeout=30, negotiate=True):
        """Connects to a unix socket, waiting until it is there; reads the greeting."""
        deadline = time.monotonic() + timeout
        while True:
            sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            try:
                sock.connect(str(path))
                break
            except (FileNotFoundError, ConnectionRefusedError):
                sock.close()
                if time.monotonic() > deadline:
                    raise TimeoutError(f"no QMP server at {path}") from None
                time.sleep(0.002)
        qmp = cls(sock, timeout)
        qmp.greeting = qmp.receive()["QMP"]
        if negotiate:
            qmp.command("qmp_capabilities")
        return qmp

    def receive_line(self, timeout=None):
        """One line as bytes, with its end; QmpClosed at the end of the stream."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while b"\n" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError("no line from the QMP server")
            self.sock.settimeout(left)
            try:
                data = self.sock.recv(1 << 16)
            except ConnectionError:
                data = b""
            if not data:
                raise QmpClosed()
            self.buffer += data
        line, _, self.buffer = self.buffer.partition(b"\n")
        return line + b"\n"

    def receive(self, timeout=None):
        return json.loads(self.receive_line(timeout))

    def send_raw(self, data, fds=()):
        self.sock.settimeout(self.timeout)
        if fds:
            sent = socket.send_fds(self.sock, [data], list(fds))
            data = data[sent:]
        self.sock.sendall(data)

    def send(self, request, fds=()):
        self.send_raw(json.dumps(request).encode() + b"\r\n", fds)

    def receive_reply(self, timeout=None):
        """The next message that is not an event."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            message = self.receive(max(0, deadline - time.monotonic()))
            if "event" not in message:
                return message
            self.events.append(message)

    def command(self, name, /, fds=(), **arguments):
        """Runs a command, with '_' for '-' in arguments' names; returns its return."""
        request = {"execute": name}
        if arguments:
            request["arguments"] = {k.replace("_", "-"): v for k, v in arguments.items()}
        self.send(request, fds)
        reply = self.receive_reply()
        if "error" in reply:
            raise QmpError(reply["error"])
        return reply["return"]

    def wait_event(self, name, timeout=None, accept=lambda data: True):
        """Takes the first event of that name, seen or to come; returns its data."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        seen = 0
        while True:
            for i in range(seen, len(self.events)):
                event = self.events[i]
                if event["event"] == name and accept(event.get("data", {})):
                    del self.events[i]
                    return event.get("data", {})
            seen = len(self.events)
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no event {name}")
            try:
                message = self.receive(left)
            except TimeoutError:
                raise TimeoutError(f"no event {name}") from None
            assert "event" in message, f"reply without a request: {message}"
            self.events.append(message)

    def drain(self, seconds=0.0):
        """Reads what comes within that time into .events."""
        deadline = time.monotonic() + seconds
        while True:
            try:
                message = self.receive(max(0.001, deadline - time.monotonic()))
            except (TimeoutError, QmpClosed):
                return
            assert "event" in message, f"reply without a request: {message}"
            self.events.append(message)

    def close(self):
        self.sock.close()
