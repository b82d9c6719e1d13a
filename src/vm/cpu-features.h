/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The features of a processor: words of bits, each a register of CPUID or an MSR that
 * tells what there is, and the bits' names in QEMU's spelling.
 */
#pragma once

#include "cpu-leaf.h"

/* In the order of names and of help. */
typedef enum CpuWord {
    CPU_WORD_1_EDX,
    CPU_WORD_1_ECX,
    CPU_WORD_6_EAX,
    CPU_WORD_7_0_EBX,
    CPU_WORD_7_0_ECX,
    CPU_WORD_7_0_EDX,
    CPU_WORD_7_1_EAX,
    CPU_WORD_7_1_ECX,
    CPU_WORD_7_1_EDX,
    CPU_WORD_7_2_EDX,
    CPU_WORD_D_1_EAX,
    CPU_WORD_12_0_EAX,
    CPU_WORD_12_0_EBX,
    CPU_WORD_12_1_EAX,
    CPU_WORD_14_0_ECX,
    CPU_WORD_1E_1_EAX,
    CPU_WORD_24_0_EBX,
    CPU_WORD_24_1_ECX,
    CPU_WORD_29_0_EBX,
    CPU_WORD_KVM_EAX,
    CPU_WORD_KVM_EDX,
    CPU_WORD_80000001_EDX,
    CPU_WORD_80000001_ECX,
    CPU_WORD_80000007_EBX,
    CPU_WORD_80000007_EDX,
    CPU_WORD_80000008_EBX,
    CPU_WORD_8000000A_EDX,
    CPU_WORD_80000021_EAX,
    CPU_WORD_80000021_ECX,
    CPU_WORD_80000022_EAX,
    CPU_WORD_ARCH_CAPABILITIES,
    CPU_WORD_CORE_CAPABILITY,
    CPU_WORD_PERF_CAPABILITIES,
    CPU_WORD_VMX_BASIC,
    CPU_WORD_VMX_PIN,
    CPU_WORD_VMX_PROC,
    CPU_WORD_VMX_PROC2,
    CPU_WORD_VMX_EXIT,
    CPU_WORD_VMX_ENTRY,
    CPU_WORD_VMX_MISC,
    CPU_WORD_VMX_EPT_VPID,
    CPU_WORD_VMX_VMFUNC,
    CPU_WORD__MAX
} CpuWord;

typedef struct CpuWordInfo {
    uint32_t function;          /* of CPUID, or the MSR */
    uint8_t index;
    uint8_t reg;                /* CpuidReg */
    bool is_msr;
    uint32_t unasked;           /* bits that nobody gets without asking */
    uint32_t unmigratable;
} CpuWordInfo;

typedef struct CpuWords {
    uint64_t bits[CPU_WORD__MAX];
} CpuWords;

/* A bit that the code itself looks at. */
typedef struct CpuFeature {
    uint8_t word;
    uint8_t bit;
} CpuFeature;

