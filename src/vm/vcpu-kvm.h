/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU of KVM, shared by vcpu-kvm.c (life and thread), vcpu-exit.c and vcpu-reset.c.
 */
#pragma once

#include "cpu-model.h"
#include "vcpu-ops.h"
#include "vm-kvm.h"

typedef struct KvmVcpu {
    Vcpu vcpu;

    int fd;
    struct kvm_run *run;        /* shared with the kernel */

    /* Main while paused. */
    bool is_made;               /* it is what the model says */
    bool used;                  /* no longer as the kernel made it */

    /* The vCPU's thread, or main while paused. */
    bool has_vector;            /* taken from the PIC, and not yet by the kernel */
    uint8_t vector;

    /* The vCPU's thread. */
    AddressHint memory_hint;
    AddressHint io_hint;
} KvmVcpu;

static inline KvmVcpu *vcpu_kvm_of(Vcpu *vcpu)
{
    return CONTAINER_OF(vcpu, KvmVcpu, vcpu);
}

static inline KvmVm *vcpu_kvm_vm(KvmVcpu *kv)
{
    return vm_kvm_of(kv->vcpu.vm);
}

/* Answers the exit in kv->run.  The vCPU's thread. */
VcpuRun vcpu_exit_dispatch(KvmVcpu *kv, VcpuStop *ret_stop);

/* KVM_RUN was called back. */
VcpuRun vcpu_exit_interrupted(KvmVcpu *kv);

/* KVM_RUN itself failed with @err (a positive errno). */
VcpuRun vcpu_exit_failed(KvmVcpu *kv, int err, VcpuStop *ret_stop);

/* 0 or a negative errno; main while paused, or the vCPU's thread. */
int vcpu_registers_get(int vcpu_fd, VcpuRegisters *ret_registers);

/* Reads the state at power-on for later resets, of vCPU 0 that was just made.  Main. */
bool vcpu_reset_learn(KvmVcpu *kv, GError **error);
/* The state at power-on, then as @boot says.  Main, paused. */
bool vcpu_reset_to(KvmVcpu *kv, const VcpuBoot *boot, GError **error);

/* Lets go of the vCPUs that nobody has.  Main, at the VM's end. */
void vcpu_kvm_free_parked(KvmVm *kvm);

extern const VcpuOps vcpu_kvm_ops;
