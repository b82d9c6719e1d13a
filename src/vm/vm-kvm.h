/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the KVM side share.
 */
#pragma once

#include <linux/kvm.h>

#include "vcpu-state.h"
#include "vm-ops.h"

/* The interrupt controllers and the PIT as KVM makes them. */
typedef struct VmKvmChips {
    struct kvm_irqchip chips[3];
    struct kvm_pit_state2 pit;
} VmKvmChips;

/*
 * A vCPU that nobody has: KVM cannot free one before the VM's end, nor make another with
 * its number.  It waits for its place to be taken again.
 */
typedef struct KvmParked {
    unsigned index;
    int fd;
    struct kvm_run *run;        /* NULL: not shared yet */
    bool is_made;               /* it is what the model says */
    bool used;
} KvmParked;

typedef struct KvmVm {
    Vm vm;

    /* Immutable. */
    int kvm_fd;
    int vm_fd;
    bool pit;
    bool pit_discards;
    bool any_length;            /* an ioeventfd may match writes of any width */
    bool guest_mwait;           /* the guest's MWAIT is the processor's */
    bool stops_on_notify;       /* a guest that takes no events stops */
    uint32_t run_size;          /* bytes of a vCPU's kvm_run */
    uint32_t xsave_size;        /* bytes of a vCPU's XSAVE area */
    uint32_t nested_size;       /* bytes of its nested state, 0 when it cannot nest */

    /* Main only. */
    VcpuState *power_on;        /* of vCPU 0, for every reset */
    GArray *msrs;               /* of uint32_t: what is worth saving; NULL until asked */
    GArray *parked;             /* of KvmParked; NULL while there was none */
    uint64_t clock_ns;          /* the guest's clock while it is stopped */
    bool clock_stopped;

    GMutex lock;

    /* Stored under the lock, loaded by any thread. */
    bool has_irqchip;
    bool extint;                /* the output of the PIC in user space; sequential */

    /* Under the lock. */
    uint32_t early_levels;      /* of GSIs that were raised before there is an irqchip */
    VmKvmChips *chips;          /* at power-on */
    struct kvm_pit_state2 *stopped_pit; /* NULL while the PIT runs */
    Vcpu *boot_vcpu;            /* the PIC's, NULL when there is none */
} KvmVm;

static inline KvmVm *vm_kvm_of(Vm *vm)
{
    return CONTAINER_OF(vm, KvmVm, vm);
}

/* An ioctl that is repeated when a signal came; the result or a negative errno. */
int vm_kvm_ioctl(int fd, unsigned long request, void *arg);

/* Enables @cap; -ENOTSUP when the host has it not. */
int vm_kvm_enable(KvmVm *kvm, uint32_t cap, uint64_t argument);
/* Enables those flags of KVM_CAP_X2APIC_API that the host has. */
void vm_kvm_irq_enable_x2apic(KvmVm *kvm, uint64_t flags);

/* The greatest APIC id that interrupts reach. */
uint32_t vm_kvm_irq_max_apic_id(KvmVm *kvm);

/* Makes the interrupt controllers, the PIT and their routes unless they are there. */
int vm_kvm_irq_need_chips(KvmVm *kvm);

/* What VmOps has, in vm-kvm-irq.c. */
int vm_kvm_irq_fd(Vm *vm, int fd, unsigned gsi, bool add);
int vm_kvm_irq_set_routes(Vm *vm, const IrqRoute *routes, unsigned n);
void vm_kvm_irq_set_irq(Vm *vm, unsigned gsi, bool level);
void vm_kvm_irq_set_extint(Vm *vm, bool level);
void vm_kvm_irq_send_msi(Vm *vm, const MsiMessage *message);
void vm_kvm_irq_inhibit_pit(Vm *vm, bool inhibit);
void vm_kvm_irq_reset(Vm *vm);
int vm_kvm_irq_look(Vm *vm, IrqchipView *ret_view);

/* The PIT with the guest's clock: no tick comes between.  Calls need not be paired. */
void vm_kvm_irq_stop_pit(KvmVm *kvm);
void vm_kvm_irq_start_pit(KvmVm *kvm);

/* What the operator set, before there is a vCPU. */
bool vm_kvm_tuning_apply(KvmVm *kvm, const VmTuning *tuning, GError **error);

/* What berth needs of KVM, and what it uses when it is there. */
typedef struct VmKvmCap {
    int cap;
    int least;                  /* the smallest result that will do */
    bool required;
    const char *name;
    const char *use;            /* "memory of the guest" */
} VmKvmCap;

/* Returns the @index-th, NULL after the last. */
const VmKvmCap *vm_kvm_caps_get(unsigned index);
/* False with an error of class KVM_MISSING_CAP that names the first that is missing. */
bool vm_kvm_caps_check(int kvm_fd, GError **error);
