/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Caches of models, and CPUID's ways to tell of them.  Intel SDM volume 2A, CPUID leaves
 * 2, 4 and 0x80000006; AMD APM volume 3, E.4.4, E.4.5 and E.4.17.
 *
 * All lines have 64 bytes, and sets follow from size and ways.
 */
#include <string.h>

#include "cpu-cache.h"

#define LINE 64u

#define WB CPU_CACHE_WRITE_BACK_LOCAL
#define INC CPU_CACHE_INCLUSIVE
#define CPX CPU_CACHE_COMPLEX
#define INIT CPU_CACHE_SELF_INIT

/* What AMD's processors tell of translation buffers: 255 entries, of few ways. */
#define AMD_L1_TLB 0x01ff01ffu
#define AMD_L2_TLB 0x42004200u

static const CpuCaches rows[] = {
    { "generic", {
        { 32, 8, WB | INIT, CPU_SHARE_CORE },
        { 32, 8, WB | INIT, CPU_SHARE_CORE },
        { 4096, 16, WB | INIT, CPU_SHARE_CORE },
        { 16384, 16, INC | CPX | INIT, CPU_SHARE_DIE },
    } },
    { "generic-amd", {
        { 64, 2, WB | INIT, CPU_SHARE_CORE },
        { 64, 2, WB | INIT, CPU_SHARE_CORE },
        { 512, 16, 0, CPU_SHARE_CORE },
        { 16384, 16, INC | INIT, CPU_SHARE_DIE },
    } },
    { "clearwater-forest", {
        { 32, 8, INIT, CPU_SHARE_CORE },
        { 64, 8, INIT, CPU_SHARE_CORE },
        { 4096, 16, INIT, CPU_SHARE_DIE },
        { 540672, 16, CPX | INIT, CPU_SHARE_PACKAGE },
    } },
    { "dhyana", {
        { 32, 8, WB | INIT, CPU_SHARE_CORE },
        { 64, 4, WB | INIT, CPU_SHARE_CORE },
        { 512, 8, 0, CPU_SHARE_CORE },
        { 8192, 16, INC | INIT, CPU_SHARE_DIE },
    } },
    { "epyc", {
        { 32, 8, WB | INIT, CPU_SHARE_CORE },
        { 64, 4, WB | INIT, CPU_SHARE_CORE },
        { 512, 8, 0, CPU_SHARE_CORE },
        { 8192, 16, INC | INIT, CPU_SHARE_DIE },
    } },
    { "epyc-v5", {
        { 32, 8, INIT, CPU_SHARE_CORE },
        { 64, 4, INIT, CPU_SHARE_CORE },
        { 512, 8, INC | INIT, CPU_SHARE_CORE },
        { 8192, 16, WB | INIT, CPU_SHARE_DIE },
    } },
    { "epyc-rome", {
        { 32, 8, WB | INIT, CPU_SHARE_CORE },
        { 32, 8, WB | INIT, CPU_SHARE_CORE },
        { 512, 8, 0, CPU_SHARE_CORE },
        { 16384, 16, INC | INIT, CPU_SHARE_DIE },
    } },
    { "epyc-rome-v5", {
        { 32, 8, INIT, CPU_SHARE_CORE },
        { 32, 8, INIT, CPU_SHARE_CORE },
        { 512, 8, INC | INIT, CPU_SHARE_CORE },
        { 16384, 16, WB | INIT, CPU_SHARE_DIE },
    } },
    { "epyc-milan", {
        { 32, 8, WB | INIT, CPU_SHARE_CORE },
        { 32, 8, WB | INIT, CPU_SHARE_CORE },
        { 512, 8, 0, CPU_SHARE_CORE },
        { 32768, 16, INC | INIT, CPU_SHARE_DIE },
    } },
    { "epyc-milan-v3", {
        { 32, 8, INIT, CPU_SHARE_CORE },
        { 32, 8, INIT, CPU_SHARE_CORE },
        { 512, 8, INC | INIT, CPU_SHARE_CORE },
        { 32768, 16, WB | INIT, CPU_SHARE_DIE },
    } },
    { "epyc-genoa", {
        { 32, 8, WB | INIT, CPU_SHARE_CORE },
        { 32, 8, WB | INIT, CPU_SHARE_CORE },
        { 1024, 8, 0, CPU_SHARE_CORE },
        { 32768, 16, INC | INIT, CPU_SHARE_DIE },
    } },
    { "epyc-genoa-v2", {
        { 32, 8, INIT, CPU_SHARE_CORE },
        { 32, 8, INIT, CPU_SHARE_CORE },
        { 1024, 8, INC | INIT, CPU_SHARE_CORE },
        { 32768, 16, WB | INIT, CPU_SHARE_DIE },
    } },
    { "epyc-turin", {
        { 48, 12, INIT, CPU_SHARE_CORE },
        { 32, 8, INIT, CPU_SHARE_CORE },
        { 1024, 16, INC | INIT, CPU_SHARE_CORE },
        { 32768, 16, WB | INIT, CPU_SHARE_DIE },
    } },
    { "sapphire-rapids", {
        { 48, 12, INIT, CPU_SHARE_CORE },
        { 32, 8, INIT, CPU_SHARE_CORE },
        { 2048, 16, INIT, CPU_SHARE_CORE },
        { 61440, 15, CPX | INIT, CPU_SHARE_PACKAGE },
    } },
    { "granite-rapids", {
        { 48, 12, INIT, CPU_SHARE_CORE },
        { 64, 16, INIT, CPU_SHARE_CORE },
        { 2048, 16, INIT, CPU_SHARE_CORE },
        { 294912, 16, CPX | INIT, CPU_SHARE_PACKAGE },
    } },
    { "sierra-forest", {
        { 32, 8, INIT, CPU_SHARE_CORE },
        { 64, 8, INIT, CPU_SHARE_CORE },
        { 4096, 16, INIT, CPU_SHARE_DIE },
        { 110592, 12, CPX | INIT, CPU_SHARE_PACKAGE },
    } },
};

