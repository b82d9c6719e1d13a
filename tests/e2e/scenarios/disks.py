# SPDX-License-Identifier: Apache-2.0
"""virtio-blk in a stock guest: what its driver reads of a disk, a file system under load
while the machine stops and goes on, discards that reach the file, a disk that may not be
written, one that fills up, and all of it after a reset in the middle of work."""

import hashlib
import os

SECONDS = 60
MIB = 1 << 20
DISK = 96 * MIB
# Disks are known by their serial numbers: their names follow the order of the probes.
START = ("insmod /lib/virtio_blk.ko; "
         "disk() { grep -lx $1 /sys/block/vd*/serial 2> /dev/null | cut -d/ -f4; }; "
         "until [ \"$(disk A)\" -a \"$(disk B)\" -a \"$(disk C)\" ]; do usleep 10000; "
         "done; a=$(disk A); b=$(disk B); c=$(disk C); cd /tmp; mkdir -p m")
DROP = "echo 3 > /proc/sys/vm/drop_caches"
# Small files, each of them on the disk before the next.
LOAD = ("{ (i=0; while [ ! -e stop ]; do i=$((i+1)); echo $i > m/log.$((i%20)); "
        "sync m/log.$((i%20)); echo $i > count; done; echo > stopped) > load 2>&1 & }")


def scenario(lab):
    for name in ("a", "b", "c"):
        with open(lab.folder / name, "wb") as disk:
            disk.truncate(DISK)
    with open(lab.folder / "b", "r+b") as disk:
        disk.write(b"only to be read\n")
    guest = lab.guest(
        "-object", "iothread,id=io1", "-object", "iothread,id=io2",
        "-device", "pcie-root-port,id=port0,chassis=1,addr=4",
        "-blockdev", f"file,node-name=a,filename={lab.folder}/a,discard=unmap",
        "-device", '{"driver":"virtio-blk-pci","id":"disk0","bus":"port0","drive":"a",'
        '"serial":"A","num-queues":2,"queue-size":512,"logical_block_size":512,'
        '"physical_block_size":4096,"iothread-vq-mapping":[{"iothread":"io1"},'
        '{"iothread":"io2"}]}',
        "-blockdev", f"file,node-name=b,filename={lab.folder}/b,read-only=on",
        "-device", "virtio-blk-pci,drive=b,serial=B,iothread=io1",
        "-blockdev", f"file,node-name=c-file,filename={lab.folder}/c",
        "-blockdev", '{"driver":"inject","node-name":"c","file":"c-file"}',
        "-device", "virtio-blk-pci,drive=c,serial=C,werror=stop,write-cache=off",
        tools=True).boot()
    guest.run(START)
    check_identity(lab, guest)
    check_read_only(lab, guest)
    check_data(lab, guest)
    check_full_disk(lab, guest)
    check_stop(lab, guest)
    check_discard(lab, guest)
    check_reset(lab, guest)
    guest.qmp.command("quit")
    lab.equal("quit ends the VMM", guest.wait_exit(), 0)


def check_identity(lab, guest):
    text = guest.run("cd /sys/block/$a; cat size ro queue/physical_block_size "
                     "queue/logical_block_size queue/write_cache; ls mq; cd /tmp")
    lab.equal("the disk is what the command line says", text.split(),
              [str(DISK // 512), "0", "4096", "512", "write", "back", "0", "1"])
    lab.match("it can discard", guest.run("cat /sys/block/$a/queue/discard_max_bytes"),
              r"^[1-9]")
    lab.match("and write zeroes",
              guest.run("cat /sys/block/$a/queue/write_zeroes_max_bytes"), r"^[1-9]")
    lab.equal("each queue has its interrupt", guest.run(
        "grep -c 'virtio.*-req' /proc/interrupts"), "6")
    lab.equal("a disk without a cache", guest.run("cat /sys/block/$c/queue/write_cache"),
              "write through")


def check_read_only(lab, guest):
    lab.equal("one that is only read", guest.run("cat /sys/block/$b/ro"), "1")
    lab.match("cannot be written", guest.run(
        "dd if=/dev/zero of=/dev/$b bs=512 count=1 2>&1 || true"), "not permitted|only")
    lab.equal("but read", guest.run("head -n 1 /dev/$b"), "only to be read")


def check_data(lab, guest):
    guest.run("/bin/mke2fs -q -t ext4 /dev/$a && mount -t ext4 -o errors=panic /dev/$a m")
    guest.run("dd if=/dev/urandom of=data bs=1M count=8 2> /dev/null")
    wanted = guest.run("md5sum < data").split()[0]
    guest.run("p=; for i in 1 2 3 4; do (cp data m/$i; sync) & p=\"$p $!\"; done; "
              "wait $p; " + DROP)
    lab.equal("files written at once are whole", set(guest.run(
        "for i in 1 2 3 4; do md5sum < m/$i; done").split()) - {"-"}, {wanted})


def check_full_disk(lab, guest):
    guest.qmp.command("x-block-inject-set", node_name="c", rules=[
        {"ops": ["write"], "errno": "ENOSPC", "first": 3, "times": 1}])
    guest.type("dd if=data of=/dev/$c bs=64k conv=fsync 2> /dev/null; "
               "echo written $?\n")
    event = guest.qmp.wait_event("BLOCK_IO_ERROR")
    lab.equal("a full disk stops the machine", (event["action"], event["nospace"]),
              ("stop", True))
    guest.qmp.wait_event("STOP")
    lab.equal("which says why", guest.status, "io-error")
    guest.qmp.command("cont")
    guest.mark = guest.console.wait("written 0", guest.mark).end()
    wanted = guest.run("md5sum < data").split()[0]
    with open(lab.folder / "c", "rb") as disk:
        lab.equal("nothing is lost", hashlib.md5(disk.read(8 * MIB)).hexdigest(), wanted)


def check_stop(lab, guest):
    guest.run(LOAD)
    for _ in range(10):
        guest.qmp.command("stop")
        guest.qmp.command("cont")
    # The shell empties the file before it writes the number there.
    before = int(guest.run("until n=$(cat count) && [ $n ]; do :; done; echo $n"))
    guest.run(f"until n=$(cat count) && [ ${{n:-0}} -gt {before + 20} ]; do "
              "usleep 10000; done; "
              "> stop; until [ -e stopped ]; do usleep 10000; done")
    lab.equal("nothing went wrong while the machine stopped and went on",
              guest.run("cat load"), "")


def blocks(lab):
    return os.stat(lab.folder / "a").st_blocks * 512


def check_discard(lab, guest):
    before = blocks(lab)
    guest.run("rm m/1 m/2 m/3; sync; fstrim m")
    lab.check(f"fstrim shrinks the file ({before >> 10} to {blocks(lab) >> 10} KiB)",
              blocks(lab) < before - 20 * MIB)


def check_reset(lab, guest):
    wanted = guest.run("md5sum < m/4").split()[0]
    guest.run("rm -f stop stopped; " + LOAD)
    guest.qmp.command("system_reset")
    guest.wait_up()
    guest.run(START)
    guest.run("mount -t ext4 -o errors=panic /dev/$a m")
    lab.match("after a reset in the middle of writes what was written is there",
              guest.run("md5sum < m/4"), wanted)
    lab.equal("and the file system is whole", guest.run(
        "umount m; /bin/e2fsck -fn /dev/$a > fsck 2>&1 || cat fsck"), "")
    lab.equal("the kernel has nothing to complain of", guest.run(
        "dmesg | grep -iE 'i/o error|call trace|ext4-fs error|lockup' || true"), "")
