# SPDX-License-Identifier: Apache-2.0
"""The board's ATA controller with a stock kernel's drivers, a disk and a CD drive on it:
data both ways, TRIM that reaches the file, a tray that moves.  With lab.py --beside both
VMMs take turns in reading and writing."""

import hashlib
import os
import pathlib
import time

SECONDS = 35
FULL_KERNEL = True

MIB = 1 << 20
DISK = 32 * MIB
DISC = 2 * MIB
DISKS = "until [ -b /dev/sda -a -b /dev/sr0 ]; do usleep 10000; done; cd /tmp"
DROP = "echo 3 > /proc/sys/vm/drop_caches"
ROUNDS = 9
# Requests that go past the guest's cache, in one file of the host's.
LOADS = {
    "1000 reads of 4 KiB": "dd if=/dev/sda of=/dev/null bs=4k count=1000 iflag=direct",
    "1000 writes of 4 KiB": "dd if=/dev/zero of=/dev/sda bs=4k count=1000 oflag=direct",
    "200 reads of 128 KiB": "dd if=/dev/sda of=/dev/null bs=128k count=200 iflag=direct",
    "2000 reads of 4 KiB by four": "for i in 0 2 4 6; do dd if=/dev/sda of=/dev/null "
    "bs=4k count=500 skip=${i}00 iflag=direct & done; wait",
}
BAD = "dmesg | grep -iE 'ata[0-9].*(error|exception|fail|timeout|link down SStatus [^0])'"


def drives(lab):
    disc = os.urandom(DISC)
    (lab.folder / "disc").write_bytes(disc)
    with open(lab.folder / "ata", "wb") as disk:
        disk.truncate(DISK)
    return hashlib.md5(disc).hexdigest(), [
        "-blockdev", f"file,node-name=ata,filename={lab.folder}/ata,discard=unmap",
        "-device", "ide-hd,bus=ide.0,drive=ata,id=hd0,serial=S1,rotation_rate=1,"
        "physical_block_size=4096",
        "-drive", f"file={lab.folder}/disc,format=raw,media=cdrom,index=2,id=disc"]


def check_disk(lab, guest):
    guest.run(DISKS)
    text = guest.run("cd /sys/block/sda; cat size device/model device/queue_depth "
                     "queue/rotational queue/physical_block_size; cd /tmp")
    lab.equal("the ATA disk is what the command line says", text.split(),
              [str(DISK // 512), "QEMU", "HARDDISK", "32", "0", "4096"])
    guest.run("dd if=/dev/urandom of=data bs=1M count=8 2> /dev/null")
    wanted = guest.run("md5sum < data").split()[0]
    guest.run(f"dd if=data of=/dev/sda bs=256k seek=4 conv=fsync 2> /dev/null; {DROP}")
    with open(lab.folder / "ata", "rb") as disk:
        disk.seek(MIB)
        lab.equal("what the guest wrote is in the file",
                  hashlib.md5(disk.read(8 * MIB)).hexdigest(), wanted)
    found = guest.run("p=; for i in 1 2 3 4; do (dd if=/dev/sda bs=64k skip=16 count=128 "
                      "2> /dev/null | md5sum > sum$i) & p=\"$p $!\"; done; wait $p; "
                      "cat sum1 sum2 sum3 sum4")
    lab.equal("and is read again, by several at once", set(found.split()) - {"-"},
              {wanted})
    guest.run("blkdiscard /dev/sda")
    lab.check("TRIM empties the file", os.stat(lab.folder / "ata").st_blocks * 512 < MIB)


def check_disc(lab, guest, digest):
    lab.match("the disc is read whole", guest.run("md5sum < /dev/sr0"), digest)
    for eject, is_open in ((1, True), (0, False)):
        guest.run(f"echo {eject} > /proc/sys/dev/cdrom/autoeject; : < /dev/sr0")
        event = guest.qmp.wait_event("DEVICE_TRAY_MOVED")
        lab.equal("the guest moves the tray", (event["device"], event["tray-open"]),
                  ("disc", is_open))
    lab.match("the disc is still in it", guest.run("md5sum < /dev/sr0"), digest)


def scenario(lab):
    digest, arguments = drives(lab)
    guest = lab.guest(*arguments, full=True, memory=512).boot()
    check_disk(lab, guest)
    check_disc(lab, guest, digest)
    lab.equal("the driver has nothing to complain of", guest.run(BAD + " || true"), "")
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)
    if lab.options.beside:
        compare(lab)


def stopped(lab, vmm):
    """A guest with a disk of its own, which waits for its turn."""
    image = lab.folder / f"{pathlib.Path(vmm).name}.img"
    image.write_bytes(os.urandom(DISK))
    guest = lab.guest("-blockdev", f"file,node-name=ata,filename={image}", "-device",
                      "ide-hd,bus=ide.0,drive=ata", full=True, memory=512, cpus=1,
                      vmm=vmm).boot()
    guest.run("until [ -b /dev/sda ]; do usleep 10000; done; dmesg -n 1")
    guest.qmp.command("stop")
    return guest


def compare(lab):
    """Seconds that a load takes, on one and on the other."""
    guests = {pathlib.Path(vmm).name: stopped(lab, vmm)
              for vmm in (lab.options.vmm, lab.options.beside)}
    for what, command in LOADS.items():
        seconds = {name: [] for name in guests}
        for _ in range(ROUNDS):
            for name, guest in guests.items():
                guest.qmp.command("cont")
                began = time.monotonic()
                guest.run(f"({command}) 2> /dev/null")
                seconds[name].append(time.monotonic() - began)
                guest.qmp.command("stop")
        medians = {name: sorted(found)[ROUNDS // 2] for name, found in seconds.items()}
        one, other = medians.values()
        lab.out(f"# {what}: " + ", ".join(f"{name} {median:.3f} s"
                                          for name, median in medians.items()) +
                f", ratio {one / other:.2f}")
