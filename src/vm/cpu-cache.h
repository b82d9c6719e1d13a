/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The caches of a processor, and the CPUID leaves that tell of them.
 */
#pragma once

#include "cpu-leaf.h"

/* Flags as in EDX of leaves 4 and 0x8000001d, and one of EAX. */
#define CPU_CACHE_WRITE_BACK_LOCAL 1u   /* WBINVD does not reach lower sharers */
#define CPU_CACHE_INCLUSIVE 2u
#define CPU_CACHE_COMPLEX 4u            /* a complex function indexes it */
#define CPU_CACHE_SELF_INIT 0x100u

typedef struct CpuCache {
    uint32_t kib;               /* 0: there is none */
    uint16_t ways;
    uint16_t flags;
    uint8_t share;              /* CpuShare */
} CpuCache;

typedef struct CpuCaches {
    char name[18];
    CpuCache at[4];             /* by index of leaf 4: L1 data, L1 code, L2, L3 */
} CpuCaches;

/* NULL when there is no such row. */
const CpuCaches *cpu_cache_find(const char *name);

/* The caches of models that tell of none. */
const CpuCaches *cpu_cache_generic(bool is_amd);

/*
 * Appends leaves 2, 4 and 0x80000006 of Intel's processors, or 0x80000005, 0x80000006 and
 * 0x8000001d of AMD's.  How many vCPUs share a cache is left to cpu-topology.c.
 */
void cpu_cache_append(GArray *cpuid, const CpuCaches *caches, bool is_amd);
