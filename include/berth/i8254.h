/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The programmable interval timer of a PC, in user space.
 */
#pragma once

#include "berth/device.h"

typedef struct I8254Config {
    bool make_up;               /* for ticks that the guest took too late */
} I8254Config;

/* Main only. */

/*
 * Adds "/machine/i8254" with ports 0x40 and 0x61 and interrupt 0.  To make up for lost
 * ticks the board's Vm must be one with chips in user space.
 */
Device *i8254_add(DeviceTree *tree, const I8254Config *config, GError **error);

/* While it is high, another timer interrupts in this one's place. */
IrqLine *i8254_inhibit_line(Device *dev);
