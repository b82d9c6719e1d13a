/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One timer of the HPET.  Times are values of the main counter, all 64 bits of it;
 * whoever owns the timer serialises access.
 */
#pragma once

#include "berth/vmstate.h"

#define HPET_NEVER INT64_MAX

#define HPET_TN_LEVEL (1u << 1)
#define HPET_TN_ENABLE (1u << 2)
#define HPET_TN_PERIODIC (1u << 3)
#define HPET_TN_VALUE_SET (1u << 6)
#define HPET_TN_32_BITS (1u << 8)
#define HPET_TN_ROUTE_SHIFT 9
#define HPET_TN_ROUTE 0x1fu
#define HPET_TN_MESSAGE (1u << 14)
#define HPET_TN_WRITABLE \
    (HPET_TN_LEVEL | HPET_TN_ENABLE | HPET_TN_PERIODIC | HPET_TN_VALUE_SET | \
     HPET_TN_32_BITS | HPET_TN_ROUTE << HPET_TN_ROUTE_SHIFT | HPET_TN_MESSAGE)

typedef struct HpetTimer {
    uint32_t config;            /* the writable bits */
    bool armed;
    uint64_t match;             /* when it matches next; while armed */
    uint64_t comparator;
    uint64_t period;            /* 0: none */
    uint64_t message;           /* data, address */
} HpetTimer;

extern const VMStateDesc hpet_timer_vmstate;

void hpet_timer_reset(HpetTimer *t);
/* Takes the writable bits of @config. */
void hpet_timer_configure(HpetTimer *t, uint32_t config, uint64_t now);
/* A write to @bits of the comparator register. */
void hpet_timer_write(HpetTimer *t, uint64_t value, uint64_t bits, uint64_t now);
/* The next match is after @now: one was served, or the counter was written. */
void hpet_timer_arm(HpetTimer *t, uint64_t now);

/* Ticks to the next match; 0 when it is due; HPET_NEVER. */
int64_t hpet_timer_wait(const HpetTimer *t, uint64_t now);

/* What is loaded can be anything. */
void hpet_timer_clean(HpetTimer *t);
