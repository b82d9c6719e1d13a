#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a guest's processor says of itself on this machine's own KVM: -cpu and -accel."""

import pathlib
import re
import sys

from cpuid import HYPERV, Cpu
from rig import SILENCE, heard, main

DEBUG_EXIT = ("-device", "isa-debug-exit,iobase=0xf4,iosize=4")
# A software KVM shows its own leaves 7 and 0xd, whatever was set: not looked at here.

def cpuid(t, cpu, *args, **options):
    guest = t.guest("cpuid", *DEBUG_EXIT, *args, cpu=cpu, **options)
    heard(guest, r"\nend\n")
    guest.wait_exit(SILENCE)
    return Cpu(guest.console.text)


def host_info(key):
    text = pathlib.Path("/proc/cpuinfo").read_text()
    found = re.search(rf"^{key}\s*: (.*)$", text, re.MULTILINE)
    return found.group(1).strip() if found else ""


def test_host(t):
    cpu = cpuid(t, "host")
    t.equal("the vendor is the host's", cpu.text(0, (1, 3, 2)), host_info("vendor_id"))
    t.equal("the brand string, too", cpu.brand().strip(), host_info("model name"))
    t.equal("KVM is at 0x40000000", cpu.text(0x40000000, (1, 2, 3)), "KVMKVMKVM")
    t.check("the TSC's frequency is told", cpu.leaf(0x40000010)[0] > 100_000,
            cpu.leaf(0x40000010))


def test_named_model(t):
    cpu = cpuid(t, "EPYC-Rome-v2,check=off")
    t.equal("family 23, model 49, stepping 0", f"{cpu.leaf(1)[0]:x}", "830f10")
    t.equal("the brand string", cpu.brand(), "AMD EPYC-Rome Processor")
    t.equal("the vendor is the host's", cpu.text(0, (1, 3, 2)), host_info("vendor_id"))
    t.equal("basic leaves up to", cpu.leaf(0)[0], 13)
    t.equal("40 physical bits", cpu.leaf(0x80000008)[0] & 0xff, 40)
    t.equal("KVM's features are those of models", f"{cpu.leaf(0x40000001)[0]:x}",
            "100007b")
    revision = {"GenuineIntel": 1 << 32}.get(host_info("vendor_id"), 0x1000065)
    t.equal("the revision of microcode", cpu.msrs.get(0x8b), revision)


def test_topology(t):
    cpu = cpuid(t, "Penryn,check=off,level=13", cpus="4,sockets=1,cores=2,threads=2")
    t.equal("two threads a core", cpu.leaf(0xb)[1], 2)
    t.equal("four in the package", cpu.leaf(0xb, 1)[1], 4)


def test_kvm_off(t):
    cpu = cpuid(t, "host,kvm=off")
    t.check("no leaf of KVM", cpu.text(0x40000000, (1, 2, 3)) != "KVMKVMKVM",
            cpu.leaf(0x40000000))


def test_identity(t):
    cpu = cpuid(t, "kvm64,check=off,family=6,model=42,stepping=7,model-id=A test,"
                "ucode-rev=0x123")
    t.equal("the signature that was given", f"{cpu.leaf(1)[0]:x}", "206a7")
    t.equal("the brand string that was given", cpu.brand(), "A test")
    t.equal("the revision that was given", cpu.msrs.get(0x8b), 0x123)


def refused(t, what, pattern, *args):
    done = t.run("-nodefaults", "-display", "none", *args)
    t.equal(f"{what} ends berth with 1", done.returncode, 1)
    t.match(f"and says why: {what}", done.stderr, pattern)


def test_refusals(t):
    refused(t, "enforce", r"avx512er \[bit 27\]\n.*doesn't support requested features",
            "-cpu", "kvm64,avx512er=on,enforce")
    refused(t, "a model that there is not", "unable to find CPU model 'Niagara'",
            "-cpu", "Niagara")
    refused(t, "a model of 32 bits", "no 64-bit mode", "-cpu", "pentium3")
    refused(t, "more address bits than there are", "'phys-bits'",
            "-cpu", "host,phys-bits=52")
    refused(t, "a TSC of 1 MHz", "'tsc-frequency'",
            "-cpu", "host,tsc-frequency=1000000")
    refused(t, "a ring of dirty pages", "dirty-ring-size.*: leave it out",
            "-accel", "kvm,dirty-ring-size=4096")


def test_warning(t):
    guest = t.guest("cpuid", *DEBUG_EXIT, cpu="kvm64,avx512er=on")
    heard(guest, r"\nend\n")
    t.match("a missing feature is a warning", guest.stderr,
            r"warning: host doesn't support requested feature: "
            r"CPUID\[eax=07h,ecx=00h\]\.EBX\.avx512er \[bit 27\]")


def test_hyperv(t):
    probe = t.run("-nodefaults", "-display", "none", "-cpu", "host," + HYPERV)
    if "is not supported by this host's KVM" in probe.stderr:
        t.skip("Hyper-V's leaves and MSRs", "KVM here has no interface of Hyper-V's; the "
               "scenario cpu_models shows it on an emulated host")
        return
    cpu = cpuid(t, "host," + HYPERV)
    t.equal("Hyper-V is at 0x40000000", cpu.text(0x40000000, (1, 2, 3)), "Microsoft Hv")
    t.equal("KVM beside it", cpu.text(0x40000100, (1, 2, 3)), "KVMKVMKVM")
    t.equal("tries of a lock", cpu.leaf(0x40000004)[1], 0x1fff)
    t.equal("the index of the vCPU", cpu.msrs.get(0x40000002), 0)
    t.check("its clock runs", cpu.msrs.get(0x40000020, 0) > 0, cpu.msrs)


def test_tuning(t):
    for accel in ("kvm,halt-poll-ns=0", "kvm,halt-poll-ns=100000",
                  "kvm,kvm-shadow-mem=16M", "kvm,notify-vmexit=disable"):
        cpu = cpuid(t, "host", "-accel", accel)
        t.check(f"-accel {accel} is taken", cpu.leaf(0)[0] > 0)
    cpu = cpuid(t, "host", "-overcommit", "cpu-pm=on")
    t.check("a guest that idles by itself runs", cpu.leaf(0)[0] > 0)


TESTS = [
    test_host, test_named_model, test_topology, test_kvm_off, test_identity,
    test_refusals, test_warning, test_hyperv, test_tuning,
]


if __name__ == "__main__":
    sys.exit(main(TESTS, __doc__))
