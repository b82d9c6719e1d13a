/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What KVM says of processors.
 */
#pragma once

#include "cpu-host.h"

/*
 * Asks the kernel to let guests have the tiles of AMX, whose state is large.  Before a VM
 * is made, for what KVM says of CPUID and of a vCPU's state depends on it.
 */
void vm_kvm_cpu_permit(void);

/* Asks KVM behind @kvm_fd. */
CpuHost *vm_kvm_cpu_host(int kvm_fd, GError **error);

/* The guest may wait with MWAIT, as the host's processor has it. */
void vm_kvm_cpu_allow_mwait(CpuHost *host);

/* Asks KVM of this host, without a VM. */
CpuHost *vm_kvm_probe_cpu(GError **error);
