/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The leaves of CPUID.  Intel SDM volume 2A, CPUID; AMD APM volume 3, appendix E.
 *
 * "host" begins with the hypervisor's list, so that the guest gets what berth does not
 * know of, too; another model begins with nothing and takes from the list only what
 * describes the host's hardware behind a feature (the layout of XSAVE, counters, tiles).
 */
#include <string.h>

#include "berth/error.h"

#include "cpu-build.h"
#include "cpu-xsave.h"

#define LEAF_MONITOR 5u
#define LEAF_FEATURES 7u
#define LEAF_COUNTERS 0xau
#define LEAF_SGX 0x12u
#define LEAF_TRACE 0x14u
#define LEAF_LBR 0x1cu
#define LEAF_TILES 0x1du
#define LEAF_TILE_UNIT 0x1eu
#define LEAF_AVX10 0x24u
#define LEAF_APX 0x29u
#define LEAF_HYPERVISOR 0x40000000u
#define LEAF_HYPERVISOR_LAST 0x4fffffffu
#define LEAF_EXTENDED 0x80000000u
#define LEAF_CACHES 4u
#define LEAF_DESCRIPTORS 2u
#define LEAF_AMD_L1 0x80000005u
#define LEAF_AMD_L2 0x80000006u
#define LEAF_SIZES 0x80000008u
#define LEAF_SVM 0x8000000au
#define LEAF_AMD_CACHES 0x8000001du
#define LEAF_AMD_TOPOLOGY 0x8000001eu
#define LEAF_AMD_COUNTERS 0x80000022u
#define LEAF_AMD_TOPOLOGY_V2 0x80000026u

/* EDX of 0x80000001 repeats these bits of leaf 1 on AMD's processors. */
#define AMD_REPEATED 0x0183f3ffu

#define CLFLUSH_LINE (8u << 8)
#define MWAIT_HINTS 3u
#define SVM_REVISION 1u
#define SVM_ASIDS 16u
#define PHYS_BITS_DEFAULT 40u

#define HAS(_feature) cpu_words_has(&spec->words, _feature)

/* The entry, made of zeros when there is none. */
static CpuidEntry *need(GArray *cpuid, uint32_t function, uint32_t index)
{
    static const uint32_t zeros[4];
    CpuidEntry *entry = cpu_leaf_find(cpuid, function, index);

    if (entry)
        return entry;
    cpu_leaf_append(cpuid, function, index, zeros);
    return &g_array_index(cpuid, CpuidEntry, cpuid->len - 1);
}

/* Every index of @function as the host has it. */
static void take(GArray *cpuid, const CpuHost *host, uint32_t function)
{
    cpu_leaf_drop(cpuid, function, function);
    for (unsigned i = 0; i < host->cpuid->len; i++) {
        CpuidEntry entry = g_array_index(host->cpuid, CpuidEntry, i);

        if (entry.function == function)
            g_array_append_val(cpuid, entry);
    }
}

static bool is_hypervisor(uint32_t function)
{
    return function >= LEAF_HYPERVISOR && function <= LEAF_HYPERVISOR_LAST;
}

static void write_words(GArray *cpuid, const CpuSpec *spec)
{
    for (unsigned word = 0; word < CPU_WORD__MAX; word++) {
        const CpuWordInfo *info = cpu_features_word((CpuWord)word);
        uint32_t bits = (uint32_t)spec->words.bits[word];
        CpuidEntry *entry;

        if (info->is_msr || is_hypervisor(info->function))
            continue;
        entry = cpu_leaf_find(cpuid, info->function, info->index);
        if (!entry && bits)
            entry = need(cpuid, info->function, info->index);
        if (entry)
            entry->regs[info->reg] = bits;
    }
}

static void write_vendor(CpuidEntry *entry, const char *vendor)
{
    memcpy(&entry->regs[CPUID_EBX], vendor, 4);
    memcpy(&entry->regs[CPUID_EDX], vendor + 4, 4);
    memcpy(&entry->regs[CPUID_ECX], vendor + 8, 4);
}

