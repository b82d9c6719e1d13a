/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interrupt controllers in user space.  With VM_IRQCHIP_SPLIT the hypervisor has the
 * local APICs alone; the i8259 pair and the IOAPIC are devices, which are connected
 * here.  Whoever raises a line of the Vm sees no difference.
 *
 *     vm_set_irq() --> pins of the PIC    --> irqchip_set_extint()  --> vCPU 0
 *                  \-> pins of the IOAPIC --> vm_send_msi()         --> local APICs
 *     vCPU 0 takes an ExtINT            --> VmPic.acknowledge
 *     a vCPU ends a level-triggered one --> VmIoapic.eoi
 *
 * Locks: a device's, then a chip's; a chip calls no device.
 */
#pragma once

#include "berth/vm.h"

#define IRQCHIP_PIC_PINS 16
#define IRQCHIP_IOAPIC_PINS 24

/* The chips at one moment, for those who look at them. */
typedef struct IrqchipPicView {
    uint8_t irr;
    uint8_t imr;
    uint8_t isr;
    uint8_t elcr;
    uint8_t base;               /* vector of pin 0 */
    uint8_t highest;            /* the level of highest priority */
    bool read_isr;
    bool fully_nested;          /* special */
} IrqchipPicView;

typedef struct IrqchipIoapicView {
    uint8_t id;
    uint8_t select;
    uint32_t irr;               /* pins that request */
    uint64_t entries[IRQCHIP_IOAPIC_PINS];
} IrqchipIoapicView;

typedef struct IrqchipView {
    IrqchipPicView master;
    IrqchipPicView slave;
    IrqchipIoapicView ioapic;
} IrqchipView;

typedef struct VmPic {
    IrqLine pins[IRQCHIP_PIC_PINS];
    /*
     * The acknowledge cycle: the vector of what is requested; false when nothing is any
     * more.  A vCPU's thread, with no lock held.
     */
    bool (*acknowledge)(void *opaque, uint8_t *ret_vector);
    /* Whether the guest keeps @pin from interrupting.  Any thread. */
    bool (*is_masked)(void *opaque, unsigned pin);
    void (*look)(void *opaque, IrqchipPicView *ret_master, IrqchipPicView *ret_slave);
    void *opaque;
} VmPic;

typedef struct VmIoapic {
    IrqLine pins[IRQCHIP_IOAPIC_PINS];
    /* A local APIC ended interrupt @vector.  A vCPU's thread, with no lock held. */
    void (*eoi)(void *opaque, uint8_t vector);
    /* Whether the guest keeps @pin from interrupting.  Any thread. */
    bool (*is_masked)(void *opaque, unsigned pin);
    void (*look)(void *opaque, IrqchipIoapicView *ret_ioapic);
    void *opaque;
} VmIoapic;

/* Main only, while no line is driven; the chip is lent, NULL takes it out. */

void irqchip_set_pic(Vm *vm, const VmPic *pic);
void irqchip_set_ioapic(Vm *vm, const VmIoapic *ioapic);

/* The chips as they are now, in the hypervisor too; 0 or a negative errno. */
int irqchip_look(Vm *vm, IrqchipView *ret_view);

/*
 * Whoever wants to know that the guest has ended the interrupt of @gsi (the timer, which
 * makes up for ticks that were lost); with @ended false, that it may never do so for one
 * that was sent, since it has masked it or routed it elsewhere.  Called on any thread,
 * under the chip's lock; takes none.  One a Vm; NULL: nobody.
 */
typedef void IrqchipEndFn(void *opaque, bool ended);
void irqchip_listen(Vm *vm, unsigned gsi, IrqchipEndFn *fn, void *opaque);

/* Whether no chip passes @gsi on.  Any thread; takes the chips' locks. */
bool irqchip_is_masked(Vm *vm, unsigned gsi);

/* For the chips: any thread, under the chip's lock. */

/* The PIC's output. */
void irqchip_set_extint(Vm *vm, bool level);

/*
 * Says which message each pin of the IOAPIC sends, so that the local APICs tell of its
 * end; those of address 0 none, or one whose end is of no interest.  @messages has
 * IRQCHIP_IOAPIC_PINS.  A change is costly.  0 or a negative errno.
 */
int irqchip_set_routes(Vm *vm, const MsiMessage *messages);

/* Whether somebody listens for the end of @gsi's interrupts. */
bool irqchip_is_listened(Vm *vm, unsigned gsi);
void irqchip_ended(Vm *vm, unsigned gsi);
void irqchip_rerouted(Vm *vm, unsigned gsi);
