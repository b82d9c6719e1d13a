/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serial ports: isa-serial, a 16550A at the places of a PC.
 */
#pragma once

#include "berth/device.h"

#define SERIAL_PORTS 4u

/* What the tables of the machine tell the guest. */
typedef struct SerialPort {
    unsigned index;             /* 0 to 3: COM1 to COM4 */
    uint16_t iobase;            /* the first of eight ports */
    unsigned irq;
} SerialPort;

extern const DeviceClass serial_class;

/* Main only.  @dev is of serial_class. */
SerialPort serial_port(const Device *dev);
