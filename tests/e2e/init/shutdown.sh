#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# What the agent of QEMU runs to end the guest: "shutdown -h -P +0 ...", "-r" to reboot.
case " $* " in
*" -r "*) reboot -f ;;
*) poweroff -f ;;
esac
