/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quiescent-state-based reclamation.
 *
 * One counter, the epoch, goes up with each deferred node.  A reader's `seen` is the
 * epoch that it read at its last quiescent point, 0 while it is offline.  A node of
 * epoch N may be freed when every reader's `seen` is 0 or at least N.
 *
 * Invariants:
 * 1. A reader that shows an epoch of at least N loaded the epoch after the writer's
 *    increment, which comes after the writer's publication; so its later loads find the
 *    new pointer.
 * 2. Going online and offline are exchanges, which are full barriers on x86.  Online: a
 *    writer that still saw the reader offline published before the reader's first
 *    load.  Offline: the thread either finds a node that was added, or is seen offline
 *    by the one that adds it; so whoever goes offline last frees everything, and
 *    nothing waits for a next turn.
 */
#include <errno.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "berth/qsbr.h"
#include "berth/thread.h"

typedef struct QsbrReader {
    ListNode node;
    bool registered;
    _Atomic uint64_t seen;
} QsbrReader;

typedef struct QsbrWait {
    QsbrNode node;
    sem_t done;
} QsbrWait;

/* The process's one domain; the lists are under the lock. */
static struct {
    GMutex lock;
    ListNode readers;
    ListNode pending;           /* of QsbrNode, oldest first */
    _Atomic size_t n_pending;
    _Atomic uint64_t epoch;
} domain = {
    .readers = { &domain.readers, &domain.readers },
    .pending = { &domain.pending, &domain.pending },
    .epoch = 1,
};

static __thread QsbrReader self;

static uint64_t oldest_seen_locked(void)
{
    uint64_t oldest = UINT64_MAX;

    LIST_FOREACH(node, &domain.readers) {
        uint64_t seen = atomic_load(&CONTAINER_OF(node, QsbrReader, node)->seen);

        if (seen != 0 && seen < oldest)
            oldest = seen;
    }
    return oldest;
}

static void reclaim(void)
{
    ListNode ready;
    uint64_t oldest;

    list_init(&ready);
    lock_take(&domain.lock);
    oldest = oldest_seen_locked();
    LIST_FOREACH(node, &domain.pending) {
        if (CONTAINER_OF(node, QsbrNode, node)->epoch > oldest)
            break;
        list_remove(node);
        list_append(&ready, node);
        atomic_fetch_sub(&domain.n_pending, 1);
    }
    lock_drop(&domain.lock);

    LIST_FOREACH(node, &ready) {
        QsbrNode *deferred = CONTAINER_OF(node, QsbrNode, node);

        deferred->fn(deferred);
    }
}

void qsbr_register(void)
{
    if (self.registered)
        return;
    self.registered = true;
    lock_take(&domain.lock);
    list_append(&domain.readers, &self.node);
    lock_drop(&domain.lock);
    qsbr_online();
}

void qsbr_unregister(void)
{
    if (!self.registered)
        return;
    qsbr_offline();
    lock_take(&domain.lock);
    list_remove(&self.node);
    lock_drop(&domain.lock);
    self.registered = false;
}

void qsbr_quiescent(void)
{
    uint64_t epoch = atomic_load(&domain.epoch);

    if (!self.registered)
        return;
    if (atomic_load_explicit(&self.seen, memory_order_relaxed) != epoch)
        atomic_exchange(&self.seen, epoch);
    if (atomic_load(&domain.n_pending) != 0)
        reclaim();
}

void qsbr_offline(void)
{
    if (!self.registered)
        return;
    atomic_exchange(&self.seen, 0);
    if (atomic_load(&domain.n_pending) != 0)
        reclaim();
}

void qsbr_online(void)
{
    if (self.registered)
        atomic_exchange(&self.seen, atomic_load(&domain.epoch));
}

bool qsbr_is_online(void)
{
    return self.registered &&
        atomic_load_explicit(&self.seen, memory_order_relaxed) != 0;
}

void qsbr_defer(QsbrNode *node, void (*fn)(QsbrNode *node))
{
    node->fn = fn;
    lock_take(&domain.lock);
    node->epoch = atomic_fetch_add(&domain.epoch, 1) + 1;
    list_append(&domain.pending, &node->node);
    atomic_fetch_add(&domain.n_pending, 1);
    lock_drop(&domain.lock);
    reclaim();
}

static void wake_waiter(QsbrNode *node)
{
    sem_post(&CONTAINER_OF(node, QsbrWait, node)->done);
}

void qsbr_synchronize(void)
{
    QsbrWait wait;

    assert_main();
    g_assert(lock_held_count() == 0);
    sem_init(&wait.done, 0, 0);
    qsbr_offline();
    qsbr_defer(&wait.node, wake_waiter);
    while (sem_wait(&wait.done) < 0)
        g_assert(errno == EINTR);
    qsbr_online();
    sem_destroy(&wait.done);
}
