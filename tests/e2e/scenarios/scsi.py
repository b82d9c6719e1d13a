# SPDX-License-Identifier: Apache-2.0
"""virtio-scsi in a stock guest: disks and a CD as Linux's sd and sr drivers see them,
data both ways, discards that reach the file, a disk that grows, one that fills up, a
tray."""

import hashlib
import os
import struct

MIB = 1 << 20
DISK = 64 * MIB
MODULES = ["scsi_common", "scsi_mod", "virtio_scsi", "sd_mod", "cdrom", "sr_mod",
           "isofs"]
TEXT = b"what stands on the disc\n"
# Linux names disks in the order of their probes, which differs: $a and $b are known by
# their places.  It shows the whole address of LUN 300, 412ch.
DISKS = "-b /dev/sda -a -b /dev/sdb -a -b /dev/sr0"
START = ("; ".join(f"insmod /lib/{name}.ko" for name in MODULES)
         + f"; until [ {DISKS} ]; do usleep 10000; done; "
         "place=/sys/class/scsi_device/0:0; a=$(ls $place:0:0/device/block); "
         "b=$(ls $place:7:16684/device/block); cd /tmp")
DROP = "echo 3 > /proc/sys/vm/drop_caches"


def both(number, kind):
    """A number in both orders of bytes (ECMA-119, 7.2.3 and 7.3.3)."""
    return struct.pack("<" + kind, number) + struct.pack(">" + kind, number)


def directory_record(name, block, size, flags):
    record = (b"\0" + both(block, "I") + both(size, "I") + bytes(7) + bytes([flags, 0, 0])
              + both(1, "H") + bytes([len(name)]) + name)
    record += b"\0" * (len(record) % 2 == 0)
    return bytes([len(record) + 1]) + record


def write_disc(path):
    """A disc with one file, A.TXT (ECMA-119)."""
    root = directory_record(b"\0", 18, 2048, 2)
    volume = (b"\1CD001\1\0" + b" " * 32 + b"BERTH".ljust(32) + bytes(8) + both(200, "I")
              + bytes(32) + both(1, "H") * 2 + both(2048, "H") + both(10, "I")
              + bytes(16) + root)
    volume = volume.ljust(881, b" ") + b"\1"
    listing = (root + directory_record(b"\1", 18, 2048, 2)
               + directory_record(b"A.TXT;1", 19, len(TEXT), 0))
    blocks = [volume, b"\xffCD001\1", listing, TEXT]
    blocks += [bytes([i]) * 2048 for i in range(180)]
    with open(path, "wb") as disc:
        disc.write(bytes(16 * 2048))
        for block in blocks:
            disc.write(block.ljust(2048, b"\0"))
    return hashlib.md5(path.read_bytes()).hexdigest()


def scenario(lab):
    for name in ("a", "b"):
        with open(lab.folder / name, "wb") as disk:
            disk.truncate(DISK)
    digest = write_disc(lab.folder / "disc")
    guest = lab.guest(
        "-object", "iothread,id=io1", "-object", "iothread,id=io2",
        "-device", "pcie-root-port,id=port0,chassis=1,addr=4",
        "-device", '{"driver":"virtio-scsi-pci","id":"scsi0","bus":"port0",'
        '"num_queues":2,"iothread-vq-mapping":[{"iothread":"io1"},{"iothread":"io2"}]}',
        "-blockdev", f"file,node-name=a,filename={lab.folder}/a,discard=unmap",
        "-blockdev", f"file,node-name=b-file,filename={lab.folder}/b",
        "-blockdev", '{"driver":"inject","node-name":"b","file":"b-file"}',
        "-blockdev", f"file,node-name=disc,filename={lab.folder}/disc,read-only=on",
        "-device", "scsi-hd,bus=scsi0.0,scsi-id=0,lun=0,drive=a,id=hd0,serial=S1,"
        "wwn=5764824127192592812,rotation_rate=1,physical_block_size=4096",
        "-device", "scsi-cd,bus=scsi0.0,scsi-id=0,lun=1,drive=disc,id=cd0",
        "-device", "scsi-hd,bus=scsi0.0,scsi-id=7,lun=300,drive=b,id=hd1,werror=stop",
        tools=True).boot()
    guest.run(START)
    check_identity(lab, guest)
    check_data(lab, guest)
    check_discard(lab, guest)
    check_resize(lab, guest)
    check_full_disk(lab, guest)
    check_disc(lab, guest, digest)
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)


