#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Judges recorded command lines by -check-args, and keeps docs/compatibility.md.

    tests/qmp/test_check_args.py [--vmm PATH] [--update]

The tables of that page are what -check-args says.  --update writes them.  That a start
comes to the same is tests/e2e/test_compatibility.py's to show.  Writes TAP.
"""

import argparse
import os
import pathlib
import re
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
sys.path.insert(0, str(HERE.parent / "kit"))
import recorded  # noqa: E402
from tap import Checks, run_tests  # noqa: E402

PAGE = ROOT / "docs" / "compatibility.md"
BEGIN = "<!-- What follows is written by make reference. -->\n"
VERDICTS = ("honoured", "differs", "refused")
# Options whose value says nothing about what is honoured.
NAMES = {"-name", "-uuid", "-append", "-kernel", "-initrd", "-D", "-pidfile", "-serial",
         "-monitor", "-qmp", "-mon", "-chardev", "-m", "-cpu", "-smp"}


class Judge(Checks):
    def __init__(self, name, vmm):
        super().__init__(name)
        self.vmm = vmm

    def report(self, argv, **options):
        """-check-args of @argv: [(verdict, option, reasons)], and the exit status."""
        done = subprocess.run([self.vmm, "-check-args", *argv], stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              timeout=60, **options)
        lines = []
        for line in done.stdout.splitlines()[:-1]:
            if line.startswith(" "):
                lines[-1][2].append(line.strip())
            else:
                verdict, _, option = line.partition(" ")
                lines.append((verdict, option.strip(), []))
        self.stderr = done.stderr
        return lines, done.returncode

    def close(self):
        pass


def shown(option):
    """An option as the page shows it."""
    name, _, value = option.partition(" ")
    value = value.replace(f"{recorded.FOLDER}/", "").replace(recorded.FOLDER, ".")
    value = re.sub(r'"(url|id|node-name|mac|filename|file|path|mem-path|serial)":"[^"]*"',
                   r'"\1":…', value)
    value = re.sub(r'"(size|addr|bus|port|chassis)":("[^"]*"|\d+)', r'"\1":…', value)
    return f"{name} {value}".strip()


def cell(text):
    text = re.sub(r"^Parameter '[^']*' does not accept value '([^']*)': ", r"\1: ", text)
    return text.replace("|", "\\|").replace("<", "\\<").replace("*", "\\*")


def code(text):
    return "`" + text.replace("|", "\\|") + "`"


def domain_row(name, lines):
    refused = [f"{code(option.split(' ')[0])} {cell('; '.join(reasons))}"
               for verdict, option, reasons in lines if verdict == "refused"]
    differs = [f"{code(option.split(' ')[0])} {cell('; '.join(reasons))}"
               for verdict, option, reasons in lines
               if verdict == "differs" and not option.startswith("-machine pc-q35-")]
    what = "refused" if refused else "starts"
    return f"| {name} | {what} | {'<br>'.join(refused or differs)} |\n"


def tables(judge):
    domains = ["| command line | | what is refused, or differs beside the board |\n"
               "|---|---|---|\n"]
    rows = {verdict: {} for verdict in VERDICTS}
    for client in recorded.read():
        lines, _ = judge.report(client.argv())
        domains.append(domain_row(client.name, lines))
        for verdict, option, reasons in lines:
            if verdict != "honoured" or option.split(" ")[0] not in NAMES:
                rows[verdict][shown(option)] = "<br>".join(map(cell, reasons))
    out = ["\n## Command lines\n\n", *domains]
    for verdict, title, head in (
            ("refused", "Options that are refused", "| option | why, and what instead |"),
            ("differs", "Options that are honoured with a difference",
             "| option | which |"),
            ("honoured", "Options that are honoured", "| option |")):
        out.append(f"\n## {title}\n\n{head}\n|{'---|' * (head.count('|') - 1)}\n")
        for option in sorted(rows[verdict]):
            how = f" {rows[verdict][option]} |" if verdict != "honoured" else ""
            out.append(f"| {code(option)} |{how}\n")
    return "".join(out)


def test_page(t):
    """docs/compatibility.md says what -check-args says."""
    text = PAGE.read_text()
    head, mark, old = text.partition(BEGIN)
    new = tables(t)
    if t.update:
        PAGE.write_text(head + BEGIN + new)
        return
    t.check("the page has its mark", mark == BEGIN)
    was, now = old.splitlines(), new.splitlines()
    t.check("the page is what berth does (make reference writes it)", was == now,
            "\n".join([f"- {x}" for x in was if x not in now][:8]
                      + [f"+ {x}" for x in now if x not in was][:8]))


def test_report(t):
    """Each option has a verdict, each refusal a reason, and nothing is left behind."""
    with tempfile.TemporaryDirectory(prefix="berth-check-") as folder:
        for client in recorded.read():
            lines, status = t.report(client.argv(folder), cwd=folder)
            refused = [line for line in lines if line[0] == "refused"]
            t.equal(f"{client.name}: a verdict for each option",
                    [option.split(" ")[0] for _, option, _ in lines],
                    [option for option, _ in client.options])
            t.equal(f"{client.name}: exit status", status, 1 if refused else 0)
            t.check(f"{client.name}: reasons", all(
                bool(reasons) == (verdict != "honoured") and verdict in VERDICTS
                for verdict, _, reasons in lines), lines)
        t.equal("nothing was made", list(pathlib.Path(folder).iterdir()), [])


def test_what_is_asked_for(t):
    """Of what follows from each other, each is judged by itself."""
    for argv, wanted in (
            ("", {}),
            ("-S -no-hpet", {}),
            ("qemu-kvm -S", {}),
            ("-machine pc-q35-rhel9.4.0", {"-machine": "'q35'"}),
            ("-machine nvdimm=on,usb=off -S", {"-machine": "NVDIMM"}),
            ("-machine smm=on -global driver=cfi.pflash01,property=secure,value=on", {}),
            ("-global driver=cfi.pflash01,property=secure,value=on",
             {"-global": "smm=on"}),
            ("-initrd x", {"-initrd": "-kernel"}),
            ("-kernel x -initrd x", {}),
            ("-accel tcg", {"-accel": "'kvm'"}),
            ("-accel tcg -accel kvm", {}),
            ("-smp 3,sockets=2", {"-smp": "maxcpus"}),
            ("-cpu Haswell,nonsense=on", {"-cpu": "nonsense"}),
            ("-uuid x", {"-uuid": "UUID"}),
            ("-foo bar -S", {"-foo": "invalid"}),
            ("-S stray", {"stray": "-kernel"}),
            ("-m", {"-m": "argument"}),
            ("-device VGA -device e1000 -device vcpu,x=1",
             {"-device": "x", "count": 3}),
            ("-device virtio-blk-pci,drive=a,iommu_platform=on -device virtio-rng-pci",
             {"-device": "IOMMU", "count": 1}),
            ("-device virtio-net-pci,id=a,failover=on -device virtio-rng-pci,id=aa",
             {"-device": "failover"}),
            ("-numa node,nodeid=9999", {"-numa": "nodeid"}),
            ("-M microvm,x-option-roms=off,pit=off -S", {"-M": "'q35'"}),
            ("-M q35,confidential-guest-support=sev0", {"-M": "not encrypted"}),
            ("-iscsi initiator-name=iqn.x -watchdog i6300esb -balloon virtio",
             {"-iscsi": "iscsiadm", "-watchdog": "-device i6300esb",
              "-balloon": "virtio-balloon-pci"}),
            ("-device virtio-blk-device,drive=x", {"-device": "virtio-blk-pci"}),
            ("-drive file=https:x.iso,media=cdrom", {"-drive": "'https'"}),
            ("-drive file=nbd:h:1,if=virtio,format=raw", {"-drive": "nbd-client"}),
            ("-drive file=x,if=virtio", {"-drive": "'format'"}),
            ("-machine help -S", {}),
            ("-version", {})):
        lines, status = t.report(argv.split())
        refused = {option.split(" ")[0]: " ".join(reasons)
                   for verdict, option, reasons in lines if verdict == "refused"}
        n = wanted.pop("count", None)
        n = len(wanted) if n is None else n
        good = (status == (1 if wanted else 0) and set(refused) == set(wanted)
                and all(word in refused[option] for option, word in wanted.items())
                and n == sum(line[0] == "refused" for line in lines))
        t.check(argv or "nothing", good, f"exit {status}: {lines}")
    with tempfile.TemporaryDirectory(prefix="berth-check-") as folder:
        config = pathlib.Path(folder, "config")
        config.write_text('[device "x"]\n  driver = "VGA"\n')
        lines, status = t.report(["-S", "-readconfig", str(config)])
        t.check("a file of which something is refused", status == 1 and [
            line[0] for line in lines] == ["honoured", "refused"] and
            "[device]" in lines[1][2][0] and "screen" in lines[1][2][0], lines)
    lines, status = t.report(["-S"], env={"PATH": "/"})
    t.equal("the last of it counts", status, 0)


def test_usb(t):
    """That there are no devices is said of those that ask for a controller only."""
    lines, status = t.report("-usb -no-hpet -machine q35,usb=on -M q35,usb=off".split())
    verdicts = [(verdict, option.split(" ")[0]) for verdict, option, _ in lines]
    t.equal("verdicts", (verdicts, status),
            ([("differs", "-usb"), ("honoured", "-no-hpet"), ("differs", "-machine"),
              ("honoured", "-M")], 0))
    t.check("they name it", all("qemu-xhci" in " ".join(lines[i][2]) for i in (0, 2)),
            lines)


def test_other_uses(t):
    def run(*argv, **options):
        return subprocess.run([t.vmm, *argv], stdin=subprocess.DEVNULL, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=60,
                              **options)

    done = run("-S", "-check-args", "-S")
    t.check("it stands first", done.returncode == 1 and "-check-args" in done.stderr,
            done.stderr)
    done = run("-check-libvirt-xml", "/nowhere", env={"PATH": "/"})
    t.check("a host without libvirt", done.returncode == 1 and "virsh" in done.stderr
            and len(done.stderr.splitlines()) == 1, done.stderr)
    with tempfile.TemporaryDirectory(prefix="berth-virsh-") as folder:
        virsh = pathlib.Path(folder, "virsh")
        virsh.write_text("#!/bin/sh\n"
                         "[ \"$1 $2 $3\" = 'domxml-to-native qemu-argv x.xml' ] || "
                         "{ echo no >&2; exit 1; }\n"
                         "printf '%s\\n' \"LC_ALL=C \\\\\" \"PATH=/bin \\\\\" "
                         "\"/usr/bin/qemu \\\\\" \"-name 'a b' \\\\\" \"-device VGA\"\n")
        virsh.chmod(0o755)
        path = f"{folder}:{os.environ['PATH']}"
        done = run("-check-libvirt-xml", "x.xml", env={"PATH": path})
        t.check("what libvirt makes of a domain", done.returncode == 1
                and re.match(r"honoured +-name a b\nrefused +-device VGA\n", done.stdout),
                done.stdout + done.stderr)
        done = run("-check-args", "-name", "a\x1b[2Jb\nhonoured -S")
        t.check("a line an option, and none that commands the terminal", re.match(
            r"honoured +-name a\\u001B\[2Jb\\u000Ahonoured -S\n1 options", done.stdout),
                repr(done.stdout))
        done = run("-check-libvirt-xml", "y.xml", env={"PATH": path})
        t.check("what it does not understand", done.returncode == 1
                and "virsh: no" in done.stderr, done.stderr)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--vmm", type=pathlib.Path,
                        default=os.environ.get("VMM") or ROOT / "build" / "berth")
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    tests = [test_page, test_report, test_what_is_asked_for, test_usb, test_other_uses]

    def make(name):
        judge = Judge(name, str(options.vmm.resolve()))
        judge.update = options.update
        return judge

    return run_tests(tests[:1] if options.update else tests, make)


if __name__ == "__main__":
    sys.exit(main())
