/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules of automatic ballooning, in the order of their rank: the first that has
 * something to say decides.
 *
 *      available
 *      |  more: the target falls, by a part of what is above the line each interval
 *      +------- headroom + margin, or headroom + margin/2 when the host is short
 *      |  nothing happens
 *      +------- headroom
 *      |  less: the target rises at once, so that margin/2 above headroom is reached
 *      0
 *
 * Why it does not swing:
 *
 * 1. Taking ends above the line at which giving begins, and giving ends below the line at
 *    which taking begins.
 * 2. What was asked for and is not done yet is counted as done: "available" is what the
 *    guest told, plus or minus what is on its way.  More is asked for when it has come.
 * 3. After a guest needed memory nothing is taken for a while.  If it needed it again
 *    soon after something was taken, the while doubles.
 *
 * The guest comes first: nothing that the host wants has it below its headroom.  A guest
 * that lies gets what it is bound by, its maximum or its minimum, and nobody else's.
 *
 * Numbers of the guest are cut to the size of its memory before they are used, so sums
 * and products of a few cannot overflow.
 */
#include "berth/balloon-auto.h"

#define PAGE 4096u
/* Intervals. */
#define SILENT_MAX 3u
#define LAG_MAX 6u
#define REST_MIN 6u
#define REST_MAX 192u
/* A guest is calm that needed nothing for so many times its rest. */
#define CALM_RESTS 4u
#define LOW_MAX 4u
/* Pages read back in a second that are not worth to be looked at. */
#define FEW_FAULTS 64u
#define MAX_FAULTS (UINT64_C(1) << 32)

/* A host is that short from "enter" on, and until it is not "leave" any more. */
typedef struct Threshold {
    uint64_t some;              /* hundredths of a percent of time */
    uint64_t full;
    unsigned available;         /* less than so many percent of the host's memory */
    unsigned cgroup;            /* or of the group's limit */
} Threshold;

static const struct {
    Threshold enter;
    Threshold leave;
} thresholds[] = {
    [AUTOBALLOON_PRESSURE_SOME] = { { 500, 200, 15, 6 }, { 100, 50, 20, 12 } },
    [AUTOBALLOON_PRESSURE_HIGH] = { { 3000, 500, 5, 2 }, { 1000, 100, 8, 4 } },
};

/* How much faster a target falls. */
static const unsigned haste[] = {
    [AUTOBALLOON_PRESSURE_NONE] = 1,
    [AUTOBALLOON_PRESSURE_SOME] = 2,
    [AUTOBALLOON_PRESSURE_HIGH] = 4,
};

/* A decision as it is made. */
typedef struct Work {
    const BalloonAutoConfig *config;
    const BalloonAutoSample *sample;
    BalloonAutoState *state;
    uint64_t target;            /* the sample's, within the bounds */
    uint64_t actual;
    uint64_t margin;
    uint64_t quantum;           /* less is not worth a step */
    uint64_t part;              /* of what is between the bounds, for guests in need */
    uint64_t available;         /* when all is done that was asked for */
    uint64_t free;
    uint64_t faults;            /* pages read back since the decision before */
    bool faults_rise;
    bool oom;
} Work;

typedef bool Rule(Work *work, BalloonAutoDecision *decision);

static bool decide(BalloonAutoDecision *decision, AutoballoonReason reason,
                   uint64_t target)
{
    decision->reason = reason;
    decision->target = target;
    return true;
}

static uint64_t raised(const Work *work, uint64_t from, uint64_t bytes)
{
    uint64_t max = work->config->max;

    return bytes < max && from < max - bytes ? from + bytes : max;
}

/* The guest needs memory: it gets some, and is left alone for a while. */
static bool give(Work *work, BalloonAutoDecision *decision, AutoballoonReason reason,
                 uint64_t target)
{
    BalloonAutoState *state = work->state;

    if (state->took)
        state->next_rest = MIN(state->next_rest * 2, REST_MAX);
    state->took = false;
    state->rest = state->next_rest;
    state->calm = 0;
    return decide(decision, reason, MAX(target, work->target));
}

