/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread that runs a loop of its own, for queues and block requests.  Main only,
 * except where said.
 */
#pragma once

#include "berth/poller.h"

typedef struct Iothread Iothread;

/* What a thread does beyond its turns. */
typedef struct IothreadTuning {
    Polling polling;
    unsigned aio_max_batch;     /* 0: AIO_MAX_BATCH */
    unsigned min_workers;       /* of worker_pool_of() its loop */
    unsigned max_workers;       /* not 0, not less than min_workers */
} IothreadTuning;

/* As is best for most; a new thread is tuned so. */
#define IOTHREAD_POLL_MAX_NS 32768
extern const IothreadTuning iothread_default_tuning;

/* Starts the thread, named "IO @id"; it has its thread id when this returns. */
Iothread *iothread_new(const char *id, GError **error);
/*
 * Ends the thread and frees its loop, to which nothing is added any more.  Accepts
 * NULL.
 */
void iothread_free(Iothread *iothread);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Iothread, iothread_free)

/*
 * Changes it while it runs.  False with @error when the host refuses min_workers threads:
 * then nothing has changed.
 */
bool iothread_tune(Iothread *iothread, const IothreadTuning *tuning, GError **error);

/* Any thread.  The loop lives as long as @iothread; lent. */
Loop *iothread_loop(const Iothread *iothread);
/* Any thread.  The kernel's thread id, for affinity and cgroups. */
int iothread_thread_id(const Iothread *iothread);
