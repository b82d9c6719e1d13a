/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Giving up clusters.
 *
 *     pending --tables written--> written --flushed--> draining --epochs--> free
 *
 * What is pending, no table in memory refers to; a crash would still find the old table
 * on the disk.  What is draining, no table on stable storage refers to; a request that
 * found it before may still be reading or writing it.  Only then the refcounts go down,
 * and the host is told to take back the space, in the opposite order: what is free may be
 * used at once.
 */
#include <errno.h>

#include "berth/log.h"

#include "qcow2-clusters.h"

#define DUE_RUNS 4096u
#define DUE_PART 16u            /* of the image's file, in clusters */
#define DUE_LEAST 1024u

void qcow2_free_later(Qcow2 *q, uint64_t offset, uint64_t n, Qcow2Discard why)
{
    Qcow2Free run = { offset >> q->layout.cluster_bits, n, why };
    Qcow2Free *last = q->pending->len > 0
        ? &g_array_index(q->pending, Qcow2Free, q->pending->len - 1) : NULL;

    q->n_pending += n;
    if (last && last->cluster + last->n == run.cluster && last->why == why)
        last->n += n;
    else
        g_array_append_val(q->pending, run);
    qcow2_flush_note_change(q);
}

uint64_t qcow2_free_compressed_span(const Qcow2 *q, uint64_t entry, uint64_t *ret_n)
{
    unsigned bits = q->layout.cluster_bits;
    unsigned size_shift = 62 - (bits - 8);
    uint64_t offset = entry & ((1ull << size_shift) - 1) & (QCOW2_OFFSET_MASK | 0x1ff);
    uint64_t n_sectors = (entry >> size_shift & ((1u << (bits - 8)) - 1)) + 1;
    uint64_t end = ALIGN_DOWN(offset, 512) + n_sectors * 512;

    *ret_n = ((end - 1) >> bits) - (offset >> bits) + 1;
    return offset >> bits;
}

void qcow2_free_entry(Qcow2 *q, uint64_t entry, Qcow2Discard why)
{
    uint64_t offset = entry & QCOW2_OFFSET_MASK, n = 1;

    if (q->layout.is_external)
        return;
    if (entry & QCOW2_COMPRESSED)
        offset = qcow2_free_compressed_span(q, entry, &n) << q->layout.cluster_bits;
    if (offset != 0)
        qcow2_free_later(q, offset, n, why);
}

bool qcow2_free_is_due(const Qcow2 *q)
{
    return q->pending->len + q->written->len > DUE_RUNS ||
        q->n_pending > MAX(q->file_end / DUE_PART, DUE_LEAST);
}

/* Of a run that others refer to: one fewer.  Else it is added to @last. */
static void give_up_one(Qcow2 *q, uint64_t cluster, Qcow2Discard why, GArray *last)
{
    Qcow2Free one = { cluster, 1, why };
    Qcow2Free *run = last->len > 0
        ? &g_array_index(last, Qcow2Free, last->len - 1) : NULL;
    uint64_t count;

    /* What cannot be read now, or counted, stays taken: a leak. */
    if (qcow2_refcount_get(q, cluster, &count) < 0)
        return;
    if (count != 1)
        qcow2_refcount_add(q, cluster, 1, -1);
    else if (run && run->cluster + run->n == cluster && run->why == why)
        run->n++;
    else
        g_array_append_val(last, one);
}

static void punch(Qcow2 *q, const Qcow2Free *run)
{
    const BlockIo io = {
        .op = BLOCK_OP_DISCARD,
        .offset = run->cluster << q->layout.cluster_bits,
        .bytes = run->n << q->layout.cluster_bits,
    };

    /* The space stays taken on the host then; nothing else depends on it. */
    if (q->passes_discard[run->why])
        block_io(q->file, &io);
}

static void apply(Qcow2 *q, const GArray *runs)
{
    g_autoptr(GArray) last = g_array_new(FALSE, FALSE, sizeof(Qcow2Free));

    for (guint i = 0; i < runs->len; i++) {
        const Qcow2Free *run = &g_array_index(runs, Qcow2Free, i);

        for (uint64_t n = 0; n < run->n; n++)
            give_up_one(q, run->cluster + n, run->why, last);
    }
    lock_drop_long(&q->lock);
    for (guint i = 0; i < last->len; i++)
        punch(q, &g_array_index(last, Qcow2Free, i));
    lock_take_long(&q->lock);
    for (guint i = 0; i < last->len; i++) {
        const Qcow2Free *run = &g_array_index(last, Qcow2Free, i);

        qcow2_alloc_undo(q, run->cluster << q->layout.cluster_bits, run->n);
    }
}

static void note_draining(Qcow2 *q)
{
    __atomic_store_n(&q->has_draining, q->draining->len > 0, __ATOMIC_RELAXED);
}

void qcow2_free_apply(Qcow2 *q)
{
    note_draining(q);
    if (q->draining->len == 0 || q->is_applying ||
        __atomic_load_n(&q->is_corrupt, __ATOMIC_RELAXED) ||
        !qcow2_epoch_has_passed(q, q->drain_epoch))
        return;
    q->is_applying = true;
    while (q->draining->len > 0 && qcow2_epoch_has_passed(q, q->drain_epoch)) {
        g_autoptr(GArray) runs = q->draining;

        q->draining = g_array_new(FALSE, FALSE, sizeof(Qcow2Free));
        note_draining(q);
        apply(q, runs);
    }
    note_draining(q);
    q->is_applying = false;
    g_cond_broadcast(&q->woken);
}
