/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU's local APIC (Intel SDM 3A, 11.4), as what debuggers ask for.
 */
#pragma once

#include "berth/base.h"

/* The register at offset 16 * n of its page is word n. */
#define VCPU_APIC_WORDS 64

typedef struct VcpuApic {
    uint32_t words[VCPU_APIC_WORDS];
    bool x2apic;                /* the guest has switched it to that mode */
} VcpuApic;

/*
 * Main only.  Also of a vCPU that runs, whose thread leaves the guest for it.  False with
 * @error when the hypervisor refuses.
 */
bool vcpu_read_apic(Vcpu *vcpu, VcpuApic *ret_apic, GError **error);

/* In the layout of QEMU's "info lapic", of CPU @index; the caller frees. */
char *vcpu_apic_text(const VcpuApic *apic, unsigned index);
