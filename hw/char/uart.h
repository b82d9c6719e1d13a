/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The 16550A inside a device that places its registers.
 */
#pragma once

#include "berth/char.h"
#include "berth/irq.h"
#include "berth/loop.h"
#include "berth/region.h"
#include "berth/vmstate.h"

#define UART_SIZE 8u                    /* ports */
#define UART_FIFO_SIZE 16u

typedef struct UartFifo {
    uint8_t data[UART_FIFO_SIZE];
    uint8_t head;
    uint8_t count;
} UartFifo;

typedef struct Uart {
    Loop *loop;                 /* main */
    GMutex *lock;               /* the device's */
    Chardev *chr;               /* NULL: nothing is connected */
    IrqLine *irq;
    LoopMessage accept_input;

    /* Under the lock. */
    UartFifo tx;
    UartFifo rx;
    uint16_t rx_breaks;         /* which slots of rx are breaks */
    uint8_t ier;
    uint8_t fcr;
    uint8_t lcr;
    uint8_t mcr;
    uint8_t lsr_errors;
    uint8_t msr;
    uint8_t scr;
    uint8_t dll;
    uint8_t dlm;
    bool thre_pending;          /* the THRE interrupt, until IIR told of it */
    bool tx_held;
    bool irq_level;
    bool paused;
    bool input_refused;         /* the chardev was told that there is no room */
} Uart;

/* For a region of UART_SIZE with the lock, opaque is the Uart. */
extern const RegionOps uart_region_ops;
extern const VMStateDesc uart_vmstate;

/* Main only, without the lock. */

/* @uart is zero.  Its registers wait for uart_reset(). */
void uart_init(Uart *uart, Loop *loop, GMutex *lock, IrqLine *irq);
/* Without this, output is swallowed.  The error names the property 'chardev'. */
bool uart_attach(Uart *uart, CharSet *chars, const char *id, GError **error);
/* The region is gone.  Output that the chardev takes at once leaves. */
void uart_done(Uart *uart);
void uart_reset(Uart *uart);
void uart_pause(Uart *uart);
void uart_resume(Uart *uart);
