/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID as data: what the files of the CPU model share, and what a hypervisor gives and
 * takes.
 */
#pragma once

#include "berth/cpuid.h"

typedef enum CpuidReg { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX } CpuidReg;

typedef struct CpuidEntry {
    uint32_t function;
    uint32_t index;
    bool indexed;               /* the index counts */
    uint32_t regs[4];           /* by CpuidReg */
} CpuidEntry;

/* The entry of (@function, @index) in an array of CpuidEntry, NULL when there is none. */
CpuidEntry *cpu_model_find(const GArray *cpuid, uint32_t function, uint32_t index);

/*
 * The CPUID of vCPU @index: a new array of CpuidEntry.  @tsc_khz: the guest's TSC
 * frequency, 0 when it is not known.
 */
GArray *cpu_model_cpuid(const CpuModel *model, unsigned index, uint32_t tsc_khz);

/* What EDX has after a reset: family, model, stepping. */
uint32_t cpu_model_version(const CpuModel *model);
