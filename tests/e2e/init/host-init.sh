#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# The emulated host, from its disk: runs /job with the second serial port as its terminal.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C.UTF-8
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t cgroup2 cgroup2 /sys/fs/cgroup
mkdir -p /dev/pts /dev/shm
mount -t devpts devpts /dev/pts
mount -t tmpfs tmpfs /dev/shm
mount -t tmpfs tmpfs /tmp
mount -t tmpfs tmpfs /run
ip link set lo up
# Guests may be larger than this host: they touch little of their memory.
echo 1 > /proc/sys/vm/overcommit_memory
stty -F /dev/ttyS1 raw -echo 115200
echo "# host up" > /dev/ttyS1
cd /lab || exit
setsid sh /job < /dev/ttyS1 > /dev/ttyS1 2>&1
echo "# job ended $?" > /dev/ttyS1
sleep 0.2
poweroff -f
