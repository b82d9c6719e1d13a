/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What vm-fake.c takes from vm-fake-vcpu.c.
 */
#pragma once

#include "vcpu-ops.h"

extern const VcpuOps vm_fake_vcpu_ops;

/* The CPUID of the host's invented processor, an array of CpuidEntry. */
GArray *vm_fake_vcpu_host(bool is_amd);
