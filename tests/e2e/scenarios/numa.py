# SPDX-License-Identifier: Apache-2.0
"""Two nodes with memory and vCPUs of their own: the guest's kernel sees them."""


def scenario(lab):
    guest = lab.guest(
        "-object", "memory-backend-ram,id=a,size=320M",
        "-object", "memory-backend-memfd,id=b,size=192M",
        "-numa", "node,cpus=0,cpus=2,memdev=a", "-numa", "node,cpus=1,memdev=b",
        "-numa", "dist,src=0,dst=1,val=27", "-smp", "sockets=3",
        cpus=3, memory=512).boot()
    nodes = "/sys/devices/system/node"
    lab.equal("nodes", guest.run(f"cat {nodes}/online"), "0-1")
    for node, cpus, distances, mib in ((0, "0,2", "10 27", 320), (1, "1", "27 10", 192)):
        lab.equal(f"vCPUs of node {node}", guest.run(f"cat {nodes}/node{node}/cpulist"),
                  cpus)
        lab.equal(f"distances of node {node}",
                  guest.run(f"cat {nodes}/node{node}/distance"), distances)
        total = int(guest.run(f"grep MemTotal {nodes}/node{node}/meminfo").split()[3])
        lab.check(f"memory of node {node}", (mib - 80) << 10 < total <= mib << 10,
                  f"{total} KiB")
    lab.equal("QMP tells the same",
              [cpu["props"]["node-id"] for cpu in guest.qmp.command("query-cpus-fast")],
              [0, 1, 0])
    trouble = guest.run("dmesg | grep -iE 'srat.*(err|bad|not)|numa.*(err|bad)'; true")
    lab.equal("the kernel has nothing to complain of", trouble, "")
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)
