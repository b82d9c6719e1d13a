/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From features to what a vCPU is given: CPUID leaves, and MSRs that tell of features.
 */
#pragma once

#include "cpu-spec.h"

/*
 * The leaves but those of hypervisors: an array of CpuidEntry.  The places of vCPUs are
 * not in it yet.
 */
GArray *cpu_build_leaves(const CpuSpec *spec, const CpuOptions *options,
                         const CpuHost *host);

/* How many bits physical addresses have; an error when the host has not so many. */
bool cpu_build_phys_bits(const CpuSpec *spec, const CpuOptions *options,
                         const CpuHost *host, unsigned *ret_bits, GError **error);

/* An array of CpuMsr: what is to be written into each vCPU. */
GArray *cpu_msr_build(const CpuSpec *spec, const CpuOptions *options,
                       const CpuHost *host);
