/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clocks that a real-time clock may follow.
 *
 *     host    CLOCK_REALTIME: steps with the host's, goes on in a pause
 *     rt      CLOCK_MONOTONIC: steps never, goes on in a pause
 *     vm      the machine's: stands still in a pause
 *
 * An offset from the host's time is right on another host, too.  The other clocks begin
 * anywhere, so with them the guest's time itself is saved, and goes on from there.
 */
#include <string.h>
#include <time.h>

#include "berth/error.h"

#include "rtc-calendar.h"
#include "rtc-time.h"

/* More than any time that registers can express, and far from overflow. */
#define TICKS_LIMIT (1ll << 56)

static int64_t ticks_of(int64_t ns)
{
    int64_t seconds = rtc_div_floor(ns, NS_PER_SEC);

    return seconds * RTC_HZ + (ns - seconds * NS_PER_SEC) * RTC_HZ / NS_PER_SEC;
}

static int64_t host_ticks(void)
{
    struct timespec now;

    clock_gettime(CLOCK_REALTIME, &now);
    return now.tv_sec * RTC_HZ + now.tv_nsec * RTC_HZ / NS_PER_SEC;
}

static int64_t clock_ticks(const RtcTime *t)
{
    switch (t->clock) {
    case RTC_CLOCK_HOST:
        return host_ticks();
    case RTC_CLOCK_RT:
        return ticks_of(loop_clock_ns());
    case RTC_CLOCK_VM:
        return ticks_of(device_clock_ns(&t->device_clock));
    }
    g_assert_not_reached();
}

int64_t rtc_time_now(const RtcTime *t)
{
    return clock_ticks(t) + t->offset;
}

void rtc_time_set(RtcTime *t, int64_t ticks)
{
    t->offset = ticks - clock_ticks(t);
}

void rtc_time_start(RtcTime *t)
{
    device_clock_start(&t->device_clock);
}

void rtc_time_stop(RtcTime *t)
{
    device_clock_stop(&t->device_clock);
}

void rtc_time_init(RtcTime *t, const RtcConfig *config)
{
    int64_t host = host_ticks();
    time_t now = time(NULL);
    struct tm tm;

    t->clock = config->clock;
    t->base = config->base;
    switch (config->base) {
    case RTC_BASE_UTC:
        rtc_time_set(t, host);
        break;
    case RTC_BASE_LOCAL:
        rtc_time_set(t, host + (localtime_r(&now, &tm) ? tm.tm_gmtoff * RTC_HZ : 0));
        break;
    case RTC_BASE_START:
        t->base_ticks = config->start * RTC_HZ - host;
        rtc_time_set(t, config->start * RTC_HZ);
        break;
    }
}

/* The host's idea of when it is @seconds in its time zone. */
static int64_t from_local(int64_t seconds)
{
    time_t calendar = seconds;
    time_t utc;
    struct tm tm;

    if (!gmtime_r(&calendar, &tm))
        return seconds;
    tm.tm_isdst = -1;
    utc = mktime(&tm);
    return utc == (time_t)-1 ? seconds : utc;
}

int64_t rtc_time_ahead(const RtcTime *t, int64_t ticks)
{
    int64_t seconds = rtc_div_floor(ticks, RTC_HZ);
    int64_t base = host_ticks();

    if (t->base == RTC_BASE_LOCAL)
        ticks += (from_local(seconds) - seconds) * RTC_HZ;
    if (t->base == RTC_BASE_START)
        base += t->base_ticks;
    return rtc_div_floor(ticks - base + RTC_HZ / 2, RTC_HZ);
}

static void time_pre_save(void *opaque)
{
    RtcTime *t = opaque;

    t->saved = t->clock == RTC_CLOCK_HOST ? 0 : rtc_time_now(t);
}

static bool is_time(int64_t ticks)
{
    return ticks <= TICKS_LIMIT && ticks >= -TICKS_LIMIT;
}

static bool time_post_load(void *opaque, GError **error)
{
    RtcTime *t = opaque;

    if (!is_time(t->offset) || !is_time(t->saved)) {
        error_set(error, "field 'offset' or 'saved' is no time");
        return false;
    }
    if (t->clock != RTC_CLOCK_HOST)
        rtc_time_set(t, t->saved);
    return true;
}

static const VMStateField time_fields[] = {
    VMSTATE_I64(RtcTime, offset),
    VMSTATE_I64(RtcTime, saved),
    VMSTATE_END
};

const VMStateDesc rtc_time_vmstate = {
    .name = "time",
    .version = 1,
    .min_version = 1,
    .fields = time_fields,
    .pre_save = time_pre_save,
    .post_load = time_post_load,
};
