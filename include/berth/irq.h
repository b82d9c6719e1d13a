/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A wire from a device: at its far end an IOAPIC pin, a PIRQ, or a test's counter.
 * An IrqLine is embedded in the owner of the far end and lent to devices.
 * irq_set() may be called on any thread, under the device's lock.
 */
#pragma once

#include "berth/base.h"

typedef void IrqFn(void *opaque, unsigned n, bool level);

struct IrqLine {
    IrqFn *fn;
    void *opaque;
    unsigned n;
};

static inline void irq_line_init(IrqLine *line, IrqFn *fn, void *opaque, unsigned n)
{
    line->fn = fn;
    line->opaque = opaque;
    line->n = n;
}

/* @line may be NULL: a wire that ends nowhere. */
static inline void irq_set(IrqLine *line, bool level)
{
    if (line)
        line->fn(line->opaque, line->n, level);
}

static inline void irq_raise(IrqLine *line)
{
    irq_set(line, true);
}

static inline void irq_lower(IrqLine *line)
{
    irq_set(line, false);
}

/* An edge. */
static inline void irq_pulse(IrqLine *line)
{
    irq_set(line, true);
    irq_set(line, false);
}

/*
 * A message-signalled interrupt: an eventfd that the kernel turns into the message
 * (irqfd).  Routes are the Vm's; the table is given to the kernel once a change, under
 * irq_route's lock.
 */
typedef struct MsiRoute {
    Vm *vm;
    int gsi;                    /* -1: not initialised */
    int fd;                     /* the irqfd; write 8 bytes of 1 to interrupt */
    bool attached;              /* it has a message, and the kernel has the fd */
    uint64_t addr;
    uint32_t data;
} MsiRoute;

typedef struct MsiMessage {
    uint64_t addr;
    uint32_t data;
} MsiMessage;

/* Main, or the vCPU that programs the vector. */

/*
 * Reserves a route and its fd; there is no message yet, and firing it does nothing but
 * count in the eventfd.  False with @error when the host has no route or fd left.
 */
bool msi_route_init(MsiRoute *route, Vm *vm, GError **error);
/* No effect on a route that is zeroed or whose init failed. */
void msi_route_done(MsiRoute *route);
/* Points the route at a message; cheap when nothing changed.  0 or a negative errno. */
int msi_route_set(MsiRoute *route, uint64_t addr, uint32_t data);
/* The same for @n routes of one Vm at the price of one. */
int msi_route_set_many(MsiRoute *const *routes, const MsiMessage *messages, unsigned n);

/* Any thread. */
void msi_route_fire(const MsiRoute *route);
