/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The topology as CPUID tells it.
 */
#pragma once

#include "cpu-leaf.h"

/* How many bits of an APIC id are below the package's. */
unsigned cpu_topology_package_shift(const CpuTopology *topology);

/* In which leaves it is told. */
typedef struct CpuTopologyForm {
    bool is_amd;
    bool no_levels;             /* without leaves 0xb and 0x1f */
    bool levels_v2;             /* with leaf 0x1f even when there is one die */
} CpuTopologyForm;

/* Writes into @cpuid, an array of CpuidEntry, what differs by the place of a vCPU. */
void cpu_topology_apply(GArray *cpuid, const CpuTopology *topology, const CpuPlace *place,
                        const CpuTopologyForm *form);
