/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The order in which changes reach the disk.
 *
 *     1. refcount blocks           which only add references, see qcow2-free.c
 *        - flush -               when there are new blocks, or the table is a new one
 *     2. refcount table
 *        - flush -               when the table is a new one
 *     3. header                    when it is to point to a new refcount table
 *        - flush -               when anything was allocated since the last one
 *     4. L2 tables, L1
 *        - flush -               when the guest asked, or clusters are given up
 *
 * So what a table on disk refers to is there, counted and has its data, whatever part of
 * the writes after the last flush is lost.  With lazy refcounts the header says that the
 * image is dirty, and 1 and 2 wait until it is closed.
 *
 * One flush runs at a time.  It copies what is dirty under the lock and writes it without
 * it, so requests go on changing tables meanwhile.  A table is dirty again when its copy
 * could not be written.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "qcow2-clusters.h"
#include "qcow2-image.h"
#include "qcow2-tables.h"

typedef struct Copy {
    Qcow2Table *table;
    uint64_t offset;
    uint32_t from;              /* in the table */
    uint32_t size;
    void *data;
} Copy;

typedef struct Words {
    Qcow2Span span;
    uint64_t offset;            /* of the table */
    uint64_t *words;            /* of the span */
} Words;

typedef struct Flush {
    GArray *refblocks;          /* of Copy */
    GArray *slices;             /* of Copy */
    Words reftable;
    bool moves_reftable;
    uint64_t n_reftable;
    Words l1;
    bool needs_barrier;
    GArray *frees;              /* of Qcow2Free */
    uint64_t n_pending;         /* clusters of those */
    uint64_t changes;
} Flush;

void qcow2_flush_note_change(Qcow2 *q)
{
    __atomic_store_n(&q->changes, q->changes + 1, __ATOMIC_RELEASE);
}

static bool is_empty(const Qcow2Span *span)
{
    return span->from == span->end;
}

void qcow2_flush_add_to_span(Qcow2Span *span, uint64_t index)
{
    if (is_empty(span)) {
        *span = (Qcow2Span) { index, index + 1 };
        return;
    }
    span->from = MIN(span->from, index);
    span->end = MAX(span->end, index + 1);
}

/* Lazy refcounts are written when there is no room for more. */
static bool tables_are_due(const Qcow2 *q)
{
    return q->l2.n_dirty > q->l2.max_tables / 2 ||
        q->refblocks.n_dirty > (q->is_lazy ? q->refblocks.max_tables
                                           : q->refblocks.max_tables / 2);
}

/* Copies the dirty part of @table, which is at @offset, in whole blocks of the disk. */
static int copy_table(Qcow2 *q, Qcow2Cache *cache, Qcow2Table *table, uint64_t offset,
                      GArray *copies)
{
    uint32_t block = MIN(q->file->limits.request_alignment, (uint32_t)cache->table_size);
    Copy copy = { .table = table, .from = ALIGN_DOWN(table->dirty_from, block) };

    copy.offset = offset + copy.from;
    copy.size = ALIGN_UP(table->dirty_end, block) - copy.from;
    copy.data = qcow2_disk_buffer(q, copy.size);
    if (!copy.data)
        return -ENOMEM;
    memcpy(copy.data, (uint8_t *)table->words + copy.from, copy.size);
    g_array_append_val(copies, copy);
    table->is_writing = true;
    qcow2_cache_set_clean(cache, table);
    return 0;
}

static int copy_refblocks(Qcow2 *q, Flush *flush)
{
    int ret = 0;

    LIST_FOREACH(at, &q->refblocks.tables) {
        Qcow2Table *block = CONTAINER_OF(at, Qcow2Table, node);
        uint64_t offset = q->reftable[block->key] & ~QCOW2_REFTABLE_RESERVED;

        if (ret == 0 && block->dirty_from != block->dirty_end)
            ret = copy_table(q, &q->refblocks, block, offset, flush->refblocks);
    }
    return ret;
}

