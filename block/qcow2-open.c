/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and closing an image.
 */
#include <errno.h>
#include <stdlib.h>

#include "berth/error.h"
#include "berth/log.h"

#include "qcow2-clusters.h"
#include "qcow2-image.h"
#include "qcow2-tables.h"

bool qcow2_open_prepare(BlockNode *node, GError **error)
{
    Qcow2 *q = qcow2_of(node);

    q->options = &node->options->u.qcow2;
    g_mutex_init(&q->lock);
    g_mutex_init(&q->queues_lock);
    g_cond_init(&q->woken);
    for (unsigned i = 0; i < QCOW2_CLAIM_CONDS; i++)
        g_cond_init(&q->claim_ended[i]);
    list_init(&q->claims);
    list_init(&q->queues);
    q->loading = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    q->reusable = g_array_new(FALSE, FALSE, sizeof(Qcow2Free));
    q->pending = g_array_new(FALSE, FALSE, sizeof(Qcow2Free));
    q->written = g_array_new(FALSE, FALSE, sizeof(Qcow2Free));
    q->draining = g_array_new(FALSE, FALSE, sizeof(Qcow2Free));
    q->metadata = g_hash_table_new(g_direct_hash, g_direct_equal);
    q->snapshots = g_ptr_array_new_with_free_func(qcow2_snapshot_table_free_entry);
    q->bitmap_list = g_ptr_array_new_with_free_func(qcow2_bitmaps_free_entry);
    return true;
}

static void free_all(Qcow2 *q)
{
    qcow2_cache_done(&q->l2);
    qcow2_cache_done(&q->refblocks);
    g_array_unref(q->loading);
    g_array_unref(q->reusable);
    g_array_unref(q->pending);
    g_array_unref(q->written);
    g_array_unref(q->draining);
    g_hash_table_unref(q->metadata);
    g_ptr_array_unref(q->snapshots);
    g_ptr_array_unref(q->bitmap_list);
    g_free(q->l1);
    g_free(q->reftable);
    g_free(q->backing_name);
    g_free(q->backing_format);
    g_free(q->data_file_name);
    g_free(q->corrupt_text);
    free(q->header);
    free(q->path);
    g_cond_clear(&q->woken);
    for (unsigned i = 0; i < QCOW2_CLAIM_CONDS; i++)
        g_cond_clear(&q->claim_ended[i]);
    g_mutex_clear(&q->queues_lock);
    g_mutex_clear(&q->lock);
}

/* What is not in the file stays as calloc() made it, and takes no memory. */
static bool read_table(Qcow2 *q, const char *name, uint64_t offset, uint64_t n,
                       uint64_t **ret_table, GError **error)
{
    uint64_t end = block_node_size(q->file);
    uint64_t n_there = offset < end ? (end - offset + 7) / sizeof(uint64_t) : 0;
    int ret;

    *ret_table = g_try_malloc0_n(MAX(n, 1), sizeof(uint64_t));
    ret = *ret_table ? qcow2_disk_read_words(q, offset, *ret_table, MIN(n, n_there))
                     : -ENOMEM;
    if (ret < 0)
        error_set_errno(error, -ret, "cannot read the %s", name);
    return ret == 0;
}

bool qcow2_open_check(Qcow2 *q, bool *read_only, GError **error)
{
    bool is_fixed = block_node_is_read_only(q->file) || block_node_is_read_only(q->data);

    if (is_fixed && q->node.options->auto_read_only)
        *read_only = true;
    if (*read_only)
        return true;
    if (is_fixed) {
        error_set(error, "the image is to be written and its file is read-only");
        return false;
    }
    if (q->incompatible & QCOW2_CORRUPT ||
        __atomic_load_n(&q->is_corrupt, __ATOMIC_RELAXED)) {
        error_set(error, "the image is corrupt and cannot be written; qemu-img check can "
                  "repair it");
        return false;
    }
    return true;
}

void qcow2_open_set_limits(Qcow2 *q)
{
    const BlockLimits *file = block_node_limits(q->file);
    const BlockLimits *data = block_node_limits(q->data);
    uint32_t alignment = MAX(file->request_alignment, data->request_alignment);

    q->node.limits = (BlockLimits) {
        .request_alignment = alignment,
        .memory_alignment = MAX(file->memory_alignment, data->memory_alignment),
        .max_transfer = data->max_transfer,
        .max_iov = data->max_iov,
        .discard_alignment = (uint32_t)qcow2_cluster_size(q),
        .zero_alignment = 1u << q->layout.unit_bits,
    };
}

bool qcow2_open_is_lazy(const Qcow2 *q)
{
    bool wants = q->options->has_lazy_refcounts ? q->options->lazy_refcounts
                                                : q->compatible & QCOW2_LAZY_REFCOUNTS;

    return wants && q->layout.version >= 3;
}

