# SPDX-License-Identifier: Apache-2.0
"""A stock guest on a qcow2 image: files that were synced are whole, trim gives space
back, the disk grows, and qemu-img reads what was written and finds nothing wrong."""

import hashlib
import os
import shutil
import subprocess

MIB = 1 << 20
DISK = 96 * MIB
START = ("insmod /lib/virtio_blk.ko; until [ -b /dev/vda ]; do usleep 10000; done; "
         "cd /tmp; mkdir -p m")
DROP = "echo 3 > /proc/sys/vm/drop_caches"


def qemu_img(lab, *argv):
    done = subprocess.run(["qemu-img", *argv], cwd=lab.folder, stdin=subprocess.DEVNULL,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


def scenario(lab):
    if not shutil.which("qemu-img"):
        lab.check("no qemu-img here: nothing is tried", True)
        return
    qemu_img(lab, "create", "-f", "qcow2", "base", str(DISK))
    qemu_img(lab, "create", "-f", "qcow2", "-b", "base", "-F", "qcow2", "disk")
    guest = lab.guest(
        "-object", "iothread,id=io1",
        "-blockdev", f"file,node-name=file,filename={lab.folder}/disk,discard=unmap",
        "-blockdev", "qcow2,node-name=disk,file=file,discard=unmap",
        "-device", "virtio-blk-pci,id=vda,drive=disk,iothread=io1,num-queues=2",
        tools=True).boot()
    guest.run(START)
    wanted = check_files(lab, guest)
    check_trim(lab, guest)
    check_resize(lab, guest)
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)
    check_image(lab, wanted)


def check_files(lab, guest):
    guest.run("dd if=/dev/urandom of=data bs=1M count=8 2> /dev/null")
    wanted = guest.run("md5sum < data").split()[0]
    guest.run("mke2fs /dev/vda > /dev/null; mount -t ext4 /dev/vda m; "
              "p=; for i in 1 2 3 4; do (cp data m/$i; sync) & p=\"$p $!\"; done; "
              "wait $p; umount m; " + DROP + "; mount -t ext4 /dev/vda m")
    lab.equal("files written at once are whole", set(guest.run(
        "for i in 1 2 3 4; do md5sum < m/$i; done").split()) - {"-"}, {wanted})
    return wanted


def blocks(lab):
    return os.stat(lab.folder / "disk").st_blocks * 512


def check_trim(lab, guest):
    before = blocks(lab)
    guest.run("rm m/2 m/3 m/4; sync; fstrim m; sync")
    lab.check(f"fstrim shrinks the file ({before >> 10} to {blocks(lab) >> 10} KiB)",
              blocks(lab) < before - 16 * MIB)


def check_resize(lab, guest):
    guest.qmp.command("block_resize", node_name="disk", size=2 * DISK)
    guest.run(f"until [ $(cat /sys/block/vda/size) = {2 * DISK // 512} ]; "
              "do usleep 10000; done")
    guest.run(f"dd if=data of=/dev/vda bs=1M seek={DISK // MIB + 8} conv=fsync "
              "2> /dev/null")
    lab.check("a disk that grows is seen to", True)


def check_image(lab, wanted):
    lab.equal("qemu-img finds nothing wrong", qemu_img(lab, "check", "disk")[0], 0)
    qemu_img(lab, "convert", "-O", "raw", "disk", "raw")
    with open(lab.folder / "raw", "rb") as raw:
        raw.seek(DISK + 8 * MIB)
        lab.equal("and what the guest wrote where the disk grew",
                  hashlib.md5(raw.read(8 * MIB)).hexdigest(), wanted)