static void write_identity(GArray *cpuid, const CpuSpec *spec)
{
    char id[48] = { 0 };

    write_vendor(need(cpuid, 0, 0), spec->vendor);
    need(cpuid, 1, 0)->regs[CPUID_EAX] = cpu_spec_signature(spec);
    if (spec->kind != CPU_KIND_HOST)
        need(cpuid, 1, 0)->regs[CPUID_EBX] = CLFLUSH_LINE;
    need(cpuid, LEAF_EXTENDED, 0);
    if (spec->is_amd) {
        write_vendor(need(cpuid, LEAF_EXTENDED, 0), spec->vendor);
        need(cpuid, LEAF_EXTENDED + 1, 0)->regs[CPUID_EAX] =
            cpu_spec_signature(spec);
    }
    memcpy(id, spec->id, strlen(spec->id));
    for (unsigned i = 0; i < 3; i++)
        memcpy(need(cpuid, LEAF_EXTENDED + 2 + i, 0)->regs, id + i * 16, 16);
}

static void write_caches(GArray *cpuid, const CpuSpec *spec, const CpuOptions *options,
                         const CpuHost *host)
{
    static const uint32_t leaves[] = {
        LEAF_DESCRIPTORS, LEAF_CACHES, LEAF_AMD_L1, LEAF_AMD_L2, LEAF_AMD_CACHES,
    };
    CpuCaches caches;

    for (unsigned i = 0; i < G_N_ELEMENTS(leaves); i++) {
        cpu_leaf_drop(cpuid, leaves[i], leaves[i]);
        if (!spec->caches)
            take(cpuid, host, leaves[i]);
    }
    if (!spec->caches)
        return;
    caches = *spec->caches;
    if (!options->l3_cache)
        caches.at[3].kib = 0;
    cpu_cache_append(cpuid, &caches, spec->is_amd);
    if (!HAS(CPU_TOPOEXT))
        cpu_leaf_drop(cpuid, LEAF_AMD_CACHES, LEAF_AMD_CACHES);
}

/* "l3-cache=off" with the host's caches: those of the third level go. */
static void drop_l3(GArray *cpuid)
{
    CpuidEntry *second = cpu_leaf_find(cpuid, LEAF_AMD_L2, 0);

    for (unsigned i = 0; i < cpuid->len; i++) {
        CpuidEntry *entry = &g_array_index(cpuid, CpuidEntry, i);

        if ((entry->function == LEAF_CACHES || entry->function == LEAF_AMD_CACHES) &&
            (entry->regs[CPUID_EAX] >> 5 & 7) == 3)
            memset(entry->regs, 0, sizeof(entry->regs));
    }
    if (second)
        second->regs[CPUID_EDX] = 0;
}

/* Leaves that are of no use without their feature, and come from the host with it. */
static void write_hardware(GArray *cpuid, const CpuSpec *spec, const CpuHost *host)
{
    const struct {
        uint32_t function;
        bool has;
    } leaves[] = {
        { LEAF_COUNTERS, spec->pmu },
        { LEAF_SGX, HAS(CPU_SGX) },
        { LEAF_TRACE, HAS(CPU_INTEL_PT) },
        { LEAF_LBR, HAS(CPU_ARCH_LBR) },
        { LEAF_TILES, HAS(CPU_AMX_TILE) },
        { LEAF_TILE_UNIT, HAS(CPU_AMX_TILE) },
        { LEAF_AVX10, HAS(CPU_AVX10) },
        { LEAF_APX, HAS(CPU_APXF) },
        { LEAF_AMD_COUNTERS, spec->words.bits[CPU_WORD_80000022_EAX] != 0 },
    };

    for (unsigned i = 0; i < G_N_ELEMENTS(leaves); i++) {
        if (leaves[i].has)
            take(cpuid, host, leaves[i].function);
        else
            cpu_leaf_drop(cpuid, leaves[i].function, leaves[i].function);
    }
    if (HAS(CPU_AVX10) && spec->avx10 > 0) {
        uint32_t *ebx = &need(cpuid, LEAF_AVX10, 0)->regs[CPUID_EBX];

        *ebx = (*ebx & ~0xffu) | spec->avx10;
    }
}

