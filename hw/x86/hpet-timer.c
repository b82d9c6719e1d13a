/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One timer of the HPET (IA-PC HPET Specification 1.0a, 2.3.8 and 2.3.9).
 *
 * When a timer matches is settled when it is programmed, as a value of the whole counter:
 *
 *     match = now + (comparator - now) modulo the timer's width
 *
 * so that a match is none the less one when it is served late, by however much.  A guest
 * that programs a comparator may see the counter pass it before the write is done: a
 * comparator that is written less than LATE_MAX behind the counter matches at once.
 */
#include "hpet-timer.h"

#define LATE_MAX 100000                 /* ticks: a millisecond */

static uint64_t width_mask(const HpetTimer *t)
{
    return t->config & HPET_TN_32_BITS ? UINT32_MAX : UINT64_MAX;
}

static bool is_periodic(const HpetTimer *t)
{
    return t->config & HPET_TN_PERIODIC && t->period > 0;
}

/* In @wait ticks; of 64 bits, once around is no time. */
static void arm_after(HpetTimer *t, uint64_t now, uint64_t wait)
{
    t->armed = wait < HPET_NEVER;
    t->match = now + wait;
}

void hpet_timer_arm(HpetTimer *t, uint64_t now)
{
    uint64_t mask = width_mask(t);
    uint64_t wait = (t->comparator - now) & mask;
    uint64_t behind = (now - t->comparator) & mask;

    if (is_periodic(t) && behind <= mask / 2) {
        wait = t->period - behind % t->period;
        t->comparator = (now + wait) & mask;
    } else if (wait == 0) {
        wait = mask == UINT64_MAX ? HPET_NEVER : mask + 1;
    }
    arm_after(t, now, wait);
}

static void arm_written(HpetTimer *t, uint64_t now)
{
    uint64_t mask = width_mask(t);

    if (((now - t->comparator) & mask) < LATE_MAX)
        arm_after(t, now, 0);
    else
        arm_after(t, now, (t->comparator - now) & mask);
}

void hpet_timer_reset(HpetTimer *t)
{
    *t = (HpetTimer) { .comparator = UINT64_MAX };
}

void hpet_timer_configure(HpetTimer *t, uint32_t config, uint64_t now)
{
    uint32_t changed = t->config ^ config;

    t->config = config & HPET_TN_WRITABLE;
    t->comparator &= width_mask(t);
    t->period &= width_mask(t);
    if (changed & (HPET_TN_32_BITS | HPET_TN_PERIODIC))
        hpet_timer_arm(t, now);
}

/* With value-set, a periodic timer takes the comparator first, then the period. */
void hpet_timer_write(HpetTimer *t, uint64_t value, uint64_t bits, uint64_t now)
{
    bool sets_comparator = !(t->config & HPET_TN_PERIODIC) ||
                           (t->config & HPET_TN_VALUE_SET);

    bits &= width_mask(t);
    if (bits == 0)
        return;
    if (t->config & HPET_TN_PERIODIC)
        t->period = (t->period & ~bits) | (value & bits);
    if (sets_comparator)
        t->comparator = (t->comparator & ~bits) | (value & bits);
    t->config &= ~HPET_TN_VALUE_SET;
    if (sets_comparator)
        arm_written(t, now);
    else
        hpet_timer_arm(t, now);
}

int64_t hpet_timer_wait(const HpetTimer *t, uint64_t now)
{
    if (!t->armed)
        return HPET_NEVER;
    return MAX((int64_t)(t->match - now), 0);
}

void hpet_timer_clean(HpetTimer *t)
{
    t->config &= HPET_TN_WRITABLE;
    t->comparator &= width_mask(t);
    t->period &= width_mask(t);
}

static const VMStateField timer_fields[] = {
    VMSTATE_U32(HpetTimer, config),
    VMSTATE_BOOL(HpetTimer, armed),
    VMSTATE_U64(HpetTimer, match),
    VMSTATE_U64(HpetTimer, comparator),
    VMSTATE_U64(HpetTimer, period),
    VMSTATE_U64(HpetTimer, message),
    VMSTATE_END
};

const VMStateDesc hpet_timer_vmstate = {
    .name = "timer", .version = 1, .min_version = 1, .fields = timer_fields,
};
