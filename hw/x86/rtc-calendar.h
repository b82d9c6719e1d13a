/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registers of the real-time clock, and what those of the time say.  Pure functions
 * of the CMOS bytes; times are seconds since 1970 in the guest's time zone.
 */
#pragma once

#include "berth/base.h"
#include "berth/x86-layout.h"

#define RTC_NEVER INT64_MAX

enum {
    REG_SECONDS = 0,
    REG_SECONDS_ALARM = 1,
    REG_MINUTES = 2,
    REG_MINUTES_ALARM = 3,
    REG_HOURS = 4,
    REG_HOURS_ALARM = 5,
    REG_DAY_OF_WEEK = 6,
    REG_DAY = 7,
    REG_MONTH = 8,
    REG_YEAR = 9,
    REG_A = 10,
    REG_B = 11,
    REG_C = 12,
    REG_D = 13,
    REG_SHUTDOWN_STATUS = 0x0f,         /* why firmware begins */
    REG_EQUIPMENT = 0x14,
    REG_BASE_MEMORY = 0x15,             /* KiB, two bytes */
    REG_EXT_MEMORY = 0x17,              /* KiB above 1 MiB */
    REG_EXT_MEMORY_POST = 0x30,
    REG_CENTURY = X86_CMOS_CENTURY,
    REG_MEMORY_16M = 0x34,              /* 64 KiB above 16 MiB */
    REG_BOOT_THIRD = 0x38,              /* and whether a floppy disk is checked */
    REG_BOOT = 0x3d,                    /* the first two kinds of boot device */
    REG_MEMORY_4G = 0x5b,               /* 64 KiB above 4 GiB, three bytes */
};

#define B_BINARY 0x04                   /* of register B: not BCD */
#define B_24H 0x02

/* @b is positive; rounds towards minus infinity. */
static inline int64_t rtc_div_floor(int64_t a, int64_t b)
{
    return a / b - (a % b < 0);
}

static inline int64_t rtc_mod_floor(int64_t a, int64_t b)
{
    return a - rtc_div_floor(a, b) * b;
}

/* Fills the time registers in, as register B says. */
void rtc_calendar_store(uint8_t *cmos, int64_t seconds);

/* What no calendar has, as February 30, is carried on. */
int64_t rtc_calendar_load(const uint8_t *cmos);

/* The first second after @after at which the alarm rings, or RTC_NEVER. */
int64_t rtc_calendar_next_alarm(const uint8_t *cmos, int64_t after);
