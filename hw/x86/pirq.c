/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PIRQ routing (ICH9 data sheet 5.8.5 and 13.1.13).
 *
 * An input of the PIC that several wires lead to is high while one of them is.  Inputs 0,
 * 1, 2, 8 and 13 cannot be had.  Nor can 9 here, where the power management block drives
 * its level, which two drivers would lose each for the other: firmware leaves it alone.
 * Other devices of ISA do not share, here as on a board: firmware gives PCI lines that
 * have none, and a guest that does otherwise disturbs itself.
 */
#include "pirq.h"

#define INPUTS 16u
#define INPUTS_OF_PCI 0xdcf8u           /* 3 to 7, 10 to 12, 14, 15 */

static uint16_t wanted_locked(const Pirq *pirq)
{
    uint16_t wanted = 0;

    for (unsigned i = 0; i < BOARD_PCI_IRQS; i++)
        if (pirq->asserted >> i & 1 && !(pirq->routes[i] & PIRQ_DISABLED))
            wanted |= 1u << (pirq->routes[i] & (INPUTS - 1));
    return wanted & INPUTS_OF_PCI;
}

static void drive_locked(Pirq *pirq)
{
    uint16_t wanted = wanted_locked(pirq);
    uint16_t changed = wanted ^ pirq->driven;

    pirq->driven = wanted;
    for (unsigned n = 0; n < INPUTS; n++)
        if (changed >> n & 1)
            irq_set(pirq->inputs[n], wanted >> n & 1);
}

static void on_wire(void *opaque, unsigned n, bool level)
{
    Pirq *pirq = opaque;

    lock_take(&pirq->lock);
    pirq->asserted = (pirq->asserted & ~(1u << n)) | (unsigned)level << n;
    drive_locked(pirq);
    lock_drop(&pirq->lock);
    irq_set(pirq->pins[n], level);
}

void pirq_init(Pirq *pirq, const Board *board)
{
    g_mutex_init(&pirq->lock);
    pirq->inputs = board->isa_irqs;
    for (unsigned i = 0; i < BOARD_PCI_IRQS; i++) {
        pirq->routes[i] = PIRQ_DISABLED;
        pirq->pins[i] = board->pci_irqs[i];
        irq_line_init(&pirq->wires[i], on_wire, pirq, i);
    }
}

void pirq_done(Pirq *pirq)
{
    g_mutex_clear(&pirq->lock);
}

void pirq_set_routes(Pirq *pirq, const uint8_t routes[static BOARD_PCI_IRQS])
{
    lock_take(&pirq->lock);
    for (unsigned i = 0; i < BOARD_PCI_IRQS; i++)
        pirq->routes[i] = routes[i];
    drive_locked(pirq);
    lock_drop(&pirq->lock);
}