static bool is_over(uint64_t stall, uint64_t limit)
{
    return stall != HOST_MEMORY_UNKNOWN && stall >= limit;
}

static bool is_below(uint64_t part, uint64_t whole, unsigned percent)
{
    return part != HOST_MEMORY_UNKNOWN && whole != HOST_MEMORY_UNKNOWN &&
        part < whole / 100 * percent;
}

static bool is_short(const HostMemorySample *host, const Threshold *limit)
{
    uint64_t left = host->cgroup_current < host->cgroup_limit
        ? host->cgroup_limit - host->cgroup_current : 0;

    if (host->cgroup_current == HOST_MEMORY_UNKNOWN)
        left = HOST_MEMORY_UNKNOWN;
    return is_over(host->host.some, limit->some) ||
        is_over(host->cgroup.some, limit->some) ||
        is_over(host->host.full, limit->full) ||
        is_over(host->cgroup.full, limit->full) ||
        is_below(host->available, host->total, limit->available) ||
        is_below(left, host->cgroup_limit, limit->cgroup);
}

static void update_pressure(BalloonAutoState *state, const HostMemorySample *host)
{
    unsigned level = state->pressure;

    while (level < AUTOBALLOON_PRESSURE_HIGH &&
           is_short(host, &thresholds[level + 1].enter))
        level++;
    while (level > AUTOBALLOON_PRESSURE_NONE && !is_short(host, &thresholds[level].leave))
        level--;
    state->pressure = (AutoballoonPressure)level;
}

/* By how much a counter grew; one that is unknown, or began anew, did not. */
static uint64_t growth(bool has_before, uint64_t before, uint64_t now)
{
    if (!has_before || before == BALLOON_AUTO_UNKNOWN || now == BALLOON_AUTO_UNKNOWN ||
        now < before)
        return 0;
    return now - before;
}

static void count_faults(Work *work)
{
    const BalloonAutoGuest *guest = &work->sample->guest;
    BalloonAutoState *state = work->state;
    bool has = state->has_counters;
    uint64_t swapped = growth(has, state->swap_in, guest->swap_in) / PAGE;
    uint64_t faults = growth(has, state->major_faults, guest->major_faults);
    uint64_t few = (uint64_t)FEW_FAULTS * work->config->interval;

    work->faults = MIN(swapped, MAX_FAULTS) + MIN(faults, MAX_FAULTS);
    work->faults_rise = work->faults > few + state->usual_faults / 8 * 2;
    work->oom = growth(has, state->oom_kills, guest->oom_kills) > 0;
    state->usual_faults += work->faults;
    state->usual_faults -= state->usual_faults / 8;
    state->has_counters = true;
    state->swap_in = guest->swap_in;
    state->major_faults = guest->major_faults;
    state->oom_kills = guest->oom_kills;
}

/* What @bytes will be when the guest has what it is asked to have. */
static uint64_t when_done(const Work *work, uint64_t bytes)
{
    uint64_t then = MIN(work->sample->guest.actual, work->sample->ram);
    uint64_t now = MIN(bytes, work->sample->ram);

    if (work->target >= then)
        return now + (work->target - then);
    return now - MIN(now, then - work->target);
}

/* Guests of old tell only what is free, which is less. */
static uint64_t told_available(const BalloonAutoGuest *guest)
{
    return guest->available != BALLOON_AUTO_UNKNOWN ? guest->available : guest->free;
}

static bool rule_device(Work *work, BalloonAutoDecision *decision)
{
    if (work->sample->has_device)
        return false;
    *work->state = (BalloonAutoState) { .next_rest = REST_MIN };
    return decide(decision, AUTOBALLOON_REASON_NO_DEVICE, work->sample->target);
}

