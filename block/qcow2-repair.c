/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counting references anew, in an image whose refcounts were not written before a crash.
 *
 * The tables are right, since they are written in order; the refcounts follow from them.
 * A window of clusters is counted at a time, by a walk over all tables, so memory has a
 * bound whatever size the file has.  Blocks that are missing are made behind the end of
 * the file.  At last the flags that say that a cluster has one reference are set right.
 *
 * An image in which more than that is wrong is left to qemu-img check.
 */
#include <errno.h>
#include <stdlib.h>

#include "berth/error.h"
#include "berth/log.h"

#include "qcow2-clusters.h"
#include "qcow2-image.h"
#include "qcow2-tables.h"

#define WINDOW (4u * 1024 * 1024)       /* clusters */
#define MAX_WINDOWS 64u

typedef struct Repair {
    Qcow2 *q;
    uint64_t begin;             /* of the window, clusters */
    uint64_t n;
    uint32_t *counts;
    uint64_t end;               /* of the file, clusters */
    uint64_t *table;            /* an L2 table */
    uint64_t n_changed;
    GError **error;
} Repair;

static bool refuse(const Repair *repair, const char *what, uint64_t offset)
{
    error_set(repair->error, "the image is dirty and cannot be repaired here: %s would "
              "be at %#" PRIx64 "; qemu-img check -r all may do more", what, offset);
    return false;
}

static bool fail(const Repair *repair, int ret, const char *what)
{
    error_set_errno(repair->error, -ret, "the image is dirty: cannot %s", what);
    return false;
}

/* Counts a reference to @n clusters. */
static bool refer(Repair *repair, const char *what, uint64_t cluster, uint64_t n)
{
    if (cluster > repair->end || n > repair->end - cluster)
        return refuse(repair, what, cluster << repair->q->layout.cluster_bits);
    for (uint64_t i = MAX(cluster, repair->begin);
         i < MIN(cluster + n, repair->begin + repair->n); i++)
        repair->counts[i - repair->begin]++;
    return true;
}

static bool refer_bytes(Repair *repair, const char *what, uint64_t offset, uint64_t size)
{
    const Qcow2 *q = repair->q;

    if (qcow2_in_cluster(q, offset))
        return refuse(repair, what, offset);
    return refer(repair, what, offset >> q->layout.cluster_bits,
                 (size + qcow2_cluster_size(q) - 1) >> q->layout.cluster_bits);
}

static uint64_t table_words(const Qcow2 *q)
{
    return qcow2_cluster_size(q) / sizeof(uint64_t);
}

static bool read_l2(Repair *repair, uint64_t offset)
{
    int ret = qcow2_disk_read_words(repair->q, offset, repair->table,
                                    table_words(repair->q));

    return ret == 0 || fail(repair, ret, "read an L2 table");
}

static bool refer_entry(Repair *repair, uint64_t entry)
{
    const Qcow2 *q = repair->q;
    uint64_t first, n;

    if (q->layout.is_external)
        return true;
    if (entry & QCOW2_COMPRESSED) {
        first = qcow2_free_compressed_span(q, entry, &n);
        return refer(repair, "a compressed cluster", first, n);
    }
    if (!(entry & QCOW2_OFFSET_MASK))
        return true;
    return refer_bytes(repair, "a cluster", entry & QCOW2_OFFSET_MASK,
                       qcow2_cluster_size(q));
}

/* A disk has each L2 table once: no more of them are read than the file has clusters. */
static bool refer_l1(Repair *repair, uint64_t offset, const uint64_t *l1, uint64_t n_l1)
{
    Qcow2 *q = repair->q;
    uint64_t n_tables = 0;

    if (!refer_bytes(repair, "an L1 table", offset, n_l1 * sizeof(*l1)))
        return false;
    for (uint64_t i = 0; i < n_l1; i++) {
        uint64_t at = l1[i] & QCOW2_OFFSET_MASK;

        if (at == 0)
            continue;
        if (++n_tables > repair->end)
            return refuse(repair, "one L2 table too many", at);
        if (!refer_bytes(repair, "an L2 table", at, qcow2_cluster_size(q)) ||
            !read_l2(repair, at))
            return false;
        for (uint64_t j = 0; j < table_words(q); j += q->layout.entry_words) {
            if (!refer_entry(repair, repair->table[j]))
                return false;
        }
    }
    return true;
}

