/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Changing the size of the disk; nothing is under way.
 *
 * The header has the new size when all that belongs to it is on stable storage; until
 * then, and after a failure, the disk is as it was.  What a disk gains reads as zero: an
 * image may have clusters beyond its end, and its backing file may be longer.
 */
#include <errno.h>

#include "berth/error.h"
#include "berth/log.h"

#include "qcow2-clusters.h"
#include "qcow2-data.h"
#include "qcow2-image.h"

#define PIECE (64 * MIB)        /* that is looked at at once */

static bool fail(GError **error, int ret, const char *what)
{
    error_set_errno(error, -ret, "cannot resize the image: cannot %s", what);
    return false;
}

/*
 * A bitmap that is good is as long as the disk.  One that was not saved need not be, and
 * nobody reads it: those that record writes are such since the image was opened.
 */
static const Qcow2Bitmap *find_good_bitmap(const Qcow2 *q)
{
    for (guint i = 0; i < q->bitmap_list->len; i++) {
        const Qcow2Bitmap *bitmap = q->bitmap_list->pdata[i];

        if (!(bitmap->flags & QCOW2_BITMAP_IN_USE))
            return bitmap;
    }
    return NULL;
}

/* Snapshots of an image remember the size of the disk only if they say so. */
static bool check(const Qcow2 *q, uint64_t size, PreallocMode prealloc, GError **error)
{
    const Qcow2Bitmap *bitmap = find_good_bitmap(q);

    if (size % 512 || size > INT64_MAX)
        error_set(error, "the size of a disk is a multiple of 512, and less than 2^63");
    else if (bitmap)
        error_set(error, "the image has the bitmap '%s', which would be of another size: "
                  "qemu-img resize can do that while nobody uses the image",
                  bitmap->name);
    else if (q->snapshots->len > 0 && q->layout.version < 3)
        error_set(error, "an image of version 2 that has snapshots cannot be resized");
    else if (size < block_node_size(&q->node) && prealloc != PREALLOC_MODE_OFF)
        error_set(error, "parameter 'preallocation': the disk gets smaller");
    else if (__atomic_load_n(&q->is_corrupt, __ATOMIC_RELAXED))
        error_set(error, "the image is corrupt");
    else
        return true;
    return false;
}

static uint64_t n_l1_of(const Qcow2 *q, uint64_t size)
{
    unsigned bits = q->layout.cluster_bits + q->layout.table_bits;

    return size == 0 ? 0 : ((size - 1) >> bits) + 1;
}

/* Writes the table @l1 of @n entries to its new place, and has the header say so. */
static int write_l1(Qcow2 *q, const uint64_t *l1, uint64_t n, uint64_t offset)
{
    int ret = qcow2_disk_write_words(q, offset, l1, n);

    /* Counted and there, before the header refers to it. */
    if (ret == 0)
        ret = qcow2_flush(q);
    if (ret == 0)
        ret = qcow2_header_set_l1(q, offset, n, block_node_size(&q->node));
    return ret == 0 ? qcow2_disk_flush(q) : ret;
}

/* Tables that are written from now on are those of the old L1 table. */
static void keep_l1(Qcow2 *q)
{
    int ret = qcow2_header_set_l1(q, q->l1_offset, q->n_l1, block_node_size(&q->node));

    if (ret == 0)
        ret = qcow2_disk_flush(q);
    if (ret < 0)
        qcow2_corrupt(q, 0, qcow2_cluster_size(q),
                      "the header could not be written, nor the old one again");
}

static void take_l1(Qcow2 *q, uint64_t *l1, uint64_t n, uint64_t offset)
{
    unsigned bits = q->layout.cluster_bits;
    uint64_t n_old = (q->n_l1 * sizeof(*l1) + qcow2_cluster_size(q) - 1) >> bits;

    if (n_old > 0) {
        qcow2_overlap_remove(q, QCOW2_ACTIVE_L1, q->l1_offset >> bits, n_old);
        qcow2_free_later(q, q->l1_offset, n_old, QCOW2_DISCARD_OTHER);
    }
    g_free(q->l1);
    q->l1 = l1;
    q->n_l1 = (uint32_t)n;
    q->l1_offset = offset;
    q->l1_dirty = (Qcow2Span) { 0 };
}

/* Of @n entries, in a table of whole clusters. */
static int grow_l1(Qcow2 *q, uint64_t n)
{
    uint64_t n_clusters = (n * sizeof(uint64_t) + qcow2_cluster_size(q) - 1) >>
        q->layout.cluster_bits;
    uint64_t *l1;
    Qcow2Run run;
    int ret;

    if (n <= q->n_l1)
        return 0;
    if (n * sizeof(*l1) > QCOW2_MAX_L1_SIZE)
        return -EFBIG;
    l1 = g_try_malloc0_n(n, sizeof(*l1));
    ret = l1 ? qcow2_flush(q) : -ENOMEM;
    if (ret == 0)
        ret = qcow2_alloc_table(q, QCOW2_ACTIVE_L1, n_clusters, &run);
    if (ret < 0) {
        g_free(l1);
        return ret;
    }
    memcpy(l1, q->l1, q->n_l1 * sizeof(*l1));
    ret = write_l1(q, l1, n, run.offset);
    if (ret == 0) {
        take_l1(q, l1, n, run.offset);
        return 0;
    }
    /* Its clusters stay taken, a leak: the header on disk may refer to them. */
    keep_l1(q);
    g_free(l1);
    return ret;
}

