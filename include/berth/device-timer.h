/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A timer in the time of a device (device-clock.h), whose deadline is set on any thread.
 *
 * Timers of a loop belong to main.  A deadline that is nearer than what main waits for
 * is told to it by a message; one that is farther is seen when main's timer fires.  So a
 * guest that pushes a deadline out again and again wakes main once a period at most.
 */
#pragma once

#include "berth/device-clock.h"
#include "berth/device.h"
#include "berth/timer.h"

#define DEVICE_TIMER_NEVER INT64_MAX

typedef struct DeviceTimer {
    Device *dev;                /* its lock guards the timer */
    const DeviceClock *clock;
    LoopFn *fn;
    void *opaque;
    LoopMessage rearm;
    Timer timer;                /* main's */

    /* Under the lock. */
    int64_t deadline_ns;        /* of the clock, or DEVICE_TIMER_NEVER; what is saved */
    int64_t armed_ns;           /* main looks then at the latest */
} DeviceTimer;

/* Main only. */

/* @fn is called on main, under the lock, with no deadline set; it may set one. */
void device_timer_init(DeviceTimer *timer, Device *dev, const DeviceClock *clock,
                       LoopFn *fn, void *opaque);
void device_timer_done(DeviceTimer *timer);
/* After the clock was started or stopped, or the deadline loaded; under the lock. */
void device_timer_rearm(DeviceTimer *timer);

/* Any thread, under the lock. */

void device_timer_set(DeviceTimer *timer, int64_t deadline_ns);
static inline void device_timer_cancel(DeviceTimer *timer)
{
    timer->deadline_ns = DEVICE_TIMER_NEVER;
}

/* Whether a loaded deadline can be one: none, or @most_ns from now at most. */
static inline bool device_timer_is_sane(const DeviceTimer *timer, int64_t most_ns)
{
    int64_t now_ns = timer->clock->elapsed_ns;

    return timer->deadline_ns == DEVICE_TIMER_NEVER ||
           (timer->deadline_ns >= 0 && timer->deadline_ns - now_ns <= most_ns);
}
