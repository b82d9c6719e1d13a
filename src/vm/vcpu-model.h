/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making a vCPU of KVM the processor that its model says.
 */
#pragma once

#include "vcpu-kvm.h"

/* Before KVM makes the VM's first vCPU.  False with an error. */
bool vcpu_model_prepare_vm(KvmVm *kvm, const CpuModel *model, GError **error);

/* Clock, CPUID, MSRs and interfaces of a vCPU that was just made. */
bool vcpu_model_apply(KvmVcpu *kv, GError **error);

/* After the state at power-on was written: what of it is each vCPU's own. */
int vcpu_model_reset(KvmVcpu *kv);

/* Appends the MSRs that are state of this model and not in KVM's list. */
void vcpu_model_add_msrs(const KvmVcpu *kv, GArray *msrs);

/* Answers KVM_EXIT_HYPERV.  The vCPU's thread. */
VcpuRun vcpu_model_exit_hyperv(KvmVcpu *kv);

/* Tells the owner what a guest wrote to Hyper-V's crash registers.  The vCPU's thread. */
void vcpu_model_crashed(KvmVcpu *kv);
