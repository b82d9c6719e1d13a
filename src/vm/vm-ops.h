/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a hypervisor does for src/vm: the table behind vm.h.  Functions return 0 or a
 * negative errno.  They are called by one thread at a time for each kind of object (the
 * address space's or the route table's lock is held), except where said.
 */
#pragma once

#include "berth/cpuid.h"
#include "berth/irqchip.h"
#include "irq-route.h"

/* Guest physical pages backed by host memory. */
typedef struct VmSlot {
    uint32_t id;                /* in its space */
    uint8_t space;              /* 0, or 1: what is seen in system management mode */
    bool readonly;
    uint64_t gpa;
    uint64_t size;
    void *host;
} VmSlot;

/* A write that signals an eventfd. */
typedef struct VmDoorbell {
    uint64_t addr;
    uint32_t size;              /* 0: any */
    bool is_io;                 /* a port, else guest physical memory */
    bool match;
    uint64_t value;
    int fd;
} VmDoorbell;

typedef struct VmOps {
    const char *name;
    const struct VcpuOps *vcpu;
    void (*free)(Vm *vm);

    int (*map)(Vm *vm, const VmSlot *slot);
    int (*unmap)(Vm *vm, const VmSlot *slot);
    int (*doorbell)(Vm *vm, const VmDoorbell *doorbell, bool add);
    int (*irqfd)(Vm *vm, int fd, unsigned gsi, bool add);
    /* The whole table of routes, in place of the earlier one. */
    int (*set_routes)(Vm *vm, const IrqRoute *routes, unsigned n);

    /* Any thread, at the same time too. */
    /* VM_IRQCHIP_KERNEL only. */
    void (*set_irq)(Vm *vm, unsigned gsi, bool level);
    /* VM_IRQCHIP_SPLIT only: what vCPU 0 is told of the PIC's output. */
    void (*set_extint)(Vm *vm, bool level);
    void (*send_msi)(Vm *vm, const MsiMessage *message);
    void (*inhibit_pit)(Vm *vm, bool inhibit);

    /* Main, vCPUs paused. */
    void (*reset)(Vm *vm);
    void (*stop_clock)(Vm *vm);
    void (*start_clock)(Vm *vm);

    /* Main: a descriptor of its statistics, or a negative errno. */
    int (*open_stats)(Vm *vm);

    /* Main; VM_IRQCHIP_KERNEL only.  NULL: there is nothing to see. */
    int (*look_at_irqchip)(Vm *vm, IrqchipView *ret_view);

    /* Main: what a guest's processor can have. */
    CpuHost *(*cpu_host)(Vm *vm, GError **error);
} VmOps;

#define VM_GSI_LINES 24

/*
 * An IOAPIC in the hypervisor reaches 8 bits of APIC id, of which 255 means all; one of
 * ours, and messages, 15 bits.
 */
#define VM_XAPIC_VCPUS 255
#define VM_MAX_VCPUS 4096
#define VM_XAPIC_ID_MAX 254
#define VM_X2APIC_ID_MAX 0x7fff

/* Embedded first in what a hypervisor needs. */
struct Vm {
    const VmOps *ops;
    VmIrqchip irqchip;
    unsigned max_vcpus;
    uint32_t max_apic_id;
    bool ended;                 /* vm_end() was called: nothing is taken back */
    bool ext_dest_id;           /* the guest is told of it; set before it runs */
    IrqRouteTable routes;
    IrqLine gsi_lines[VM_GSI_LINES];

    GMutex smi_lock;
    GPtrArray *smi_targets;     /* of Vcpu, under it; NULL without SMM */

    /* VM_IRQCHIP_SPLIT: changed by main before and after all use. */
    const VmPic *pic;
    const VmIoapic *ioapic;
    unsigned listened_gsi;
    IrqchipEndFn *on_end;    /* NULL: nobody listens */
    void *end_opaque;
};

/* For the hypervisors: what is the same in all of them.  @n_gsis bounds the routes. */
void vm_init(Vm *vm, const VmOps *ops, VmIrqchip irqchip, unsigned n_gsis);
void vm_done(Vm *vm);

/* Main: a vCPU that has system management mode comes and goes. */
void vm_add_smi_target(Vm *vm, Vcpu *vcpu);
/* Accepts one that never came. */
void vm_remove_smi_target(Vm *vm, Vcpu *vcpu);

/* Adds to what a guest's processor can have what the interrupt controllers bring. */
void irqchip_offer(const Vm *vm, CpuHost *host);
/*
 * Whether interrupts reach all vCPUs of @model; notes whether the guest knows of extended
 * destinations.
 */
bool irqchip_check_cpus(Vm *vm, const CpuModel *model, GError **error);

/*
 * The message that the hypervisor is to have for one that the guest wrote: with the
 * APIC id's bits 8 to 14 where it has them.
 */
MsiMessage irqchip_extend(const Vm *vm, MsiMessage message);

/* What a hypervisor tells the chips in user space.  A vCPU's thread, no lock held. */
bool irqchip_acknowledge(Vm *vm, uint8_t *ret_vector);
void irqchip_eoi(Vm *vm, uint8_t vector);
/* vm_set_irq() with chips in user space. */
void irqchip_set_irq(Vm *vm, unsigned gsi, bool level);
