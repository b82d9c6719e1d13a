# SPDX-License-Identifier: Apache-2.0
"""A guest that panics: with panic=0 it alone hangs, and lets no device go any more.  That
it reboots with panic=-1 is in `pvpanic`."""

PANIC = "echo 1 > /proc/sys/kernel/sysrq; echo c > /proc/sysrq-trigger\n"


def scenario(lab):
    guest = lab.guest("-device", "pcie-root-port,id=port,chassis=1", "-device",
                      "virtio-rng-pci,id=rng,bus=port,x-unplug-timeout=1").boot()
    guest.run("echo 0 > /proc/sys/kernel/panic")
    guest.type(PANIC)
    guest.console.wait("end Kernel panic", guest.mark)
    qmp = guest.qmp
    lab.equal("panic=0: the machine runs on", guest.status, "running")
    qmp.command("stop")
    lab.equal("it can be stopped", guest.status, "paused")
    qmp.command("cont")
    check_silence(lab, qmp)
    guest.mark = len(guest.console.text)
    qmp.command("system_reset")
    guest.wait_up()
    lab.equal("it can be reset", guest.run("echo reset"), "reset")
    check_removed(lab, guest)
    qmp.command("quit")
    lab.equal("it can be ended", guest.wait_exit(), 0)


def check_silence(lab, qmp):
    """Asked twice, it is silent twice."""
    for _ in range(2):
        qmp.command("device_del", id="rng")
        told = qmp.wait_event("X_DEVICE_UNPLUG_SILENT")
        lab.equal("a device that is asked for gets no answer", told["device"], "rng")
    lab.equal("that is to be seen", qmp.command("x-query-unplug"),
              [{"device": "rng", "path": "/machine/peripheral/rng", "state": "silent"}])


def check_removed(lab, guest):
    guest.qmp.wait_event("DEVICE_DELETED", accept=lambda data:
                         data.get("device") == "rng")
    lab.equal("with the reset the device is gone", guest.run(
        "ls /sys/bus/virtio/devices"), "")
    lab.equal("which was told once", [event for event in guest.qmp.events if
                                      "rng" in str(event.get("data"))], [])
