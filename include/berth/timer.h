/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One-shot timers of a loop, embedded in their owner.  Setting one allocates nothing
 * once the loop's heap has grown.  Timers fire in order of their deadlines, equal ones
 * in the order in which they were set.  All functions: the loop's thread, or one thread
 * before it runs.
 */
#pragma once

#include "berth/loop.h"

struct Timer {
    Loop *loop;
    LoopFn *fn;
    void *opaque;
    int64_t deadline_ns;        /* of loop_clock_ns() */
    uint64_t order;             /* among equal deadlines */
    size_t slot;                /* in the heap plus one; 0 when not set */
};

void timer_init(Timer *timer, Loop *loop, LoopFn *fn, void *opaque);
/* Fires once at or after @deadline_ns; replaces an earlier deadline. */
void timer_set(Timer *timer, int64_t deadline_ns);
/* No effect on one that is not set, or zero-initialised. */
void timer_cancel(Timer *timer);
bool timer_is_set(const Timer *timer);
