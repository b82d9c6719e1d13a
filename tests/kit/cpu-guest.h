/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU of the fake hypervisor, to see what its model tells.
 */
#pragma once

#include "berth/vm-fake.h"

enum { EAX, EBX, ECX, EDX };

typedef struct CpuGuest {
    Vm *vm;
    CpuModel *model;
    Vcpu *vcpu;
} CpuGuest;

/* One vCPU alone. */
extern const CpuTopology cpu_guest_one;

/* vCPU @index of "-cpu @text" on a host with @cpu, NULL for the fake's own. */
CpuGuest cpu_guest_new(const char *text, const CpuTopology *topology, unsigned index,
                       const VmFakeCpu *cpu);
void cpu_guest_free(CpuGuest *guest);
G_DEFINE_AUTO_CLEANUP_CLEAR_FUNC(CpuGuest, cpu_guest_free)

bool cpu_guest_has(const CpuGuest *guest, uint32_t function);
/* The register, 0 when there is no such leaf. */
uint32_t cpu_guest_get(const CpuGuest *guest, uint32_t function, uint32_t index,
                       unsigned reg);
/* The MSR that the model sets; 0 when it sets none. */
uint64_t cpu_guest_msr(const CpuGuest *guest, uint32_t index);

/* Asserts that "-cpu @text" is an error that has @named in it. */
void cpu_guest_refused(const char *text, const VmFakeCpu *cpu, const char *named);
