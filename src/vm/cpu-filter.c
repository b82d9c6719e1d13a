/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A feature of the guest needs the host's, and often another one of the guest.
 *
 * What is taken out is told once a bit: as a warning, for a guest that lacks a feature
 * still runs, and an operator who wants the exact model says "enforce".
 */
#include "berth/error.h"
#include "berth/log.h"

#include "cpu-filter.h"

#define ALL UINT64_MAX

typedef struct CpuDependency {
    CpuFeature ground;
    uint8_t word;
    uint64_t bits;              /* that need it */
} CpuDependency;

/* In an order in which one pass is enough. */
static const CpuDependency dependencies[] = {
    { { CPU_WORD_7_0_EDX, 29 }, CPU_WORD_ARCH_CAPABILITIES, ALL },
    { { CPU_WORD_7_0_EDX, 30 }, CPU_WORD_CORE_CAPABILITY, ALL },
    { { CPU_WORD_1_ECX, 15 }, CPU_WORD_PERF_CAPABILITIES, ALL },
    { { CPU_WORD_1_ECX, 5 }, CPU_WORD_VMX_BASIC, ALL },
    { { CPU_WORD_1_ECX, 5 }, CPU_WORD_VMX_PIN, ALL },
    { { CPU_WORD_1_ECX, 5 }, CPU_WORD_VMX_PROC, ALL },
    { { CPU_WORD_1_ECX, 5 }, CPU_WORD_VMX_EXIT, ALL },
    { { CPU_WORD_1_ECX, 5 }, CPU_WORD_VMX_ENTRY, ALL },
    { { CPU_WORD_1_ECX, 5 }, CPU_WORD_VMX_MISC, ALL },
    { { CPU_WORD_80000001_EDX, 29 }, CPU_WORD_VMX_ENTRY, 1u << 9 },
    { { CPU_WORD_VMX_PROC, 31 }, CPU_WORD_VMX_PROC2, ALL },
    { { CPU_WORD_D_1_EAX, 3 }, CPU_WORD_VMX_PROC2, 1u << 20 },
    { { CPU_WORD_1_ECX, 30 }, CPU_WORD_VMX_PROC2, 1u << 11 },
    { { CPU_WORD_7_0_EBX, 10 }, CPU_WORD_VMX_PROC2, 1u << 12 },
    { { CPU_WORD_7_0_EBX, 18 }, CPU_WORD_VMX_PROC2, 1u << 16 },
    { { CPU_WORD_7_0_ECX, 5 }, CPU_WORD_VMX_PROC2, 1u << 26 },
    { { CPU_WORD_80000001_EDX, 27 }, CPU_WORD_VMX_PROC2, 1u << 3 },
    { { CPU_WORD_7_0_EBX, 14 }, CPU_WORD_VMX_EXIT, 1u << 23 },
    { { CPU_WORD_7_0_EBX, 14 }, CPU_WORD_VMX_ENTRY, 1u << 16 },
    { { CPU_WORD_VMX_PROC2, 1 }, CPU_WORD_VMX_PROC2, 1u << 7 },
    { { CPU_WORD_VMX_PROC2, 1 }, CPU_WORD_VMX_EPT_VPID, UINT32_MAX },
    { { CPU_WORD_VMX_PROC2, 5 }, CPU_WORD_VMX_EPT_VPID, ALL << 32 },
    { { CPU_WORD_VMX_PROC2, 13 }, CPU_WORD_VMX_VMFUNC, ALL },
    { { CPU_WORD_80000001_ECX, 2 }, CPU_WORD_8000000A_EDX, ALL },
    { { CPU_WORD_80000001_EDX, 29 }, CPU_WORD_7_1_EAX, 1u << 17 },
    { { CPU_WORD_7_1_EAX, 18 }, CPU_WORD_7_1_EAX, 1u << 17 },
    { { CPU_WORD_7_1_EAX, 19 }, CPU_WORD_7_1_EAX, 1u << 17 },
    { { CPU_WORD_7_0_EBX, 25 }, CPU_WORD_14_0_ECX, ALL },
    { { CPU_WORD_7_0_EBX, 2 }, CPU_WORD_7_0_ECX, 1u << 30 },
    { { CPU_WORD_7_0_EBX, 2 }, CPU_WORD_12_0_EAX, ALL },
    { { CPU_WORD_7_0_EBX, 2 }, CPU_WORD_12_0_EBX, ALL },
    { { CPU_WORD_7_0_EBX, 2 }, CPU_WORD_12_1_EAX, ALL },
    { { CPU_WORD_7_0_EDX, 24 }, CPU_WORD_1E_1_EAX, ALL },
    { { CPU_WORD_7_1_EDX, 19 }, CPU_WORD_24_0_EBX, ALL },
    { { CPU_WORD_7_1_EDX, 19 }, CPU_WORD_24_1_ECX, ALL },
    { { CPU_WORD_7_1_EDX, 21 }, CPU_WORD_29_0_EBX, ALL },
    { { CPU_WORD_1_ECX, 26 }, CPU_WORD_D_1_EAX, ALL },
};

/* A warning for each named bit of @bits. */
static void warn_of(CpuWord word, uint64_t bits, const char *what)
{
    CpuFeatureIter iter;

    cpu_features_begin(&iter);
    while (bits && cpu_features_next(&iter)) {
        g_autofree char *text = NULL;

        if (iter.word != word || !(bits >> iter.bit & 1))
            continue;
        text = cpu_features_describe(word, iter.bit, iter.name);
        log_warn("%s: %s", what, text);
    }
}

void cpu_filter_depend(CpuSpec *spec, bool warn)
{
    for (unsigned i = 0; i < G_N_ELEMENTS(dependencies); i++) {
        const CpuDependency *dependency = &dependencies[i];
        uint64_t *bits = &spec->words.bits[dependency->word];
        uint64_t gone = *bits & dependency->bits;

        if (gone == 0 || cpu_words_has(&spec->words, dependency->ground))
            continue;
        *bits &= ~gone;
        if (warn)
            warn_of((CpuWord)dependency->word,
                    gone & spec->wished.bits[dependency->word],
                    "this feature depends on others that were not requested");
    }
}

bool cpu_filter_apply(CpuSpec *spec, const CpuHost *host, const CpuFilter *filter,
                      CpuWords *ret_missing, GError **error)
{
    bool any = false;

    for (unsigned word = 0; word < CPU_WORD__MAX; word++) {
        uint64_t missing = spec->words.bits[word] & ~host->words.bits[word];

        spec->words.bits[word] &= ~missing;
        if (ret_missing)
            ret_missing->bits[word] = missing;
        if (!missing)
            continue;
        any = true;
        if (filter->check || filter->enforce)
            warn_of((CpuWord)word, missing, "host doesn't support requested feature");
    }
    if (any && filter->enforce) {
        error_set(error, "host doesn't support requested features");
        return false;
    }
    return true;
}
