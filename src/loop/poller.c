/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Busy waiting before a sleep.
 *
 * A sleep that ends within microseconds costs more than it saves: the wake-up of the
 * thread alone takes longer.  So the loop looks at its pollers for `wait_ns` first.  As
 * a sleep shows whether the wait was worth while, the wait is fitted to sleeps: work that
 * came within the longest wait makes it grow, work that came later makes it shrink, and a
 * loop that sleeps long waits no more.
 *
 * While pollers have work the descriptors are looked at in some turns only, and during a
 * long wait every SLICE_NS: what is no poller must not wait for those that are.
 */
#include "loop-private.h"

#define FIRST_WAIT_NS 4000
#define SLICE_NS 100000
#define SKIPPED_MAX 16
#define LOOKS_PER_CLOCK 8

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
    loop->pollers.wait_ns = 0;
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

/* Until @end_ns; the loop sleeps from then on. */
static PollerWait wait_busily(Loop *loop, int64_t now_ns, int64_t end_ns)
{
    PollerSet *set = &loop->pollers;
    int64_t slice_ns = now_ns + SLICE_NS;

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
    return POLLER_WAIT_LOOK_ROUND;
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
    if (set->polling.max_ns == 0)
        return POLLER_WAIT_SLEEP;
    now_ns = loop_clock_ns();
    if (set->idle_ns == 0)
        set->idle_ns = now_ns;
    if (now_ns - set->idle_ns < set->wait_ns)
        result = wait_busily(loop, now_ns, set->idle_ns + set->wait_ns);
    if (result == POLLER_WAIT_WORK)
        set->idle_ns = 0;
    return result;
}

bool poller_set_may_skip(PollerSet *set)
{
    if (++set->n_skipped < SKIPPED_MAX)
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

/* @wait_ns grown or shrunk to what a sleep that ended after @slept_ns asks for. */
static int64_t fit(const Polling *polling, int64_t wait_ns, int64_t slept_ns)
{
    int64_t grow = polling->grow ? polling->grow : 2;

    if (slept_ns > polling->max_ns)
        return polling->shrink ? wait_ns / polling->shrink : 0;
    if (wait_ns == 0)
        return MIN(FIRST_WAIT_NS, polling->max_ns);
    return wait_ns > polling->max_ns / grow ? polling->max_ns : wait_ns * grow;
}

void poller_set_slept(PollerSet *set)
{
    int64_t slept_ns;

    if (set->idle_ns == 0)
        return;
    slept_ns = loop_clock_ns() - set->idle_ns;
    set->idle_ns = 0;
    if (slept_ns > set->wait_ns)
        set->wait_ns = fit(&set->polling, set->wait_ns, slept_ns);
}
