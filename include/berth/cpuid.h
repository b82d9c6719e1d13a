/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the guest's processors are: their places in the topology, and the model that
 * "-cpu" names.
 */
#pragma once

#include "berth/base.h"

/* The topology of the VM: the product of all levels is max_cpus.  No level is 0. */
typedef struct CpuTopology {
    unsigned cpus;              /* present at start */
    unsigned max_cpus;
    unsigned sockets;
    unsigned dies;              /* in a socket */
    unsigned cores;             /* in a die */
    unsigned threads;           /* in a core */
} CpuTopology;

/* The place of one vCPU. */
typedef struct CpuPlace {
    unsigned socket;
    unsigned die;
    unsigned core;
    unsigned thread;
    uint32_t apic_id;
} CpuPlace;

/* What the operator asked of the CPU; made once, used for each vCPU. */
typedef struct CpuModel CpuModel;

/* Any thread. */

/* The place of vCPU @index; APIC ids have each level's field rounded up to whole bits. */
CpuPlace cpu_topology_place(const CpuTopology *topology, unsigned index);

/* Main only. */

/*
 * Makes the processor of "-cpu" text, MODEL[,PROPERTY...], from what @vm supports; the
 * models and properties are told in docs/cpu-models.md.  False names, what the host has
 * not and "enforce" asks for, and APIC ids that the hypervisor has not, are errors that
 * name them.
 */
CpuModel *cpu_model_new(Vm *vm, const char *text, const CpuTopology *topology,
                        GError **error);
void cpu_model_free(CpuModel *model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CpuModel, cpu_model_free)

/* Any thread. */

CpuPlace cpu_model_place(const CpuModel *model, unsigned index);
/* "Nehalem-x86_64-cpu" for "-cpu Nehalem". */
const char *cpu_model_type(const CpuModel *model);

/* CPUID leaf 1: EAX, and above it EDX. */
uint64_t cpu_model_signature(const CpuModel *model);

/* Whether it has VMX: an operating system may be a hypervisor in the guest. */
bool cpu_model_has_vmx(const CpuModel *model);

/* How wide physical addresses are. */
unsigned cpu_model_phys_bits(const CpuModel *model);

/* What the hypervisor of this host can give a guest's processor. */
typedef struct CpuHost CpuHost;

/* Of @vm, or, when that is NULL, of KVM here.  Main. */
CpuHost *cpu_host_probe(Vm *vm, GError **error);
void cpu_host_free(CpuHost *host);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CpuHost, cpu_host_free)

/* Appends the names of all features that "-cpu" understands, in lines. */
void cpu_features_help(GString *out);
