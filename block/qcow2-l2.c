/* SPDX-License-Identifier: Apache-2.0 */
/*
 * L2 tables: loading slices of them, making a table that is ours alone, changing entries.
 *
 * A slice is read without the lock, and only once: who needs one that is being read
 * waits.  Meanwhile its table may be copied, but none of its entries is changed, since
 * that needs the slice; so what was read is still true.
 *
 * A new table is written to the disk when it is made, before anything refers to it: L1
 * and the slices of the table may then follow in any order.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "qcow2-clusters.h"
#include "qcow2-tables.h"

uint64_t qcow2_l2_disk_offset(const Qcow2 *q, uint64_t key)
{
    unsigned slices_bits = q->layout.table_bits - q->layout.slice_bits;
    uint64_t table = q->l1[key >> slices_bits] & QCOW2_OFFSET_MASK;

    return table + (key & ((1u << slices_bits) - 1)) * q->l2.table_size;
}

static bool is_loading(const Qcow2 *q, uint64_t key)
{
    for (guint i = 0; i < q->loading->len; i++) {
        if (g_array_index(q->loading, uint64_t, i) == key)
            return true;
    }
    return false;
}

static void end_loading(Qcow2 *q, uint64_t key)
{
    guint i = 0;

    while (g_array_index(q->loading, uint64_t, i) != key)
        i++;
    g_array_remove_index_fast(q->loading, i);
    g_cond_broadcast(&q->woken);
}

static int check_table(Qcow2 *q, uint64_t offset, uint64_t key)
{
    uint64_t at = q->l1[key >> (q->layout.table_bits - q->layout.slice_bits)];
    uint64_t table = at & QCOW2_OFFSET_MASK;

    if (qcow2_in_cluster(q, table) == 0 &&
        table >> q->layout.cluster_bits < q->file_end)
        return 0;
    return qcow2_corrupt(q, table, qcow2_cluster_size(q),
                         "the L2 table of guest offset %#" PRIx64 " would be at %#"
                         PRIx64, offset, table);
}

static int load_slice(Qcow2 *q, uint64_t key)
{
    Qcow2Table *slice = qcow2_cache_new_table(&q->l2, key);
    uint64_t at = qcow2_l2_disk_offset(q, key);
    unsigned slot;
    int ret;

    if (!slice)
        return -ENOMEM;
    g_array_append_val(q->loading, key);
    /* The table may be replaced by a copy meanwhile, and its cluster given up. */
    slot = qcow2_epoch_enter_worker(q);
    lock_drop_long(&q->lock);
    ret = qcow2_disk_read(q, at, slice->words, q->l2.table_size);
    lock_take_long(&q->lock);
    qcow2_epoch_leave_worker(q, slot);
    end_loading(q, key);
    if (ret < 0) {
        qcow2_cache_free_table(slice);
        return ret;
    }
    slice->is_sound = qcow2_overlap_is_sound(q, slice->words);
    qcow2_cache_publish(&q->l2, slice);
    qcow2_tidy_note_table(q);
    return 0;
}

int qcow2_l2_load(Qcow2 *q, uint64_t offset)
{
    uint64_t key = qcow2_map_slice(q, offset);

    while (!qcow2_cache_find(&q->l2, key)) {
        int ret;

        if (!(qcow2_map_l1_entry(q, offset) & QCOW2_OFFSET_MASK))
            return 0;
        if (is_loading(q, key)) {
            lock_wait_long(&q->woken, &q->lock);
            continue;
        }
        ret = check_table(q, offset, key);
        return ret < 0 ? ret : load_slice(q, key);
    }
    return 0;
}

/* One unit of a slice in which some entry is wrong. */
static Qcow2Extent find_unit(const Qcow2 *q, const Qcow2Table *slice, uint64_t offset)
{
    Qcow2Entry entry = qcow2_map_get(q, slice, qcow2_map_index(q, offset));
    Qcow2Extent extent = qcow2_map_unit(q, entry, offset);
    uint64_t host = entry.entry & QCOW2_OFFSET_MASK, n = 1;

    if (extent.kind == QCOW2_KIND_BAD)
        return extent;
    host >>= q->layout.cluster_bits;
    if (extent.kind == QCOW2_KIND_COMPRESSED)
        host = qcow2_free_compressed_span(q, entry.entry, &n);
    else if (host == 0)
        return extent;
    if (!qcow2_overlap_is_data(q, host, n))
        extent.kind = QCOW2_KIND_BAD;
    return extent;
}

