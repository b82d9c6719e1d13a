/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The balloon: how much memory a guest is asked to give back, has given, and says of
 * itself.  Main only.
 */
#pragma once

#include "berth/device.h"
#include "berth/json.h"

/* The machine's balloon, or NULL with @error. */
Device *balloon_find(DeviceTree *tree, GError **error);
bool balloon_is(const Device *dev);

/* Asks the guest to have @bytes of its memory, all of it when that is less. */
void balloon_set_target(Device *dev, uint64_t bytes);

/* What the guest has left. */
uint64_t balloon_actual(Device *dev);

typedef struct BalloonCounts {
    uint64_t discarded;         /* bytes that the host got back, from the start on */
    uint64_t failed;            /* bytes that it did not take */
    uint64_t partial;           /* bytes given of large pages that are not whole, now */
} BalloonCounts;

void balloon_counts(Device *dev, BalloonCounts *ret_counts);

/* { 'stats': { 'stat-free-memory': ... }, 'last-update': seconds of the epoch } */
JsonValue *balloon_stats(Device *dev);

/* Asks the guest for them each @seconds, 0 for never. */
void balloon_set_interval(Device *dev, uint32_t seconds);
