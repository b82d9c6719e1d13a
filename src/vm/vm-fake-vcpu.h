/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What vm-fake.c takes from vm-fake-vcpu.c.
 */
#pragma once

#include "berth/vm-fake.h"

#include "cpu-host.h"
#include "vcpu-ops.h"

extern const VcpuOps vm_fake_vcpu_ops;

CpuHost *vm_fake_vcpu_host(const VmFakeCpu *cpu);

/* From vm-fake.c: 0, or the error with which this call fails. */
int vm_fake_next_failure(Vm *vm);
/* A descriptor of a vCPU's statistics, or a negative errno. */
int vm_fake_open_vcpu_stats(Vm *vm);