static bool rule_stopped(Work *work, BalloonAutoDecision *decision)
{
    if (work->sample->runs)
        return false;
    /* It has the same time to answer when it goes on. */
    work->state->silent = 0;
    return decide(decision, AUTOBALLOON_REASON_STOPPED, work->target);
}

/* A driver that starts takes the target as it is: it shall not begin with too little. */
static bool rule_driver(Work *work, BalloonAutoDecision *decision)
{
    if (work->sample->has_driver)
        return false;
    *work->state = (BalloonAutoState) {
        .pressure = work->state->pressure,
        .n_answers = work->state->n_answers,
        .next_rest = REST_MIN,
        .rest = REST_MIN,
    };
    return decide(decision, AUTOBALLOON_REASON_NO_DRIVER, work->config->max);
}

/*
 * One that does not answer may have no memory to do so, or it says nothing that helps: it
 * is not left with what was right at another time.
 */
static bool rule_silent(Work *work, BalloonAutoDecision *decision)
{
    const BalloonAutoGuest *guest = &work->sample->guest;
    BalloonAutoState *state = work->state;
    bool is_new = guest->n_answers != state->n_answers;

    if (is_new && told_available(guest) != BALLOON_AUTO_UNKNOWN) {
        state->n_answers = guest->n_answers;
        state->silent = 0;
        return false;
    }
    if (state->silent < SILENT_MAX) {
        state->silent++;
        return decide(decision, AUTOBALLOON_REASON_WAITING, work->target);
    }
    return give(work, decision, AUTOBALLOON_REASON_SILENT,
                raised(work, work->target, 2 * work->part));
}

static bool rule_oom(Work *work, BalloonAutoDecision *decision)
{
    return work->oom &&
        give(work, decision, AUTOBALLOON_REASON_GUEST_OOM, work->config->max);
}

/* It has more than before, and more than it was to have. */
static bool rule_took(Work *work, BalloonAutoDecision *decision)
{
    uint64_t actual = work->actual;

    if (work->state->actual == 0 || actual < work->target + work->quantum ||
        actual < work->state->actual + work->quantum)
        return false;
    return give(work, decision, AUTOBALLOON_REASON_GUEST_TOOK,
                raised(work, actual, work->part));
}

/* The longer it lasts, the more it gets. */
static bool rule_low(Work *work, BalloonAutoDecision *decision)
{
    uint64_t headroom = work->config->headroom;
    uint64_t now = MIN(told_available(&work->sample->guest), work->sample->ram);
    uint64_t step;

    if (work->available >= headroom) {
        work->state->low = 0;
        return false;
    }
    step = (headroom + work->margin / 2 - work->available) << work->state->low;
    work->state->low = MIN(work->state->low + 1, LOW_MAX);
    if (now < headroom / 4)
        step = work->config->max;
    return give(work, decision, AUTOBALLOON_REASON_GUEST_LOW,
                raised(work, work->target, step));
}

/* A guest with much available reads what it never had: more memory does not help. */
static bool rule_faults(Work *work, BalloonAutoDecision *decision)
{
    if (!work->faults_rise || work->target == work->config->max ||
        work->available >= work->config->headroom + 2 * work->margin)
        return false;
    return give(work, decision, AUTOBALLOON_REASON_GUEST_FAULTS,
                raised(work, work->target, work->part));
}

static bool rule_rest(Work *work, BalloonAutoDecision *decision)
{
    BalloonAutoState *state = work->state;

    if (++state->calm >= CALM_RESTS * state->next_rest) {
        state->next_rest = MAX(state->next_rest / 2, REST_MIN);
        state->calm = 0;
    }
    if (state->rest == 0)
        return false;
    state->rest--;
    return decide(decision, AUTOBALLOON_REASON_RECOVERING, work->target);
}

