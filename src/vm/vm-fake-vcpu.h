/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What vm-fake.c takes from vm-fake-vcpu.c.
 */
#pragma once

#include "vcpu-ops.h"

extern const VcpuOps vm_fake_vcpu_ops;

/* A processor with most of what the CPU model knows, as VmOps.get_cpuid. */
GArray *vm_fake_vcpu_cpuid(Vm *vm, GError **error);
