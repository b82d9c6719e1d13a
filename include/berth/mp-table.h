/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of the MultiProcessor Specification 1.4: vCPUs, IOAPIC and the wiring of
 * interrupts, for guests that find no ACPI tables.
 *
 * What is not in MpMachine is fixed by x86-layout.h.  Main only.
 */
#pragma once

#include "berth/base.h"

#define MP_FLOATING_SIZE 16u
#define MP_TABLE_ALIGN 16u
/* Larger APIC ids have no place in an entry. */
#define MP_APIC_ID_MAX 254u

typedef struct MpMachine {
    const uint32_t *apic_ids;   /* of the vCPUs there are, the boot processor first */
    size_t n_cpus;
    uint64_t signature;         /* CPUID leaf 1: EAX, and above it EDX */
    bool pit;                   /* there is an i8254: interrupt 0 is at pin 2 */
} MpMachine;

/*
 * The table, which goes to a multiple of MP_TABLE_ALIGN below 4 GiB.  NULL with @error
 * when an APIC id is too large.
 */
GByteArray *mp_table_new(const MpMachine *machine, GError **error);

/*
 * Writes the floating pointer to a table at @table_gpa, MP_FLOATING_SIZE bytes, to @dest.
 * Guests look for it at multiples of 16 in the last KiB of base memory.
 */
void mp_table_write_floating(uint64_t table_gpa, void *dest);
