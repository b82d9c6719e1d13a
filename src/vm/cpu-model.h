/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A finished model: what the hypervisors take from it.
 */
#pragma once

#include "cpu-options.h"

struct CpuModel {
    CpuTopology topology;
    char type[56];              /* "Nehalem-x86_64-cpu" */
    bool is_amd;
    bool levels_v2;             /* leaf 0x1f with one die, too */
    bool hides_counters;
    uint32_t signature;
    CpuOptions options;         /* with what was not given filled in */
    CpuWords words;             /* the features that the guest has */
    CpuWords missing;           /* and those that it was to have */
    GArray *cpuid;              /* of CpuidEntry */
    GArray *msrs;               /* of CpuMsr */
    CpuFeatureIndex *names;     /* of main; NULL until a property is asked for */
};

/*
 * The CPUID of vCPU @index: a new array of CpuidEntry.  @tsc_khz: the guest's TSC
 * frequency, 0 when it is not known.
 */
GArray *cpu_model_cpuid(const CpuModel *model, unsigned index, uint32_t tsc_khz);

/* The greatest APIC id of the vCPUs that there can be. */
uint32_t cpu_model_last_apic_id(const CpuModel *model);
