/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The roles of threads, and the one rule of waiting: a thread may wait only for a role
 * below its own.  main -> vCPU -> iothread -> worker.  Each wait in berth asserts it.
 *
 * Lock order: device -> address space -> irq route -> leaf.  A thread that takes a lock
 * of berth's own does it through lock_take(), so that the count of held locks is known,
 * and a wait with one held is an assertion.
 */
#pragma once

#include "berth/base.h"

#include <pthread.h>

#define THREAD_STACK_SIZE (256 * KIB)

typedef enum ThreadRole {
    THREAD_NONE,
    THREAD_WORKER,
    THREAD_IOTHREAD,
    THREAD_VCPU,
    THREAD_MAIN,
} ThreadRole;

/* Any thread. */

/* The calling thread's role; THREAD_NONE until it said one. */
ThreadRole thread_role(void);

/*
 * Says the calling thread's role, once at its start; from then on it counts as a reader
 * of published data (qsbr.h), online.  thread_start() does it for the threads that it
 * makes.
 */
void thread_set_role(ThreadRole role);

/*
 * Starts a thread of @role that is named @name (cut to 15 bytes for the kernel) with
 * all signals but the synchronous ones blocked and a stack of THREAD_STACK_SIZE.  False
 * with @error when the host refuses.  The owner joins it with pthread_join() on
 * @ret_thread.
 */
bool thread_start(pthread_t *ret_thread, ThreadRole role, const char *name,
                  void *(*fn)(void *opaque), void *opaque, GError **error);

/* Narrows what the calling thread, of @role, may ask of the kernel. */
typedef void ThreadConfineFn(ThreadRole role);

/*
 * Main.  From now on each other thread calls @fn once, before it does anything else:
 * those that are started later at their start, those that are there when they call
 * thread_confine(), which they do where they go on after a wait.
 */
void thread_set_confinement(ThreadConfineFn *fn);
void thread_confine(void);

/*
 * Aborts when the caller is not the main thread (or has said no role, as unit tests).
 */
void assert_main(void);

/* Aborts when the caller may not wait for a thread of @role: see above. */
void assert_may_wait(ThreadRole role);

void lock_take(GMutex *lock);
void lock_drop(GMutex *lock);
/*
 * Waits for @cond, which goes with @lock, the one lock that the caller holds; it may wake
 * without a reason.  The caller holds no published pointer (qsbr.h).
 */
void lock_wait(GCond *cond, GMutex *lock);
/* The same, up to @deadline_ns of CLOCK_MONOTONIC; false when that has passed. */
bool lock_wait_until(GCond *cond, GMutex *lock, int64_t deadline_ns);

/*
 * Locks that are held while a disk is waited for.  Workers take them, and main while it
 * may block; each by itself, with no other lock held, but leaf locks may be taken under
 * them.  They are not counted.
 */
void lock_take_long(GMutex *lock);
/* Any thread: false when somebody has it. */
bool lock_try_long(GMutex *lock);
void lock_drop_long(GMutex *lock);
void lock_wait_long(GCond *cond, GMutex *lock);

/* How many locks of lock_take() the calling thread holds. */
unsigned lock_held_count(void);
