/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "berth/error.h"

#include "rtc-options.h"

/* A date that the calendar has, and maybe a time, with nothing behind them. */
static bool parse_start(const char *text, int64_t *ret_seconds)
{
    static const char *const formats[] = { "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d" };

    for (size_t i = 0; i < G_N_ELEMENTS(formats); i++) {
        struct tm tm = { 0 };
        const char *end = strptime(text, formats[i], &tm);
        struct tm normal = tm;

        if (!end || *end)
            continue;
        *ret_seconds = timegm(&normal);
        return normal.tm_mday == tm.tm_mday && normal.tm_sec == tm.tm_sec;
    }
    return false;
}

static bool apply_base(const char *base, RtcConfig *config, GError **error)
{
    if (!base || strcmp(base, "utc") == 0) {
        config->base = RTC_BASE_UTC;
        return true;
    }
    if (strcmp(base, "localtime") == 0) {
        config->base = RTC_BASE_LOCAL;
        return true;
    }
    config->base = RTC_BASE_START;
    if (parse_start(base, &config->start))
        return true;
    error_set(error, "option '-rtc': parameter 'base' expects 'utc', 'localtime', or a "
              "time as '2026-11-23T08:43:55', not '%s'", base);
    return false;
}

bool rtc_options_apply(const Cmdline *cmdline, RtcConfig *config, GError **error)
{
    const RtcOptions none = { 0 };
    const RtcOptions *rtc = cmdline->rtc ? cmdline->rtc : &none;
    const OnboardDevice *onboard = cmdline->onboard[ONBOARD_DRIVER_MC146818RTC];

    config->clock = rtc->has_clock ? rtc->clock : RTC_CLOCK_HOST;
    config->slew = onboard->u.mc146818rtc.lost_tick_policy == LOST_TICK_POLICY_SLEW;
    if (rtc->has_driftfix)
        config->slew = rtc->driftfix == RTC_DRIFTFIX_SLEW;
    return apply_base(rtc->base, config, error);
}
