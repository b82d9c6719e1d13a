/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An iothread: a thread and its loop.
 *
 * A loop that nobody runs may be used from any thread, so iothread_new() must not
 * return before the loop runs: the thread's id comes back by a message, which a turn of
 * the loop delivers.
 */
#include <errno.h>
#include <semaphore.h>

#include "berth/aio.h"
#include "berth/iothread.h"
#include "berth/worker.h"

struct Iothread {
    Loop *loop;
    pthread_t thread;
    int thread_id;
};

const IothreadTuning iothread_default_tuning = {
    .polling = { .max_ns = IOTHREAD_POLL_MAX_NS },
    .max_workers = WORKER_MAX_THREADS,
};

typedef struct TuneCall {
    Loop *loop;
    const IothreadTuning *tuning;
    GError **error;
    bool done;
} TuneCall;

typedef struct StartMessage {
    LoopMessage message;
    Iothread *iothread;
    sem_t started;
} StartMessage;

static void on_start(void *opaque)
{
    StartMessage *start = opaque;

    start->iothread->thread_id = gettid();
    poller_set_polling(start->iothread->loop, &iothread_default_tuning.polling);
    sem_post(&start->started);
}

static void *run_loop(void *opaque)
{
    loop_run(opaque);
    return NULL;
}

static bool start_thread(Iothread *iothread, const char *id, GError **error)
{
    g_autofree char *name = g_strdup_printf("IO %s", id);
    StartMessage start = { .iothread = iothread };
    bool started;

    sem_init(&start.started, 0, 0);
    loop_message_init(&start.message, on_start, &start);
    loop_post(iothread->loop, &start.message);
    started = thread_start(&iothread->thread, THREAD_IOTHREAD, name, run_loop,
                           iothread->loop, error);
    if (!started)
        loop_message_cancel(iothread->loop, &start.message);
    while (started && sem_wait(&start.started) < 0)
        g_assert(errno == EINTR);
    sem_destroy(&start.started);
    return started;
}

Iothread *iothread_new(const char *id, GError **error)
{
    g_autoptr(Loop) loop = loop_new(id, THREAD_IOTHREAD, error);
    g_autofree Iothread *iothread = g_new0(Iothread, 1);

    if (!loop)
        return NULL;
    iothread->loop = loop;
    if (!start_thread(iothread, id, error))
        return NULL;
    g_steal_pointer(&loop);
    return g_steal_pointer(&iothread);
}

void iothread_free(Iothread *iothread)
{
    if (!iothread)
        return;
    loop_quit(iothread->loop);
    pthread_join(iothread->thread, NULL);
    loop_free(iothread->loop);
    g_free(iothread);
}

/* The pool is made here only when it is to differ from what it will be. */
static bool tune_workers(Loop *loop, unsigned min, unsigned max, GError **error)
{
    if (min == 0 && max == WORKER_MAX_THREADS && !worker_pool_is_made(loop))
        return true;
    return worker_pool_set_threads(worker_pool_of(loop), min, max, error);
}

static void tune(void *opaque)
{
    TuneCall *call = opaque;
    const IothreadTuning *tuning = call->tuning;

    call->done = tune_workers(call->loop, tuning->min_workers, tuning->max_workers,
                              call->error);
    if (!call->done)
        return;
    poller_set_polling(call->loop, &tuning->polling);
    aio_set_max_batch(call->loop, tuning->aio_max_batch);
}

bool iothread_tune(Iothread *iothread, const IothreadTuning *tuning, GError **error)
{
    TuneCall call = { .loop = iothread->loop, .tuning = tuning, .error = error };

    loop_call_sync(iothread->loop, tune, &call);
    return call.done;
}

Loop *iothread_loop(const Iothread *iothread)
{
    return iothread->loop;
}

int iothread_thread_id(const Iothread *iothread)
{
    return iothread->thread_id;
}
