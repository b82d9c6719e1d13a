/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The time of a device that counts while the machine runs: the host's monotonic clock
 * without the pauses.  It stands at 0 until it is started.
 *
 * Started and stopped by main while the vCPUs are paused; read by any thread.
 */
#pragma once

#include "berth/loop.h"

typedef struct DeviceClock {
    int64_t elapsed_ns;         /* while it stands; what is saved */
    int64_t base_ns;            /* of loop_clock_ns(), when it was 0; while it runs */
    bool runs;
} DeviceClock;

/* 100 years; more is no age of a machine. */
#define DEVICE_CLOCK_MAX (100ll * 366 * 86400 * NS_PER_SEC)

static inline int64_t device_clock_ns(const DeviceClock *clock)
{
    return clock->runs ? loop_clock_ns() - clock->base_ns : clock->elapsed_ns;
}

/* The time of loop_clock_ns() at which a running clock shows @ns. */
static inline int64_t device_clock_deadline(const DeviceClock *clock, int64_t ns)
{
    return clock->base_ns + ns;
}

static inline void device_clock_stop(DeviceClock *clock)
{
    clock->elapsed_ns = device_clock_ns(clock);
    clock->runs = false;
}

static inline void device_clock_start(DeviceClock *clock)
{
    clock->base_ns = loop_clock_ns() - device_clock_ns(clock);
    clock->runs = true;
}

/* Whether a loaded elapsed_ns can be one. */
static inline bool device_clock_is_sane(const DeviceClock *clock)
{
    return clock->elapsed_ns >= 0 && clock->elapsed_ns <= DEVICE_CLOCK_MAX;
}
