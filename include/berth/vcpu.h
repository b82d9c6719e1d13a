/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One virtual CPU and its thread.
 *
 *     new -> paused <-> running -> (exit) -> joined
 *
 * The thread runs KVM_RUN, dispatches exits through a table to the address spaces, and
 * tells the owner of the rest through VcpuEvents.  Pausing kicks the thread (signal and
 * immediate_exit) and waits for it; it never waits for another thread of the VM but an
 * iothread.
 */
#pragma once

#include "berth/base.h"

/* Where a vCPU begins after reset when it is the boot processor. */
typedef enum VcpuEntry {
    VCPU_ENTRY_RESET,           /* the architecture's reset vector, firmware in place */
    VCPU_ENTRY_LONG,            /* 64-bit boot protocol: paging on, rip, rsi */
    VCPU_ENTRY_PVH,             /* 32-bit flat, paging off, ebx = start info */
} VcpuEntry;

typedef struct VcpuBoot {
    VcpuEntry entry;
    uint64_t ip;
    uint64_t arg;               /* rsi, ebx */
    uint64_t page_table;        /* cr3 for VCPU_ENTRY_LONG */
    uint64_t gdt;               /* gpa of a GDT: 0, 0, code 0x10, data 0x18, TSS 0x20 */
} VcpuBoot;

typedef enum VcpuStopReason {
    VCPU_STOP_INTERNAL_ERROR,   /* KVM_EXIT_INTERNAL_ERROR, entry failure, unknown exit */
    VCPU_STOP_SHUTDOWN,         /* triple fault */
    VCPU_STOP_SYSTEM_EVENT,     /* KVM_EXIT_SYSTEM_EVENT and like requests: a reset */
} VcpuStopReason;

/* Called on the vCPU's thread; must not wait.  The vCPU parks itself afterwards until
 * resumed. */
typedef struct VcpuEvents {
    void (*stopped)(void *opaque, Vcpu *vcpu, VcpuStopReason reason, const char *detail);
    void *opaque;
} VcpuEvents;

/* The topology of the VM: the products of all levels are max_cpus. */
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

/* What the operator asked of the CPU; made once, used for each vCPU (cpuid.h). */
typedef struct CpuModel CpuModel;

/* Any thread. */

/* The place of vCPU @index, APIC ids with each level's field rounded up to whole bits. */
CpuPlace cpu_topology_place(const CpuTopology *topology, unsigned index);

/* Main only. */

/*
 * Parses "-cpu" text: "host", "max", then ",+feat", ",-feat", ",feat=on|off".  False
 * names of models and features are errors that name them.  The model is built from what
 * @vm supports.
 */
CpuModel *cpu_model_new(Vm *vm, const char *text, const CpuTopology *topology,
                        GError **error);
void cpu_model_free(CpuModel *model);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(CpuModel, cpu_model_free)

/*
 * Makes vCPU @index with its thread, paused.  @memory and @io are lent.  The thread is
 * named "CPU N/KVM".
 */
Vcpu *vcpu_new(Vm *vm, unsigned index, const CpuModel *model, AddressSpace *memory,
               AddressSpace *io, const VcpuEvents *events, GError **error);
/* Stops and joins the thread.  Accepts NULL. */
void vcpu_free(Vcpu *vcpu);

unsigned vcpu_index(const Vcpu *vcpu);
CpuPlace vcpu_place(const Vcpu *vcpu);
/* The kernel's thread id. */
int vcpu_thread_id(const Vcpu *vcpu);
/* True when the vCPU is in HLT as KVM reports it; asks the vCPU's thread. */
bool vcpu_is_halted(Vcpu *vcpu);

/* All registers as at power-on; vCPU 0 as @boot says, the others wait for INIT-SIPI.
 * Paused. */
bool vcpu_reset(Vcpu *vcpu, const VcpuBoot *boot, GError **error);

/* Lets the thread run the guest. */
void vcpu_resume(Vcpu *vcpu);
/* Asks the thread to leave the guest; returns at once. */
void vcpu_request_pause(Vcpu *vcpu);
/* Returns when the thread is out of the guest and touches nothing of the machine. */
void vcpu_wait_paused(Vcpu *vcpu);

/* The registers as text in the shape of "info registers".  Paused; the caller frees. */
char *vcpu_describe(Vcpu *vcpu);
