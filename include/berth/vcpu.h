/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One virtual CPU and its thread.
 *
 *     new -> paused <-> running -> (exit) -> joined
 *
 * The thread runs KVM_RUN, dispatches exits through a table to the address spaces, and
 * tells the owner of the rest.  Pausing kicks the thread (signal and
 * immediate_exit) and waits for it; it never waits for another thread of the VM but an
 * iothread.
 */
#pragma once

#include "berth/cpuid.h"

/* Where a vCPU begins after reset when it is the boot processor. */
typedef enum VcpuEntry {
    VCPU_ENTRY_RESET,           /* the architecture's reset vector, firmware in place */
    VCPU_ENTRY_LONG,            /* 64-bit boot protocol: paging on, rip, rsi */
    VCPU_ENTRY_PVH,             /* 32-bit flat, paging off, ebx = start info */
    VCPU_ENTRY_REAL,            /* real mode, as a waking vector below 1 MiB has it */
} VcpuEntry;

typedef struct VcpuBoot {
    VcpuEntry entry;
    uint64_t ip;
    uint64_t arg;               /* rsi, ebx */
    uint64_t page_table;        /* cr3 for VCPU_ENTRY_LONG */
    /* gpa of a GDT, for VCPU_ENTRY_LONG and _PVH: 0, 0, code 0x10, data 0x18, TSS 0x20 */
    uint64_t gdt;
    bool joins;                 /* vCPUs that run */
} VcpuBoot;

typedef enum VcpuStopReason {
    VCPU_STOP_INTERNAL_ERROR,   /* KVM_EXIT_INTERNAL_ERROR, entry failure, unknown exit */
    VCPU_STOP_MEMORY,           /* the host has no page where the guest needs one */
    VCPU_STOP_SHUTDOWN,         /* triple fault */
    VCPU_STOP_SYSTEM_EVENT,     /* KVM_EXIT_SYSTEM_EVENT and like requests: a reset */
} VcpuStopReason;

/*
 * What a vCPU is given.  stopped() is called on its thread and must not wait; the vCPU is
 * paused from then on until it is resumed, and the registers are logged when that is due.
 */
typedef struct VcpuOwner {
    AddressSpace *memory;       /* all lent */
    AddressSpace *io;
    AddressSpace *smm;          /* memory in system management mode; NULL: none */
    void (*stopped)(void *opaque, Vcpu *vcpu, VcpuStopReason reason, const char *detail);
    /*
     * The guest told of its crash by Hyper-V's registers, and goes on.  On the vCPU's
     * thread; must not wait.  NULL: nobody is told.
     */
    void (*crashed)(void *opaque, Vcpu *vcpu, const uint64_t parameters[5]);
    void *opaque;
} VcpuOwner;

/* All registers of a vCPU at one moment. */
typedef struct VcpuState VcpuState;

/* Main only. */

/*
 * Makes vCPU @index with its thread, "CPU N/KVM", paused.  0 is made first; guest memory
 * that is added before is added faster.
 */
Vcpu *vcpu_new(Vm *vm, unsigned index, const CpuModel *model, const VcpuOwner *owner,
               GError **error);
/*
 * Stops and joins the thread.  What the hypervisor cannot free before the VM's end waits
 * for the next vCPU with that index.  Accepts NULL.
 */
void vcpu_free(Vcpu *vcpu);

unsigned vcpu_index(const Vcpu *vcpu);
CpuPlace vcpu_place(const Vcpu *vcpu);
/* The kernel's thread id. */
int vcpu_thread_id(Vcpu *vcpu);
/* True when the vCPU is in HLT as KVM reports it; asks the vCPU's thread. */
bool vcpu_is_halted(Vcpu *vcpu);

/*
 * The edge of the NMI line, which ends at LINT1 of the local APIC: as the guest has
 * programmed that, the vCPU takes an NMI or does not.  One that runs takes it soon.
 */
void vcpu_inject_nmi(Vcpu *vcpu);

/*
 * All registers as at power-on; vCPU 0 as @boot says, the others wait for INIT-SIPI.  For
 * an entry without firmware, what firmware sets up on every processor is set (MTRRs,
 * x2APIC mode when there are APIC ids above 254).
 * Every vCPU is paused, and each is reset before one is resumed.
 */
bool vcpu_reset(Vcpu *vcpu, const VcpuBoot *boot, GError **error);

/* All registers, for a save.  Paused. */
VcpuState *vcpu_get_state(Vcpu *vcpu, GError **error);
bool vcpu_set_state(Vcpu *vcpu, const VcpuState *state, GError **error);
void vcpu_state_free(VcpuState *state);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VcpuState, vcpu_state_free)
/* NULL when every register but the running clocks is the same, else what differs. */
const char *vcpu_state_difference(const VcpuState *a, const VcpuState *b);

/* Lets the thread run the guest. */
void vcpu_resume(Vcpu *vcpu);
/* Asks the thread to leave the guest; returns at once.  Any thread, its own too. */
void vcpu_request_pause(Vcpu *vcpu);
/* Returns when the thread is out of the guest and touches nothing of the machine. */
void vcpu_wait_paused(Vcpu *vcpu);

/* The registers as text in the shape of "info registers".  Paused; the caller frees. */
char *vcpu_describe(Vcpu *vcpu);
