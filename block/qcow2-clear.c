/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Zeroing and discarding, by workers.
 *
 * What an L2 entry tells apart (a cluster, or a subcluster where entries are extended)
 * becomes a mark that it reads as zero; of what begins or ends within one, zeroes are
 * written.  Version 2 has no such mark: a cluster becomes one that is not there, which
 * reads as zero only if nothing is behind the image.
 *
 * A zeroed cluster keeps its place in the file unless the space may be given up, so that
 * the next write finds it.
 */
#include <errno.h>

#include "qcow2-clusters.h"
#include "qcow2-data.h"

typedef struct Clear {
    bool is_gone;               /* nothing is left */
    bool is_discard;
    bool may_unmap;
} Clear;

static uint64_t unit_size(const Qcow2 *q)
{
    return 1ull << q->layout.unit_bits;
}

static bool has_backing(const Qcow2 *q)
{
    return block_node_child(&q->node, BLOCK_ROLE_BACKING) || q->backing_name;
}

/* The units of the cluster at @offset that lie in [@offset, @end). */
static uint64_t units_of(const Qcow2 *q, uint64_t offset, uint64_t end)
{
    unsigned bits = q->layout.unit_bits;
    uint64_t from = qcow2_in_cluster(q, offset);
    uint64_t to = MIN(from + (end - offset), qcow2_cluster_size(q));

    return (QCOW2_ALL_ALLOCATED >> (QCOW2_SUBCLUSTERS - ((to - 1) >> bits) - 1)) &
        (QCOW2_ALL_ALLOCATED << (from >> bits));
}

/* Whether the entry's cluster stays where it is. */
static bool keeps_host(const Qcow2 *q, const Clear *clear, Qcow2Entry old)
{
    if (clear->may_unmap && !q->layout.is_raw)
        return false;
    if (q->layout.is_external)
        return old.entry & QCOW2_COPIED;
    return old.entry & QCOW2_OFFSET_MASK && old.entry & QCOW2_COPIED &&
        !(old.entry & QCOW2_COMPRESSED);
}

/* What becomes of the entry @old when @units of it are cleared. */
static Qcow2Entry cleared(const Qcow2 *q, const Clear *clear, Qcow2Entry old,
                          uint64_t units)
{
    const uint64_t host_bits = QCOW2_OFFSET_MASK | QCOW2_COPIED;
    bool is_extended = q->layout.entry_words == 2;
    Qcow2Entry entry = { 0 };

    if (clear->is_gone)
        return entry;
    if (is_extended && units != QCOW2_ALL_ALLOCATED) {
        entry.entry = old.entry;
        entry.bitmap = (old.bitmap & ~units) | units << QCOW2_SUBCLUSTERS;
        if (entry.bitmap & QCOW2_ALL_ALLOCATED || keeps_host(q, clear, old))
            return entry;
        entry.entry = 0;
        return entry;
    }
    if (keeps_host(q, clear, old))
        entry.entry = old.entry & host_bits;
    if (is_extended)
        entry.bitmap = QCOW2_ALL_ZERO;
    else if (q->layout.version >= 3)
        entry.entry |= QCOW2_ZERO;
    return entry;
}

/* Clears what is left of one entry from @offset on. */
static void clear_entry(Qcow2 *q, const Clear *clear, Qcow2Table *slice, uint64_t offset,
                        uint64_t end)
{
    unsigned index = qcow2_map_index(q, offset);
    Qcow2Entry old = qcow2_map_get(q, slice, index);
    uint64_t units = q->layout.entry_words == 2 ? units_of(q, offset, end)
                                                : QCOW2_ALL_ALLOCATED;
    Qcow2Entry entry = cleared(q, clear, old, units);

    /* A discard of what is not there leaves it so, if that reads as zero. */
    if (clear->is_discard && old.entry == 0 && old.bitmap == 0 && !has_backing(q))
        return;
    if (entry.entry == old.entry && entry.bitmap == old.bitmap)
        return;
    qcow2_l2_set(q, slice, index, entry);
    if ((entry.entry ^ old.entry) & (QCOW2_OFFSET_MASK | QCOW2_COMPRESSED))
        qcow2_free_entry(q, old.entry, QCOW2_DISCARD_REQUEST);
}

