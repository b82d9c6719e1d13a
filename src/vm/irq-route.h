/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Vm's table of interrupt routes: what each global system interrupt (GSI) becomes.
 * 0 to 23 are the board's pins, the others are for messages.  Where the hypervisor has
 * the board's PIC and IOAPIC, the pins' routes are fixed; where these are in user space,
 * a pin's route is the message of the IOAPIC's pin, when somebody waits for its end.
 */
#pragma once

#include "berth/irq.h"

typedef enum IrqRouteKind {
    IRQ_ROUTE_PIC,              /* @pin 0 to 15 of the pair */
    IRQ_ROUTE_IOAPIC,
    IRQ_ROUTE_MSI,
} IrqRouteKind;

typedef struct IrqRoute {
    IrqRouteKind kind;
    unsigned gsi;
    unsigned pin;
    MsiMessage msi;
} IrqRoute;

typedef struct IrqRouteTable {
    GMutex lock;
    unsigned n_gsis;            /* the hypervisor's limit */
    GArray *routes;             /* of IrqRoute: the fixed ones, then messages by gsi */
    GArray *used;               /* of bool, by gsi */
} IrqRouteTable;

void irq_route_init(IrqRouteTable *table, unsigned n_gsis, bool has_pins);
void irq_route_done(IrqRouteTable *table);

/* Any thread; they take the table's lock. */

/* Gives the table to the hypervisor as it is. */
int irq_route_commit(Vm *vm);
/* A free GSI, or -ENOSPC. */
int irq_route_alloc(Vm *vm);
/* Frees @gsi; the hypervisor forgets its message at the next change. */
void irq_route_release(Vm *vm, unsigned gsi);
/*
 * Gives the GSIs of the board's pins their messages, those of address 0 none; as below.
 */
int irq_route_set_pins(Vm *vm, const MsiMessage *messages);
/*
 * Gives each route's GSI its message, all in one change.  A failure leaves the table as
 * before.
 */
int irq_route_set_msi(Vm *vm, MsiRoute *const *routes, const MsiMessage *messages,
                      unsigned n);
