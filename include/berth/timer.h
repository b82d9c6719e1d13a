/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One-shot timers of a loop, embedded in their owner.  Setting one allocates nothing once
 * the loop's heap has grown.  All functions: the loop's thread, or any thread before it
 * runs.
 */
#pragma once

#include "berth/loop.h"

struct Timer {
    Loop *loop;
    LoopFn *fn;
    void *opaque;
    int64_t deadline_ns;        /* of loop_clock_ns() */
    size_t slot;                /* in the heap plus one; 0 when not set */
};

void timer_init(Timer *timer, Loop *loop, LoopFn *fn, void *opaque);
/* Fires once at or after @deadline_ns; replaces an earlier deadline. */
void timer_set(Timer *timer, int64_t deadline_ns);
void timer_cancel(Timer *timer);
bool timer_is_set(const Timer *timer);
