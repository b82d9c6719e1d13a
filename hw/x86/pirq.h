/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The PCI interrupt router in the LPC bridge: eight wires, each of which ends at a pin of
 * the IOAPIC and, where its register says so, at an input of the PIC.
 */
#pragma once

#include "berth/device.h"
#include "berth/irq.h"
#include "berth/thread.h"

#define PIRQ_DISABLED 0x80u
#define PIRQ_BITS 0x8fu                 /* what a routing register keeps */

typedef struct Pirq {
    IrqLine wires[BOARD_PCI_IRQS];
    IrqLine *pins[BOARD_PCI_IRQS];      /* of the IOAPIC */
    IrqLine *const *inputs;             /* of the PIC: the board's lines of ISA */

    /* A leaf but for the lines beyond. */
    GMutex lock;
    uint8_t routes[BOARD_PCI_IRQS];
    uint8_t asserted;                   /* a bit each wire */
    uint16_t driven;                    /* a bit each input */
} Pirq;

/* Main. */

/* Takes what is on the board's lines of PCI now for the IOAPIC's pins. */
void pirq_init(Pirq *pirq, const Board *board);
void pirq_done(Pirq *pirq);

/* Main or a vCPU: @routes are the registers of PIRQ A to H. */
void pirq_set_routes(Pirq *pirq, const uint8_t routes[static BOARD_PCI_IRQS]);
