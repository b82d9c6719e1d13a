#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# The emulated host's first process: loads KVM and the disk's driver, goes on from there.
export PATH=/bin
mount -t devtmpfs dev /dev
mount -t proc proc /proc
while read -r module; do
    insmod "$module" || echo "host: cannot load $module"
done < /modules
until [ -b /dev/vda ]; do sleep 0.1; done
mount -t ext4 -o noatime /dev/vda /mnt
cp /job /mnt/job
umount /proc
mount -o move /dev mnt/dev
exec switch_root /mnt /sbin/init
