# SPDX-License-Identifier: Apache-2.0
"""PCI as a server guest uses it: a tree of ports as libvirt makes it, resets, rescans."""

COMPLAINTS = ("dmesg | grep -iE 'pci|virtio' | grep -iE "
              "'fail|error|no space|can.t|conflict|invalid|firmware bug|not claimed'")
READ = "head -c 8 /dev/hwrng | xxd -p"
BELOW = "/sys/bus/pci/devices/0000:01:00.0"
DRIVER = "/sys/bus/virtio/drivers/virtio_rng"


def scenario(lab):
    ports = []
    for i in range(4):
        place = "addr=0x2,multifunction=on" if i == 0 else f"addr=0x2.{i:#x}"
        ports += ["-device", f"pcie-root-port,port={16 + i},chassis={i + 1},"
                  f"id=pci.{i + 1},bus=pcie.0,{place}"]
    guest = lab.guest(*ports, "-device", "virtio-rng-pci,id=rng0,bus=pci.1,addr=0x0",
                      "-device", "virtio-rng-pci,bus=pci.3").boot()
    lab.equal("nothing to complain of", guest.run(COMPLAINTS + " || true"), "")
    lab.equal("four ports in one slot",
              guest.run("ls -d /sys/bus/pci/devices/*:02.* | wc -l"), "4")
    lab.match("entropy", guest.run(READ), "^[0-9a-f]{16}$")

    lab.match("the function can be reset", guest.run(f"cat {BELOW}/reset_method"), "flr")
    name = guest.run(f"basename {BELOW}/virtio*")
    guest.run(f"echo {name} > {DRIVER}/unbind; echo 1 > {BELOW}/reset; "
              f"echo {name} > {DRIVER}/bind")
    lab.match("entropy after function level reset", guest.run(READ), "^[0-9a-f]{16}$")

    guest.run(f"echo 1 > {BELOW}/remove; echo 1 > /sys/bus/pci/rescan")
    lab.match("found again by a rescan", guest.run(f"ls {BELOW}"), "virtio")
    lab.match("entropy after the rescan", guest.run(READ), "^[0-9a-f]{16}$")
    pins = guest.run("grep -c virtio /proc/interrupts")
    lab.check("vectors are in use", int(pins) >= 2, pins)
    lab.equal("still nothing to complain of", guest.run(COMPLAINTS + " || true"), "")
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)
