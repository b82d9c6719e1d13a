#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Asks what real clients ask, in their order, and checks what they cannot do without.

    tests/qmp/replay.py [--vmm PATH] [--transcripts FOLDER]

Sessions with what their replies need are in tests/data/client-sessions.json, one of each
kind of request that was recorded in tests/data/client-requests.json; of the latter only
the protocol's own rules are checked.  --transcripts takes the requests from recorded
sessions, files of lines {"direction": ..., "message": ...}.  Writes TAP.
"""

import argparse
import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "kit"))
from qmp import Qmp  # noqa: E402
from tap import Checks, run_tests  # noqa: E402

SESSIONS = ROOT / "tests" / "data" / "client-sessions.json"
REQUESTS = ROOT / "tests" / "data" / "client-requests.json"
GUESTS = ROOT / "build" / "guests"
KINDS = {"str": str, "int": int, "bool": bool, "any": object}
# Requests that end the session or the machine, or need a descriptor with them.
LEFT_OUT = {"quit", "qmp_capabilities", "getfd", "add-fd"}


def mismatch(value, shape, path="return"):
    """What is missing in @value of @shape, or None."""
    if isinstance(shape, str) and shape.startswith("="):
        good = value == shape[1:]
        return None if good else f"{path} is {value!r}, not {shape[1:]!r}"
    if isinstance(shape, str):
        good = isinstance(value, KINDS[shape]) and isinstance(value, bool) == (
            shape == "bool") or shape == "any"
        return None if good else f"{path} is {value!r}, not a {shape}"
    if isinstance(shape, list):
        if not isinstance(value, list):
            return f"{path} is no list"
        items = [mismatch(item, shape[0], f"{path}[{i}]") for i, item in enumerate(value)
                 ] if shape else []
        return next(filter(None, items), None)
    if not isinstance(value, dict):
        return f"{path} is no object"
    for name, member in shape.items():
        if name not in value:
            return f"{path}.{name} is missing"
        found = mismatch(value[name], member, f"{path}.{name}")
        if found:
            return found
    return None


def steps(session):
    """The requests of a session, those with "each" one by one."""
    for step in session["requests"]:
        (name, values), = step.get("each", {None: [None]}).items()
        for value in values:
            yield {**step, "arguments": {name: value}} if name else step


class Replay(Checks):
    """One session after the other, with what was kept of earlier replies."""

    def __init__(self, name, vmm, folder):
        super().__init__(name)
        self.vmm = str(vmm)
        self.folder = folder
        self.process = None
        self.path = None
        self.kept = {}
        self.commands = set()

    def start(self, args, kernel=None):
        """A VMM whose QMP socket is handed over listening, as a daemon does it."""
        self.stop()
        self.path = self.folder / "qmp"
        self.path.unlink(missing_ok=True)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(self.path))
        listener.listen(1)
        number = listener.fileno()
        argv = [self.vmm, *args, "-chardev",
                f"socket,id=charmonitor,fd={number},server=on,wait=off",
                "-mon", "chardev=charmonitor,id=monitor,mode=control"]
        if kernel:
            argv += ["-kernel", str(GUESTS / f"{kernel}.elf")]
        self.process = subprocess.Popen(argv, stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, pass_fds=[number])
        listener.close()

    def stop(self):
        if self.process:
            self.process.terminate()
            self.equal("SIGTERM ends it", self.process.wait(60), 0)
            self.process = None

    def close(self):
        if self.process:
            self.process.kill()
            self.process.wait()

    def filled(self, value):
        """@value with the $words replaced by what earlier replies said."""
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        if isinstance(value, dict):
            return {name: self.filled(item) for name, item in value.items()}
        if isinstance(value, str) and "$disk" in value:
            disk = self.folder / "disk"
            if not disk.exists():
                disk.touch()
                os.truncate(disk, 32 << 20)
            value = value.replace("$disk", str(disk))
        if isinstance(value, str) and "$" in value:
            machines = self.kept.get("machines", [])
            names = {"$machine": [m["name"] for m in machines if m.get("alias") == "q35"],
                     "$cpu0": [c["qom-path"] for c in self.kept.get("cpus", [])
                               if c["cpu-index"] == 0]}
            for word, found in names.items():
                if word in value:
                    value = value.replace(word, found[0])
        return value

    def exchange(self, qmp, request):
        """Sends one request; checks the rules of the wire; returns the reply."""
        ident = f"libvirt-{self.count}"
        qmp.send({**request, "id": ident})
        while True:
            line = qmp.receive_line()
            if not line.endswith(b"\r\n"):
                self.check(f"{request['execute']}: lines end in CR LF", False, line[-20:])
            message = json.loads(line)
            if "event" in message:
                qmp.events.append(message)
                continue
            if message.get("id") != ident:
                self.check(f"{request['execute']}: the reply has its id", False, message)
            return message

    def ask(self, qmp, step):
        """One step of a session."""
        name = step["execute"]
        request = {"execute": name}
        if "arguments" in step:
            request["arguments"] = self.filled(step["arguments"])
        reply = self.exchange(qmp, request)
        error = reply.get("error", {}).get("class")
        what = " ".join([name, *map(str, request.get("arguments", {}).values())])[:70]
        if self.commands and name not in self.commands:
            self.equal(f"{what}: not there", error, "CommandNotFound")
            return
        if error:
            self.check(what, error in step.get("fails", []), reply["error"])
            return
        found = mismatch(reply["return"], step["returns"])
        missing = set(step.get("names", [])) - {
            item["name"] for item in reply["return"]} if "names" in step else set()
        self.check(what, found is None and not missing, found or missing)
        if "keep" in step:
            self.kept[step["keep"]] = reply["return"]
        if "event" in step:
            qmp.wait_event(step["event"])
            self.check(f"{what}: event {step['event']}", True)

    def session(self, name, session):
        if "machine" in session:
            self.start(self.filled(session["machine"]), session.get("kernel"))
        self.name = name
        qmp = Qmp.connect(self.path, negotiate=False)
        for step in steps(session):
            self.ask(qmp, step)
            if step["execute"] == "qmp_capabilities" and not self.commands:
                reply = self.exchange(qmp, {"execute": "query-commands"})
                self.commands = {command["name"] for command in reply["return"]}
        missing = set(session.get("required", [])) - self.commands
        self.equal("all commands that it cannot do without are there", missing, set())
        qmp.close()


def test_sessions(t):
    sessions = json.loads(SESSIONS.read_text())
    for name in ("probe", "start", "reconnect"):
        t.session(name, sessions[name])
        if name == "start":
            check_start(t)
    t.stop()


def check_start(t):
    """What the client compares with its own idea of the machine."""
    t.name = "start"
    pid = t.process.pid
    tasks = {int(path.name) for path in pathlib.Path(f"/proc/{pid}/task").iterdir()}
    threads = [one["thread-id"] for one in t.kept["cpus"] + t.kept["iothreads"]]
    t.check("thread ids are real", len(threads) == 3 and set(threads) <= tasks,
            f"{threads} of {tasks}")
    t.equal("the iothread is listed", [i["id"] for i in t.kept["iothreads"]],
            ["iothread1"])
    t.equal("events are switched on", t.kept["capabilities"],
            [{"capability": "events", "state": True}])
    places = {cpu.get("qom-path"): cpu["props"] for cpu in t.kept["hotpluggable"]}
    t.equal("each vCPU has its place", places,
            {cpu["qom-path"]: cpu["props"] for cpu in t.kept["cpus"]})
    values = t.kept["cpu-values"][0]["properties"]
    t.equal("values are those of the properties", [p["name"] for p in values],
            [p["name"] for p in t.kept["cpu-properties"]])
    pty = {c["label"]: c["filename"] for c in t.kept["chardevs"]}.get("charserial0", "")
    t.match("the pty has its name", pty, r"^pty:/dev/pts/\d+$")
    t.equal("the nodes are those that were made",
            [node["node-name"] for node in t.kept["nodes"]],
            ["libvirt-1-format", "libvirt-1-storage"])
    types = {p["name"]: p["type"] for p in t.kept["peripheral"]}
    for ident, driver in (("rng0", "virtio-rng-pci"), ("pci.1", "pcie-root-port"),
                          ("virtio-disk0", "virtio-blk-pci")):
        t.equal(f"{ident} is there", types.get(ident), f"child<{driver}>")
    properties = [p["name"] for p in t.kept["cpu-properties"] if p["type"] == "bool"]
    qmp = Qmp.connect(t.path)
    path = t.filled("$cpu0")
    values = [qmp.command("qom-get", path=path, property=name) for name in properties]
    t.check("each bool of a CPU can be read",
            all(isinstance(value, bool) for value in values), values)
    qmp.close()


def recorded(folder):
    """The requests of recorded sessions, in their order, each once."""
    seen = set()
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.read_text().splitlines():
            message = json.loads(line).get("message")
            if not isinstance(message, dict) or message.get("execute") in LEFT_OUT:
                continue
            request = {k: message[k] for k in ("execute", "arguments") if k in message}
            text = json.dumps(request)
            if "execute" in request and text not in seen:
                seen.add(text)
                yield request


def test_requests(t):
    """Every kind of request that clients were recorded to make: one reply each, and
    CommandNotFound for the commands that are not there, only for them."""
    sessions = json.loads(SESSIONS.read_text())
    t.session("probe", sessions["probe"])
    t.start(t.filled(sessions["start"]["machine"]), "echo")
    t.name = "requests"
    requests = json.loads(REQUESTS.read_text())
    if t.transcripts:
        requests = recorded(t.transcripts)
    qmp = Qmp.connect(t.path)
    for request in requests:
        known = request["execute"] in t.commands
        error = t.exchange(qmp, request).get("error", {}).get("class")
        good = (error == "CommandNotFound") != known
        t.check(json.dumps(request)[:70], good, error)
    qmp.close()
    t.stop()


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vmm", type=pathlib.Path,
                        default=os.environ.get("VMM") or ROOT / "build" / "berth")
    parser.add_argument("--transcripts", type=pathlib.Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="berth-replay-") as folder:

        def make(name):
            replay = Replay(name, options.vmm.resolve(), pathlib.Path(folder))
            replay.transcripts = options.transcripts
            return replay

        return run_tests([test_sessions, test_requests], make)


if __name__ == "__main__":
    sys.exit(main())
