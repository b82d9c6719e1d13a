/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leaf 0xd: which state XSAVE saves, and where.
 */
#pragma once

#include "cpu-spec.h"

/* Leaves of the host's leaf 0xd in @cpuid what the guest's features need. */
void cpu_xsave_fix(GArray *cpuid, const CpuSpec *spec);
