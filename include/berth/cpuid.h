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
 * Parses "-cpu" text and builds the model from what @vm supports:
 *
 *     MODEL[,PROPERTY...]   MODEL is host or max, which are the same
 *     +FEATURE  -FEATURE  FEATURE=on|off      in QEMU's spelling, '_' or '-'
 *     migratable=on|off     off adds what cannot be migrated (invtsc); on
 *     kvm=on|off            off hides KVM's leaves from the guest; on
 *     check=on|off          on warns of what the host lacks; on
 *     enforce=on|off        on makes that an error; off
 *     pmu=on|off            performance counters, as far as the host has them; on
 *     host-phys-bits=on|off on: as many physical address bits as the host; off: 40; on
 *     host-phys-bits-limit=N   at most N
 *     phys-bits=N           exactly N, at most the host's
 *
 * False names of models and properties, and APIC ids that the hypervisor has not, are
 * errors that name them.
 */
CpuModel *cpu_model_new(Vm *vm, const char *text, const CpuTopology *topology,
                        GError **error);
void cpu_model_free(CpuModel *model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CpuModel, cpu_model_free)

/* Any thread. */

CpuPlace cpu_model_place(const CpuModel *model, unsigned index);

/* CPUID leaf 1: EAX, and above it EDX. */
uint64_t cpu_model_signature(const CpuModel *model);

/*
 * Appends the names of all features that "-cpu" understands, a line for each CPUID
 * word.
 */
void cpu_features_help(GString *out);
