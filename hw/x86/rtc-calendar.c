/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The time of the MC146818A's registers: binary or BCD, 12 or 24 hours, and alarms of
 * which each part may be "any".
 */
#include <string.h>
#include <time.h>

#include "rtc-calendar.h"

#define HOUR_PM 0x80
#define NO_HOUR 24
#define ALARM_ANY 0xc0
#define MINUTES_PER_DAY (24 * 60)

static uint8_t encode(const uint8_t *cmos, int value)
{
    unsigned digits = value % 100;

    if (cmos[REG_B] & B_BINARY)
        return value;
    return digits / 10 << 4 | digits % 10;
}

static int decode(const uint8_t *cmos, uint8_t value)
{
    return cmos[REG_B] & B_BINARY ? value : (value >> 4) * 10 + (value & 15);
}

static uint8_t encode_hour(const uint8_t *cmos, int hour)
{
    int half = hour % 12 ? hour % 12 : 12;

    if (cmos[REG_B] & B_24H)
        return encode(cmos, hour);
    return encode(cmos, half) | (hour >= 12 ? HOUR_PM : 0);
}

static int decode_hour(const uint8_t *cmos, uint8_t value)
{
    int half;

    if (cmos[REG_B] & B_24H)
        return decode(cmos, value);
    half = decode(cmos, value & ~HOUR_PM);
    if (half < 1 || half > 12)
        return NO_HOUR;
    return half % 12 + (value & HOUR_PM ? 12 : 0);
}

void rtc_calendar_store(uint8_t *cmos, int64_t seconds)
{
    time_t time = seconds;
    struct tm tm;
    int year;

    if (!gmtime_r(&time, &tm))
        memset(&tm, 0, sizeof(tm));
    year = MAX(tm.tm_year + 1900, 0);
    cmos[REG_SECONDS] = encode(cmos, tm.tm_sec);
    cmos[REG_MINUTES] = encode(cmos, tm.tm_min);
    cmos[REG_HOURS] = encode_hour(cmos, tm.tm_hour);
    cmos[REG_DAY_OF_WEEK] = encode(cmos, tm.tm_wday + 1);
    cmos[REG_DAY] = encode(cmos, tm.tm_mday);
    cmos[REG_MONTH] = encode(cmos, tm.tm_mon + 1);
    cmos[REG_YEAR] = encode(cmos, year % 100);
    cmos[REG_CENTURY] = encode(cmos, year / 100 % 100);
}

int64_t rtc_calendar_load(const uint8_t *cmos)
{
    struct tm tm = {
        .tm_sec = decode(cmos, cmos[REG_SECONDS]),
        .tm_min = decode(cmos, cmos[REG_MINUTES]),
        .tm_hour = decode_hour(cmos, cmos[REG_HOURS]),
        .tm_mday = decode(cmos, cmos[REG_DAY]),
        .tm_mon = decode(cmos, cmos[REG_MONTH]) - 1,
        .tm_year = decode(cmos, cmos[REG_CENTURY]) * 100 +
                   decode(cmos, cmos[REG_YEAR]) - 1900,
    };

    return timegm(&tm);
}

static bool alarm_matches(const uint8_t *cmos, unsigned reg, int value)
{
    uint8_t alarm = cmos[reg];

    if ((alarm & ALARM_ANY) == ALARM_ANY)
        return true;
    return value == (reg == REG_HOURS_ALARM ? decode_hour(cmos, alarm)
                                            : decode(cmos, alarm));
}

int64_t rtc_calendar_next_alarm(const uint8_t *cmos, int64_t after)
{
    int64_t minute = rtc_div_floor(after + 1, 60);
    int second = after + 1 - minute * 60;

    for (int i = 0; i <= MINUTES_PER_DAY; i++, minute++, second = 0) {
        int of_day = rtc_mod_floor(minute, MINUTES_PER_DAY);

        if (!alarm_matches(cmos, REG_HOURS_ALARM, of_day / 60) ||
            !alarm_matches(cmos, REG_MINUTES_ALARM, of_day % 60))
            continue;
        for (; second < 60; second++) {
            if (alarm_matches(cmos, REG_SECONDS_ALARM, second))
                return minute * 60 + second;
        }
    }
    return RTC_NEVER;
}
