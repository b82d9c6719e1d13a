/* SPDX-License-Identifier: Apache-2.0 */
/*
 * CPUID and MSRs as data: what the files of the CPU model share, and what a hypervisor
 * gives and takes.
 */
#pragma once

#include "berth/cpuid.h"

typedef enum CpuidReg { CPUID_EAX, CPUID_EBX, CPUID_ECX, CPUID_EDX } CpuidReg;

/* Who shares the cache that an entry tells of. */
typedef enum CpuShare {
    CPU_SHARE_BY_LEVEL,         /* a core the first two levels, a die the third */
    CPU_SHARE_CORE,
    CPU_SHARE_DIE,
    CPU_SHARE_PACKAGE,
} CpuShare;

typedef struct CpuidEntry {
    uint32_t function;
    uint32_t index;
    uint8_t share;              /* CpuShare */
    uint32_t regs[4];           /* by CpuidReg */
} CpuidEntry;

typedef struct CpuMsr {
    uint32_t index;
    uint64_t value;
} CpuMsr;

/* Whether ECX chooses among several entries of @function. */
bool cpu_leaf_is_indexed(uint32_t function);

/* The entry of (@function, @index) in an array of CpuidEntry, NULL when there is none. */
CpuidEntry *cpu_leaf_find(const GArray *cpuid, uint32_t function, uint32_t index);
/* Takes out every index of the functions from @first to @last. */
void cpu_leaf_drop(GArray *cpuid, uint32_t first, uint32_t last);
void cpu_leaf_append(GArray *cpuid, uint32_t function, uint32_t index,
                     const uint32_t regs[4]);
GArray *cpu_leaf_copy(const GArray *cpuid);

/* The vendor's 12 letters and a zero. */
void cpu_leaf_vendor(const GArray *cpuid, char ret_vendor[13]);
