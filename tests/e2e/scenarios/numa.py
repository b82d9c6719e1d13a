# SPDX-License-Identifier: Apache-2.0
"""Two nodes with memory and vCPUs of their own, the first on both sides of the 32-bit
hole: the guest's kernel sees them."""

from guest import SILENCE

NODES = "/sys/devices/system/node"
SIZES = 3904, 192
# What a kernel takes of it before it counts, in MiB: it describes each page, and has
# buffers for devices that reach 4 GiB alone.
TAKEN = 240, 80


def scenario(lab):
    large, small = SIZES
    guest = lab.guest(
        "-object", f"memory-backend-ram,id=a,size={large}M",
        "-object", f"memory-backend-memfd,id=b,size={small}M",
        "-numa", "node,cpus=0,cpus=2,memdev=a", "-numa", "node,cpus=1,memdev=b",
        "-numa", "dist,src=0,dst=1,val=27", "-smp", "sockets=3",
        cpus=3, memory=sum(SIZES)).boot()
    check_nodes(lab, guest)
    check_hole(lab, guest)
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)


def check_nodes(lab, guest):
    lab.equal("nodes", guest.run(f"cat {NODES}/online"), "0-1")
    for node, cpus, distances, taken in ((0, "0,2", "10 27", TAKEN[0]),
                                         (1, "1", "27 10", TAKEN[1])):
        lab.equal(f"vCPUs of node {node}", guest.run(f"cat {NODES}/node{node}/cpulist"),
                  cpus)
        lab.equal(f"distances of node {node}",
                  guest.run(f"cat {NODES}/node{node}/distance"), distances)
        total = int(guest.run(f"grep MemTotal {NODES}/node{node}/meminfo").split()[3])
        mib = SIZES[node]
        lab.check(f"memory of node {node}", (mib - taken) << 10 < total <= mib << 10,
                  f"{total} KiB")
    lab.equal("QMP tells the same",
              [cpu["props"]["node-id"] for cpu in guest.qmp.command("query-cpus-fast")],
              [0, 1, 0])
    trouble = guest.run("dmesg | grep -iE 'srat.*(err|bad|not)|numa.*(err|bad)'; true")
    lab.equal("the kernel has nothing to complain of", trouble, "")


def check_hole(lab, guest):
    total = int(guest.run("awk '/^MemTotal/ {print $2}' /proc/meminfo"))
    lab.check("the guest has nearly 4 GiB", 3_900_000 < total <= 4_194_304,
              f"{total} KiB")
    above = guest.run("dmesg | grep -cE 'e820.*mem 0x0000000100000000-.*usable'")
    lab.equal("part of it is above 4 GiB", above, "1")
    guest.run("dd if=/dev/zero of=/tmp/x bs=1M count=64; sync; rm /tmp/x",
              silence=2 * SILENCE)