int qcow2_l2_find(Qcow2 *q, uint64_t offset, uint64_t bytes, Qcow2Extent *ret_extent)
{
    int ret = qcow2_l2_load(q, offset);
    const Qcow2Table *slice;

    if (ret < 0)
        return ret;
    slice = qcow2_cache_find(&q->l2, qcow2_map_slice(q, offset));
    if (slice && !slice->is_sound)
        *ret_extent = find_unit(q, slice, offset);
    else
        *ret_extent = qcow2_map_find(q, offset, bytes);
    ret_extent->bytes = MIN(ret_extent->bytes, bytes);
    if (ret_extent->kind != QCOW2_KIND_BAD)
        return 0;
    return qcow2_corrupt(q, ret_extent->descriptor & QCOW2_OFFSET_MASK,
                         qcow2_cluster_size(q), "guest offset %#" PRIx64
                         " has the L2 entry %#" PRIx64, offset, ret_extent->descriptor);
}

/* Copies the table at @old to the one at @run, or fills that with zeroes. */
static int write_table(Qcow2 *q, uint64_t old, const Qcow2Run *run)
{
    size_t size = qcow2_cluster_size(q);
    void *data;
    int ret = 0;

    if (!old && run->is_fresh)
        return 0;
    data = qcow2_disk_buffer(q, size);
    if (!data)
        return -ENOMEM;
    if (old)
        ret = qcow2_disk_read(q, old, data, size);
    else
        memset(data, 0, size);
    if (ret == 0)
        ret = qcow2_disk_write(q, run->offset, data, size);
    free(data);
    return ret;
}

/* Makes the table of @offset ours alone; *@ret_is_new: it was made, and is empty. */
static int own_table(Qcow2 *q, uint64_t offset, bool *ret_is_new)
{
    unsigned bits = q->layout.cluster_bits;
    uint64_t index = offset >> (bits + q->layout.table_bits);
    uint64_t old = q->l1[index] & QCOW2_OFFSET_MASK;
    Qcow2Run run;
    int ret;

    *ret_is_new = false;
    if (old && q->l1[index] & QCOW2_COPIED)
        return 0;
    ret = qcow2_alloc_table(q, QCOW2_ACTIVE_L2, 1, &run);
    if (ret < 0)
        return ret;
    ret = write_table(q, old, &run);
    if (ret < 0) {
        qcow2_overlap_remove(q, QCOW2_ACTIVE_L2, run.offset >> bits, 1);
        qcow2_alloc_undo(q, run.offset, 1);
        return ret;
    }
    __atomic_store_n(&q->l1[index], run.offset | QCOW2_COPIED, __ATOMIC_RELEASE);
    qcow2_flush_add_to_span(&q->l1_dirty, index);
    qcow2_flush_note_change(q);
    q->needs_barrier = true;
    if (old) {
        qcow2_overlap_remove(q, QCOW2_ACTIVE_L2, old >> bits, 1);
        qcow2_free_later(q, old, 1, QCOW2_DISCARD_OTHER);
    }
    *ret_is_new = !old;
    return 0;
}

static int publish_empty_slice(Qcow2 *q, uint64_t key)
{
    Qcow2Table *slice = qcow2_cache_new_table(&q->l2, key);

    if (!slice)
        return -ENOMEM;
    memset(slice->words, 0, q->l2.table_size);
    slice->is_sound = true;
    qcow2_cache_publish(&q->l2, slice);
    qcow2_tidy_note_table(q);
    return 0;
}

int qcow2_l2_get(Qcow2 *q, uint64_t offset, Qcow2Table **ret_slice)
{
    uint64_t key = qcow2_map_slice(q, offset);
    bool is_new;
    int ret = qcow2_l2_load(q, offset);

    if (ret == 0)
        ret = own_table(q, offset, &is_new);
    if (ret == 0 && is_new)
        ret = publish_empty_slice(q, key);
    if (ret == 0)
        *ret_slice = qcow2_cache_find(&q->l2, key);
    return ret;
}

void qcow2_l2_set(Qcow2 *q, Qcow2Table *slice, unsigned index, Qcow2Entry entry)
{
    unsigned words = q->layout.entry_words;
    uint64_t *at = &slice->words[words * index];

    /* Who sees the entry sees that there was a change. */
    qcow2_flush_note_change(q);
    if (words == 2) {
        __atomic_store_n(&slice->sequence, slice->sequence + 1, __ATOMIC_RELAXED);
        /* A reader that sees one of the new words sees the odd sequence, too. */
        __atomic_store_n(&at[1], GUINT64_TO_BE(entry.bitmap), __ATOMIC_RELEASE);
    }
    __atomic_store_n(at, GUINT64_TO_BE(entry.entry), __ATOMIC_RELEASE);
    if (words == 2)
        __atomic_store_n(&slice->sequence, slice->sequence + 1, __ATOMIC_RELEASE);
    qcow2_cache_set_dirty(&q->l2, slice, words * index * 8, words * 8);
}
