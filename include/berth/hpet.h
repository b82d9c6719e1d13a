/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The high precision event timer of a PC.
 */
#pragma once

#include "berth/device.h"

#define HPET_TIMERS_MIN 3
#define HPET_TIMERS_MAX 32

typedef struct HpetConfig {
    unsigned timers;            /* HPET_TIMERS_MIN to HPET_TIMERS_MAX */
    bool msi;                   /* interrupts can be messages */
    /* Lent; high while the HPET takes the place of the interval timer and the RTC. */
    IrqLine *legacy;
} HpetConfig;

/* Main only. */

/* Adds "/machine/hpet" at X86_HPET_BASE. */
Device *hpet_add(DeviceTree *tree, const HpetConfig *config, GError **error);

/*
 * The line that others drive in place of the board's @gsi, which they share with the
 * HPET: 8, which it takes from them while it stands for the RTC, and 20 to 23.
 */
IrqLine *hpet_line(Device *dev, unsigned gsi);

/* What the ACPI table says of it: the lower half of its capabilities. */
uint32_t hpet_id(Device *dev);