static bool read_image(Qcow2 *q, GError **error)
{
    uint64_t size = qcow2_cluster_size(q);
    uint64_t file_size = block_node_size(q->file);

    q->file_end = (file_size + size - 1) / size;
    q->zero_from = q->file_end * size;
    q->size_at_open = file_size;
    q->is_dirty_for_query = q->incompatible & QCOW2_DIRTY;
    q->was_corrupt = q->incompatible & QCOW2_CORRUPT;
    return read_table(q, "L1 table", q->l1_offset, q->n_l1, &q->l1, error) &&
        read_table(q, "refcount table", q->reftable_offset, q->n_reftable, &q->reftable,
                   error) &&
        qcow2_snapshot_table_read(q, error) && qcow2_bitmaps_read(q, error);
}

/* Bits that are not known promise what a writer who does not know them breaks. */
static bool clear_unknown(Qcow2 *q, GError **error)
{
    uint64_t known = q->autoclear & QCOW2_AUTOCLEAR_KNOWN;
    int ret;

    if (known == q->autoclear)
        return true;
    ret = qcow2_header_set_autoclear(q, known);
    if (ret == 0)
        ret = qcow2_disk_flush(q);
    if (ret < 0)
        error_set_errno(error, -ret, "cannot write the header");
    return ret == 0;
}

/* What is read comes first: when that fails nothing has been written. */
static bool make_writable_locked(Qcow2 *q, GError **error)
{
    int ret;

    q->guarded = qcow2_options_guarded(q->options);
    if (!qcow2_overlap_build(q, error))
        return false;
    ret = qcow2_refcount_find_end(q, &q->used_end);
    if (ret < 0) {
        error_set_errno(error, -ret, "cannot read refcounts");
        return false;
    }
    return clear_unknown(q, error) && qcow2_bitmaps_mark(q, error);
}

bool qcow2_open_make_writable(Qcow2 *q, GError **error)
{
    bool ok;

    if (q->incompatible & QCOW2_DIRTY && !qcow2_repair(q, error))
        return false;
    lock_take_long(&q->lock);
    ok = make_writable_locked(q, error);
    lock_drop_long(&q->lock);
    return ok;
}

bool qcow2_open_image(BlockNode *node, GError **error)
{
    Qcow2 *q = qcow2_of(node);

    q->file = block_node_child(node, BLOCK_ROLE_STORAGE);
    q->data = q->file;
    qcow2_backing_find_path(q);
    if (!qcow2_header_read(q, error) || !qcow2_backing_open_data(q, error))
        return false;
    if (!q->data)
        q->data = q->file;
    if (q->layout.is_raw && (q->backing_name || q->options->backing)) {
        error_set(error, "an image with a raw data file cannot have a backing file");
        return false;
    }
    if (!qcow2_open_check(q, &node->read_only, error) ||
        !qcow2_options_make_caches(q, error) || !read_image(q, error))
        return false;
    qcow2_options_set_discards(q);
    qcow2_open_set_limits(q);
    q->is_lazy = qcow2_open_is_lazy(q);
    return qcow2_backing_open(q, error);
}

bool qcow2_open_begin(BlockNode *node, GError **error)
{
    Qcow2 *q = qcow2_of(node);

    if (!node->read_only && !qcow2_open_make_writable(q, error))
        return false;
    q->is_open = true;
    return true;
}

/* The file is no longer than it was, or than is needed. */
static void give_back(Qcow2 *q)
{
    uint64_t end = MAX(q->size_at_open, q->used_end << q->layout.cluster_bits);
    g_autoptr(GError) error = NULL;

    if (block_node_size(q->file) <= end)
        return;
    if (!block_node_resize(q->file, end, PREALLOC_MODE_OFF, &error))
        log_warn("node '%s': %s", block_node_name(&q->node), error->message);
}

static int save_locked(Qcow2 *q)
{
    bool was_lazy = q->is_lazy;
    int ret;

    q->is_lazy = false;
    if (was_lazy)
        qcow2_flush_note_change(q);
    ret = qcow2_flush(q);
    /* What was given up only now is counted once more. */
    if (ret == 0)
        ret = qcow2_flush(q);
    if (ret < 0 || !(q->incompatible & QCOW2_DIRTY) || q->keeps_dirty)
        return ret;
    ret = qcow2_header_set_dirty(q, false);
    return ret == 0 ? qcow2_disk_flush(q) : ret;
}

int qcow2_open_save(Qcow2 *q)
{
    int ret = 0;

    lock_take_long(&q->lock);
    if (!q->is_corrupt)
        ret = save_locked(q);
    if (!q->is_corrupt && ret == 0)
        give_back(q);
    lock_drop_long(&q->lock);
    return ret;
}

void qcow2_open_close(BlockNode *node)
{
    Qcow2 *q = qcow2_of(node);
    int ret = q->is_open && !node->read_only ? qcow2_open_save(q) : 0;

    if (ret < 0)
        log_error("node '%s': what was not flushed may be lost: %s",
                  block_node_name(node), error_text(-ret));
    free_all(q);
}
