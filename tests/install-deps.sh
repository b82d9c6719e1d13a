#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what building, testing and the demo need on a bare Debian 12.
set -eu

# Building.
BUILD="gcc libc6-dev make pkg-config python3 libglib2.0-dev libjson-c-dev nettle-dev \
    libaio-dev zlib1g-dev libzstd-dev libseccomp-dev libnl-3-dev libslirp-dev"
# Checking: the other compiler with its sanitizers and fuzzer, iasl for the ACPI tables,
# the parser of AppArmor's lines.
CHECK="clang libclang-rt-14-dev acpica-tools git iproute2 apparmor"
# Readers of dumps.
DUMPS="crash makedumpfile python3-libkdumpfile"
# Stock guests, and the emulated host where there is no VMX or SVM.
GUESTS="qemu-system-x86 seabios ovmf busybox-static kmod e2fsprogs lz4 dmidecode"
GUESTS="$GUESTS qemu-guest-agent"
# Boot loaders, of disks and of the network.
GUESTS="$GUESTS grub-common grub-pc-bin grub-efi-amd64-bin ipxe-qemu mtools xorriso"
# What firmware and the network boot: a server, other payloads.
GUESTS="$GUESTS dnsmasq-base memtest86+ qemu-system-data"
# What judges images.
IMAGES="qemu-utils"
# The clients that berth has to content, and shells that complete for a person.
CLIENTS="libvirt-daemon libvirt-daemon-driver-qemu libvirt-clients"
CLIENTS="$CLIENTS virtinst libxml2-utils socat curl zsh groff-base"
CLIENTS="$CLIENTS golang-go golang-github-digitalocean-go-qemu-dev"

if ! command -v apt-get > /dev/null; then
    echo "no apt-get here; needed is what these Debian packages hold:" >&2
    echo "$BUILD $CHECK $DUMPS $GUESTS $IMAGES $CLIENTS" >&2
    exit 0
fi

# shellcheck disable=SC2086
missing=$(
    {
        dpkg-query -W -f '${Package} ${db:Status-Status}\n' $BUILD $CHECK $DUMPS \
            $GUESTS $IMAGES $CLIENTS || true
    } 2> /dev/null | awk -v wanted="$BUILD $CHECK $DUMPS $GUESTS $IMAGES $CLIENTS" '
        $2 == "installed" { installed[$1] }
        END {
            n = split(wanted, package)
            for (i = 1; i <= n; i++)
                if (!(package[i] in installed))
                    printf " %s", package[i]
        }')
[ -n "$missing" ] || exit 0

sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
echo "installing:$missing" >&2
$sudo apt-get -q -y update >&2
# shellcheck disable=SC2086
$sudo env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -y install --no-install-recommends $missing >&2
