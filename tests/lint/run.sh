#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The rules of the code's structure.  run.sh [ROOT [BUILD]]: ROOT is the tree to look at,
# BUILD has its objects (obj/) and generated headers (gen/).  Each finding is a line
# "file:line: what is wrong: what to do".  Exit 1 when there is one.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "${1:-$here/../..}" && pwd)
build=${2:-$root/build}
case $build in /*) ;; *) build=$root/$build ;; esac
export LC_ALL=C

list=$(mktemp)
found=$(mktemp)
trap 'rm -f "$list" "$found"' EXIT
cd "$root"

# Everything that people write: no build, no bad examples, no seeds and golden data.
find Makefile README.md .ci docs src hw block net qmp ctl systemd include tests \
    \( -path tests/lint/selftest/tree -o -name expected.txt \
       -o -path tests/fuzz/seeds -o -path tests/data \
       -o -name __pycache__ \) -prune -o -type f -print 2>/dev/null | sort > "$list"

all() { cat "$list"; }
c_files() { grep '\.[ch]$' "$list" || true; }
rule() { awk "$@" >> "$found" || true; }

all | rule -f "$here/names.awk"
rule -f "$here/text.awk" $(all)
rule -v list="$list" -f "$here/docs.awk" /dev/null $(grep '\.md$' "$list")
rule -f "$here/includes.awk" $(c_files)
rule -f "$here/requests.awk" src/machine/sandbox-table.c \
    $(grep '^\(src\|hw\|block\|net\|qmp\)/.*\.c$' "$list")
rule -f "$here/c-code.awk" -f "$here/functions.awk" $(c_files)
if [ -e "$build/gen/qmp-reference.md" ] &&
    ! cmp -s "$build/gen/qmp-reference.md" docs/qmp-reference.md; then
    echo "docs/qmp-reference.md:1: not what the schema says: make reference" >> "$found"
fi
"$here/headers.sh" "$root" "$build" >> "$found" 2>&1 || true
manual=$root/build/gen/qmp-reference.md
if [ -e "$manual" ] && ! cmp -s "$manual" docs/qmp-reference.md; then
    echo "docs/qmp-reference.md:1: not what the schema says: make reference" >> "$found"
fi
if [ -d "$build/obj" ]; then
    find "$build/obj" -name '*.o' ! -path '*/tests/*' | sort |
        while read -r object; do
            source=${object#"$build/obj/"}
            [ ! -e "${source%.o}.c" ] || echo "$object"
        done | xargs -r nm --format=sysv -A 2>/dev/null |
        rule -v objects="$build/obj" -f "$here/symbols.awk"
fi

sort -u "$found" | sort -t: -k1,1 -k2,2n
count=$(sort -u "$found" | wc -l)
echo "lint: $(wc -l < "$list") files, $count findings"
[ "$count" -eq 0 ]
