/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The refcount table: making blocks, and a larger table when it is full.
 *
 * All of it happens in memory.  A flush writes new blocks before the table refers to
 * them, and a larger table before the header does; the old one stays as it was until
 * then (qcow2-flush.c).
 *
 * A block that is needed lies behind all that is in use, most often among the clusters
 * that it counts.  For a row of clusters the blocks that are missing lie in front of it.
 */
#include <errno.h>
#include <string.h>

#include "qcow2-clusters.h"
#include "qcow2-tables.h"

static bool is_missing(const Qcow2 *q, uint64_t index)
{
    return index >= q->n_reftable || !(q->reftable[index] & ~QCOW2_REFTABLE_RESERVED);
}

/* Adds an empty block at @cluster; the refcount of that is the caller's to set. */
static int add_block(Qcow2 *q, uint64_t index, uint64_t cluster)
{
    unsigned bits = q->layout.cluster_bits;
    int ret = cluster < QCOW2_OFFSET_MASK >> bits ? qcow2_disk_grow(q, cluster + 1)
                                                  : -EFBIG;
    Qcow2Table *block;

    if (ret < 0)
        return ret;
    if (!qcow2_overlap_add(q, QCOW2_REFCOUNT_BLOCK, cluster, 1))
        return qcow2_corrupt(q, cluster << bits, 1ull << bits,
                             "a cluster in use has no refcount");
    block = qcow2_cache_new_table(&q->refblocks, index);
    if (!block) {
        qcow2_overlap_remove(q, QCOW2_REFCOUNT_BLOCK, cluster, 1);
        return -ENOMEM;
    }
    memset(block->words, 0, q->refblocks.table_size);
    qcow2_cache_publish(&q->refblocks, block);
    qcow2_cache_set_dirty(&q->refblocks, block, 0, (uint32_t)q->refblocks.table_size);
    q->reftable[index] = cluster << bits;
    qcow2_flush_add_to_span(&q->reftable_dirty, index);
    qcow2_alloc_note_used(q, cluster + 1);
    qcow2_flush_note_change(q);
    return 0;
}

static void undo_block(Qcow2 *q, uint64_t index)
{
    Qcow2Table *block = qcow2_cache_find(&q->refblocks, index);

    qcow2_overlap_remove(q, QCOW2_REFCOUNT_BLOCK,
                         q->reftable[index] >> q->layout.cluster_bits, 1);
    qcow2_cache_set_clean(&q->refblocks, block);
    qcow2_cache_remove(&q->refblocks, block);
    q->reftable[index] = 0;
}

static uint64_t count_missing(const Qcow2 *q, uint64_t cluster, uint64_t n)
{
    unsigned bits = q->layout.refblock_bits;
    uint64_t n_missing = 0;

    for (uint64_t i = cluster >> bits; i <= (cluster + n - 1) >> bits; i++)
        n_missing += is_missing(q, i);
    return n_missing;
}

/* How many blocks are to be made for @n clusters from @cluster on, after them. */
static uint64_t count_blocks(const Qcow2 *q, uint64_t cluster, uint64_t n)
{
    uint64_t n_blocks = 0, before;

    do {
        before = n_blocks;
        n_blocks = count_missing(q, cluster, before + n);
    } while (n_blocks != before);
    return n_blocks;
}

/* Refcounts beyond what is in use may be wrong: such clusters are left alone. */
static int find_unused(Qcow2 *q, uint64_t n, uint64_t *ret_cluster)
{
    uint64_t cluster = q->used_end, at = cluster;

    while (at < cluster + n) {
        Qcow2FreeRun run;
        int ret = qcow2_refcount_find_free(q, at, cluster + n - at, &run);

        if (ret < 0)
            return ret;
        if (run.cluster != at)
            cluster = run.cluster;
        at = run.n > 0 ? run.cluster + run.n
                       : ((run.cluster >> q->layout.refblock_bits) + 1)
                             << q->layout.refblock_bits;
    }
    *ret_cluster = cluster;
    return 0;
}

/* Makes the blocks that are missing for [@cluster, @cluster + @n), from @cluster on. */
static int make_blocks(Qcow2 *q, uint64_t cluster, uint64_t n)
{
    unsigned bits = q->layout.refblock_bits;
    g_autoptr(GArray) made = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    int ret = 0;

    for (uint64_t i = cluster >> bits; ret == 0 && i <= (cluster + n - 1) >> bits; i++) {
        if (!is_missing(q, i))
            continue;
        ret = add_block(q, i, cluster + made->len);
        if (ret == 0)
            g_array_append_val(made, i);
    }
    if (ret == 0 && made->len > 0)
        ret = qcow2_refcount_set(q, cluster, made->len, 1);
    for (guint i = 0; ret < 0 && i < made->len; i++)
        undo_block(q, g_array_index(made, uint64_t, i));
    return ret;
}