#define CPU_APIC        ((CpuFeature){ CPU_WORD_1_EDX, 9 })
#define CPU_ACPI        ((CpuFeature){ CPU_WORD_1_EDX, 22 })
#define CPU_MONITOR     ((CpuFeature){ CPU_WORD_1_ECX, 3 })
#define CPU_VMX         ((CpuFeature){ CPU_WORD_1_ECX, 5 })
#define CPU_PDCM        ((CpuFeature){ CPU_WORD_1_ECX, 15 })
#define CPU_X2APIC      ((CpuFeature){ CPU_WORD_1_ECX, 21 })
#define CPU_RDRAND      ((CpuFeature){ CPU_WORD_1_ECX, 30 })
#define CPU_XSAVE       ((CpuFeature){ CPU_WORD_1_ECX, 26 })
#define CPU_AVX         ((CpuFeature){ CPU_WORD_1_ECX, 28 })
#define CPU_SGX         ((CpuFeature){ CPU_WORD_7_0_EBX, 2 })
#define CPU_INVPCID     ((CpuFeature){ CPU_WORD_7_0_EBX, 10 })
#define CPU_MPX         ((CpuFeature){ CPU_WORD_7_0_EBX, 14 })
#define CPU_AVX512F     ((CpuFeature){ CPU_WORD_7_0_EBX, 16 })
#define CPU_RDSEED      ((CpuFeature){ CPU_WORD_7_0_EBX, 18 })
#define CPU_INTEL_PT    ((CpuFeature){ CPU_WORD_7_0_EBX, 25 })
#define CPU_PKU         ((CpuFeature){ CPU_WORD_7_0_ECX, 3 })
#define CPU_WAITPKG     ((CpuFeature){ CPU_WORD_7_0_ECX, 5 })
#define CPU_CET_SS      ((CpuFeature){ CPU_WORD_7_0_ECX, 7 })
#define CPU_LA57        ((CpuFeature){ CPU_WORD_7_0_ECX, 16 })
#define CPU_ARCH_LBR    ((CpuFeature){ CPU_WORD_7_0_EDX, 19 })
#define CPU_CET_IBT     ((CpuFeature){ CPU_WORD_7_0_EDX, 20 })
#define CPU_AMX_TILE    ((CpuFeature){ CPU_WORD_7_0_EDX, 24 })
#define CPU_ARCH_CAPS   ((CpuFeature){ CPU_WORD_7_0_EDX, 29 })
#define CPU_CORE_CAPS   ((CpuFeature){ CPU_WORD_7_0_EDX, 30 })
#define CPU_FRED        ((CpuFeature){ CPU_WORD_7_1_EAX, 17 })
#define CPU_LKGS        ((CpuFeature){ CPU_WORD_7_1_EAX, 18 })
#define CPU_WRMSRNS     ((CpuFeature){ CPU_WORD_7_1_EAX, 19 })
#define CPU_AVX10       ((CpuFeature){ CPU_WORD_7_1_EDX, 19 })
#define CPU_APXF        ((CpuFeature){ CPU_WORD_7_1_EDX, 21 })
#define CPU_XSAVES      ((CpuFeature){ CPU_WORD_D_1_EAX, 3 })
#define CPU_RDTSCP      ((CpuFeature){ CPU_WORD_80000001_EDX, 27 })
#define CPU_LM          ((CpuFeature){ CPU_WORD_80000001_EDX, 29 })
#define CPU_SVM         ((CpuFeature){ CPU_WORD_80000001_ECX, 2 })
#define CPU_TOPOEXT     ((CpuFeature){ CPU_WORD_80000001_ECX, 22 })
#define CPU_PERFCTR     ((CpuFeature){ CPU_WORD_80000001_ECX, 23 })
#define CPU_INVTSC      ((CpuFeature){ CPU_WORD_80000007_EDX, 8 })
#define CPU_EXT_DEST    ((CpuFeature){ CPU_WORD_KVM_EAX, 15 })

static inline bool cpu_words_has(const CpuWords *words, CpuFeature feature)
{
    return words->bits[feature.word] >> feature.bit & 1;
}

static inline void cpu_words_set(CpuWords *words, CpuFeature feature, bool on)
{
    if (on)
        words->bits[feature.word] |= 1ull << feature.bit;
    else
        words->bits[feature.word] &= ~(1ull << feature.bit);
}

const CpuWordInfo *cpu_features_word(CpuWord word);

/* One name after another, a bit each; a name of two bits comes twice. */
typedef struct CpuFeatureIter {
    const char *next;
    const char *token;          /* the name where it stands in the list */
    unsigned next_word, next_bit;
    CpuWord word;
    unsigned bit;
    bool again;                 /* the name came before */
    char name[48];
} CpuFeatureIter;

void cpu_features_begin(CpuFeatureIter *iter);
bool cpu_features_next(CpuFeatureIter *iter);

/* All bits that have a name. */
void cpu_features_named(CpuWords *ret_words);

/*
 * An index by name, of 2 KiB; it costs as much as ten names that are looked up without
 * one.
 */
typedef struct CpuFeatureIndex CpuFeatureIndex;

CpuFeatureIndex *cpu_features_index_new(void);
void cpu_features_index_free(CpuFeatureIndex *names);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CpuFeatureIndex, cpu_features_index_free)

/*
 * Whether @name, which may have '_' for '-' or be an alias, is a feature, and its bits.
 * @ret_words is cleared; NULL when they do not matter.
 */
bool cpu_features_index_find(const CpuFeatureIndex *names, const char *name,
                            CpuWords *ret_words);

/* The same without an index, for a name or two. */
bool cpu_features_find(const char *name, CpuWords *ret_words);

/* "CPUID[eax=07h,ecx=00h].EBX.avx2 [bit 5]", "MSR(10AH).rdctl-no [bit 0]". */
char *cpu_features_describe(CpuWord word, unsigned bit, const char *name);