static void write_svm(GArray *cpuid, const CpuSpec *spec)
{
    CpuidEntry *entry;

    if (!HAS(CPU_SVM)) {
        cpu_leaf_drop(cpuid, LEAF_SVM, LEAF_SVM);
        return;
    }
    entry = need(cpuid, LEAF_SVM, 0);
    if (spec->kind == CPU_KIND_HOST)
        return;
    entry->regs[CPUID_EAX] = SVM_REVISION;
    entry->regs[CPUID_EBX] = SVM_ASIDS;
}

/* Leaf 5 is the host's processor's own: the guest's MWAIT runs on it. */
static void write_monitor(GArray *cpuid, const CpuSpec *spec, const CpuHost *host)
{
    CpuidEntry *entry;

    cpu_leaf_drop(cpuid, LEAF_MONITOR, LEAF_MONITOR);
    if (!HAS(CPU_MONITOR))
        return;
    take(cpuid, host, LEAF_MONITOR);
    entry = need(cpuid, LEAF_MONITOR, 0);
    entry->regs[CPUID_ECX] |= MWAIT_HINTS;
}

static void repeat_for_amd(GArray *cpuid, const CpuSpec *spec)
{
    uint32_t *edx = &need(cpuid, LEAF_EXTENDED + 1, 0)->regs[CPUID_EDX];

    *edx &= ~AMD_REPEATED;
    if (spec->is_amd)
        *edx |= (uint32_t)spec->words.bits[CPU_WORD_1_EDX] & AMD_REPEATED;
}

/* Counters that were switched off are not told of, whatever the model has. */
static void hide_counters(GArray *cpuid)
{
    CpuidEntry *extended = cpu_leaf_find(cpuid, LEAF_EXTENDED + 1, 0);

    cpu_leaf_drop(cpuid, LEAF_AMD_COUNTERS, LEAF_AMD_COUNTERS);
    if (extended)
        extended->regs[CPUID_ECX] &=
            ~(1u << CPU_PERFCTR.bit | 1u << (CPU_PERFCTR.bit + 1));
}

/* The last leaf that has something to tell of the range from @first on. */
static uint32_t last_needed(const GArray *cpuid, uint32_t first)
{
    uint32_t last = first;

    for (unsigned i = 0; i < cpuid->len; i++) {
        const CpuidEntry *entry = &g_array_index(cpuid, CpuidEntry, i);
        const uint32_t *regs = entry->regs;

        if (entry->function < first || entry->function > (first | 0xffff))
            continue;
        if (regs[0] | regs[1] | regs[2] | regs[3])
            last = MAX(last, entry->function);
    }
    return last;
}

static void write_func7(GArray *cpuid, const CpuSpec *spec, const CpuOptions *options)
{
    uint32_t last = spec->func7;

    if (options->level_func7 == CPU_NUMBER_UNSET) {
        for (unsigned i = 0; i < cpuid->len; i++) {
            const CpuidEntry *entry = &g_array_index(cpuid, CpuidEntry, i);
            const uint32_t *regs = entry->regs;

            if (entry->function == LEAF_FEATURES &&
                (regs[0] | regs[1] | regs[2] | regs[3]))
                last = MAX(last, entry->index);
        }
    }
    if (cpu_leaf_find(cpuid, LEAF_FEATURES, 0) || last > 0)
        need(cpuid, LEAF_FEATURES, 0)->regs[CPUID_EAX] = last;
}

