/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What time it is for a real-time clock: a clock of the host plus an offset.  In ticks of
 * 32768 Hz since 1970 in the guest's calendar, which may be that of a time zone.
 *
 * Whoever owns it serialises access; started and stopped by main.
 */
#pragma once

#include "berth/device-clock.h"
#include "berth/rtc.h"
#include "berth/vmstate.h"

#define RTC_HZ 32768ll

typedef struct RtcTime {
    RtcClock clock;
    RtcBase base;
    int64_t base_ticks;         /* RTC_BASE_START: its time minus the host's */
    DeviceClock device_clock;   /* RTC_CLOCK_VM */
    int64_t offset;             /* the guest's time minus the clock's */
    int64_t saved;              /* the guest's time, where the offset means nothing */
} RtcTime;

extern const VMStateDesc rtc_time_vmstate;

/* Begins with the time that @config says. */
void rtc_time_init(RtcTime *time, const RtcConfig *config);
void rtc_time_start(RtcTime *time);
void rtc_time_stop(RtcTime *time);

int64_t rtc_time_now(const RtcTime *time);
void rtc_time_set(RtcTime *time, int64_t ticks);

/* Seconds by which a guest's time of @ticks now is ahead of what the base makes it. */
int64_t rtc_time_ahead(const RtcTime *time, int64_t ticks);
