/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real-time clock and CMOS memory of a PC.
 */
#pragma once

#include "berth/device.h"

typedef struct RtcConfig {
    bool local_time;            /* starts with the host's local time, else with UTC */
    uint64_t low_ram;           /* bytes of RAM below 4 GiB, counted from 0 */
    uint64_t high_ram;          /* bytes of RAM above 4 GiB */
} RtcConfig;

/* Main only. */

/* Adds "/machine/rtc" with ports 0x70 to 0x73 and interrupt 8. */
Device *rtc_add(DeviceTree *tree, const RtcConfig *config, GError **error);