static bool refer_snapshot(Repair *repair, const Qcow2Snapshot *snapshot)
{
    g_autofree uint64_t *l1 = g_try_malloc0_n(MAX(snapshot->n_l1, 1), sizeof(*l1));
    int ret = l1 ? qcow2_disk_read_words(repair->q, snapshot->l1_offset, l1,
                                         snapshot->n_l1) : -ENOMEM;

    if (ret < 0)
        return fail(repair, ret, "read the L1 table of a snapshot");
    return refer_l1(repair, snapshot->l1_offset, l1, snapshot->n_l1);
}

static bool refer_bitmap(Repair *repair, const Qcow2Bitmap *bitmap)
{
    Qcow2 *q = repair->q;
    g_autofree uint64_t *table = NULL;
    bool ok = refer_bytes(repair, "the table of a bitmap", bitmap->table_offset,
                          bitmap->n_table * sizeof(*table));

    if (ok)
        table = qcow2_bitmaps_read_table(q, bitmap, repair->error);
    ok = table != NULL;
    for (uint32_t i = 0; ok && i < bitmap->n_table; i++) {
        uint64_t at = table[i] & QCOW2_OFFSET_MASK;

        if (at != 0)
            ok = refer_bytes(repair, "a part of a bitmap", at, qcow2_cluster_size(q));
    }
    return ok;
}

static bool refer_bitmaps(Repair *repair)
{
    const Qcow2 *q = repair->q;
    bool ok = true;

    if (!(q->autoclear & QCOW2_BITMAPS))
        return true;
    ok = refer_bytes(repair, "the list of bitmaps", q->bitmaps.directory_offset,
                     q->bitmaps.directory_size);
    for (guint i = 0; ok && i < q->bitmap_list->len; i++)
        ok = refer_bitmap(repair, q->bitmap_list->pdata[i]);
    return ok;
}

static bool refer_refcounts(Repair *repair)
{
    Qcow2 *q = repair->q;

    if (!refer_bytes(repair, "the refcount table", q->reftable_offset,
                     q->n_reftable * sizeof(uint64_t)))
        return false;
    for (uint64_t i = 0; i < q->n_reftable; i++) {
        uint64_t at = q->reftable[i] & ~QCOW2_REFTABLE_RESERVED;

        if (at != 0 &&
            !refer_bytes(repair, "a refcount block", at, qcow2_cluster_size(q)))
            return false;
    }
    return true;
}

static bool refer_all(Repair *repair)
{
    Qcow2 *q = repair->q;
    bool ok = refer(repair, "the header", 0, 1) && refer_refcounts(repair) &&
        refer_l1(repair, q->l1_offset, q->l1, q->n_l1) &&
        refer_bytes(repair, "the list of snapshots", q->snapshots_offset,
                    q->snapshots_size) &&
        refer_bitmaps(repair);

    for (guint i = 0; ok && i < q->snapshots->len; i++)
        ok = refer_snapshot(repair, q->snapshots->pdata[i]);
    return ok;
}

static int set_count(Repair *repair, uint64_t cluster, uint64_t count)
{
    Qcow2 *q = repair->q;
    uint64_t most = UINT64_MAX >> (64 - (1u << q->layout.refcount_order));
    uint64_t before;
    int ret = qcow2_refcount_get(q, cluster, &before);

    if (ret < 0 || before == count)
        return ret;
    if (count > most)
        return -ERANGE;
    if (count > 0)
        ret = qcow2_reftable_add_block(q, cluster >> q->layout.refblock_bits);
    repair->n_changed++;
    return ret == 0 ? qcow2_refcount_set(q, cluster, 1, count) : ret;
}

