/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real-time clock and CMOS memory of a PC.
 */
#pragma once

#include "berth/device.h"

#include <time.h>

typedef enum RtcBase {
    RTC_BASE_UTC,               /* the host's time */
    RTC_BASE_LOCAL,             /* the same in its time zone */
    RTC_BASE_START,
} RtcBase;

typedef struct RtcConfig {
    RtcBase base;               /* what the guest's time begins with */
    int64_t start;              /* RTC_BASE_START: seconds since 1970 */
    RtcClock clock;
    bool slew;                  /* make up for lost periodic interrupts */
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

/* Tells firmware, by the shutdown status of the CMOS, why the machine begins anew. */
void rtc_set_shutdown_status(Device *dev, uint8_t status);

/* The guest's time, which it may have set. */
void rtc_get_date(Device *dev, struct tm *ret_tm);

/* Forgets the periodic interrupts that are to be made up for. */
void rtc_reset_reinjection(Device *dev);

/* The clock of a machine, NULL when it has none. */
Device *rtc_find(DeviceTree *tree);

/* Adds "/machine/rtc" with ports 0x70 to 0x73 and interrupt 8. */
Device *rtc_add(DeviceTree *tree, const RtcConfig *config, GError **error);
