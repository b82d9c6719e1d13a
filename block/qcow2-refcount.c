/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Refcounts of clusters, in blocks of one cluster each that a cache holds.
 *
 * A refcount in memory is 0 only when the cluster may be used again: what gives clusters
 * up does it late (qcow2-free.c).  So a block may be written to the disk at any time.
 */
#include <errno.h>

#include "qcow2-clusters.h"
#include "qcow2-tables.h"

#define END_BLOCKS 8u           /* that are read to find the end */

uint64_t qcow2_refcount_read(const Qcow2 *q, const void *block, uint64_t index)
{
    unsigned order = q->layout.refcount_order;
    unsigned bits = 1u << order;
    const uint8_t *byte;

    switch (order) {
    case 3:
        return ((const uint8_t *)block)[index];
    case 4:
        return GUINT16_FROM_BE(((const uint16_t *)block)[index]);
    case 5:
        return GUINT32_FROM_BE(((const uint32_t *)block)[index]);
    case 6:
        return GUINT64_FROM_BE(((const uint64_t *)block)[index]);
    default:
        byte = (const uint8_t *)block + index * bits / 8;
        return *byte >> index * bits % 8 & ((1u << bits) - 1);
    }
}

void qcow2_refcount_write(const Qcow2 *q, void *block, uint64_t index, uint64_t count)
{
    unsigned order = q->layout.refcount_order;
    unsigned bits = 1u << order;
    unsigned shift = index * bits % 8;
    uint8_t *byte;

    switch (order) {
    case 3:
        ((uint8_t *)block)[index] = (uint8_t)count;
        break;
    case 4:
        ((uint16_t *)block)[index] = GUINT16_TO_BE((uint16_t)count);
        break;
    case 5:
        ((uint32_t *)block)[index] = GUINT32_TO_BE((uint32_t)count);
        break;
    case 6:
        ((uint64_t *)block)[index] = GUINT64_TO_BE(count);
        break;
    default:
        byte = (uint8_t *)block + index * bits / 8;
        *byte = (uint8_t)((*byte & ~(((1u << bits) - 1) << shift)) | count << shift);
        break;
    }
}

static uint64_t most(const Qcow2 *q)
{
    return UINT64_MAX >> (64 - (1u << q->layout.refcount_order));
}

static uint64_t block_entries(const Qcow2 *q)
{
    return 1ull << q->layout.refblock_bits;
}

static uint64_t block_offset(const Qcow2 *q, uint64_t index)
{
    return index < q->n_reftable ? q->reftable[index] & ~QCOW2_REFTABLE_RESERVED : 0;
}

/* The block of @index; NULL: there is none. */
static int get_block(Qcow2 *q, uint64_t index, Qcow2Table **ret_block)
{
    uint64_t offset = block_offset(q, index);
    Qcow2Table *block;
    int ret;

    *ret_block = offset ? qcow2_cache_find(&q->refblocks, index) : NULL;
    if (!offset || *ret_block)
        return 0;
    if (qcow2_in_cluster(q, offset) || offset >> q->layout.cluster_bits >= q->file_end)
        return qcow2_corrupt(q, offset, qcow2_cluster_size(q),
                             "refcount block %" PRIu64 " would be at %#" PRIx64, index,
                             offset);
    block = qcow2_cache_new_table(&q->refblocks, index);
    if (!block)
        return -ENOMEM;
    ret = qcow2_disk_read(q, offset, block->words, q->refblocks.table_size);
    if (ret < 0) {
        qcow2_cache_free_table(block);
        return ret;
    }
    qcow2_cache_publish(&q->refblocks, block);
    *ret_block = block;
    return 0;
}

int qcow2_refcount_get(Qcow2 *q, uint64_t cluster, uint64_t *ret_count)
{
    Qcow2Table *block;
    int ret = get_block(q, cluster >> q->layout.refblock_bits, &block);

    if (ret < 0)
        return ret;
    *ret_count = 0;
    if (block)
        *ret_count =
            qcow2_refcount_read(q, block->words, cluster & (block_entries(q) - 1));
    return 0;
}

