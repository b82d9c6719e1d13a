/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Main's part: telling clients, and freeing tables that nobody has used for a while.
 *
 * The timer runs while there are tables.  It takes the lock only if that is free: main
 * does not wait for a worker.
 */
#include "block-private.h"

#include "qcow2-image.h"
#include "qcow2-tables.h"

#define RETRY_NS NS_PER_SEC

void qcow2_tidy_note_table(Qcow2 *q)
{
    if (q->is_tidied || q->options->cache_clean_interval == 0)
        return;
    q->is_tidied = true;
    block_node_tell(&q->node);
}

static int64_t interval_ns(const Qcow2 *q)
{
    return q->options->cache_clean_interval * NS_PER_SEC;
}

static void on_tidy(void *opaque)
{
    Qcow2 *q = opaque;
    unsigned n_left;

    if (!lock_try_long(&q->lock)) {
        timer_set(&q->tidy, loop_clock_ns() + RETRY_NS);
        return;
    }
    /* It may have been switched off since. */
    n_left = q->options->cache_clean_interval == 0
        ? 0 : qcow2_cache_tidy(&q->l2) + qcow2_cache_tidy(&q->refblocks);
    q->is_tidied = n_left > 0;
    if (q->is_tidied)
        timer_set(&q->tidy, loop_clock_ns() + interval_ns(q));
    lock_drop_long(&q->lock);
}

void qcow2_tidy_tell(BlockNode *node)
{
    Qcow2 *q = qcow2_of(node);

    if (q->is_retired)
        return;
    if (__atomic_load_n(&q->has_corrupt_text, __ATOMIC_ACQUIRE) && !q->was_told) {
        q->was_told = true;
        qcow2_corrupt_qmp_tell(node);
    }
    if (q->options->cache_clean_interval == 0 || timer_is_set(&q->tidy))
        return;
    timer_init(&q->tidy, node->graph->loop, on_tidy, q);
    timer_set(&q->tidy, loop_clock_ns() + interval_ns(q));
}

void qcow2_tidy_retire(BlockNode *node)
{
    Qcow2 *q = qcow2_of(node);

    q->is_retired = true;
    timer_cancel(&q->tidy);
}
