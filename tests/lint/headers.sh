#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Each header of include/berth compiles alone.  headers.sh ROOT BUILD; what has
# passed is not compiled again until it or what it includes changes.
set -eu

root=$1
build=$2
cd "$root"
mkdir -p "$build/lint"

if [ $# -eq 2 ]; then
    find include/berth -name '*.h' | sort | xargs -r -n 1 -P 2 "$0" "$root" "$build"
    exit
fi

header=$3
stamp=$build/lint/${header##*/}.ok
if [ -e "$stamp" ]; then
    # The stamp lists what the header includes; one that is gone counts as newer.
    newer=$(xargs -r sh -c 'find "$@" -newer "$0" 2>&1' "$stamp" < "$stamp")
    [ -n "$newer" ] || exit 0
    rm -f "$stamp"
fi
# shellcheck disable=SC2046
if ! echo "#include \"berth/${header#include/berth/}\"" |
    gcc -std=gnu11 -D_GNU_SOURCE -Wall -Wextra -Wno-unused-parameter -Werror \
        -Iinclude -I"$build/gen" $(pkg-config --cflags glib-2.0) \
        -x c -fsyntax-only -MMD -MF "$stamp.d" - 2> "$stamp.log"; then
    grep -m 1 -E '(error|warning):' "$stamp.log" |
        sed 's/$/: a header includes what it uses/'
    exit 1
fi
sed -e 's/^[^:]*://' -e 's/\\$//' "$stamp.d" > "$stamp"
