/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The MSRs that tell a guest of features.  Intel SDM volume 4; for VMX's volume 3,
 * appendix A.
 *
 * Each is written only where the host has it.  Of VMX's the numbers that are no features
 * (revisions, sizes, limits) are the host's.
 */
#include "cpu-build.h"

#define MSR_UCODE_REV 0x8bu

/* What guests take for new enough of a model that tells of none. */
#define UCODE_REV_INTEL 0x100000000ull
#define UCODE_REV_AMD 0x01000065ull

/* Controls of the class "default1": always 1, unless a feature lets them be 0. */
#define PIN_DEFAULT1 0x00000016u
#define PROC_DEFAULT1 0x0401e172u
#define EXIT_DEFAULT1 0x00036dffu
#define ENTRY_DEFAULT1 0x000011ffu

#define EXIT_HOST_LONG_MODE (1u << 9)

/* Revision, size and type of regions; limits and the timer's rate; types of memory. */
#define BASIC_FIXED 0x003fffff7fffffffull
#define MISC_FIXED 0xffffffff0fff001full
#define EPT_FIXED 0x0000000000004100ull

static void add(GArray *msrs, const CpuHost *host, uint32_t index, uint64_t value)
{
    CpuMsr msr = { .index = index, .value = value };
    uint64_t of_host;

    if (cpu_host_msr(host, index, &of_host))
        g_array_append_val(msrs, msr);
}

static void add_word(GArray *msrs, const CpuSpec *spec, const CpuHost *host,
                     CpuWord word)
{
    add(msrs, host, cpu_features_word(word)->function, spec->words.bits[word]);
}

/* What is a feature may be 0 or 1, what is not stands as @default1 says. */
static void add_control(GArray *msrs, const CpuHost *host, CpuWord word,
                        uint64_t features, uint32_t default1)
{
    uint64_t can = features | default1;
    uint64_t must = default1 & ~features;

    add(msrs, host, cpu_features_word(word)->function, can << 32 | must);
}

/* The word's features with the host's numbers under @fixed. */
static void add_mixed(GArray *msrs, const CpuSpec *spec, const CpuHost *host,
                      CpuWord word, uint64_t fixed)
{
    uint32_t index = cpu_features_word(word)->function;
    uint64_t of_host = 0;

    cpu_host_msr(host, index, &of_host);
    add(msrs, host, index, (spec->words.bits[word] & ~fixed) | (of_host & fixed));
}

static void add_vmx(GArray *msrs, const CpuSpec *spec, const CpuHost *host)
{
    const uint64_t *bits = spec->words.bits;
    uint64_t exits = bits[CPU_WORD_VMX_EXIT];
    bool has_ept = bits[CPU_WORD_VMX_EPT_VPID] != 0;

    if (cpu_words_has(&spec->words, CPU_LM))
        exits |= EXIT_HOST_LONG_MODE;
    add_mixed(msrs, spec, host, CPU_WORD_VMX_BASIC, BASIC_FIXED);
    add_control(msrs, host, CPU_WORD_VMX_PIN, bits[CPU_WORD_VMX_PIN], PIN_DEFAULT1);
    add_control(msrs, host, CPU_WORD_VMX_PROC, bits[CPU_WORD_VMX_PROC], PROC_DEFAULT1);
    add_control(msrs, host, CPU_WORD_VMX_PROC2, bits[CPU_WORD_VMX_PROC2], 0);
    add_control(msrs, host, CPU_WORD_VMX_EXIT, exits, EXIT_DEFAULT1);
    add_control(msrs, host, CPU_WORD_VMX_ENTRY, bits[CPU_WORD_VMX_ENTRY],
                ENTRY_DEFAULT1);
    add_mixed(msrs, spec, host, CPU_WORD_VMX_MISC, MISC_FIXED);
    if (has_ept)
        add_mixed(msrs, spec, host, CPU_WORD_VMX_EPT_VPID, EPT_FIXED);
    add_word(msrs, spec, host, CPU_WORD_VMX_VMFUNC);
}

GArray *cpu_msr_build(const CpuSpec *spec, const CpuOptions *options,
                       const CpuHost *host)
{
    GArray *msrs = g_array_new(FALSE, FALSE, sizeof(CpuMsr));
    uint64_t revision = options->ucode_rev;

    if (revision == CPU_NUMBER_UNSET)
        revision = spec->is_amd ? UCODE_REV_AMD : UCODE_REV_INTEL;
    if (options->ucode_rev == CPU_NUMBER_UNSET && spec->kind == CPU_KIND_HOST)
        cpu_host_msr(host, MSR_UCODE_REV, &revision);
    add(msrs, host, MSR_UCODE_REV, revision);
    if (cpu_words_has(&spec->words, CPU_ARCH_CAPS))
        add_word(msrs, spec, host, CPU_WORD_ARCH_CAPABILITIES);
    if (cpu_words_has(&spec->words, CPU_CORE_CAPS))
        add_word(msrs, spec, host, CPU_WORD_CORE_CAPABILITY);
    if (cpu_words_has(&spec->words, CPU_PDCM) && spec->pmu)
        add_word(msrs, spec, host, CPU_WORD_PERF_CAPABILITIES);
    if (cpu_words_has(&spec->words, CPU_VMX))
        add_vmx(msrs, spec, host);
    return msrs;
}
