/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Timers of devices.  Main's timer is set to the deadline, or to an earlier one that has
 * become void: it then finds that nothing is due and sets itself anew.
 */
#include "berth/device-timer.h"
#include "berth/thread.h"

void device_timer_rearm(DeviceTimer *timer)
{
    assert_main();
    if (!timer->clock->runs || timer->deadline_ns == DEVICE_TIMER_NEVER) {
        timer->armed_ns = DEVICE_TIMER_NEVER;
        timer_cancel(&timer->timer);
        return;
    }
    timer->armed_ns = timer->deadline_ns;
    timer_set(&timer->timer, device_clock_deadline(timer->clock, timer->deadline_ns));
}

static void on_rearm(void *opaque)
{
    DeviceTimer *timer = opaque;

    lock_take(&timer->dev->lock);
    device_timer_rearm(timer);
    lock_drop(&timer->dev->lock);
}

static void on_timer(void *opaque)
{
    DeviceTimer *timer = opaque;

    lock_take(&timer->dev->lock);
    if (timer->clock->runs && timer->deadline_ns <= device_clock_ns(timer->clock)) {
        timer->deadline_ns = DEVICE_TIMER_NEVER;
        timer->fn(timer->opaque);
    }
    device_timer_rearm(timer);
    lock_drop(&timer->dev->lock);
}

void device_timer_set(DeviceTimer *timer, int64_t deadline_ns)
{
    timer->deadline_ns = deadline_ns;
    if (!timer->clock->runs || deadline_ns >= timer->armed_ns)
        return;
    timer->armed_ns = deadline_ns;
    loop_post(timer->dev->board->loop, &timer->rearm);
}

void device_timer_init(DeviceTimer *timer, Device *dev, const DeviceClock *clock,
                       LoopFn *fn, void *opaque)
{
    *timer = (DeviceTimer) {
        .dev = dev,
        .clock = clock,
        .fn = fn,
        .opaque = opaque,
        .deadline_ns = DEVICE_TIMER_NEVER,
        .armed_ns = DEVICE_TIMER_NEVER,
    };
    loop_message_init(&timer->rearm, on_rearm, timer);
    timer_init(&timer->timer, dev->board->loop, on_timer, timer);
}

void device_timer_done(DeviceTimer *timer)
{
    if (!timer->dev)
        return;
    loop_message_cancel(timer->dev->board->loop, &timer->rearm);
    timer_cancel(&timer->timer);
}
