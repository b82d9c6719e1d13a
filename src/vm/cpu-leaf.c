/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arrays of CPUID entries.
 */
#include <string.h>

#include "cpu-leaf.h"

bool cpu_leaf_is_indexed(uint32_t function)
{
    static const uint32_t functions[] = {
        0x4,  0x7,  0xb,  0xd,  0xf,  0x10, 0x12, 0x14,       0x17,       0x18,      0x1b,
        0x1d, 0x1e, 0x1f, 0x20, 0x23, 0x24, 0x29, 0x8000001d, 0x80000020, 0x80000026,
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(functions); i++) {
        if (functions[i] == function)
            return true;
    }
    return false;
}

CpuidEntry *cpu_leaf_find(const GArray *cpuid, uint32_t function, uint32_t index)
{
    for (unsigned i = 0; i < cpuid->len; i++) {
        CpuidEntry *entry = &g_array_index(cpuid, CpuidEntry, i);

        if (entry->function == function && entry->index == index)
            return entry;
    }
    return NULL;
}

void cpu_leaf_drop(GArray *cpuid, uint32_t first, uint32_t last)
{
    unsigned kept = 0;

    for (unsigned i = 0; i < cpuid->len; i++) {
        CpuidEntry entry = g_array_index(cpuid, CpuidEntry, i);

        if (entry.function < first || entry.function > last)
            g_array_index(cpuid, CpuidEntry, kept++) = entry;
    }
    g_array_set_size(cpuid, kept);
}

void cpu_leaf_append(GArray *cpuid, uint32_t function, uint32_t index,
                     const uint32_t regs[4])
{
    CpuidEntry entry = { .function = function, .index = index };

    memcpy(entry.regs, regs, sizeof(entry.regs));
    g_array_append_val(cpuid, entry);
}

GArray *cpu_leaf_copy(const GArray *cpuid)
{
    GArray *copy = g_array_sized_new(FALSE, FALSE, sizeof(CpuidEntry), cpuid->len + 8);

    return g_array_append_vals(copy, cpuid->data, cpuid->len);
}

void cpu_leaf_vendor(const GArray *cpuid, char ret_vendor[13])
{
    const CpuidEntry *entry = cpu_leaf_find(cpuid, 0, 0);

    memset(ret_vendor, 0, 13);
    if (!entry)
        return;
    memcpy(ret_vendor, &entry->regs[CPUID_EBX], 4);
    memcpy(ret_vendor + 4, &entry->regs[CPUID_EDX], 4);
    memcpy(ret_vendor + 8, &entry->regs[CPUID_ECX], 4);
}