const CpuCaches *cpu_cache_find(const char *name)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(rows); i++) {
        if (!strcmp(rows[i].name, name))
            return &rows[i];
    }
    return NULL;
}

const CpuCaches *cpu_cache_generic(bool is_amd)
{
    return &rows[is_amd ? 1 : 0];
}

/* Leaves 4 and 0x8000001d, which have one form. */
static void append_parameters(GArray *cpuid, uint32_t function, const CpuCaches *caches,
                              uint32_t flags)
{
    static const uint8_t kinds[4] = { 1, 2, 3, 3 };     /* data, code, both */
    static const uint8_t levels[4] = { 1, 1, 2, 3 };

    for (unsigned i = 0; i < G_N_ELEMENTS(caches->at); i++) {
        const CpuCache *cache = &caches->at[i];
        uint32_t init = cache->flags & CPU_CACHE_SELF_INIT;
        uint32_t regs[4] = { 0 };

        if (cache->kib > 0) {
            regs[CPUID_EAX] = kinds[i] | (uint32_t)levels[i] << 5 | init;
            regs[CPUID_EBX] = (LINE - 1) | (cache->ways - 1u) << 22;
            regs[CPUID_ECX] = cache->kib * 1024 / LINE / cache->ways - 1;
            regs[CPUID_EDX] = cache->flags & flags;
        }
        cpu_leaf_append(cpuid, function, i, regs);
        g_array_index(cpuid, CpuidEntry, cpuid->len - 1).share = cache->share;
    }
}

/* How leaf 0x80000006 writes a number of ways. */
static uint32_t ways_code(unsigned ways)
{
    static const struct {
        uint8_t ways;
        uint8_t code;
    } codes[] = {
        { 1, 1 },   { 2, 2 },   { 3, 3 },   { 4, 4 },   { 6, 5 },   { 8, 6 },
        { 16, 8 },  { 32, 10 }, { 48, 11 }, { 64, 12 }, { 96, 13 }, { 128, 14 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(codes); i++) {
        if (codes[i].ways == ways)
            return codes[i].code;
    }
    return 9;                   /* see leaf 0x8000001d */
}

static uint32_t l1_of_amd(const CpuCache *cache)
{
    return cache->kib << 24 | (uint32_t)cache->ways << 16 | 1u << 8 | LINE;
}

static void append_intel(GArray *cpuid, const CpuCaches *caches)
{
    const CpuCache *l2 = &caches->at[2];
    /* "No descriptors here: look into leaf 4." */
    uint32_t descriptors[4] = { 1, 0, 0, 0xff };
    uint32_t second[4] = { 0, 0, l2->kib << 16 | ways_code(l2->ways) << 12 | LINE, 0 };

    cpu_leaf_append(cpuid, 2, 0, descriptors);
    append_parameters(cpuid, 4, caches, WB | INC | CPX);
    cpu_leaf_append(cpuid, 0x80000006, 0, second);
}

static void append_amd(GArray *cpuid, const CpuCaches *caches)
{
    const CpuCache *l2 = &caches->at[2];
    const CpuCache *l3 = &caches->at[3];
    uint32_t first[4] = {
        AMD_L1_TLB, AMD_L1_TLB, l1_of_amd(&caches->at[0]), l1_of_amd(&caches->at[1]),
    };
    uint32_t second[4] = {
        0, AMD_L2_TLB, l2->kib << 16 | ways_code(l2->ways) << 12 | 1u << 8 | LINE, 0,
    };

    /* In units of 512 KiB. */
    if (l3->kib > 0)
        second[CPUID_EDX] =
            (l3->kib / 512) << 18 | ways_code(l3->ways) << 12 | 1u << 8 | LINE;
    cpu_leaf_append(cpuid, 0x80000005, 0, first);
    cpu_leaf_append(cpuid, 0x80000006, 0, second);
    append_parameters(cpuid, 0x8000001d, caches, WB | INC);
}

void cpu_cache_append(GArray *cpuid, const CpuCaches *caches, bool is_amd)
{
    if (is_amd)
        append_amd(cpuid, caches);
    else
        append_intel(cpuid, caches);
}