/* A row of @n clusters for which there are blocks, in a table that is large enough. */
static int make_space(Qcow2 *q, uint64_t n, uint64_t *ret_cluster)
{
    uint64_t cluster, n_blocks = 0, before;
    int ret;

    do {
        before = n_blocks;
        ret = find_unused(q, n + before, &cluster);
        if (ret < 0)
            return ret;
        n_blocks = count_blocks(q, cluster, n);
    } while (n_blocks > before);
    if ((cluster + n + n_blocks - 1) >> q->layout.refblock_bits >= q->n_reftable)
        return -EAGAIN;
    ret = make_blocks(q, cluster, n + n_blocks);
    *ret_cluster = cluster + n_blocks;
    return ret;
}

static bool resize_table(Qcow2 *q, uint64_t n)
{
    uint64_t *table = g_try_realloc_n(q->reftable, n, sizeof(*table));

    if (!table)
        return false;
    memset(table + q->n_reftable, 0, (n - q->n_reftable) * sizeof(*table));
    q->reftable = table;
    q->n_reftable = n;
    return true;
}

/* Takes @n_table clusters at @cluster for the table, and gives up its old ones. */
static int move_table(Qcow2 *q, uint64_t cluster, uint64_t n_table, uint64_t n_before)
{
    unsigned bits = q->layout.cluster_bits;
    uint64_t n_old = (n_before * sizeof(uint64_t)) >> bits;
    int ret = qcow2_disk_grow(q, cluster + n_table);

    if (ret == 0)
        ret = qcow2_refcount_set(q, cluster, n_table, 1);
    if (ret < 0)
        return ret;
    qcow2_overlap_remove(q, QCOW2_REFCOUNT_TABLE, q->reftable_offset >> bits, n_old);
    qcow2_overlap_add(q, QCOW2_REFCOUNT_TABLE, cluster, n_table);
    qcow2_free_later(q, q->reftable_offset, n_old, QCOW2_DISCARD_OTHER);
    qcow2_alloc_note_used(q, cluster + n_table);
    q->reftable_offset = cluster << bits;
    q->reftable_has_moved = true;
    q->reftable_dirty = (Qcow2Span) { 0, q->n_reftable };
    return 0;
}

/* Forgets the blocks that @before, a copy of the table, has not. */
static void take_back(Qcow2 *q, const uint64_t *before, uint64_t n_before)
{
    for (uint64_t i = 0; i < q->n_reftable; i++) {
        if (!is_missing(q, i) && (i >= n_before || !before[i]))
            undo_block(q, i);
    }
    q->n_reftable = n_before;
    q->reftable_dirty.end = MIN(q->reftable_dirty.end, n_before);
    q->reftable_dirty.from = MIN(q->reftable_dirty.from, q->reftable_dirty.end);
}

/* A table for @n blocks at least, and half as many again. */
static int grow(Qcow2 *q, uint64_t n)
{
    g_autofree uint64_t *before = NULL;
    uint64_t n_before = q->n_reftable;
    uint64_t n_most = QCOW2_MAX_REFTABLE_SIZE / sizeof(uint64_t);
    uint64_t per_cluster = qcow2_cluster_size(q) / sizeof(uint64_t);
    uint64_t n_wanted = MAX(n, n_before + n_before / 2);
    uint64_t n_after = ALIGN_UP(MIN(n_wanted, n_most), per_cluster);
    uint64_t cluster;
    int ret;

    if (n > n_most)
        return -EFBIG;
    before = g_memdup2(q->reftable, n_before * sizeof(*before));
    if (!resize_table(q, n_after))
        return -ENOMEM;
    ret = make_space(q, n_after / per_cluster, &cluster);
    if (ret == 0)
        ret = move_table(q, cluster, n_after / per_cluster, n_before);
    if (ret == 0)
        return 0;
    take_back(q, before, n_before);
    return ret == -EAGAIN ? grow(q, n + n / 2 + 1) : ret;
}

int qcow2_reftable_make_space(Qcow2 *q, uint64_t n, uint64_t *ret_cluster)
{
    int ret;

    while ((ret = make_space(q, n, ret_cluster)) == -EAGAIN) {
        ret = grow(q, ((q->used_end + 2 * n) >> q->layout.refblock_bits) + 2);
        if (ret < 0)
            break;
    }
    return ret;
}

int qcow2_reftable_add_block(Qcow2 *q, uint64_t index)
{
    uint64_t cluster, own;
    int ret = index < q->n_reftable ? 0 : grow(q, index + 1);

    if (ret < 0 || !is_missing(q, index))
        return ret;
    ret = find_unused(q, 1, &cluster);
    if (ret == 0)
        ret = add_block(q, index, cluster);
    if (ret < 0)
        return ret;
    /* What counts it may be missing as well, and lies behind it then. */
    own = cluster >> q->layout.refblock_bits;
    if (is_missing(q, own))
        ret = qcow2_reftable_add_block(q, own);
    if (ret == 0)
        ret = qcow2_refcount_set(q, cluster, 1, 1);
    if (ret < 0)
        undo_block(q, index);
    return ret;
}
