#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# The guest's first process.  The kernel hands it name=value pairs of its command line
# that are not its own: shell=plain (commands line by line, for scripts) or shell=human,
# and disk=/dev/vda for a file system with this script in it, which then takes over.
export PATH=/bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
while read -r module; do
    insmod "$module"
done < /modules
if [ -n "$disk" ]; then
    until [ -b "$disk" ]; do usleep 10000; done
    mount -t ext4 "$disk" /root && disk= exec switch_root -c /dev/console /root /init
    echo "guest: no root on $disk"
fi
acpid -f -c /etc/acpi -l /dev/null -p /acpid.pid 2> /dev/null &
# A button that is pressed before acpid listens is lost.
tries=500
button=$(grep -l 'Power Button' /sys/class/input/event*/device/name)
button=${button%/device/name}
[ -n "$button" ] || echo "guest: no power button"
until [ -z "$button" ] || ls -l /proc/$!/fd | grep -q "/dev/input/${button##*/}\$"; do
    tries=$((tries - 1))
    [ "$tries" -gt 0 ] || { echo "guest: acpid does not listen"; break; }
    usleep 10000
done
# Any other message of the kernel would be in the midst of what commands write.
dmesg -n 2
# Each letter of an echo is work for the serial port.
[ "$shell" = human ] || stty -echo
echo "guest: up"

power() {
    sync
    "$1" -f
    sleep 1000
}

if [ "$shell" = human ]; then
    echo
    echo "This is the guest's shell; 'poweroff -f' powers it off."
    setsid cttyhack sh
    power poweroff
fi
while read -r line; do
    case $line in
    poweroff | reboot) power "$line" ;;
    *) eval "$line" ;;
    esac
done
echo "guest: console closed"
power poweroff
