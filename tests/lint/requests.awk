# SPDX-License-Identifier: Apache-2.0
#
# Each request of ioctl(2) that the sources name has a row in the sandbox's table, or is
# one that is made only before the sandbox is entered.  Run with the table first.

BEGIN {
    start("KVM_CREATE_VM KVM_CREATE_VCPU KVM_CREATE_IRQCHIP KVM_CREATE_PIT2 " \
          "KVM_ENABLE_CAP KVM_GET_VCPU_MMAP_SIZE KVM_SET_CPUID2 " \
          "KVM_SET_IDENTITY_MAP_ADDR KVM_SET_NR_MMU_PAGES KVM_SET_TSS_ADDR")
}

function start(names,    list, n)
{
    n = split(names, list, " ")
    while (n > 0)
        at_start[list[n--]] = 1
}

FILENAME ~ /sandbox-table\.c$/ {
    if (match($0, /VALUE\([A-Z0-9_]+/))
        has_row[substr($0, RSTART + 6, RLENGTH - 6)] = 1
    next
}

match($0, /ioctl\([^,]*, *[A-Z0-9_]+/) {
    request = substr($0, RSTART, RLENGTH)
    sub(/.*, */, "", request)
    if (!(request in has_row) && !(request in at_start))
        printf "%s:%d: the request %s has no row in src/machine/sandbox-table.c: see " \
               "docs/sandbox.md\n", FILENAME, FNR, request
}