static int copy_slices(Qcow2 *q, Flush *flush)
{
    int ret = 0;

    LIST_FOREACH(at, &q->l2.tables) {
        Qcow2Table *slice = CONTAINER_OF(at, Qcow2Table, node);
        uint64_t offset = qcow2_l2_disk_offset(q, slice->key);

        if (ret == 0 && slice->dirty_from != slice->dirty_end)
            ret = copy_table(q, &q->l2, slice, offset, flush->slices);
    }
    return ret;
}

static int copy_words(Words *words, Qcow2Span *dirty, const uint64_t *table,
                      uint64_t offset)
{
    uint64_t n = dirty->end - dirty->from;

    words->offset = offset;
    if (n == 0)
        return 0;
    words->words = g_try_malloc_n(n, sizeof(*table));
    if (!words->words)
        return -ENOMEM;
    memcpy(words->words, table + dirty->from, n * sizeof(*table));
    words->span = *dirty;
    *dirty = (Qcow2Span) { 0 };
    return 0;
}

/* Takes over what is dirty. */
static int collect(Qcow2 *q, Flush *flush)
{
    bool counts = !q->is_lazy || q->reftable_has_moved ||
                  q->refblocks.n_dirty > q->refblocks.max_tables;
    int ret = 0;

    flush->changes = q->changes;
    flush->frees = q->pending;
    flush->n_pending = q->n_pending;
    q->pending = g_array_new(FALSE, FALSE, sizeof(Qcow2Free));
    q->n_pending = 0;
    flush->needs_barrier = q->needs_barrier;
    q->needs_barrier = false;
    if (q->is_lazy)
        ret = qcow2_header_set_dirty(q, true);
    if (ret == 0 && counts)
        ret = copy_refblocks(q, flush);
    if (ret == 0 && counts) {
        flush->moves_reftable = q->reftable_has_moved;
        flush->n_reftable = q->n_reftable;
        q->reftable_has_moved = false;
        ret = copy_words(&flush->reftable, &q->reftable_dirty, q->reftable,
                         q->reftable_offset);
    }
    if (ret == 0)
        ret = copy_slices(q, flush);
    if (ret == 0)
        ret = copy_words(&flush->l1, &q->l1_dirty, q->l1, q->l1_offset);
    return ret;
}

static int write_copies(Qcow2 *q, const GArray *copies)
{
    int ret = 0;

    for (guint i = 0; ret == 0 && i < copies->len; i++) {
        const Copy *copy = &g_array_index(copies, Copy, i);

        ret = qcow2_disk_write(q, copy->offset, copy->data, copy->size);
    }
    return ret;
}

static int write_words(Qcow2 *q, const Words *words)
{
    const Qcow2Span *span = &words->span;

    if (is_empty(span))
        return 0;
    return qcow2_disk_write_words(q, words->offset + span->from * sizeof(uint64_t),
                                  words->words, span->end - span->from);
}

static int move_reftable(Qcow2 *q, const Flush *flush)
{
    int ret = qcow2_disk_flush(q);

    if (ret < 0)
        return ret;
    lock_take_long(&q->lock);
    ret = qcow2_header_set_reftable(q, flush->reftable.offset, flush->n_reftable);
    lock_drop_long(&q->lock);
    return ret;
}

/* Without the lock. */
static int write_all(Qcow2 *q, const Flush *flush)
{
    bool has_tables = flush->slices->len > 0 || !is_empty(&flush->l1.span);
    bool has_counts = flush->refblocks->len > 0;
    int ret = write_copies(q, flush->refblocks);

    if (ret == 0 && !is_empty(&flush->reftable.span)) {
        ret = qcow2_disk_flush(q);
        if (ret == 0)
            ret = write_words(q, &flush->reftable);
    }
    if (ret == 0 && flush->moves_reftable)
        ret = move_reftable(q, flush);
    if (ret == 0 && has_tables && (has_counts || flush->needs_barrier))
        ret = qcow2_disk_flush(q);
    if (ret == 0)
        ret = write_copies(q, flush->slices);
    if (ret == 0)
        ret = write_words(q, &flush->l1);
    return ret;
}

