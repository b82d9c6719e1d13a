/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hyper-V's interface, which Windows and Linux know to use: what "-cpu ...,hv-..." asks,
 * and its CPUID leaves.
 */
#pragma once

#include "cpu-host.h"

typedef enum CpuHypervFeature {
    CPU_HYPERV_RELAXED,
    CPU_HYPERV_VAPIC,
    CPU_HYPERV_VPINDEX,
    CPU_HYPERV_RUNTIME,
    CPU_HYPERV_TIME,
    CPU_HYPERV_SYNIC,
    CPU_HYPERV_STIMER,
    CPU_HYPERV_STIMER_DIRECT,
    CPU_HYPERV_FREQUENCIES,
    CPU_HYPERV_RESET,
    CPU_HYPERV_CRASH,
    CPU_HYPERV_REENLIGHTENMENT,
    CPU_HYPERV_TLBFLUSH,
    CPU_HYPERV_TLBFLUSH_EXT,
    CPU_HYPERV_TLBFLUSH_DIRECT,
    CPU_HYPERV_IPI,
    CPU_HYPERV_EVMCS,
    CPU_HYPERV_EMSR_BITMAP,
    CPU_HYPERV_AVIC,
    CPU_HYPERV_XMM_INPUT,
    CPU_HYPERV__MAX
} CpuHypervFeature;

typedef struct CpuHyperv {
    uint32_t features;          /* a bit each */
    int8_t passthrough;         /* all that the host has */
    int8_t enforce_cpuid;
    int8_t no_nonarch_coresharing;      /* 0, 1; 2 for auto: as the host */
    uint64_t spinlocks;         /* tries before the guest tells; UINT32_MAX: never */
    uint64_t version_build;
    uint64_t version_major;
    uint64_t version_minor;
    uint64_t version_spack;
    uint64_t version_sbranch;
    uint64_t version_snumber;
    char *vendor;
} CpuHyperv;

void cpu_hyperv_init(CpuHyperv *hyperv);
void cpu_hyperv_done(CpuHyperv *hyperv);

/* Whether the guest sees any of it. */
bool cpu_hyperv_enabled(const CpuHyperv *hyperv);

static inline bool cpu_hyperv_has(const CpuHyperv *hyperv, CpuHypervFeature feature)
{
    return hyperv->features >> feature & 1;
}

/* The feature of "hv-relaxed" and so on; false when it is none. */
bool cpu_hyperv_find(const char *name, CpuHypervFeature *ret_feature);
/* NULL after the last. */
const char *cpu_hyperv_name(unsigned index);

/*
 * Makes what was asked definite: passthrough becomes the features that the host has.  A
 * feature that the host lacks, or that needs another, is an error that names them.
 */
bool cpu_hyperv_resolve(CpuHyperv *hyperv, const CpuHost *host, GError **error);

/* Appends the leaves from 0x40000000 on. */
void cpu_hyperv_append(GArray *cpuid, const CpuHyperv *hyperv, const CpuHost *host);
