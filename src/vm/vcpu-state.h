/* SPDX-License-Identifier: Apache-2.0 */
/*
 * All registers of a vCPU of KVM, each in the struct that KVM takes.
 */
#pragma once

#include <linux/kvm.h>

#include "berth/vcpu.h"

struct VcpuState {
    struct kvm_mp_state mp_state;
    struct kvm_regs regs;
    struct kvm_sregs sregs;
    struct kvm_debugregs debugregs;
    struct kvm_xcrs xcrs;
    struct kvm_vcpu_events events;
    struct kvm_lapic_state lapic;
    uint32_t xsave_size;
    struct kvm_xsave *xsave;
    uint32_t nested_size;       /* 0: the host cannot nest */
    struct kvm_nested_state *nested;
    struct kvm_msrs *msrs;
};

struct KvmVcpu;

/* Main, paused. */
VcpuState *vcpu_state_get(struct KvmVcpu *kv, GError **error);
bool vcpu_state_set(struct KvmVcpu *kv, const VcpuState *state, GError **error);

/* MSR @index in @state, NULL when it is not among those saved. */
struct kvm_msr_entry *vcpu_state_msr(VcpuState *state, uint32_t index);

/* Sets @n MSRs; one that KVM refuses is left out with a debug line.  Negative errno. */
int vcpu_state_write_msrs(struct KvmVcpu *kv, const struct kvm_msr_entry *entries,
                          unsigned n);