static void settle_copies(Qcow2Cache *cache, GArray *copies, bool is_written)
{
    for (guint i = 0; i < copies->len; i++) {
        const Copy *copy = &g_array_index(copies, Copy, i);

        copy->table->is_writing = false;
        if (!is_written)
            qcow2_cache_set_dirty(cache, copy->table, copy->from, copy->size);
        free(copy->data);
    }
    g_array_unref(copies);
}

static void settle_words(Words *words, Qcow2Span *dirty, bool is_written)
{
    if (!is_written && !is_empty(&words->span)) {
        qcow2_flush_add_to_span(dirty, words->span.from);
        qcow2_flush_add_to_span(dirty, words->span.end - 1);
    }
    g_free(words->words);
}

static void settle(Qcow2 *q, Flush *flush, bool is_written)
{
    settle_copies(&q->refblocks, flush->refblocks, is_written);
    settle_copies(&q->l2, flush->slices, is_written);
    settle_words(&flush->reftable, &q->reftable_dirty, is_written);
    settle_words(&flush->l1, &q->l1_dirty, is_written);
    if (is_written) {
        g_array_append_vals(q->written, flush->frees->data, flush->frees->len);
        q->changes_written = flush->changes;
    } else {
        g_array_append_vals(q->pending, flush->frees->data, flush->frees->len);
        q->n_pending += flush->n_pending;
        q->reftable_has_moved |= flush->moves_reftable;
        q->needs_barrier |= flush->needs_barrier || flush->refblocks->len > 0;
    }
    g_array_unref(flush->frees);
    q->is_flushing = false;
    g_cond_broadcast(&q->woken);
}

int qcow2_flush_tables(Qcow2 *q)
{
    uint64_t wanted = q->changes;
    Flush flush = { 0 };
    int ret;

    while (q->is_flushing)
        lock_wait_long(&q->woken, &q->lock);
    if (q->changes_written >= wanted)
        return 0;
    if (q->is_corrupt)
        return -EIO;
    q->is_flushing = true;
    flush.refblocks = g_array_new(FALSE, FALSE, sizeof(Copy));
    flush.slices = g_array_new(FALSE, FALSE, sizeof(Copy));
    ret = collect(q, &flush);
    if (ret == 0) {
        lock_drop_long(&q->lock);
        ret = write_all(q, &flush);
        lock_take_long(&q->lock);
    }
    settle(q, &flush, ret == 0);
    return ret;
}

int qcow2_flush(Qcow2 *q)
{
    int ret = qcow2_flush_tables(q);
    uint64_t changes;
    GArray *written;

    if (ret < 0)
        return ret;
    changes = q->changes_written;
    written = q->written;
    q->written = g_array_new(FALSE, FALSE, sizeof(Qcow2Free));
    lock_drop_long(&q->lock);
    ret = qcow2_disk_flush(q);
    lock_take_long(&q->lock);
    g_array_append_vals(ret < 0 ? q->written : q->draining, written->data, written->len);
    g_array_unref(written);
    if (ret < 0)
        return ret;
    __atomic_store_n(&q->changes_stable, MAX(changes, q->changes_stable),
                     __ATOMIC_RELEASE);
    q->drain_epoch = q->epoch;
    qcow2_free_apply(q);
    return 0;
}

bool qcow2_flush_is_due(const Qcow2 *q)
{
    return qcow2_free_is_due(q) || tables_are_due(q);
}

int qcow2_flush_if_due(Qcow2 *q)
{
    if (qcow2_free_is_due(q))
        return qcow2_flush(q);
    return tables_are_due(q) ? qcow2_flush_tables(q) : 0;
}
