/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clients are told of an image.  Main asks, and takes no lock that a worker holds
 * while it waits for a disk.
 */
#include "qcow2-image.h"

SnapshotInfo *qcow2_info_of_snapshot(const Qcow2Snapshot *snapshot)
{
    SnapshotInfo *info = g_new0(SnapshotInfo, 1);

    info->id = g_utf8_make_valid(snapshot->id, -1);
    info->name = g_utf8_make_valid(snapshot->name, -1);
    info->vm_state_size = (int64_t)MIN(snapshot->vm_state_size, (uint64_t)INT64_MAX);
    info->date_sec = snapshot->date_sec;
    info->date_nsec = snapshot->date_nsec;
    info->vm_clock_sec = (int64_t)(snapshot->vm_clock_ns / NS_PER_SEC);
    info->vm_clock_nsec = (int64_t)(snapshot->vm_clock_ns % NS_PER_SEC);
    info->has_icount = snapshot->has_icount;
    info->icount = (int64_t)snapshot->icount;
    return info;
}

static SnapshotInfoList *list_snapshots(const Qcow2 *q)
{
    SnapshotInfoList *list = SnapshotInfoList_new();

    for (guint i = 0; i < q->snapshots->len; i++)
        SnapshotInfoList_append(list, qcow2_info_of_snapshot(q->snapshots->pdata[i]));
    return list;
}

static Qcow2BitmapInfoList *list_bitmaps(const Qcow2 *q)
{
    Qcow2BitmapInfoList *list = Qcow2BitmapInfoList_new();

    for (guint i = 0; i < q->bitmap_list->len; i++) {
        const Qcow2Bitmap *bitmap = q->bitmap_list->pdata[i];
        Qcow2BitmapInfo *info = g_new0(Qcow2BitmapInfo, 1);

        info->name = g_utf8_make_valid(bitmap->name, -1);
        info->granularity = 1u << bitmap->granularity_bits;
        info->flags = Qcow2BitmapInfoFlagsList_new();
        if (bitmap->flags & QCOW2_BITMAP_IN_USE)
            Qcow2BitmapInfoFlagsList_append(info->flags, QCOW2_BITMAP_INFO_FLAGS_IN_USE);
        if (bitmap->flags & QCOW2_BITMAP_AUTO)
            Qcow2BitmapInfoFlagsList_append(info->flags, QCOW2_BITMAP_INFO_FLAGS_AUTO);
        Qcow2BitmapInfoList_append(list, info);
    }
    return list;
}

static ImageInfoSpecificQCow2 *describe_specific(const Qcow2 *q)
{
    const Qcow2Layout *layout = &q->layout;
    ImageInfoSpecificQCow2 *info = g_new0(ImageInfoSpecificQCow2, 1);

    info->compat = g_strdup(layout->version < 3 ? "0.10" : "1.1");
    info->refcount_bits = 1 << layout->refcount_order;
    info->compression_type = layout->compression == QCOW2_ZSTD
        ? QCOW2_COMPRESSION_TYPE_ZSTD : QCOW2_COMPRESSION_TYPE_ZLIB;
    if (layout->version < 3)
        return info;
    info->has_lazy_refcounts = true;
    info->lazy_refcounts = q->compatible & QCOW2_LAZY_REFCOUNTS;
    info->has_corrupt = true;
    info->corrupt = q->was_corrupt || __atomic_load_n(&q->is_corrupt, __ATOMIC_RELAXED);
    info->has_extended_l2 = true;
    info->extended_l2 = layout->entry_words == 2;
    if (q->bitmap_list->len > 0)
        info->bitmaps = list_bitmaps(q);
    if (!layout->is_external)
        return info;
    info->data_file = g_strdup(q->data_file_name);
    info->has_data_file_raw = true;
    info->data_file_raw = layout->is_raw;
    return info;
}

void qcow2_info_describe(BlockNode *node, ImageInfo *info)
{
    Qcow2 *q = qcow2_of(node);

    info->dirty_flag = __atomic_load_n(&q->is_dirty_for_query, __ATOMIC_RELAXED);
    info->has_cluster_size = true;
    info->cluster_size = (int64_t)qcow2_cluster_size(q);
    lock_take(&q->queues_lock);
    if (q->backing_name)
        info->backing_filename = g_utf8_make_valid(q->backing_name, -1);
    if (q->backing_name)
        info->full_backing_filename = qcow2_backing_path(q);
    if (q->backing_format)
        info->backing_filename_format = g_utf8_make_valid(q->backing_format, -1);
    if (q->snapshots->len > 0)
        info->snapshots = list_snapshots(q);
    info->format_specific = g_new0(ImageInfoSpecific, 1);
    info->format_specific->type = IMAGE_INFO_SPECIFIC_KIND_QCOW2;
    info->format_specific->u.qcow2.data = describe_specific(q);
    lock_drop(&q->queues_lock);
}

static uint64_t sum_cache(const Qcow2Cache *cache, uint64_t n_tables)
{
    return n_tables * (cache->table_size + sizeof(Qcow2Table)) +
        (cache->mask + 1ull) * sizeof(cache->buckets[0]);
}

/*
 * While a worker has the lock the caches count as full.  What is dirty may be more than
 * that until the next flush.
 */
void qcow2_info_memory(BlockNode *node, uint64_t *ret_now, uint64_t *ret_most)
{
    Qcow2 *q = qcow2_of(node);
    uint64_t tables;
    bool is_ours;

    if (!q->is_open)
        return;
    is_ours = lock_try_long(&q->lock);
    tables = (q->n_l1 + (is_ours ? q->n_reftable : 0)) * sizeof(uint64_t) +
        (is_ours ? q->header_size : 0);
    *ret_most = tables + sum_cache(&q->l2, q->l2.max_tables) +
        sum_cache(&q->refblocks, q->refblocks.max_tables);
    *ret_now = *ret_most;
    if (!is_ours)
        return;
    *ret_now = tables + sum_cache(&q->l2, q->l2.n_tables) +
        sum_cache(&q->refblocks, q->refblocks.n_tables);
    lock_drop_long(&q->lock);
}