/* What piles up goes to the disk: a crash finds the image dirty still. */
static bool fix_window(Repair *repair)
{
    Qcow2 *q = repair->q;
    int ret = 0;

    for (uint64_t i = 0; ret == 0 && i < repair->n; i++) {
        ret = set_count(repair, repair->begin + i, repair->counts[i]);
        if (ret == 0 && i % 1024 == 0)
            ret = qcow2_flush_if_due(q);
    }
    return ret == 0 || fail(repair, ret, "write refcounts");
}

static bool count_windows(Repair *repair)
{
    for (repair->begin = 0; repair->begin < repair->end; repair->begin += WINDOW) {
        repair->n = MIN(repair->end - repair->begin, WINDOW);
        memset(repair->counts, 0, repair->n * sizeof(*repair->counts));
        if (!refer_all(repair) || !fix_window(repair))
            return false;
    }
    return true;
}

/* Whether @entry has the flag that it ought to have; else it has afterwards. */
static int fix_flag(Qcow2 *q, uint64_t *entry, bool *changed)
{
    uint64_t cluster = (*entry & QCOW2_OFFSET_MASK) >> q->layout.cluster_bits;
    uint64_t count;
    int ret = qcow2_refcount_get(q, cluster, &count);

    if (ret < 0 || (count == 1) == !!(*entry & QCOW2_COPIED))
        return ret;
    *entry ^= QCOW2_COPIED;
    *changed = true;
    return 0;
}

static bool fix_l2(Repair *repair, uint64_t offset)
{
    Qcow2 *q = repair->q;
    bool changed = false;
    int ret = 0;

    if (q->layout.is_external)
        return true;
    if (!read_l2(repair, offset))
        return false;
    for (uint64_t i = 0; ret == 0 && i < table_words(q); i += q->layout.entry_words) {
        uint64_t *entry = &repair->table[i];

        if (*entry & QCOW2_OFFSET_MASK && !(*entry & QCOW2_COMPRESSED))
            ret = fix_flag(q, entry, &changed);
    }
    if (ret == 0 && changed)
        ret = qcow2_disk_write_words(q, offset, repair->table, table_words(q));
    return ret == 0 || fail(repair, ret, "write an L2 table");
}

static bool fix_flags(Repair *repair)
{
    Qcow2 *q = repair->q;

    for (uint64_t i = 0; i < q->n_l1; i++) {
        bool changed = false;
        int ret;

        if (!(q->l1[i] & QCOW2_OFFSET_MASK))
            continue;
        ret = fix_flag(q, &q->l1[i], &changed);
        if (ret < 0)
            return fail(repair, ret, "read refcounts");
        if (changed) {
            qcow2_flush_add_to_span(&q->l1_dirty, i);
            qcow2_flush_note_change(q);
        }
        if (!fix_l2(repair, q->l1[i] & QCOW2_OFFSET_MASK))
            return false;
    }
    return true;
}

static bool repair_locked(Repair *repair)
{
    Qcow2 *q = repair->q;
    int ret;

    if (!count_windows(repair) || !fix_flags(repair))
        return false;
    ret = qcow2_flush(q);
    if (ret == 0)
        ret = qcow2_header_set_dirty(q, false);
    if (ret == 0)
        ret = qcow2_disk_flush(q);
    if (ret < 0)
        return fail(repair, ret, "write its refcounts");
    log_warn("node '%s': the image was dirty: %" PRIu64 " refcounts were repaired",
             block_node_name(&q->node), repair->n_changed);
    return true;
}

bool qcow2_repair(Qcow2 *q, GError **error)
{
    Repair repair = { .q = q, .end = q->file_end, .error = error };
    bool ok = false;

    if (q->file_end / WINDOW >= MAX_WINDOWS)
        return refuse(&repair, "its end", q->file_end << q->layout.cluster_bits);
    repair.counts = g_try_malloc_n(MIN(q->file_end, WINDOW), sizeof(*repair.counts));
    repair.table = g_try_malloc(qcow2_cluster_size(q));
    lock_take_long(&q->lock);
    q->used_end = q->file_end;
    q->dirty_is_stable = true;
    if (repair.counts && repair.table)
        ok = repair_locked(&repair);
    else
        fail(&repair, -ENOMEM, "repair it");
    lock_drop_long(&q->lock);
    g_free(repair.counts);
    g_free(repair.table);
    return ok;
}
