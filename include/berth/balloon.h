/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The balloon: how much memory a guest is asked to give back, has given, and says of
 * itself.  Main only.
 */
#pragma once

#include "berth/device.h"
#include "berth/json.h"
#include "berth/object.h"

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

/* The operator wants them each @seconds, 0 for never. */
void balloon_set_interval(Device *dev, uint32_t seconds);
/* The same, besides: whichever is more often is done. */
void balloon_want_stats(Device *dev, uint32_t seconds);

/* What is left is of the memory that the guest has from the start. */
typedef struct BalloonSample {
    bool has_driver;            /* of the guest, and it works */
    uint64_t target;            /* bytes that it is asked to have left */
    uint64_t actual;            /* that it says it has */
    uint64_t n_answers;         /* how often it told statistics */
    uint64_t told_actual;       /* what it had left when it did the last time */
    uint64_t available;         /* what it told then; UINT64_MAX: nothing */
    uint64_t free;
    uint64_t swap_in;
    uint64_t major_faults;
    uint64_t oom_kills;
} BalloonSample;

void balloon_sample(Device *dev, BalloonSample *ret_sample);

/* The object berth-autoballoon. */

extern const ObjectClass balloon_auto_object_class;

/*
 * The target that an operator asks for: the most that an object lets the guest have, or
 * the target itself where there is none.
 */
bool balloon_auto_object_limit(ObjectSet *set, Device *dev, uint64_t bytes,
                               GError **error);
/* What @object says of itself; NULL of one of another type.  The caller frees. */
AutoballoonInfo *balloon_auto_object_info(const Object *object);
