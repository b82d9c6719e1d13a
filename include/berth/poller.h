/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sources of work that can be seen in memory, as rings are.
 *
 * Each turn of a loop looks at the active pollers.  When the loop sleeps they become
 * inactive: a notification wakes the loop, and its function makes the poller active
 * again by poller_activate().
 *
 * Busy waiting.  Before the loop sleeps it looks at its pollers for a while: what comes
 * within that time costs no sleep, no wake-up and no system call.  How long follows from
 * how long the last sleeps were; a loop whose work comes seldom does not wait at all.
 *
 * A descriptor that brings work of the same kind, frames of a network, is watched
 * (LoopFd): the loop looks at it every few microseconds while it waits busily, and
 * while its pollers have work.
 *
 * All functions: the loop's thread, or one thread before it runs.
 */
#pragma once

#include "berth/loop.h"

typedef struct Poller {
    ListNode node;
    Loop *loop;                 /* NULL when not added */
    bool active;
    /*
     * Whether run() would get on: memory only, no system call.  A source that has work
     * and cannot do it now says no.
     */
    bool (*ready)(void *opaque);
    LoopFn *run;
    /*
     * The loop is about to sleep: has notifications sent from now on.  Returns whether
     * work came before that.
     */
    bool (*arm)(void *opaque);
    void *opaque;
} Poller;

/* How long a loop may wait busily; nothing at start.  None is negative. */
typedef struct Polling {
    int64_t max_ns;             /* the longest wait, 0 for none */
    int64_t grow;               /* the factor by which it grows, 0 for 2 */
    int64_t shrink;             /* the divisor by which it shrinks, 0: to nothing */
} Polling;

#define POLLING_MAX_NS (3600 * NS_PER_SEC)      /* longer ones are this long */

/* @poller, with its functions set, is lent until it is removed. */
void poller_add(Loop *loop, Poller *poller);
/* Of a zero-initialised poller too: no effect on one that is not added. */
void poller_remove(Poller *poller);
/* Looked at from now on, until the loop sleeps. */
void poller_activate(Poller *poller);

void poller_set_polling(Loop *loop, const Polling *polling);
