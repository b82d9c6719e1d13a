#!/bin/busybox sh
# SPDX-License-Identifier: Apache-2.0
# What acpid runs when the power button's event is read.
echo "guest: power button" > /dev/console
poweroff -f