def check_identity(lab, guest):
    text = guest.run("cd /sys/block/$a; cat size device/vendor device/model device/rev "
                     "device/wwid queue/rotational queue/physical_block_size "
                     "queue/discard_granularity; ls mq; cd /tmp")
    lab.equal("the disk is what the command line says", text.split(),
              [str(DISK // 512), "QEMU", "QEMU", "HARDDISK", "2.5+",
               "naa.5000c50015ea71ac", "0", "4096", "4096", "0", "1"])
    lab.match("its serial number is read", guest.run(
        "cat /sys/block/$a/device/vpd_pg80"), "S1")
    lab.equal("units by their places", sorted(guest.run(
        "ls /sys/class/scsi_device").replace(":", ".").split()),
        ["0.0.0.0", "0.0.0.1", "0.0.7.16684"])
    lab.match("the driver uses the cache", guest.run(
        "cat /sys/class/scsi_disk/*/cache_type"), "write back")
    lab.equal("unmap is how it discards", guest.run(
        "cat /sys/class/scsi_disk/*0:0/provisioning_mode"), "unmap")


def check_data(lab, guest):
    guest.run("dd if=/dev/urandom of=data bs=1M count=8 2> /dev/null")
    wanted = guest.run("md5sum < data").split()[0]
    guest.run("dd if=data of=/dev/$a bs=256k seek=4 conv=fsync 2> /dev/null; "
              + DROP)
    with open(lab.folder / "a", "rb") as disk:
        disk.seek(MIB)
        lab.equal("what the guest wrote is in the file",
                  hashlib.md5(disk.read(8 * MIB)).hexdigest(), wanted)
    lab.match("and is read again", guest.run(
        "dd if=/dev/$a bs=64k skip=16 count=128 2> /dev/null | md5sum"), wanted)
    guest.run("mke2fs /dev/$a > /dev/null; mkdir m disc; mount -t ext4 /dev/$a m; "
              "p=; for i in 1 2 3 4; do (cp data m/$i; sync) & p=\"$p $!\"; done; "
              "wait $p; umount m; " + DROP + "; mount -t ext4 /dev/$a m")
    lab.equal("files written at once are whole", set(guest.run(
        "for i in 1 2 3 4; do md5sum < m/$i; done").split()) - {"-"}, {wanted})


def blocks(lab):
    return os.stat(lab.folder / "a").st_blocks * 512


def check_discard(lab, guest):
    before = blocks(lab)
    guest.run("rm m/1 m/2 m/3 m/4; sync; fstrim m; umount m")
    lab.check(f"fstrim shrinks the file ({before >> 10} to {blocks(lab) >> 10} KiB)",
              blocks(lab) < before - 30 * MIB)
    guest.run("blkdiscard /dev/$a")
    lab.check("blkdiscard empties it", blocks(lab) < MIB)


def check_resize(lab, guest):
    guest.qmp.command("block_resize", node_name="a", size=2 * DISK)
    guest.run(f"until [ $(cat /sys/block/$a/size) = {2 * DISK // 512} ]; "
              "do usleep 10000; done")
    lab.check("a disk that grows is seen to", True)


def check_full_disk(lab, guest):
    guest.qmp.command("x-block-inject-set", node_name="b", rules=[
        {"ops": ["write"], "errno": "ENOSPC", "first": 3, "times": 1}])
    guest.type("dd if=data of=/dev/$b bs=64k conv=fsync 2> /dev/null; "
               "echo written $?\n")
    event = guest.qmp.wait_event("BLOCK_IO_ERROR")
    lab.equal("a full disk stops the machine", (event["action"], event["nospace"]),
              ("stop", True))
    guest.qmp.wait_event("STOP")
    lab.equal("which says why", guest.status, "io-error")
    guest.qmp.command("cont")
    guest.mark = guest.console.wait("written 0", guest.mark).end()
    wanted = guest.run("md5sum < data").split()[0]
    with open(lab.folder / "b", "rb") as disk:
        lab.equal("nothing is lost", hashlib.md5(disk.read(8 * MIB)).hexdigest(), wanted)


def check_disc(lab, guest, digest):
    lab.match("the disc is read whole", guest.run("md5sum < /dev/sr0"), digest)
    lab.equal("and mounted", guest.run(
        "mount -t iso9660 /dev/sr0 disc; cat disc/*; umount disc").encode(), TEXT.strip())
    guest.run("echo 1 > /proc/sys/dev/cdrom/autoeject; : < /dev/sr0")
    event = guest.qmp.wait_event("DEVICE_TRAY_MOVED")
    lab.equal("the guest opens the tray", (event["id"], event["tray-open"]),
              ("cd0", True))
    guest.run("echo 0 > /proc/sys/dev/cdrom/autoeject; : < /dev/sr0")
    event = guest.qmp.wait_event("DEVICE_TRAY_MOVED")
    lab.check("and closes it", not event["tray-open"])
    lab.match("the disc is still in it", guest.run("md5sum < /dev/sr0"), digest)
    lab.match("writing to it is refused", guest.run(
        "dd if=data of=/dev/sr0 count=1 2>&1 || true"), "Read-only")
