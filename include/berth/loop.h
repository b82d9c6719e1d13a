/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop of the main thread and of each iothread: descriptors, timers, messages
 * from other threads, and a hook before it sleeps.
 *
 * One turn: epoll_wait (without a timeout unless a timer is set), fire due timers, run
 * posted messages, dispatch ready descriptors, run ready pollers, then the
 * before-sleep hooks in order of registration.  An idle loop sleeps in epoll_wait
 * without any timeout: no wake-up.  While it sleeps its thread is offline for qsbr.h.
 *
 * A loop with pollers (poller.h) may wait for them busily before it sleeps.
 *
 * Every object here is embedded in its owner and belongs to one loop.  A function of a
 * source that was removed is never called afterwards, even if it was ready in the same
 * turn; the owner may free it at once.  What is re-armed in its own function (a timer
 * in the past, a message to the same loop) runs in the next turn at the latest and
 * starves nobody.
 */
#pragma once

#include "berth/list.h"
#include "berth/thread.h"

#include <stdatomic.h>
#include <sys/epoll.h>

typedef void LoopFdFn(void *opaque, uint32_t events);
typedef void LoopFn(void *opaque);

typedef struct LoopFd {
    Loop *loop;                 /* NULL when not added */
    int fd;                     /* lent: the owner closes it after loop_fd_remove() */
    uint32_t events;            /* EPOLLIN, EPOLLOUT, ...; 0: silent, even EPOLLHUP */
    bool is_watched;            /* set before it is added: see poller.h */
    LoopFdFn *fn;
    void *opaque;
} LoopFd;

/* A message to a loop; embedded, posted at most once until its function has begun. */
typedef struct LoopMessage {
    struct LoopMessage *next;
    LoopFn *fn;
    void *opaque;
    atomic_bool pending;
} LoopMessage;

typedef struct LoopHook {
    ListNode node;
    Loop *loop;                 /* NULL when not added */
    LoopFn *fn;
    void *opaque;
} LoopHook;

/* Any thread. */

/*
 * A loop whose thread has @role; NULL with @error when the host has no descriptors
 * left.
 */
Loop *loop_new(const char *name, ThreadRole role, GError **error);
/* Frees @loop, which must not run and must have nothing added.  Accepts NULL. */
void loop_free(Loop *loop);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Loop, loop_free)

const char *loop_name(const Loop *loop);

/*
 * Queues @message, whose @fn will be called on the loop's thread.  Lock-free.  Returns
 * false when it was pending already (it will run once).
 */
bool loop_post(Loop *loop, LoopMessage *message);

/*
 * Runs @fn(@opaque) on the loop's thread and returns when it has ended.  Called on that
 * thread, or while nobody runs the loop, it is a plain call.  Otherwise
 * assert_may_wait(), and the loop is one that its owner keeps running.
 */
void loop_call_sync(Loop *loop, LoopFn *fn, void *opaque);

/* Makes loop_run() return at the end of its turn.  Also allowed in a signal handler. */
void loop_quit(Loop *loop);

/* True on the thread that runs @loop (and anywhere while nobody runs it). */
bool loop_is_current(const Loop *loop);
#define assert_loop(loop) g_assert(loop_is_current(loop))

/* CLOCK_MONOTONIC in nanoseconds. */
int64_t loop_clock_ns(void);

/* The loop's thread, or one thread before it runs. */

/* Runs turns until loop_quit(), also one of before; may be run again afterwards. */
void loop_run(Loop *loop);
/* Runs the hooks, then one turn, which waits when @may_wait and nothing is ready. */
void loop_turn(Loop *loop, bool may_wait);
/* Whether a timer is set, so that the loop, when it sleeps, wakes by itself. */
bool loop_has_timer(const Loop *loop);

void loop_fd_init(LoopFd *source, int fd, LoopFdFn *fn, void *opaque);
/*
 * Adds @source; false with @error for a descriptor that cannot be polled (a regular
 * file).
 */
bool loop_fd_add(Loop *loop, LoopFd *source, uint32_t events, GError **error);
/*
 * Of an added source, its descriptor open; an event that is no longer asked for is not
 * delivered in this turn.
 */
void loop_fd_set_events(LoopFd *source, uint32_t events);
/* No effect on a source that is not added. */
void loop_fd_remove(LoopFd *source);

void loop_message_init(LoopMessage *message, LoopFn *fn, void *opaque);
/*
 * Takes a pending message back, so that its owner may be freed.  No other thread may be
 * about to post it.
 */
void loop_message_cancel(Loop *loop, LoopMessage *message);

/*
 * @hook->fn runs at the end of each turn, before the loop may sleep.  It runs no turn
 * itself.
 */
void loop_hook_add(Loop *loop, LoopHook *hook, LoopFn *fn, void *opaque);
/* Of a zero-initialised hook too: no effect on one that is not added. */
void loop_hook_remove(LoopHook *hook);
