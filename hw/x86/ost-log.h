/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest tells by the method _OST of devices that come and go, on its way from a
 * register to main.
 */
#pragma once

#include "berth/device.h"

/* When the guest is faster than main the oldest is forgotten. */
#define OST_LOG_MAX 64u

typedef struct OstTold {
    uint32_t index;             /* of the place */
    uint32_t event;
    uint32_t status;
} OstTold;

typedef struct OstLog {
    OstTold told[OST_LOG_MAX];
    unsigned n;
} OstLog;

/* The device at a place, or NULL. */
typedef Device *OstLogFind(Device *hp, uint32_t index);

/* Under the lock of @hp, the device with the registers. */
void ost_log_add(OstLog *log, const OstTold *told);

/* Main: tells the board of what is there, and hot-plug of what the guest keeps. */
void ost_log_deliver(OstLog *log, Device *hp, ACPISlotType type, OstLogFind *find);
