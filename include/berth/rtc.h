/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real-time clock and CMOS memory of a PC.
 */
#pragma once

#include "berth/device.h"

typedef struct RtcConfig {
    bool local_time;            /* starts with the host's local time, else with UTC */
    IrqLine *alarm;             /* lent, NULL for none: high while an alarm interrupts */
    uint64_t low_ram;           /* bytes of RAM below 4 GiB, counted from 0 */
    uint64_t high_ram;          /* bytes of RAM above 4 GiB */
} RtcConfig;

/* Main only. */

#define RTC_BOOT_KINDS 3                /* that the CMOS has room for */

/* Whether firmware has a number for boot device @letter ("a", "c", "n"). */
bool rtc_is_boot_device(char letter);

/*
 * Tells firmware, by the bytes of the CMOS that PCs have for it, from which kinds of
 * device to boot: up to RTC_BOOT_KINDS letters; and whether a floppy disk must look
 * bootable.
 */
void rtc_set_boot_order(Device *dev, const char *order, bool check_floppy);

/* Adds "/machine/rtc" with ports 0x70 to 0x73 and interrupt 8. */
Device *rtc_add(DeviceTree *tree, const RtcConfig *config, GError **error);
