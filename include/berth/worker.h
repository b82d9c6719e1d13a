/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that block in the kernel, done by threads beside a loop: buffered file I/O, open,
 * fsync, a dump of memory.
 *
 * A pool belongs to one loop: jobs are submitted there, and there their end is told.  Its
 * threads are of the role THREAD_WORKER.  There is none before the first job, no more
 * than asked for, and one that has had nothing to do for a while ends; an idle pool is a
 * struct.  A job is embedded in its owner, and costs no allocation.
 *
 *     worker_pool_init(&pool, loop, &(WorkerConfig) { .name = "disk0", .max_threads = 4,
 *                                                     .max_jobs = 64 });
 *     worker_job_init(&req->job, read_blocks, on_read, req);
 *     if (!worker_submit(&pool, &req->job, NULL))
 *         ...                             keep it until a job of the pool is done
 *
 * The bound is the pool's: whoever does not get in has max_jobs jobs under way there, and
 * tries again when one of them is done.
 *
 * What work() may do: block in the kernel, use memory that is its job's or that lives
 * longer than the job (guest RAM that is held), post messages, log.  Not: use a published
 * pointer (qsbr.h), wait for a thread of berth (docs/threads.md has the exception), hold
 * a lock when it blocks.
 */
#pragma once

#include "berth/loop.h"

typedef void WorkerFn(void *opaque);

/* Own from worker_submit() until done() is called, or worker_take_back() has returned. */
typedef struct WorkerJob {
    WorkerFn *work;
    WorkerFn *done;
    void *opaque;
    struct WorkerPool *pool;    /* while it is submitted */
    int state;                  /* under the pool's lock */
    ListNode node;
    LoopMessage message;
} WorkerJob;

typedef struct WorkerConfig {
    const char *name;           /* of the threads, lent for the call */
    unsigned max_threads;
    unsigned max_jobs;          /* under way at a time, those that wait too */
    int64_t idle_ns;            /* after which a thread ends; 0: WORKER_IDLE_NS */
} WorkerConfig;

#define WORKER_IDLE_NS (10 * NS_PER_SEC)
#define WORKER_MAX_THREADS 64u          /* of worker_pool_of(), where nobody says */

typedef struct WorkerPool {
    Loop *loop;
    char name[16];
    unsigned max_jobs;
    int64_t idle_ns;
    unsigned n_jobs;            /* under way; the loop's */
    LoopMessage reap;           /* threads have ended and are to be joined */

    GMutex lock;
    GCond wake;                 /* there is a job, or the pool ends */
    GCond finished;             /* a job's work() has returned */

    /* Under the lock. */
    ListNode queue;             /* of jobs that wait, the oldest first */
    ListNode threads;           /* running or ended, until they are joined */
    unsigned min_threads;       /* that do not end when they are idle */
    unsigned max_threads;
    unsigned n_threads;         /* running */
    unsigned n_idle;
    unsigned n_queued;
    bool is_waking;             /* an idle one was told, and has not looked yet */
    bool is_awaited;            /* the loop waits for `finished` */
    bool ending;
} WorkerPool;

/* The pool's loop, except where said. */

void worker_pool_init(WorkerPool *pool, Loop *loop, const WorkerConfig *config);
/* Ends the threads, for which it waits.  No job is under way. */
void worker_pool_done(WorkerPool *pool);
bool worker_pool_is_full(const WorkerPool *pool);
/*
 * Keeps @min threads, which are started now, and no more than @max, which is not 0; those
 * beyond end when their job is done.  False with @error when the host refuses one: then
 * the limits are as before.
 */
bool worker_pool_set_threads(WorkerPool *pool, unsigned min, unsigned max,
                             GError **error);
/* The threads that there are now.  Any thread. */
unsigned worker_pool_n_threads(WorkerPool *pool);

/*
 * The pool that everybody on @loop may use, made with the first call; it has room for any
 * number of jobs.  Freed with the loop.
 */
WorkerPool *worker_pool_of(Loop *loop);
bool worker_pool_is_made(const Loop *loop);

/* @work is called on a worker's thread, then @done on the loop.  May be used again. */
void worker_job_init(WorkerJob *job, WorkerFn *work, WorkerFn *done, void *opaque);

/*
 * Has the job done, after those that were submitted before have begun.  False with @error
 * (which may be NULL) when the pool is full, or the host refuses the first thread: then
 * nothing is called.
 */
bool worker_submit(WorkerPool *pool, WorkerJob *job, GError **error);

/*
 * Takes the job back if it has not begun: true, and nothing is called.  Else false, and
 * done() comes; how a running one is told to hurry is between it and its owner.
 */
bool worker_cancel(WorkerJob *job);

/*
 * Takes the job back in any case: if it runs, waits until work() has returned.  done() is
 * not called.  No effect on one that is not submitted.
 */
void worker_take_back(WorkerJob *job);