/* Whether there is nothing to do up to the end of the table of @offset. */
static bool is_void(const Qcow2 *q, const Clear *clear, uint64_t offset)
{
    return (clear->is_gone ||
            ((clear->is_discard || q->layout.version < 3) && !has_backing(q))) &&
        qcow2_map_l1_entry(q, offset) == 0;
}

/* One slice; *@done: bytes. */
static int clear_slice(Qcow2 *q, const Clear *clear, uint64_t offset, uint64_t bytes,
                       uint64_t *ret_done)
{
    uint64_t span = 1ull << (q->layout.cluster_bits + q->layout.slice_bits);
    uint64_t most = MIN(bytes, span - (offset & (span - 1)));
    Qcow2Extent extent;
    Qcow2Table *slice;
    int ret = q->is_corrupt ? -EIO : qcow2_flush_if_due(q);

    if (ret == 0)
        ret = qcow2_claim_wait(q, offset, most, ret_done);
    if (ret == 0 && is_void(q, clear, offset)) {
        *ret_done = most;
        return 0;
    }
    if (ret == 0)
        ret = qcow2_l2_get(q, offset, &slice);
    for (uint64_t at = offset; ret == 0 && at < offset + *ret_done;) {
        ret = qcow2_l2_find(q, at, 1, &extent);
        if (ret == 0)
            clear_entry(q, clear, slice, at, offset + *ret_done);
        at += qcow2_cluster_size(q) - qcow2_in_cluster(q, at);
    }
    return ret;
}

static int clear_units(Qcow2 *q, const Clear *clear, uint64_t offset, uint64_t bytes)
{
    int ret = 0;

    /* A large disk has many slices: others have their turn in between. */
    for (uint64_t done = 0, n; ret == 0 && done < bytes; done += n) {
        lock_take_long(&q->lock);
        ret = clear_slice(q, clear, offset + done, bytes - done, &n);
        lock_drop_long(&q->lock);
    }
    return ret;
}

/* Of a compressed cluster, or a snapshot's, units cannot be cleared by themselves. */
static int find_divisible(Qcow2 *q, uint64_t offset, bool *ret_is_divisible)
{
    Qcow2Table *slice;
    Qcow2Entry entry = { 0 };
    int ret;

    *ret_is_divisible = true;
    if (q->layout.entry_words == 1)
        return 0;
    lock_take_long(&q->lock);
    ret = qcow2_l2_load(q, offset);
    slice = qcow2_cache_find(&q->l2, qcow2_map_slice(q, offset));
    if (ret == 0 && slice)
        entry = qcow2_map_get(q, slice, qcow2_map_index(q, offset));
    lock_drop_long(&q->lock);
    *ret_is_divisible = entry.entry == 0 ||
        (entry.entry & QCOW2_COPIED && !(entry.entry & QCOW2_COMPRESSED));
    return ret;
}

/* Less than a unit, or units of a cluster that is not divisible. */
static int zero_part(Qcow2 *q, uint64_t offset, uint64_t bytes)
{
    bool is_zero;
    int ret;

    if (bytes == 0)
        return 0;
    ret = qcow2_read_is_zero(q, offset, bytes, &is_zero);
    return ret < 0 || is_zero ? ret : qcow2_write_zeroes(q, offset, bytes);
}

/* Whole units within one cluster. */
static int zero_in_cluster(Qcow2 *q, const Clear *clear, uint64_t offset, uint64_t bytes)
{
    bool is_divisible;
    int ret;

    if (bytes == 0)
        return 0;
    ret = find_divisible(q, offset, &is_divisible);
    if (ret < 0)
        return ret;
    return is_divisible ? clear_units(q, clear, offset, bytes)
                        : zero_part(q, offset, bytes);
}