/* A model's own level, or what its features need; a given one cuts off what is beyond. */
static void write_level(GArray *cpuid, uint32_t first, uint32_t level, bool is_given)
{
    uint32_t last = is_given ? level : MAX(level, last_needed(cpuid, first));

    need(cpuid, first, 0)->regs[CPUID_EAX] = last;
    if (last < (first | 0xffff))
        cpu_leaf_drop(cpuid, MAX(last, first) + 1, first | 0xffff);
}

static void write_sizes(GArray *cpuid, const CpuSpec *spec, const CpuOptions *options,
                        const CpuHost *host)
{
    CpuidEntry *entry = need(cpuid, LEAF_SIZES, 0);
    const CpuidEntry *of_host = cpu_leaf_find(host->cpuid, LEAF_SIZES, 0);
    uint32_t guest_bits = spec->kind == CPU_KIND_HOST && of_host
                              ? of_host->regs[CPUID_EAX] >> 16 & 0xff
                              : 0;
    unsigned bits = PHYS_BITS_DEFAULT;

    if (options->guest_phys_bits != CPU_NUMBER_UNSET)
        guest_bits = (uint32_t)options->guest_phys_bits;
    cpu_build_phys_bits(spec, options, host, &bits, NULL);
    entry->regs[CPUID_EAX] =
        bits | (HAS(CPU_LA57) ? 57u : 48u) << 8 | MIN(guest_bits, bits) << 16;
}

GArray *cpu_build_leaves(const CpuSpec *spec, const CpuOptions *options,
                         const CpuHost *host)
{
    GArray *cpuid = spec->kind == CPU_KIND_HOST
                        ? cpu_leaf_copy(host->cpuid)
                        : g_array_new(FALSE, FALSE, sizeof(CpuidEntry));

    cpu_leaf_drop(cpuid, LEAF_HYPERVISOR, LEAF_HYPERVISOR_LAST);
    cpu_leaf_drop(cpuid, LEAF_AMD_TOPOLOGY_V2, LEAF_AMD_TOPOLOGY_V2);
    write_identity(cpuid, spec);
    write_hardware(cpuid, spec, host);
    if (HAS(CPU_XSAVE))
        take(cpuid, host, 0xd);
    write_words(cpuid, spec);
    cpu_xsave_fix(cpuid, spec);
    write_caches(cpuid, spec, options, host);
    if (!spec->caches && !options->l3_cache)
        drop_l3(cpuid);
    write_svm(cpuid, spec);
    write_monitor(cpuid, spec, host);
    repeat_for_amd(cpuid, spec);
    write_sizes(cpuid, spec, options, host);
    if (spec->is_amd && HAS(CPU_TOPOEXT))
        need(cpuid, LEAF_AMD_TOPOLOGY, 0);
    if (spec->hides_counters)
        hide_counters(cpuid);
    write_func7(cpuid, spec, options);
    write_level(cpuid, 0, spec->level, options->level != CPU_NUMBER_UNSET);
    write_level(cpuid, LEAF_EXTENDED, spec->xlevel,
                options->xlevel != CPU_NUMBER_UNSET);
    return cpuid;
}

bool cpu_build_phys_bits(const CpuSpec *spec, const CpuOptions *options,
                         const CpuHost *host, unsigned *ret_bits, GError **error)
{
    const CpuidEntry *sizes = cpu_leaf_find(host->cpuid, LEAF_SIZES, 0);
    unsigned of_host = sizes ? sizes->regs[CPUID_EAX] & 0xff : PHYS_BITS_DEFAULT;
    unsigned bits = of_host;

    if (options->phys_bits > of_host) {
        error_set(error, "parameter 'phys-bits': %u, but the host has %u",
                  (unsigned)options->phys_bits, of_host);
        return false;
    }
    if (!spec->host_phys_bits)
        bits = MIN(bits, PHYS_BITS_DEFAULT);
    if (options->host_phys_bits_limit)
        bits = MIN(bits, (unsigned)options->host_phys_bits_limit);
    if (options->phys_bits)
        bits = (unsigned)options->phys_bits;
    *ret_bits = bits;
    return true;
}
