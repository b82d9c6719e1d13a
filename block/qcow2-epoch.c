/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When clusters that were given up may be used again.
 *
 * A request finds its clusters in the tables without a lock and uses them for as long as
 * the disk takes.  Each counts itself, before it looks, in the slot of the epoch's
 * parity.  The epoch goes from E to E + 1 when no request of E - 1 is under way, whose
 * slot is that of E + 1.  So clusters that no table refers to since epoch E are in no
 * request's hands in epoch E + 2.
 *
 * A loop counts in memory of its own queue: it stores its count, which is an exchange and
 * so a full barrier, and looks at the epoch again.  Who changes the epoch looked at the
 * counts before: either it saw the count, or the loop sees the new epoch and counts anew.
 */
#include "qcow2-clusters.h"

unsigned qcow2_epoch_enter(Qcow2 *q, Qcow2Queue *queue)
{
    uint64_t epoch = __atomic_load_n(&q->epoch, __ATOMIC_SEQ_CST);

    for (;;) {
        uint64_t *count = &queue->in_flight[epoch % 2];
        uint64_t now;

        __atomic_exchange_n(count, *count + 1, __ATOMIC_SEQ_CST);
        now = __atomic_load_n(&q->epoch, __ATOMIC_SEQ_CST);
        if (now == epoch)
            return epoch % 2;
        __atomic_store_n(count, *count - 1, __ATOMIC_RELEASE);
        epoch = now;
    }
}

void qcow2_epoch_leave(Qcow2Queue *queue, unsigned slot)
{
    __atomic_store_n(&queue->in_flight[slot], queue->in_flight[slot] - 1,
                     __ATOMIC_RELEASE);
}

unsigned qcow2_epoch_enter_worker(Qcow2 *q)
{
    unsigned slot = q->epoch % 2;

    __atomic_add_fetch(&q->in_flight[slot], 1, __ATOMIC_RELAXED);
    return slot;
}

void qcow2_epoch_leave_worker(Qcow2 *q, unsigned slot)
{
    __atomic_sub_fetch(&q->in_flight[slot], 1, __ATOMIC_RELEASE);
}

static bool is_drained(Qcow2 *q, unsigned slot)
{
    bool drained = __atomic_load_n(&q->in_flight[slot], __ATOMIC_ACQUIRE) == 0;

    lock_take(&q->queues_lock);
    LIST_FOREACH(at, &q->queues) {
        const Qcow2Queue *queue = CONTAINER_OF(at, Qcow2Queue, node);

        drained &= __atomic_load_n(&queue->in_flight[slot], __ATOMIC_SEQ_CST) == 0;
    }
    lock_drop(&q->queues_lock);
    return drained;
}

bool qcow2_epoch_has_passed(Qcow2 *q, uint64_t epoch)
{
    while (q->epoch < epoch + 2 && is_drained(q, (q->epoch + 1) % 2))
        __atomic_store_n(&q->epoch, q->epoch + 1, __ATOMIC_SEQ_CST);
    return q->epoch >= epoch + 2;
}
