# SPDX-License-Identifier: Apache-2.0
"""A stock guest gets memory by virtio-mem, uses it, gives it back, keeps what it must."""

import re
import time

SECONDS = 40
MIB = 1 << 20
VM0 = "/machine/peripheral/vm0"
WAIT = 300
SIZE = 180                      # of a file, in MiB


def resident(guest):
    with open(f"/proc/{guest.process.pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


def total(guest):
    return int(re.search(r"\d+", guest.run("grep MemTotal: /proc/meminfo"))[0]) << 10


def wait_until(condition):
    end = time.monotonic() + WAIT
    while not condition() and time.monotonic() < end:
        time.sleep(0.2)
    return condition()


def device(guest):
    [info] = guest.qmp.command("query-memory-devices")
    return info["data"]


def request(guest, size):
    guest.qmp.command("qom-set", path=VM0, property="requested-size", value=size)


def online(guest, where):
    guest.run(f"echo {where} > /sys/devices/system/memory/auto_online_blocks")


def scenario(lab):
    guest = lab.guest("-object", "memory-backend-ram,id=vmem,size=512M,reserve=off",
                      "-device", "pcie-root-port,id=rp,chassis=1", "-device",
                      "virtio-mem-pci,id=vm0,memdev=vmem,bus=rp",
                      memory="256,maxmem=1G", tools=True, cpus=1).boot()
    online(guest, "online_movable")
    guest.run("insmod /lib/virtio_mem.ko")
    before = total(guest)
    request(guest, 256 * MIB)
    lab.check("the guest plugs what it shall have",
              wait_until(lambda: device(guest)["size"] == 256 * MIB), device(guest))
    event = guest.qmp.wait_event("MEMORY_DEVICE_SIZE_CHANGE")
    lab.equal("MEMORY_DEVICE_SIZE_CHANGE", [event["id"], event["qom-path"]], ["vm0", VM0])
    # The device has given it before the kernel has taken it into use.
    lab.check("it has that much more",
              wait_until(lambda: (total(guest) - before) // MIB == 256), total(guest))
    lab.equal("query-memory-size-summary",
              guest.qmp.command("query-memory-size-summary")["plugged-memory"], 256 * MIB)
    idle = resident(guest)
    guest.run("mount -t tmpfs -o size=400m none /tmp && "
              f"dd if=/dev/zero of=/tmp/x bs=1M count={SIZE} 2>/dev/null")
    full = resident(guest)
    lab.check("it uses it", full > idle + (SIZE - 30) * MIB, f"{idle} {full}")
    guest.run("rm /tmp/x")
    request(guest, 0)
    lab.check("it gives all back", wait_until(lambda: device(guest)["size"] == 0),
              device(guest))
    lab.check("and the host has it", resident(guest) < full - (SIZE - 60) * MIB,
              f"{full} {resident(guest)}")
    lab.check("the guest has what it had", wait_until(lambda: total(guest) == before),
              f"{total(guest)} {before}")

    # Another comes in its place.  What the kernel itself uses it cannot move.
    guest.qmp.command("device_del", id="vm0")
    gone = guest.qmp.wait_event("DEVICE_DELETED")
    lab.equal("the guest lets the device go", gone["device"], "vm0")
    online(guest, "online_kernel")
    guest.qmp.command("device_add", driver="virtio-mem-pci", id="vm0", bus="rp",
                      memdev="vmem", **{"requested-size": 128 * MIB, "prealloc": True,
                                        "x-unplug-timeout": 10})
    lab.check("the guest plugs memory for its kernel",
              wait_until(lambda: device(guest)["size"] == 128 * MIB), device(guest))
    lab.check("and takes it into use",
              wait_until(lambda: total(guest) == before + 128 * MIB), total(guest))
    guest.run("for i in $(seq 40); do sleep 3000 & done")
    request(guest, 0)
    lab.check("it does not come to what was asked for in time",
              wait_until(lambda: "x-unmet" in device(guest)), device(guest))
    kept = device(guest)
    lab.check("it has given a part", 0 < kept["size"] < 128 * MIB, kept)
    lab.equal("and keeps the rest", kept["x-unmet"], "kept")
    event = guest.qmp.wait_event("X_MEMORY_DEVICE_SIZE_UNMET")
    lab.equal("X_MEMORY_DEVICE_SIZE_UNMET", event["id"], "vm0")
    request(guest, kept["size"])
    lab.check("what it has can be asked for", "x-unmet" not in device(guest),
              device(guest))
    trouble = guest.run("dmesg | grep -iE 'virtio_mem.*(err|fail|warn)|Out of memory'; "
                        "true")
    lab.equal("the kernel has nothing to complain of", trouble, "")
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)
