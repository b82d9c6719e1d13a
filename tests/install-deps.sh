#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Installs what building, testing and the demo need on a bare Debian 12.
set -eu

PACKAGES="gcc clang libclang-rt-14-dev make pkg-config python3 git
libglib2.0-dev libaio-dev libnl-3-dev libnl-route-3-dev libjson-c-dev libseccomp-dev
zlib1g-dev libzstd-dev qemu-system-x86 seabios acpica-tools busybox-static kmod cpio
e2fsprogs iproute2 strace"

missing=
for package in $PACKAGES; do
    state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
    [ "$state" = installed ] || missing="$missing $package"
done
[ -n "$missing" ] || exit 0

sudo=
[ "$(id -u)" = 0 ] || sudo=sudo
echo "installing:$missing" >&2
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get -q -y update >&2
# shellcheck disable=SC2086
$sudo env DEBIAN_FRONTEND=noninteractive \
    apt-get -q -y install --no-install-recommends $missing >&2
