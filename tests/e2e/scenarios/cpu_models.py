# SPDX-License-Identifier: Apache-2.0
"""Models of processors as a stock kernel sees them, one of them with the PIC alone;
Hyper-V's interface; its crash."""

import pathlib
import re

from cpuid import HYPERV, Cpu

SECONDS = 80
GUESTS = pathlib.Path(__file__).resolve().parents[3] / "build" / "guests"


def info(guest, key):
    return guest.run(f"grep -m1 '^{key}' /proc/cpuinfo | cut -d: -f2").strip()


def tiny(lab, name, cpu, *args):
    guest = lab.guest("-device", "isa-debug-exit,iobase=0xf4,iosize=4", *args,
                      kernel=GUESTS / f"{name}.elf", initrd=None, cpu=cpu, cpus=1)
    guest.start()
    return guest


def leaves(lab):
    guest = tiny(lab, "cpuid", "host," + HYPERV)
    guest.console.wait("\nend\n")
    guest.wait_exit()
    cpu = Cpu(guest.console.text)
    lab.equal("Hyper-V is at 0x40000000", cpu.text(0x40000000, (1, 2, 3)), "Microsoft Hv")
    lab.equal("KVM beside it", cpu.text(0x40000100, (1, 2, 3)), "KVMKVMKVM")
    lab.equal("tries of a lock", cpu.leaf(0x40000004)[1], 0x1fff)
    lab.equal("the index of the vCPU", cpu.msrs.get(0x40000002), 0)
    lab.check("its clock runs", cpu.msrs.get(0x40000020, 0) > 0, cpu.msrs)
    lab.check("its interrupt controller's registers are there", 0x40000080 in cpu.msrs)
    lab.check("a clock's frequency", cpu.msrs.get(0x40000022, 0) > 100_000_000, cpu.msrs)
    missing = tiny(lab, "cpuid", "host,hv-relaxed,hv-enforce-cpuid")
    missing.console.wait("\nend\n")
    cpu = Cpu(missing.console.text)
    lab.check("with hv-enforce-cpuid there is no more than the leaves tell",
              0x40000020 not in cpu.msrs, cpu.msrs)


def windows(lab):
    """What Windows does with it, by a guest that does the same."""
    guest = tiny(lab, "hyperv", "host," + HYPERV)
    guest.console.wait("\nend\n")
    told = {name: int(value, 16) for name, value in
            re.findall(r"^([a-z-]+) ([0-9a-f]{16})\r?$", guest.console.text, re.M)}
    expected = {"hypercall-enabled": 1, "call-of-none": 2, "flush": 0, "ipi": 0,
                "ipi-requested": 1, "icr-requested": 1, "tpr": 0x20, "vp-index": 0,
                "message": 0x80000010, "timer-requested": 1}
    lab.equal("calls, interrupts and a timer's message",
              {name: told.get(name) for name in expected}, expected)
    lab.check("the processor's time, and frequencies",
              told["vp-runtime"] > 0 and told["tsc-frequency"] > 100_000_000 and
              told["apic-frequency"] > 1_000_000, told)
    lab.check("the time is the same by the page, where there is one, and the register",
              not told["tsc-sequence"] or
              told["time-before"] <= told["time-by-page"] <= told["time-after"], told)
    lab.check("the timer is not early", told["message-late"] < 1 << 31, told)


def crash(lab):
    guest = tiny(lab, "hyperv-crash", "host," + HYPERV, "-S", "-action", "panic=pause")
    guest.qmp.command("cont")
    event = guest.qmp.wait_event("GUEST_PANICKED")
    lab.equal("the crash is a panic with its parameters", event.get("info"),
              {"type": "hyper-v", "arg1": 0x11, "arg2": 0x22, "arg3": 0x33, "arg4": 0x44,
               "arg5": 0x55})
    lab.equal("and stops the machine", guest.status, "guest-panicked")


def reset(lab):
    guest = tiny(lab, "hyperv-crash", "host," + HYPERV, "-action", "panic=none")
    guest.console.wait("C")
    guest.qmp.command("query-status")
    guest.type("R")
    lab.equal("Hyper-V's register resets", guest.qmp.wait_event("RESET"),
              {"guest": True, "reason": "guest-reset"})
    guest.console.wait("C.*C")
    lab.check("and the guest comes back to the same", True)


def hyperv(lab):
    # Linux takes KVM's interface where it finds both.
    guest = lab.guest(cpu="host,kvm=off," + HYPERV, cpus=2).boot()
    lab.match("Linux finds Hyper-V", guest.run("dmesg | grep 'Hypervisor detected'"),
              "Microsoft Hyper-V")
    lab.match("and takes its clock", guest.run(
        "cat /sys/devices/system/clocksource/clocksource0/available_clocksource"),
        "hyperv_clocksource")
    lab.equal("without complaint", guest.run(
        "dmesg | grep -E 'BUG:|WARNING:|Call Trace|lockup'; true"), "")


def clock_khz():
    text = pathlib.Path("/proc/cpuinfo").read_text()
    return round(float(re.search(r"cpu MHz\s*: ([0-9.]+)", text)[1]) * 1000)


def models(lab):
    guest = lab.guest(cpu="EPYC-IBPB,check=off", cpus=2).boot()
    lab.equal("the model's name", info(guest, "model name"),
              "AMD EPYC Processor (with IBPB)")
    lab.equal("its family", info(guest, "cpu family"), "23")
    lab.equal("its caches", guest.run(
        "cat /sys/devices/system/cpu/cpu0/cache/index3/size"), "8192K")
    lab.match("KVM's clock", guest.run("dmesg | grep kvm-clock | head -1"), "kvm-clock")
    guest.qmp.command("quit")
    guest.wait_exit()
    # In a slow host the guest cannot measure its clock with the timer; without a clock it
    # counts loops between ticks, which leave it no time there.
    guest = lab.guest("-device", "virtio-rng-pci", cpu="Opteron_G2,check=off,kvm=off",
                      append="noapic pci=nomsi tsc=reliable "
                      f"tsc_early_khz={clock_khz()}", cpus=1).boot()
    lab.equal("another model's name", info(guest, "model name"),
              "AMD Opteron 22xx (Gen 2 Class Opteron)")
    lab.equal("without KVM to be seen", guest.run(
        "dmesg | grep -E 'kvm-clock|Hypervisor detected'; true"), "")
    flags = info(guest, "flags").split()
    lab.check("features that it has not are not there",
              "popcnt" not in flags and "cx16" in flags, flags)
    lab.match("ACPI's links lead PCI's interrupts to the PIC",
              guest.run("dmesg | grep 'ACPI: PCI: Interrupt link LNK'"), "LNKH")
    lab.match("where a device has one",
              guest.run("head -c 8 /dev/hwrng | xxd -p; grep virtio /proc/interrupts"),
              r"[0-9a-f]{16}\n *(5|10|11): +[1-9][0-9]* +XT-PIC")


def scenario(lab):
    leaves(lab)
    windows(lab)
    crash(lab)
    reset(lab)
    hyperv(lab)
    models(lab)
