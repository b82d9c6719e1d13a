/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pool of threads: a queue of jobs under one lock.
 *
 *     NONE --submit--> QUEUED --a thread--> RUNNING --> FINISHED --done()--> NONE
 *                         |                          (in the loop's mailbox)
 *                         +--cancel--> NONE
 *
 * A thread is started when a job is submitted that no idle one will take.  One that has
 * waited idle_ns for a job in vain ends; the loop joins it when it gets the message
 * `reap`, which the thread posts last of all.
 *
 * Invariants:
 * 1. A job that is FINISHED is in the loop's mailbox: both happen under the lock, and the
 *    thread does not touch the job afterwards.  So who has seen FINISHED under the lock
 *    can cancel the message and free the job.
 * 2. While a job is queued there is a thread that will look at the queue again.  Of those
 *    that sleep one at a time is woken, and wakes the next if there is more: jobs that
 *    are short are done by who is awake, and each wake-up is a system call.
 * 3. Around work() the thread is offline (qsbr.h): blocking, it delays no reclamation.
 */
#include "berth/worker.h"

#include "berth/error.h"
#include "berth/qsbr.h"

#include "loop-private.h"

enum { JOB_NONE, JOB_QUEUED, JOB_RUNNING, JOB_FINISHED };

typedef struct WorkerThread {
    WorkerPool *pool;
    ListNode node;
    pthread_t thread;
    bool ended;                 /* under the pool's lock */
} WorkerThread;

/* Whoever sleeps next, unless one is on the way. */
static void wake_one_locked(WorkerPool *pool)
{
    if (pool->n_queued == 0 || pool->n_idle == 0 || pool->is_waking)
        return;
    pool->is_waking = true;
    g_cond_signal(&pool->wake);
}

static void run_job_locked(WorkerPool *pool, WorkerJob *job)
{
    job->state = JOB_RUNNING;
    lock_drop(&pool->lock);
    thread_confine();
    qsbr_offline();
    job->work(job->opaque);
    qsbr_online();
    lock_take(&pool->lock);
    job->state = JOB_FINISHED;
    if (pool->is_awaited)
        g_cond_broadcast(&pool->finished);
    loop_post(pool->loop, &job->message);
}

/* Waits for a job for as long as the pool wants the thread to. */
static void wait_for_job_locked(WorkerPool *pool)
{
    int64_t deadline_ns = loop_clock_ns() + pool->idle_ns;
    bool in_time = true;

    pool->n_idle++;
    while (list_is_empty(&pool->queue) && !pool->ending &&
           pool->n_threads <= pool->max_threads) {
        if (in_time)
            in_time = lock_wait_until(&pool->wake, &pool->lock, deadline_ns);
        else if (pool->n_threads > pool->min_threads)
            break;
        else
            lock_wait(&pool->wake, &pool->lock);
        pool->is_waking = false;
    }
    pool->n_idle--;
}

/* NULL when the thread is to end. */
static WorkerJob *next_job_locked(WorkerPool *pool)
{
    ListNode *node;

    wait_for_job_locked(pool);
    node = list_first(&pool->queue);
    if (!node)
        return NULL;
    if (pool->n_threads > pool->max_threads) {
        /* The signal of a job may have come to this thread. */
        wake_one_locked(pool);
        return NULL;
    }
    list_remove(node);
    pool->n_queued--;
    wake_one_locked(pool);
    return CONTAINER_OF(node, WorkerJob, node);
}

static void *run_thread(void *opaque)
{
    WorkerThread *thread = opaque;
    WorkerPool *pool = thread->pool;
    WorkerJob *job;

    lock_take(&pool->lock);
    while ((job = next_job_locked(pool)))
        run_job_locked(pool, job);
    pool->n_threads--;
    thread->ended = true;
    if (!pool->ending)
        loop_post(pool->loop, &pool->reap);
    lock_drop(&pool->lock);
    return NULL;
}

/* Joins the threads that have ended, or all of them. */
static void join_threads(WorkerPool *pool, bool all)
{
    ListNode ended;

    list_init(&ended);
    lock_take(&pool->lock);
    LIST_FOREACH(node, &pool->threads) {
        if (all || CONTAINER_OF(node, WorkerThread, node)->ended) {
            list_remove(node);
            list_append(&ended, node);
        }
    }
    lock_drop(&pool->lock);

    LIST_FOREACH(node, &ended) {
        WorkerThread *thread = CONTAINER_OF(node, WorkerThread, node);

        pthread_join(thread->thread, NULL);
        g_free(thread);
    }
}

static void on_reap(void *opaque)
{
    join_threads(opaque, false);
}

static bool start_thread(WorkerPool *pool, GError **error)
{
    WorkerThread *thread = g_new0(WorkerThread, 1);

    thread->pool = pool;
    if (!thread_start(&thread->thread, THREAD_WORKER, pool->name, run_thread, thread,
                      error)) {
        g_free(thread);
        return false;
    }
    lock_take(&pool->lock);
    list_append(&pool->threads, &thread->node);
    lock_drop(&pool->lock);
    return true;
}

void worker_pool_init(WorkerPool *pool, Loop *loop, const WorkerConfig *config)
{
    *pool = (WorkerPool) {
        .loop = loop,
        .max_threads = config->max_threads,
        .max_jobs = config->max_jobs,
        .idle_ns = config->idle_ns ? config->idle_ns : WORKER_IDLE_NS,
    };
    g_strlcpy(pool->name, config->name, sizeof(pool->name));
    loop_message_init(&pool->reap, on_reap, pool);
    g_mutex_init(&pool->lock);
    g_cond_init(&pool->wake);
    g_cond_init(&pool->finished);
    list_init(&pool->queue);
    list_init(&pool->threads);
}

WorkerPool *worker_pool_of(Loop *loop)
{
    const WorkerConfig config = {
        .name = loop->name, .max_threads = WORKER_MAX_THREADS, .max_jobs = UINT_MAX,
    };

    assert_loop(loop);
    if (!loop->workers) {
        loop->workers = g_new(WorkerPool, 1);
        worker_pool_init(loop->workers, loop, &config);
    }
    return loop->workers;
}

bool worker_pool_is_made(const Loop *loop)
{
    return loop->workers != NULL;
}

bool worker_pool_has_jobs(const Loop *loop)
{
    return loop->workers && loop->workers->n_jobs > 0;
}

void worker_pool_done(WorkerPool *pool)
{
    assert_loop(pool->loop);
    g_assert(pool->n_jobs == 0);
    lock_take(&pool->lock);
    pool->ending = true;
    g_cond_broadcast(&pool->wake);
    lock_drop(&pool->lock);
    join_threads(pool, true);
    loop_message_cancel(pool->loop, &pool->reap);
    g_cond_clear(&pool->wake);
    g_cond_clear(&pool->finished);
    g_mutex_clear(&pool->lock);
}

bool worker_pool_is_full(const WorkerPool *pool)
{
    return pool->n_jobs >= pool->max_jobs;
}

unsigned worker_pool_n_threads(WorkerPool *pool)
{
    unsigned n;

    lock_take(&pool->lock);
    n = pool->n_threads;
    lock_drop(&pool->lock);
    return n;
}

static void leave_pool(WorkerJob *job)
{
    job->pool->n_jobs--;
    job->pool = NULL;
    job->state = JOB_NONE;
}

static void on_finished(void *opaque)
{
    WorkerJob *job = opaque;

    leave_pool(job);
    job->done(job->opaque);
}

void worker_job_init(WorkerJob *job, WorkerFn *work, WorkerFn *done, void *opaque)
{
    *job = (WorkerJob) { .work = work, .done = done, .opaque = opaque };
    list_init(&job->node);
    loop_message_init(&job->message, on_finished, job);
}

/* Queues the job; false when a thread is wanted for it, or needed. */
static bool enqueue(WorkerPool *pool, WorkerJob *job, bool *ret_want, bool *ret_need)
{
    lock_take(&pool->lock);
    list_append(&pool->queue, &job->node);
    pool->n_queued++;
    job->state = JOB_QUEUED;
    *ret_want = pool->n_queued > pool->n_idle && pool->n_threads < pool->max_threads;
    *ret_need = pool->n_threads == 0;
    if (*ret_want)
        pool->n_threads++;
    else
        wake_one_locked(pool);
    lock_drop(&pool->lock);
    return !*ret_want;
}

/* The thread could not be had. */
static void forget_thread(WorkerPool *pool)
{
    lock_take(&pool->lock);
    pool->n_threads--;
    lock_drop(&pool->lock);
}

/* Has @min threads at least. */
static bool start_threads(WorkerPool *pool, unsigned min, GError **error)
{
    bool wanted = true;

    while (wanted) {
        lock_take(&pool->lock);
        wanted = pool->n_threads < min;
        if (wanted)
            pool->n_threads++;
        lock_drop(&pool->lock);
        if (wanted && !start_thread(pool, error)) {
            forget_thread(pool);
            return false;
        }
    }
    return true;
}

bool worker_pool_set_threads(WorkerPool *pool, unsigned min, unsigned max, GError **error)
{
    assert_loop(pool->loop);
    g_assert(max > 0 && min <= max);
    if (!start_threads(pool, min, error))
        return false;
    lock_take(&pool->lock);
    pool->min_threads = min;
    pool->max_threads = max;
    /* Those that are idle look whether they may stay. */
    g_cond_broadcast(&pool->wake);
    lock_drop(&pool->lock);
    return true;
}

bool worker_submit(WorkerPool *pool, WorkerJob *job, GError **error)
{
    bool want, need;

    assert_loop(pool->loop);
    g_assert(!job->pool);
    if (worker_pool_is_full(pool)) {
        error_set(error, "%u jobs are under way already", pool->max_jobs);
        return false;
    }
    job->pool = pool;
    pool->n_jobs++;
    if (enqueue(pool, job, &want, &need) || start_thread(pool, need ? error : NULL))
        return true;
    forget_thread(pool);
    return !need || !worker_cancel(job);
}

bool worker_cancel(WorkerJob *job)
{
    WorkerPool *pool = job->pool;
    bool waits;

    if (!pool)
        return false;
    assert_loop(pool->loop);
    lock_take(&pool->lock);
    waits = job->state == JOB_QUEUED;
    if (waits) {
        list_remove(&job->node);
        pool->n_queued--;
    }
    lock_drop(&pool->lock);
    if (waits)
        leave_pool(job);
    return waits;
}

void worker_take_back(WorkerJob *job)
{
    WorkerPool *pool = job->pool;

    if (!pool || worker_cancel(job))
        return;
    assert_may_wait(THREAD_WORKER);
    lock_take(&pool->lock);
    pool->is_awaited = true;
    while (job->state != JOB_FINISHED)
        lock_wait(&pool->finished, &pool->lock);
    pool->is_awaited = false;
    lock_drop(&pool->lock);
    loop_message_cancel(pool->loop, &job->message);
    leave_pool(job);
}