static void set_entry(Qcow2 *q, Qcow2Table *block, uint64_t index, uint64_t count)
{
    uint32_t from = (uint32_t)((index << q->layout.refcount_order) / 8);
    uint32_t size = MAX((1u << q->layout.refcount_order) / 8, 1);

    qcow2_refcount_write(q, block->words, index, count);
    qcow2_cache_set_dirty(&q->refblocks, block, from, size);
}

int qcow2_refcount_set(Qcow2 *q, uint64_t cluster, uint64_t n, uint64_t count)
{
    for (uint64_t i = cluster; i < cluster + n; i++) {
        Qcow2Table *block;
        int ret = get_block(q, i >> q->layout.refblock_bits, &block);

        if (ret == 0 && !block)
            ret = -EIO;
        if (ret < 0)
            return ret;
        set_entry(q, block, i & (block_entries(q) - 1), count);
    }
    qcow2_flush_note_change(q);
    return 0;
}

static int add_one(Qcow2 *q, uint64_t cluster, int by)
{
    uint64_t index = cluster & (block_entries(q) - 1);
    Qcow2Table *block;
    uint64_t count;
    int ret = get_block(q, cluster >> q->layout.refblock_bits, &block);

    if (ret < 0)
        return ret;
    count = block ? qcow2_refcount_read(q, block->words, index) : 0;
    if (count == 0)
        return qcow2_corrupt(q, cluster << q->layout.cluster_bits, qcow2_cluster_size(q),
                             "a cluster in use has refcount 0");
    if (by > 0 && count == most(q))
        return -ERANGE;
    set_entry(q, block, index, by > 0 ? count + 1 : count - 1);
    return 0;
}

int qcow2_refcount_add(Qcow2 *q, uint64_t cluster, uint64_t n, int by)
{
    uint64_t done = 0;
    int ret = 0;

    while (done < n && ret == 0) {
        ret = add_one(q, cluster + done, by);
        done += ret == 0;
    }
    if (ret < 0 && done > 0)
        qcow2_refcount_add(q, cluster, done, -by);
    qcow2_flush_note_change(q);
    return ret;
}

/* Extends @run by what @block has from its end on; true: the run ends there. */
static bool extend(const Qcow2 *q, const Qcow2Table *block, uint64_t n, Qcow2FreeRun *run)
{
    uint64_t at = run->cluster + run->n;

    do {
        bool is_free =
            qcow2_refcount_read(q, block->words, at & (block_entries(q) - 1)) == 0;

        at++;
        if (is_free)
            run->n++;
        else if (run->n > 0)
            return true;
        else
            run->cluster = at;
    } while (run->n < n && at & (block_entries(q) - 1));
    return run->n == n;
}

int qcow2_refcount_find_free(Qcow2 *q, uint64_t from, uint64_t n, Qcow2FreeRun *ret_run)
{
    Qcow2FreeRun run = { .cluster = from };
    Qcow2Table *block;

    do {
        uint64_t index = (run.cluster + run.n) >> q->layout.refblock_bits;
        int ret = get_block(q, index, &block);

        if (ret < 0)
            return ret;
    } while (block && !extend(q, block, n, &run));
    *ret_run = run;
    return 0;
}

int qcow2_refcount_find_end(Qcow2 *q, uint64_t *ret_cluster)
{
    unsigned bits = q->layout.refblock_bits;
    uint64_t end = q->file_end, least;

    if (end == 0) {
        *ret_cluster = 0;
        return 0;
    }
    least = (end - 1) >> bits;
    least = least > END_BLOCKS ? (least - END_BLOCKS) << bits : 0;
    for (; end > least; end--) {
        uint64_t count;
        int ret = qcow2_refcount_get(q, end - 1, &count);

        if (ret < 0)
            return ret;
        if (count > 0)
            break;
    }
    *ret_cluster = end;
    return 0;
}