/* The last cluster ends with the disk. */
static uint64_t end_of(const Qcow2 *q, uint64_t end, uint64_t size)
{
    return end == block_node_size(&q->node) ? ALIGN_UP(end, size) : end;
}

/* [@offset, @end) is of whole units: what is in the middle of whole clusters at once. */
static int zero_units(Qcow2 *q, const Clear *clear, uint64_t offset, uint64_t end)
{
    uint64_t size = qcow2_cluster_size(q);
    uint64_t from = MIN(ALIGN_UP(offset, size), end);
    uint64_t to = MAX(ALIGN_DOWN(end, size), from);
    int ret = zero_in_cluster(q, clear, offset, from - offset);

    if (ret == 0)
        ret = clear_units(q, clear, from, to - from);
    return ret == 0 ? zero_in_cluster(q, clear, to, end - to) : ret;
}

/* The data file says the same as the tables, to those who read it without them. */
static int zero_data_file(Qcow2 *q, uint64_t offset, uint64_t bytes, bool may_unmap)
{
    uint64_t size = block_node_size(q->data);
    uint64_t n = offset < size ? MIN(bytes, size - offset) : 0;

    return block_io(q->data, &(BlockIo) {
        .op = BLOCK_OP_ZERO, .offset = offset, .bytes = n,
        .flags = may_unmap ? BLOCK_MAY_UNMAP : 0,
    });
}

int qcow2_clear_zero(Qcow2 *q, uint64_t offset, uint64_t bytes, bool may_unmap)
{
    const Clear clear = { .may_unmap = may_unmap };
    uint64_t unit = unit_size(q), end = offset + bytes;
    uint64_t from = MIN(ALIGN_UP(offset, unit), end);
    uint64_t to = MAX(ALIGN_DOWN(end_of(q, end, unit), unit), from);
    int ret = q->layout.is_raw ? zero_data_file(q, offset, bytes, may_unmap) : 0;

    if (ret == 0 && q->layout.version < 3 && (has_backing(q) || !may_unmap))
        return zero_part(q, offset, bytes);
    if (ret == 0)
        ret = zero_part(q, offset, from - offset);
    if (ret == 0)
        ret = zero_units(q, &clear, from, end_of(q, to, qcow2_cluster_size(q)));
    return ret == 0 && to < end ? zero_part(q, to, end - to) : ret;
}

/* An external file is not asked for space by the refcounts. */
static int discard_data_file(Qcow2 *q, uint64_t offset, uint64_t bytes)
{
    uint64_t size = block_node_size(q->data);
    uint64_t n = offset < size ? MIN(bytes, size - offset) : 0;

    if (!q->passes_discard[QCOW2_DISCARD_REQUEST])
        return 0;
    return block_io(q->data, &(BlockIo) {
        .op = BLOCK_OP_DISCARD, .offset = offset, .bytes = n,
    });
}

/* Of parts of clusters nothing is given up, and nothing is promised. */
int qcow2_clear_discard(Qcow2 *q, uint64_t offset, uint64_t bytes)
{
    const Clear clear = { .is_discard = true, .may_unmap = true };
    uint64_t size = qcow2_cluster_size(q);
    uint64_t from = ALIGN_UP(offset, size);
    uint64_t to = ALIGN_DOWN(end_of(q, offset + bytes, size), size);
    int ret = 0;

    if (from >= to || (q->layout.version < 3 && has_backing(q)))
        return 0;
    if (!q->layout.is_raw)
        ret = clear_units(q, &clear, from, to - from);
    if (ret == 0 && q->layout.is_external)
        ret = discard_data_file(q, from, MIN(to, offset + bytes) - from);
    return ret;
}

int qcow2_clear_gone(Qcow2 *q, uint64_t offset, uint64_t bytes)
{
    const Clear clear = { .is_gone = true, .may_unmap = true };
    uint64_t size = qcow2_cluster_size(q);
    uint64_t from = ALIGN_UP(offset, size), to = ALIGN_UP(offset + bytes, size);

    return from < to ? clear_units(q, &clear, from, to - from) : 0;
}
