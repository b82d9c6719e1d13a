/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What KVM says of processors.
 */
#pragma once

#include "cpu-host.h"

/* Asks KVM behind @kvm_fd, with the caller's permission for AMX. */
CpuHost *vm_kvm_cpu_host(int kvm_fd, GError **error);

/* Asks KVM of this host, without a VM. */
CpuHost *vm_kvm_probe_cpu(GError **error);
