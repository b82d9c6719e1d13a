/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Leaky buckets.  What goes is added to the level of each bucket that it concerns; the
 * level drains at the limit's rate.  A request goes when it fits below the brim.  Without
 * bursts a bucket holds what 20 ms drain: within any second no more than 102% goes, and a
 * timer that is up to 20 ms late costs nothing.  A limit with bursts has a bucket that is
 * full after a burst of the length that was asked for, and a second one that holds the
 * burst to its rate.
 *
 * A request that is larger than a bucket goes when the bucket is empty.
 *
 * Fairness: a member has an account for reads and one for writes, or a single one where
 * there is a limit of all: the time that the limits took for what it had.  The one with
 * the least is next; one that comes anew begins where the others are.  If the next does
 * not fit a limit of all, nobody goes before it.
 */
#include <math.h>

#include "berth/throttle-state.h"

#define SLACK 0.02              /* seconds */

static bool is_of_reads(ThrottleKind kind)
{
    return kind == THROTTLE_BPS_READ || kind == THROTTLE_IOPS_READ;
}

static bool is_total(ThrottleKind kind)
{
    return kind == THROTTLE_BPS_TOTAL || kind == THROTTLE_IOPS_TOTAL;
}

static bool concerns(const ThrottleState *state, ThrottleKind kind,
                     const ThrottleWait *wait)
{
    return state->config.limits[kind].rate > 0 &&
        (is_total(kind) || is_of_reads(kind) != wait->is_write);
}

static double units(const ThrottleState *state, ThrottleKind kind,
                    const ThrottleWait *wait)
{
    double size = (double)state->config.iops_size;

    if (kind < THROTTLE_IOPS_TOTAL)
        return (double)wait->bytes;
    return size > 0 ? MAX((double)wait->bytes / size, 1) : 1;
}

static double brim(const ThrottleLimit *limit)
{
    double size = SLACK * (double)limit->rate;

    if (limit->max > 0)
        size += (double)(limit->max - limit->rate) * (double)limit->length;
    return size;
}

static double burst_brim(const ThrottleLimit *limit)
{
    return SLACK * (double)limit->max;
}

/* Seconds until @amount fits. */
static double time_to_fit(double level, double amount, double size, double rate)
{
    return (level + MIN(amount, size) - size) / rate;
}

static int64_t delay_of(const ThrottleState *state, const ThrottleWait *wait,
                        bool *ret_by_total)
{
    double delay = 0;

    for (ThrottleKind kind = 0; kind < THROTTLE_KIND__MAX; kind++) {
        const ThrottleLimit *limit = &state->config.limits[kind];
        const ThrottleBucket *bucket = &state->buckets[kind];
        double amount, own;

        if (!concerns(state, kind, wait))
            continue;
        amount = units(state, kind, wait);
        own = time_to_fit(bucket->level, amount, brim(limit), (double)limit->rate);
        if (limit->max > 0)
            own = MAX(own, time_to_fit(bucket->burst, amount, burst_brim(limit),
                                       (double)limit->max));
        if (own > 0 && is_total(kind))
            *ret_by_total = true;
        delay = MAX(delay, own);
    }
    /* Less than a nanosecond is what rounding left. */
    return (int64_t)(delay * (double)NS_PER_SEC);
}

static void drain(ThrottleState *state, int64_t now_ns)
{
    double elapsed = (double)(now_ns - state->drained_ns) / (double)NS_PER_SEC;

    state->drained_ns = now_ns;
    for (ThrottleKind kind = 0; kind < THROTTLE_KIND__MAX; kind++) {
        const ThrottleLimit *limit = &state->config.limits[kind];
        ThrottleBucket *bucket = &state->buckets[kind];

        bucket->level = MAX(bucket->level - elapsed * (double)limit->rate, 0);
        bucket->burst = MAX(bucket->burst - elapsed * (double)limit->max, 0);
    }
}

static bool has_total(const ThrottleState *state)
{
    return state->config.limits[THROTTLE_BPS_TOTAL].rate > 0 ||
        state->config.limits[THROTTLE_IOPS_TOTAL].rate > 0;
}

/* Which of the accounts. */
static unsigned account_of(const ThrottleState *state, bool is_write)
{
    return is_write && !has_total(state);
}

static void charge(ThrottleState *state, ThrottleMember *member, const ThrottleWait *wait)
{
    unsigned account = account_of(state, wait->is_write);
    double cost = 0;

    for (ThrottleKind kind = 0; kind < THROTTLE_KIND__MAX; kind++) {
        double amount;

        if (!concerns(state, kind, wait))
            continue;
        amount = units(state, kind, wait);
        state->buckets[kind].level += amount;
        if (state->config.limits[kind].max > 0)
            state->buckets[kind].burst += amount;
        cost = MAX(cost, amount / (double)state->config.limits[kind].rate);
    }
    state->served[account] = member->served[account];
    state->last_was_write = wait->is_write;
    member->served[account] += cost;
}

void throttle_state_init(ThrottleState *state, int64_t now_ns)
{
    *state = (ThrottleState) { .drained_ns = now_ns };
    throttle_config_init(&state->config);
    list_init(&state->members);
}

