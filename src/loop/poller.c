/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Busy waiting before a sleep.
 *
 * A sleep that ends within microseconds costs more than it saves: the wake-up of the
 * thread alone takes longer.  So the loop looks at its pollers for a while first.  As a
 * sleep shows whether the wait was worth while, the wait is fitted to sleeps: work that
 * came within the longest wait makes it grow, work that came later makes it shrink, and a
 * loop that sleeps long waits no more.
 *
 * There are two waits, fitted apart.  A disk that gets one request at a time has, in
 * turn, sleeps until the host has done it and sleeps until the guest asks again; were
 * they one, a host that takes long would have the loop sleep each time the guest asks at
 * once.
 *
 * Two things would fool the fitting.  A wait that mostly ends in time is too short now
 * and then, which says nothing: so it is given up only when it failed more often than one
 * time in MISS_COST + 1.  And a sleep lasts longer than a wait would have, by the
 * wake-up: so where it ended not much too late the longest wait is tried, once in
 * PROBE_EVERY sleeps.
 *
 * A wait shortens the time of a request, which many at a time hide from each other, at
 * the price of one for all that end during a sleep.  So with more than DEPTH_MAX under
 * way the loop sleeps.
 *
 * While pollers have work the descriptors are looked at in some turns only, and during a
 * long wait every SLICE_NS: what is no poller must not wait for those that are.  Where
 * some are watched it is WORK_NS at most, and WATCH_NS; what they bring ends a wait in
 * time.  A wait does not begin with such a look: rings cost nothing to look at.
 *
 * Who answers a frame may need the CPU that the wait takes.  So where descriptors are
 * watched the wait lets others run before each look.  When they keep the CPU they have
 * nothing to do with it, and a sleep is better: it ends earlier than a wait that has
 * given its CPU away.  The loop does not wait for BUSY_CPU_FACTOR times as long then, so
 * that it loses a fiftieth of its time at most.
 */
#include <sched.h>

#include "loop-private.h"

#define FIRST_WAIT_NS 4000
#define SLICE_NS 100000
#define WATCH_NS 2000
#define WORK_NS 20000
#define LONG_YIELD_NS 100000
#define BUSY_CPU_FACTOR 50
#define SKIPPED_MAX 16
#define LOOKS_PER_CLOCK 8
#define DEPTH_MAX 8
#define LUCK_MAX 8
#define MISS_COST 2
#define PROBE_EVERY 16

static void relax(void)
{
    __builtin_ia32_pause();
}

void poller_set_init(PollerSet *set)
{
    list_init(&set->active);
    list_init(&set->inactive);
}

bool poller_set_is_empty(const PollerSet *set)
{
    return list_is_empty(&set->active) && list_is_empty(&set->inactive);
}

void poller_add(Loop *loop, Poller *poller)
{
    assert_loop(loop);
    poller->loop = loop;
    poller->active = true;
    list_append(&loop->pollers.active, &poller->node);
}

static void unlink_poller(Poller *poller)
{
    PollerSet *set = &poller->loop->pollers;

    assert_loop(poller->loop);
    if (set->next == &poller->node)
        set->next = poller->node.next;
    list_remove(&poller->node);
}

void poller_remove(Poller *poller)
{
    if (!poller->loop)
        return;
    unlink_poller(poller);
    poller->loop = NULL;
}

void poller_activate(Poller *poller)
{
    if (poller->active)
        return;
    unlink_poller(poller);
    poller->active = true;
    list_append(&poller->loop->pollers.active, &poller->node);
}

void poller_set_polling(Loop *loop, const Polling *polling)
{
    assert_loop(loop);
    loop->pollers.polling = *polling;
    loop->pollers.polling.max_ns = MIN(polling->max_ns, POLLING_MAX_NS);
    loop->pollers.waits[0] = loop->pollers.waits[1] = (BusyWait) { 0 };
}

/* An inactive poller that is ready is active again: its notification is on its way. */
static bool look(PollerSet *set)
{
    LIST_FOREACH(node, &set->active) {
        Poller *poller = CONTAINER_OF(node, Poller, node);

        if (poller->ready(poller->opaque))
            return true;
    }
    LIST_FOREACH(node, &set->inactive) {
        Poller *poller = CONTAINER_OF(node, Poller, node);

        if (poller->ready(poller->opaque)) {
            poller_activate(poller);
            return true;
        }
    }
    return false;
}

/* Lets others run, and sees for how long they do, in a wait that looked at @now_ns. */
static void let_others_run(PollerSet *set, int64_t now_ns)
{
    int64_t then_ns;

    sched_yield();
    then_ns = loop_clock_ns();
    if (then_ns - now_ns > LONG_YIELD_NS)
        set->sleeps_until_ns = then_ns + BUSY_CPU_FACTOR * (then_ns - now_ns);
}

