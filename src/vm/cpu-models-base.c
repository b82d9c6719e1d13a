/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The models of no real processor: those that every host can be.
 *
 * A processor that runs everywhere has few features.  "base" has none at all and is what
 * query-cpu-model-expansion counts from; it needs no text.
 */
#include "cpu-models.h"

const char cpu_models_base[] =
    "model qemu64\n"
    "vendor AuthenticAMD\n"
    "cpu 15 107 1\n"
    "level 13\n"
    "xlevel 8000000a\n"
    "id QEMU Virtual CPU version 2.5+\n"
    "+ fpu de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat pse36 clflush\n"
    "+ mmx fxsr sse sse2 pni cx16 hypervisor syscall nx lm lahf-lm svm\n"

    "model kvm64 like qemu64-v1\n"
    "vendor GenuineIntel\n"
    "cpu 15 6 1\n"
    "xlevel 80000008\n"
    "id Common KVM processor\n"
    "+ vme vmx-intr-exit vmx-nmi-exit vmx-vintr-pending vmx-tsc-offset vmx-hlt-exit\n"
    "+ vmx-invlpg-exit vmx-mwait-exit vmx-rdpmc-exit vmx-rdtsc-exit vmx-cr8-load-exit\n"
    "+ vmx-cr8-store-exit vmx-flexpriority vmx-movdr-exit vmx-io-exit vmx-io-bitmap\n"
    "+ vmx-monitor-exit vmx-pause-exit vmx-exit-ack-intr vmx-entry-ia32e-mode\n"
    "+ vmx-activity-hlt\n"
    "- lahf-lm svm\n";
