/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The topology as CPUID tells it.
 */
#pragma once

#include "cpu-model.h"

/* How many bits of an APIC id are below the package's. */
unsigned cpu_topology_package_shift(const CpuTopology *topology);

/* Writes into @cpuid, an array of CpuidEntry, what differs by the place of a vCPU. */
void cpu_topology_apply(GArray *cpuid, const CpuTopology *topology, const CpuPlace *place,
                        bool is_amd);