/* Until @end_ns; the loop sleeps from then on. */
static PollerWait wait_busily(Loop *loop, int64_t now_ns, int64_t end_ns)
{
    PollerSet *set = &loop->pollers;
    int64_t slice_ns = now_ns + (set->n_watched > 0 ? WATCH_NS : SLICE_NS);

    do {
        for (int i = 0; i < LOOKS_PER_CLOCK; i++) {
            if (look(set))
                return POLLER_WAIT_WORK;
            relax();
        }
        if (loop_has_work(loop))
            return POLLER_WAIT_WORK;
        now_ns = loop_clock_ns();
        if (now_ns >= end_ns)
            return POLLER_WAIT_SLEEP;
    } while (now_ns < slice_ns);
    if (set->n_watched > 0)
        let_others_run(set, now_ns);
    return POLLER_WAIT_LOOK_ROUND;
}

/* The beginning of a wait: which it is shows in what is under way. */
static void become_idle(Loop *loop, int64_t now_ns)
{
    PollerSet *set = &loop->pollers;

    set->idle_ns = now_ns;
    set->wait = &set->waits[aio_n_in_flight(loop) > 0 || worker_pool_has_jobs(loop)];
}

PollerWait poller_set_wait(Loop *loop)
{
    PollerSet *set = &loop->pollers;
    PollerWait result = POLLER_WAIT_SLEEP;
    int64_t now_ns;

    if (look(set) || loop_has_work(loop)) {
        set->idle_ns = 0;
        return POLLER_WAIT_WORK;
    }
    if (set->polling.max_ns == 0 || aio_n_in_flight(loop) > DEPTH_MAX) {
        set->idle_ns = 0;
        return POLLER_WAIT_SLEEP;
    }
    now_ns = loop_clock_ns();
    if (set->idle_ns == 0)
        become_idle(loop, now_ns);
    if (now_ns - set->idle_ns < set->wait->ns && now_ns >= set->sleeps_until_ns)
        result = wait_busily(loop, now_ns, set->idle_ns + set->wait->ns);
    if (result == POLLER_WAIT_WORK)
        poller_set_found(set);
    return result;
}

void poller_set_found(PollerSet *set)
{
    if (set->idle_ns == 0)
        return;
    set->idle_ns = 0;
    set->wait->luck = MIN(set->wait->luck + 1, LUCK_MAX);
}

/* Whether it is time to look at those that are watched. */
static bool is_watch_due(PollerSet *set)
{
    int64_t now_ns;

    if (set->n_watched == 0)
        return false;
    now_ns = loop_clock_ns();
    if (now_ns - set->looked_ns < WORK_NS)
        return false;
    set->looked_ns = now_ns;
    return true;
}

bool poller_set_may_skip(PollerSet *set)
{
    if (++set->n_skipped < SKIPPED_MAX && !is_watch_due(set))
        return true;
    set->n_skipped = 0;
    return false;
}

void poller_set_run(PollerSet *set)
{
    ListNode *node = set->active.next;

    if (set->next)
        return;                 /* a turn within a poller's function */
    while (node != &set->active) {
        Poller *poller = CONTAINER_OF(node, Poller, node);

        set->next = node->next;
        if (poller->ready(poller->opaque))
            poller->run(poller->opaque);
        node = set->next;
    }
    set->next = NULL;
}

bool poller_set_arm(PollerSet *set)
{
    bool came = false;

    while (!list_is_empty(&set->active)) {
        ListNode *node = list_first(&set->active);
        Poller *poller = CONTAINER_OF(node, Poller, node);

        if (poller->arm(poller->opaque)) {
            came = true;
            break;
        }
        list_remove(node);
        poller->active = false;
        list_append(&set->inactive, node);
    }
    if (!came)
        set->n_skipped = 0;
    return came;
}

/* Work came within the longest wait, but after the one that was. */
static void grow(const Polling *polling, BusyWait *wait)
{
    int64_t factor = polling->grow ? polling->grow : 2;

    if (wait->ns == 0)
        wait->ns = MIN(FIRST_WAIT_NS, polling->max_ns);
    else
        wait->ns = wait->ns > polling->max_ns / factor ? polling->max_ns
                                                       : wait->ns * factor;
}

/* Work came after the longest wait, by less than that again when @is_near. */
static void shrink(const Polling *polling, BusyWait *wait, bool is_near)
{
    wait->luck -= MISS_COST;
    if (wait->luck >= 0)
        return;
    wait->luck = 0;
    wait->ns = polling->shrink ? wait->ns / polling->shrink : 0;
    if (!is_near || wait->ns > 0)
        return;
    if (wait->n_unprobed == 0)
        wait->ns = polling->max_ns;
    wait->n_unprobed = (wait->n_unprobed + 1) % PROBE_EVERY;
}

void poller_set_slept(PollerSet *set)
{
    const Polling *polling = &set->polling;
    int64_t slept_ns;

    if (set->idle_ns == 0)
        return;
    slept_ns = loop_clock_ns() - set->idle_ns;
    set->idle_ns = 0;
    if (slept_ns <= set->wait->ns)
        return;
    if (slept_ns <= polling->max_ns)
        grow(polling, set->wait);
    else
        shrink(polling, set->wait, slept_ns / 2 <= polling->max_ns);
}