/* What went before counts, but makes nobody wait longer than the new limits would. */
void throttle_state_configure(ThrottleState *state, const ThrottleConfig *config,
                              int64_t now_ns)
{
    drain(state, now_ns);
    state->config = *config;
    state->is_limited = throttle_config_has_limits(config);
    for (ThrottleKind kind = 0; kind < THROTTLE_KIND__MAX; kind++) {
        const ThrottleLimit *limit = &config->limits[kind];
        ThrottleBucket *bucket = &state->buckets[kind];

        bucket->level = MIN(bucket->level, brim(limit));
        bucket->burst = MIN(bucket->burst, burst_brim(limit));
    }
}

void throttle_state_init_member(ThrottleMember *member)
{
    *member = (ThrottleMember) { 0 };
    list_init(&member->node);
    list_init(&member->waiting[0]);
    list_init(&member->waiting[1]);
}

static bool is_waiting(const ThrottleMember *member)
{
    return !list_is_empty(&member->waiting[0]) || !list_is_empty(&member->waiting[1]);
}

/* A member that comes anew begins where the others are. */
static void catch_up(const ThrottleState *state, ThrottleMember *member, bool is_write)
{
    unsigned account = account_of(state, is_write);
    bool waits = has_total(state) ? is_waiting(member)
                                  : !list_is_empty(&member->waiting[is_write]);

    if (!waits)
        member->served[account] = MAX(member->served[account], state->served[account]);
}

static void put_in_line(ThrottleState *state, ThrottleMember *member, ThrottleWait *wait)
{
    if (!is_waiting(member))
        list_append(&state->members, &member->node);
    list_append(&member->waiting[wait->is_write], &wait->node);
    state->n_waiting[wait->is_write]++;
}

void throttle_state_remove(ThrottleState *state, ThrottleWait *wait)
{
    list_remove(&wait->node);
    state->n_waiting[wait->is_write]--;
    if (!is_waiting(wait->member))
        list_remove(&wait->member->node);
}

/* Whether others are before it. */
static bool has_line(const ThrottleState *state, const ThrottleWait *wait)
{
    return state->n_waiting[wait->is_write] > 0 ||
        (has_total(state) && state->n_waiting[!wait->is_write] > 0);
}

bool throttle_state_admit(ThrottleState *state, ThrottleMember *member,
                          ThrottleWait *wait, int64_t now_ns)
{
    bool by_total = false;

    wait->member = member;
    if (!state->is_limited)
        return true;
    drain(state, now_ns);
    catch_up(state, member, wait->is_write);
    if (member->n_hurried == 0 &&
        (has_line(state, wait) || delay_of(state, wait, &by_total) > 0)) {
        wait->since_ns = now_ns;
        put_in_line(state, member, wait);
        return false;
    }
    charge(state, member, wait);
    return true;
}

static ThrottleWait *first_of(const ThrottleMember *member, bool is_write)
{
    return CONTAINER_OF(list_first(&member->waiting[is_write]), ThrottleWait, node);
}

static ThrottleWait *find_hurried(const ThrottleState *state)
{
    LIST_FOREACH(at, &state->members) {
        const ThrottleMember *member = CONTAINER_OF(at, ThrottleMember, node);

        if (member->n_hurried > 0)
            return first_of(member, list_is_empty(&member->waiting[0]));
    }
    return NULL;
}

/* The first of the member that has had the least, NULL: no such request waits. */
static ThrottleWait *find_least(const ThrottleState *state, bool is_write)
{
    unsigned account = account_of(state, is_write);
    const ThrottleMember *least = NULL;

    LIST_FOREACH(at, &state->members) {
        const ThrottleMember *member = CONTAINER_OF(at, ThrottleMember, node);

        if (!list_is_empty(&member->waiting[is_write]) &&
            (!least || member->served[account] < least->served[account]))
            least = member;
    }
    return least ? first_of(least, is_write) : NULL;
}

/* The candidates, the one that is next first. */
static void find_candidates(const ThrottleState *state, ThrottleWait *candidates[2])
{
    ThrottleWait *read = find_least(state, false);
    ThrottleWait *write = find_least(state, true);
    bool read_first = !write;

    /* With accounts of their own they are not in each other's way. */
    if (read && write && read->member->served[0] == write->member->served[0])
        read_first = state->last_was_write;
    else if (read && write)
        read_first = read->member->served[0] < write->member->served[0];
    candidates[0] = read_first ? read : write;
    candidates[1] = read_first ? write : read;
}

static ThrottleWait *find_next(const ThrottleState *state, int64_t *ret_delay_ns)
{
    ThrottleWait *candidates[2];
    bool by_total = false;

    find_candidates(state, candidates);
    for (int i = 0; i < 2 && candidates[i] && !by_total; i++) {
        int64_t delay_ns = delay_of(state, candidates[i], &by_total);

        if (delay_ns == 0)
            return candidates[i];
        *ret_delay_ns = *ret_delay_ns < 0 ? delay_ns : MIN(*ret_delay_ns, delay_ns);
    }
    return NULL;
}

ThrottleWait *throttle_state_next(ThrottleState *state, int64_t now_ns,
                                  int64_t *ret_delay_ns)
{
    ThrottleWait *wait;

    *ret_delay_ns = -1;
    if (list_is_empty(&state->members))
        return NULL;
    drain(state, now_ns);
    wait = find_hurried(state);
    if (!wait)
        wait = find_next(state, ret_delay_ns);
    if (!wait)
        return NULL;
    throttle_state_remove(state, wait);
    charge(state, wait->member, wait);
    state->n_waited++;
    state->waited_ns += (uint64_t)(now_ns - wait->since_ns);
    return wait;
}