static bool rule_lag(Work *work, BalloonAutoDecision *decision)
{
    uint64_t actual = work->actual;
    BalloonAutoState *state = work->state;

    if (actual < work->target + work->quantum) {
        state->lag = 0;
        return false;
    }
    state->lag = actual < state->actual ? 0 : state->lag + 1;
    if (state->lag < LAG_MAX)
        return decide(decision, AUTOBALLOON_REASON_GUEST_LAGS, work->target);
    state->lag = 0;
    return give(work, decision, AUTOBALLOON_REASON_GUEST_REFUSES,
                raised(work, actual, 0));
}

/* Caches are the guest's while the host does not need them. */
static uint64_t can_spare(const Work *work)
{
    bool is_short = work->state->pressure != AUTOBALLOON_PRESSURE_NONE;
    uint64_t has = is_short ? work->available : MIN(work->available, work->free);
    uint64_t above = is_short ? work->margin / 2 : work->margin;
    uint64_t keeps = work->config->headroom + above;

    return has - MIN(has, keeps);
}

static bool rule_spare(Work *work, BalloonAutoDecision *decision)
{
    const BalloonAutoConfig *config = work->config;
    AutoballoonPressure pressure = work->state->pressure;
    unsigned percent = MIN(config->aggressiveness * haste[pressure], 100);
    uint64_t spare = can_spare(work);
    uint64_t most = MAX((config->max - config->min) / 100 * percent, work->quantum);
    uint64_t step = MIN(MAX(spare / 100 * percent, work->quantum), most);
    uint64_t left = work->target - config->min;
    AutoballoonReason reason = pressure == AUTOBALLOON_PRESSURE_NONE
        ? AUTOBALLOON_REASON_GUEST_IDLE : AUTOBALLOON_REASON_HOST_PRESSURE;

    if (spare < work->quantum)
        return decide(decision, AUTOBALLOON_REASON_SETTLED, work->target);
    if (left < PAGE)
        return decide(decision, AUTOBALLOON_REASON_AT_MIN, work->target);
    work->state->took = true;
    return decide(decision, reason, work->target - MIN(step, left));
}

/* Those of the first list need nothing of what the guest says. */
static Rule *const first_rules[] = {
    rule_device, rule_stopped, rule_driver, rule_silent,
};
static Rule *const guest_rules[] = {
    rule_oom, rule_took, rule_low, rule_faults, rule_rest, rule_lag, rule_spare,
};

static bool try_rules(Rule *const *rules, size_t n, Work *work,
                      BalloonAutoDecision *decision)
{
    for (size_t i = 0; i < n; i++) {
        if (rules[i](work, decision))
            return true;
    }
    return false;
}

BalloonAutoDecision balloon_auto_decide(const BalloonAutoConfig *config,
                                        const BalloonAutoSample *sample,
                                        const BalloonAutoState *state)
{
    BalloonAutoDecision decision = { .state = *state };
    Work work = {
        .config = config,
        .sample = sample,
        .state = &decision.state,
        .target = CLAMP(sample->target, config->min, config->max),
        .actual = MIN(sample->actual, sample->ram),
        .margin = config->headroom / 2,
        .quantum = MAX(sample->ram / 1024, MIB),
        .part = (config->max - config->min) / 16,
    };

    if (decision.state.next_rest == 0)
        decision.state.next_rest = REST_MIN;
    update_pressure(&decision.state, &sample->host);
    if (!try_rules(first_rules, G_N_ELEMENTS(first_rules), &work, &decision)) {
        count_faults(&work);
        work.available = when_done(&work, told_available(&sample->guest));
        work.free = when_done(&work, sample->guest.free == BALLOON_AUTO_UNKNOWN
                                         ? 0 : sample->guest.free);
        try_rules(guest_rules, G_N_ELEMENTS(guest_rules), &work, &decision);
    }
    decision.state.actual = work.actual;
    decision.target = decision.target / PAGE * PAGE;
    return decision;
}