/* What is there beyond the end becomes zero. */
static int zero_gain(Qcow2 *q, uint64_t from, uint64_t to)
{
    int ret = 0;

    for (uint64_t n; ret == 0 && from < to; from += n) {
        bool is_zero;

        n = MIN(to - from, PIECE);
        ret = qcow2_read_is_zero(q, from, n, &is_zero);
        if (ret == 0 && !is_zero)
            ret = qcow2_clear_zero(q, from, n, true);
    }
    return ret;
}

/* Up to where something may be beyond the end of the disk. */
static uint64_t end_of_gain(const Qcow2 *q, uint64_t size, uint64_t n_l1)
{
    const BlockNode *backing = block_node_child(&q->node, BLOCK_ROLE_BACKING);
    uint64_t end = n_l1 << (q->layout.cluster_bits + q->layout.table_bits);

    if (backing)
        end = MAX(end, block_node_size(backing));
    return MIN(end, size);
}

static int set_size(Qcow2 *q, uint64_t size)
{
    int ret;

    lock_take_long(&q->lock);
    ret = qcow2_flush(q);
    if (ret == 0)
        ret = qcow2_header_set_l1(q, q->l1_offset, q->n_l1, size);
    if (ret == 0)
        ret = qcow2_disk_flush(q);
    lock_drop_long(&q->lock);
    if (ret == 0)
        block_node_set_size(&q->node, size);
    return ret;
}

static bool resize_data_file(Qcow2 *q, uint64_t size, PreallocMode prealloc,
                             GError **error)
{
    if (!q->layout.is_external || (!q->layout.is_raw && size <= block_node_size(q->data)))
        return true;
    return block_node_resize(q->data, size, prealloc == PREALLOC_MODE_METADATA
                                 ? PREALLOC_MODE_OFF : prealloc, error);
}

static bool grow(Qcow2 *q, uint64_t size, PreallocMode prealloc, GError **error)
{
    uint64_t before = block_node_size(&q->node);
    uint64_t n_l1 = q->n_l1;
    int ret;

    if (!resize_data_file(q, size, prealloc, error))
        return false;
    lock_take_long(&q->lock);
    ret = grow_l1(q, n_l1_of(q, size));
    lock_drop_long(&q->lock);
    if (ret < 0)
        return fail(error, ret, "make a larger table");
    ret = zero_gain(q, before, end_of_gain(q, size, n_l1));
    if (ret < 0)
        return fail(error, ret, "write zeroes behind the end");
    if (prealloc == PREALLOC_MODE_FULL && !q->layout.is_external)
        ret = qcow2_write_zeroes(q, before, size - before);
    else if (prealloc != PREALLOC_MODE_OFF)
        ret = qcow2_write_preallocate(q, before, size - before,
                                      prealloc == PREALLOC_MODE_FALLOC);
    if (ret < 0)
        return fail(error, ret, "allocate clusters");
    ret = set_size(q, size);
    if (ret < 0)
        return fail(error, ret, "write the header");
    /* Its last cluster may have been allocated as a whole. */
    return block_node_size(q->data) <= size || !q->layout.is_raw ||
        resize_data_file(q, size, PREALLOC_MODE_OFF, error);
}

/* The size is right as soon as the header is; what is beyond it goes if it can. */
static bool shrink(Qcow2 *q, uint64_t size, GError **error)
{
    uint64_t before = block_node_size(&q->node);
    int ret = set_size(q, size);

    if (ret < 0)
        return fail(error, ret, "write the header");
    ret = qcow2_clear_gone(q, size, before - size);
    if (ret == 0) {
        lock_take_long(&q->lock);
        ret = qcow2_flush(q);
        lock_drop_long(&q->lock);
    }
    if (ret < 0)
        log_warn("node '%s': clusters beyond the end stay: %s", block_node_name(&q->node),
                 error_text(-ret));
    return !q->layout.is_raw || resize_data_file(q, size, PREALLOC_MODE_OFF, error);
}

bool qcow2_resize(BlockNode *node, uint64_t size, PreallocMode prealloc, GError **error)
{
    Qcow2 *q = qcow2_of(node);
    uint64_t before = block_node_size(node);

    if (!check(q, size, prealloc, error))
        return false;
    if (size == before)
        return true;
    return size > before ? grow(q, size, prealloc, error) : shrink(q, size, error);
}
