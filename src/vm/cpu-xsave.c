/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intel SDM volume 1, chapter 13.  Components of features that are off go, and the size
 * is that of the rest.  Components that berth does not know are kept for a guest that is
 * never moved.
 */
#include <string.h>

#include "cpu-xsave.h"

#define LEAF_XSAVE 0xdu
#define LEGACY_AND_HEADER 576u
#define X87_AND_SSE 3ull

typedef struct XsaveComponent {
    uint8_t bit;
    bool is_supervisor;
    CpuFeature feature;
} XsaveComponent;

static const XsaveComponent components[] = {
    { 2, false, { CPU_WORD_1_ECX, 28 } },               /* avx */
    { 3, false, { CPU_WORD_7_0_EBX, 14 } },             /* mpx */
    { 4, false, { CPU_WORD_7_0_EBX, 14 } },
    { 5, false, { CPU_WORD_7_0_EBX, 16 } },             /* avx512f */
    { 6, false, { CPU_WORD_7_0_EBX, 16 } },
    { 7, false, { CPU_WORD_7_0_EBX, 16 } },
    { 8, true, { CPU_WORD_7_0_EBX, 25 } },              /* intel-pt */
    { 9, false, { CPU_WORD_7_0_ECX, 3 } },              /* pku */
    { 11, true, { CPU_WORD_7_0_ECX, 7 } },              /* cet-ss */
    { 12, true, { CPU_WORD_7_0_ECX, 7 } },
    { 15, true, { CPU_WORD_7_0_EDX, 19 } },             /* arch-lbr */
    { 17, false, { CPU_WORD_7_0_EDX, 24 } },            /* amx-tile */
    { 18, false, { CPU_WORD_7_0_EDX, 24 } },
    { 19, false, { CPU_WORD_7_1_EDX, 21 } },            /* apxf */
};

/* The components that the guest may have, of those that the host has. */
static uint64_t allowed(const CpuSpec *spec, bool supervisor, uint64_t of_host)
{
    bool keeps_unknown = spec->kind == CPU_KIND_HOST && !spec->migratable;
    uint64_t known = 0, has = 0;

    for (unsigned i = 0; i < G_N_ELEMENTS(components); i++) {
        uint64_t bit = 1ull << components[i].bit;

        if (components[i].is_supervisor != supervisor)
            continue;
        known |= bit;
        if (cpu_words_has(&spec->words, components[i].feature))
            has |= bit;
    }
    if (!supervisor) {
        known |= X87_AND_SSE;
        has |= X87_AND_SSE;
    }
    return of_host & (keeps_unknown ? ~(known & ~has) : has);
}

static uint64_t pair(const CpuidEntry *entry, CpuidReg low, CpuidReg high)
{
    return entry->regs[low] | (uint64_t)entry->regs[high] << 32;
}

static void set_pair(CpuidEntry *entry, CpuidReg low, CpuidReg high, uint64_t value)
{
    entry->regs[low] = (uint32_t)value;
    entry->regs[high] = (uint32_t)(value >> 32);
}

/* The area's size; entries of components that went are zeroed. */
static uint32_t fix_components(GArray *cpuid, uint64_t user, uint64_t supervisor)
{
    uint32_t size = LEGACY_AND_HEADER;

    for (unsigned i = 0; i < cpuid->len; i++) {
        CpuidEntry *entry = &g_array_index(cpuid, CpuidEntry, i);

        if (entry->function != LEAF_XSAVE || entry->index < 2 || entry->index >= 64)
            continue;
        if (user >> entry->index & 1)
            size = MAX(size, entry->regs[CPUID_EAX] + entry->regs[CPUID_EBX]);
        else if (!(supervisor >> entry->index & 1))
            memset(entry->regs, 0, sizeof(entry->regs));
    }
    return size;
}

void cpu_xsave_fix(GArray *cpuid, const CpuSpec *spec)
{
    CpuidEntry *user_leaf = cpu_leaf_find(cpuid, LEAF_XSAVE, 0);
    CpuidEntry *supervisor_leaf = cpu_leaf_find(cpuid, LEAF_XSAVE, 1);
    uint64_t user, supervisor = 0;

    if (!user_leaf || !cpu_words_has(&spec->words, CPU_XSAVE)) {
        cpu_leaf_drop(cpuid, LEAF_XSAVE, LEAF_XSAVE);
        return;
    }
    user = allowed(spec, false, pair(user_leaf, CPUID_EAX, CPUID_EDX));
    set_pair(user_leaf, CPUID_EAX, CPUID_EDX, user);
    if (supervisor_leaf) {
        if (cpu_words_has(&spec->words, CPU_XSAVES))
            supervisor =
                allowed(spec, true, pair(supervisor_leaf, CPUID_ECX, CPUID_EDX));
        set_pair(supervisor_leaf, CPUID_ECX, CPUID_EDX, supervisor);
    }
    user_leaf->regs[CPUID_ECX] = fix_components(cpuid, user, supervisor);
    user_leaf->regs[CPUID_EBX] = user_leaf->regs[CPUID_ECX];
}
