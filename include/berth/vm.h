/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The hypervisor, behind a table of operations: KVM, or a fake that tests look into.
 * Nothing above src/vm includes <linux/kvm.h>.
 */
#pragma once

#include "berth/irq.h"

#include <stdio.h>

/* Where the interrupt controllers are. */
typedef enum VmIrqchip {
    VM_IRQCHIP_KERNEL,          /* all in the hypervisor */
    VM_IRQCHIP_SPLIT,           /* local APICs in the hypervisor; see irqchip.h */
} VmIrqchip;

/* What a VM does when a guest keeps its processor from taking events for too long. */
typedef enum VmNotify {
    VM_NOTIFY_DEFAULT,          /* goes on, where KVM can tell at all */
    VM_NOTIFY_RUN,
    VM_NOTIFY_STOP,             /* stops as by an internal error */
    VM_NOTIFY_OFF,
} VmNotify;

/* What the operator may set of KVM; zeros are its defaults. */
typedef struct VmTuning {
    bool cpu_pm;                /* a guest's idle vCPU keeps the host's processor */
    bool has_halt_poll;
    uint32_t halt_poll_ns;      /* how long a halted vCPU is looked at before it sleeps */
    uint64_t shadow_memory;     /* bytes of shadow page tables, 0: KVM's choice */
    VmNotify notify;
    uint32_t notify_window;     /* of the processor's time, beside its own least */
} VmTuning;

typedef struct VmOptions {
    const char *device;         /* "/dev/kvm" */
    VmIrqchip irqchip;
    bool pit;                   /* the in-kernel i8254; VM_IRQCHIP_KERNEL only */
    bool pit_discards;          /* ticks that the guest takes too late, else makes up */
    unsigned max_vcpus;
    bool smm;                   /* there is system management mode */
    VmTuning tuning;
} VmOptions;

/* Main only. */

/* KVM.  The error says what of the host is missing. */
Vm *vm_kvm_new(const VmOptions *options, GError **error);
/* The fake: no kernel, no threads; see vm-fake.h. */
Vm *vm_fake_new(void);
Vm *vm_fake_new_split(void);
void vm_free(Vm *vm);
/*
 * The vCPUs are paused for good.  What the machine takes back from now on, memory,
 * doorbells and routes, stays with the hypervisor, which drops it all at once in
 * vm_free(): each by itself would wait for a grace period of the kernel.  Accepts NULL.
 */
void vm_end(Vm *vm);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Vm, vm_free)

/* Whether /dev/kvm can be opened and used; @error (may be NULL) says why not. */
bool vm_kvm_available(GError **error);

/*
 * Prints for "--check-host" what this host's KVM offers, what is missing and what that
 * means.  Returns true when a stock guest can run.
 */
bool vm_kvm_check_host(FILE *out);

/* The most vCPUs that the hypervisor allows. */
unsigned vm_max_vcpus(Vm *vm);
VmIrqchip vm_irqchip(const Vm *vm);

/*
 * Sets global system interrupt @gsi, 0 to 23.  As on PC boards, 0 to 15 are also the
 * PIC's pins, and 0 (the PIT) ends at the IOAPIC's pin 2, which the MADT has to say;
 * the others end at the IOAPIC's pin of their number.  A level: the lines of several
 * devices are not or-ed here.  Any thread.
 */
void vm_set_irq(Vm *vm, unsigned gsi, bool level);

/* A line that drives @gsi; the Vm's own, there for 0 to 23. */
IrqLine *vm_gsi_line(Vm *vm, unsigned gsi);

/*
 * Sends a message-signalled interrupt, once; what sends many has an MsiRoute.  A message
 * that no local APIC takes is lost.  Any thread.
 */
void vm_send_msi(Vm *vm, const MsiMessage *message);

/*
 * A system management interrupt to each vCPU, or to that whose thread calls.  Any thread;
 * no effect without system management mode.
 */
void vm_send_smi(Vm *vm, bool all);

/*
 * The guest's KVM clock and the hypervisor's PIT stand still from stop to start; for a
 * pause that the guest should not see.  vCPUs paused.  Calls need not be paired.
 */
void vm_stop_clock(Vm *vm);
void vm_start_clock(Vm *vm);

/*
 * The hypervisor's PIT, if it has one, interrupts no more, or does again.  Any thread.
 */
void vm_inhibit_pit(Vm *vm, bool inhibit);

/*
 * The hypervisor's interrupt controllers and its PIT back to their state at power-on;
 * vCPUs paused.
 */
void vm_reset(Vm *vm);
