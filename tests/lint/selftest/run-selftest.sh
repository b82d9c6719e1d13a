#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The lint finds what it is there for: the tree of bad (and good) examples, with the too
# big files that are made here, gives exactly the findings of expected.txt.
# With -u what is found becomes what is expected; look at the difference.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "$here/tree/." "$work"
cd "$work"

licence='/* SPDX-License-Identifier: Apache-2.0 */'
repeat() { awk -v n="$1" -v text="$2" 'BEGIN { while (n-- > 0) print text }'; }

{ echo "$licence"; repeat 899 ""; } > src/machine/long-900.c
{ echo "$licence"; repeat 900 ""; } > src/machine/long-901.c
{ echo "$licence"; echo '#pragma once'; repeat 199 ""; } > src/machine/long-201.h
{
    echo "$licence"
    echo "static int sixty(int a,"; echo "                 int b)"; echo "{"
    repeat 56 "    a++;"; echo "}"; echo ""
    echo "static int sixty_one(void)"; echo "{"; repeat 58 "    a++;"; echo "}"
    echo "/* $(printf '%083d' 0) */"
    echo "/* $(printf '%085d' 0) */"
} > src/machine/long-functions.c

mkdir -p build/gen build/obj/src/vm
gcc -O0 -c -o build/obj/src/vm/symbols.o src/vm/symbols.c

if "$here/../run.sh" "$work" > found.txt; then
    echo "lint: the tree of bad examples was passed"
    exit 1
fi
# Compilers differ in the words of a header's error.
sed -i -e 's/^\(.*:\)[0-9]*: error: .*: a header/\1 a header/' found.txt
[ "${1:-}" != -u ] || cp found.txt "$here/expected.txt"
diff -u "$here/expected.txt" found.txt
