/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking and deleting internal snapshots; nothing is under way.
 *
 * Both change refcounts, the list of snapshots, and the flags in the guest's tables that
 * say that a cluster has one reference.  No order of these is right at each moment, so
 * meanwhile the image says that it is dirty: after a crash the next who opens it counts
 * the references anew.  The list is written to a new place, and the snapshot is there, or
 * gone, when the header refers to that.
 *
 *     take      count the references; flags, so that nobody writes into what is shared;
 *               list; header
 *     delete    list; header; give up what it referred to; flags
 *
 * A snapshot that could not be taken is undone.  When one that was deleted cannot be
 * given up to the end, or an undo fails, the image stays dirty.
 */
#include <errno.h>
#include <string.h>

#include "berth/error.h"
#include "berth/log.h"

#include "qcow2-clusters.h"
#include "qcow2-snapshot.h"
#include "qcow2-tables.h"

#define MAX_NAME 255u

/* A list that the header is to refer to. */
typedef struct List {
    uint64_t offset;
    uint64_t size;              /* bytes */
    uint64_t n_clusters;
} List;

static uint64_t n_clusters_of(const Qcow2 *q, uint64_t size)
{
    return (size + qcow2_cluster_size(q) - 1) >> q->layout.cluster_bits;
}

static void undo_table(Qcow2 *q, Qcow2TableKind kind, uint64_t offset, uint64_t n)
{
    if (n == 0)
        return;
    qcow2_overlap_remove(q, kind, offset >> q->layout.cluster_bits, n);
    qcow2_alloc_undo(q, offset, n);
}

/* Writes the list of @snapshots to a new place; not flushed. */
static int write_list(Qcow2 *q, const GPtrArray *snapshots, List *list)
{
    g_autoptr(GByteArray) data = qcow2_snapshot_table_compose(snapshots);
    Qcow2Run run;
    int ret;

    *list = (List) { .size = data->len, .n_clusters = n_clusters_of(q, data->len) };
    if (list->n_clusters == 0)
        return 0;
    ret = data->len <= QCOW2_MAX_SNAPSHOT_TABLE_SIZE
        ? qcow2_alloc_table(q, QCOW2_SNAPSHOT_TABLE, list->n_clusters, &run) : -EFBIG;
    if (ret < 0) {
        list->n_clusters = 0;
        return ret;
    }
    list->offset = run.offset;
    return qcow2_disk_write(q, list->offset, data->data, data->len);
}

/* The header refers to @list, or to the old one. */
static int take_list(Qcow2 *q, const List *list, unsigned n)
{
    int ret = qcow2_flush(q);
    bool has_begun = ret == 0;

    if (ret == 0)
        ret = qcow2_header_set_snapshots(q, list->offset, n);
    if (ret == 0)
        ret = qcow2_disk_flush(q);
    if (ret == 0 || !has_begun)
        return ret;
    if (qcow2_header_set_snapshots(q, q->snapshots_offset, q->snapshots->len) < 0 ||
        qcow2_disk_flush(q) < 0)
        qcow2_corrupt(q, 0, qcow2_cluster_size(q),
                      "the header could not be written, nor the old one again");
    return ret;
}

/* Main sees @snapshots from here on; the old list's clusters go. */
static void publish(Qcow2 *q, GPtrArray *snapshots, const List *list)
{
    uint64_t n_old = n_clusters_of(q, q->snapshots_size);

    if (n_old > 0) {
        qcow2_overlap_remove(q, QCOW2_SNAPSHOT_TABLE,
                             q->snapshots_offset >> q->layout.cluster_bits, n_old);
        qcow2_free_later(q, q->snapshots_offset, n_old, QCOW2_DISCARD_SNAPSHOT);
    }
    lock_take(&q->queues_lock);
    g_ptr_array_unref(q->snapshots);
    q->snapshots = snapshots;
    q->snapshots_offset = list->offset;
    q->snapshots_size = list->size;
    lock_drop(&q->queues_lock);
}

static bool check(const Qcow2 *q, GError **error)
{
    if (q->node.read_only)
        error_set(error, "node '%s' is read-only", block_node_name(&q->node));
    else if (__atomic_load_n(&q->is_corrupt, __ATOMIC_RELAXED))
        error_set(error, "the image is corrupt");
    else if (q->layout.is_external)
        error_set(error, "an image with a data file has no snapshots");
    else if (q->layout.version < 3)
        error_set(error, "snapshots of an image of version 2 are not changed: qemu-img "
                  "amend -o compat=1.1 makes it one of version 3");
    else
        return true;
    return false;
}

/* What is on disk is what is in memory, and the image says that it is dirty. */
static int begin(Qcow2 *q)
{
    int ret = qcow2_flush(q);

    return ret == 0 ? qcow2_header_set_dirty(q, true) : ret;
}

/* Refcounts are right: flags follow, and the image is not dirty any more. */
static int settle(Qcow2 *q)
{
    int ret = qcow2_flush(q);

    if (ret == 0)
        ret = qcow2_references_set_flags(q);
    /* What the first one gave up is counted by the second. */
    if (ret == 0)
        ret = qcow2_flush(q);
    if (ret == 0 && !q->is_lazy && !q->keeps_dirty)
        ret = qcow2_header_set_dirty(q, false);
    return ret == 0 ? qcow2_disk_flush(q) : ret;
}

/* Ends what has begun; when that fails the image is counted anew by who opens it next. */
static void settle_or_stay_dirty(Qcow2 *q, int ret)
{
    g_autoptr(GError) error = NULL;

    q->keeps_dirty |= ret < 0;
    ret = settle(q);
    if (ret < 0) {
        q->keeps_dirty = true;
        qcow2_header_set_dirty(q, true);
    }
    if (q->keeps_dirty)
        log_warn("node '%s': its refcounts are to be counted anew when it is opened next",
                 block_node_name(&q->node));
    if (!q->is_corrupt && !qcow2_overlap_build(q, &error))
        qcow2_corrupt(q, 0, qcow2_cluster_size(q), "%s", error->message);
}

/* Take. */

static int add_reference(Qcow2 *q, uint64_t cluster, uint64_t n)
{
    int ret = qcow2_flush_if_due(q);

    return ret == 0 ? qcow2_refcount_add(q, cluster, n, 1) : ret;
}

static int drop_reference(Qcow2 *q, uint64_t cluster, uint64_t n)
{
    int ret = qcow2_flush_if_due(q);

    return ret == 0 ? qcow2_refcount_add(q, cluster, n, -1) : ret;
}

static char *free_id(const Qcow2 *q)
{
    uint64_t most = 0;

    for (guint i = 0; i < q->snapshots->len; i++) {
        const Qcow2Snapshot *snapshot = q->snapshots->pdata[i];

        most = MAX(most, g_ascii_strtoull(snapshot->id, NULL, 10) % UINT32_MAX);
    }
    return g_strdup_printf("%" PRIu64, most + 1);
}

static Qcow2Snapshot *new_snapshot(const Qcow2 *q, const char *name)
{
    int64_t now = g_get_real_time();
    Qcow2Snapshot *snapshot = g_new0(Qcow2Snapshot, 1);
    const uint64_t extra[] = {
        0, GUINT64_TO_BE(block_node_size(&q->node)), UINT64_MAX,
    };

    snapshot->n_l1 = q->n_l1;
    snapshot->id = free_id(q);
    snapshot->name = g_strdup(name);
    snapshot->date_sec = (uint32_t)(now / G_USEC_PER_SEC);
    snapshot->date_nsec = (uint32_t)(now % G_USEC_PER_SEC * 1000);
    snapshot->disk_size = block_node_size(&q->node);
    snapshot->extra_size = sizeof(extra);
    snapshot->extra = g_memdup2(extra, sizeof(extra));
    return snapshot;
}

static uint64_t n_l1_clusters(const Qcow2 *q, const Qcow2Snapshot *snapshot)
{
    return n_clusters_of(q, snapshot->n_l1 * sizeof(uint64_t));
}

/* The guest's L1 table, in which no flag says anything. */
static int write_l1(Qcow2 *q, Qcow2Snapshot *snapshot)
{
    g_autofree uint64_t *l1 = g_try_malloc_n(MAX(q->n_l1, 1), sizeof(*l1));
    uint64_t n = n_l1_clusters(q, snapshot);
    Qcow2Run run;
    int ret = l1 ? 0 : -ENOMEM;

    if (ret == 0 && n > 0)
        ret = qcow2_alloc_table(q, QCOW2_INACTIVE_L1, n, &run);
    if (ret < 0 || n == 0)
        return ret;
    snapshot->l1_offset = run.offset;
    for (uint32_t i = 0; i < q->n_l1; i++)
        l1[i] = q->l1[i] & ~QCOW2_COPIED;
    return qcow2_disk_write_words(q, run.offset, l1, q->n_l1);
}

static int take(Qcow2 *q, GPtrArray *snapshots, Qcow2Snapshot *snapshot, List *list)
{
    int ret = qcow2_references_set_flags(q);

    if (ret == 0)
        ret = write_l1(q, snapshot);
    if (ret == 0)
        ret = write_list(q, snapshots, list);
    return ret == 0 ? take_list(q, list, snapshots->len) : ret;
}

static int create(Qcow2 *q, GPtrArray *snapshots, Qcow2Snapshot *snapshot)
{
    uint64_t n_left = UINT64_MAX, n_added;
    List list = { 0 };
    int ret = begin(q), undo_ret;

    if (ret < 0)
        return ret;
    ret = qcow2_references_walk(q, q->l1, q->n_l1, &n_left, add_reference);
    n_added = UINT64_MAX - n_left;
    if (ret == 0)
        ret = take(q, snapshots, snapshot, &list);
    if (ret == 0) {
        publish(q, g_ptr_array_ref(snapshots), &list);
        settle_or_stay_dirty(q, 0);
        return 0;
    }
    /* If the header is not known to be the old one, nothing is given up any more. */
    if (q->is_corrupt)
        return ret;
    undo_table(q, QCOW2_SNAPSHOT_TABLE, list.offset, list.n_clusters);
    if (snapshot->l1_offset)
        undo_table(q, QCOW2_INACTIVE_L1, snapshot->l1_offset, n_l1_clusters(q, snapshot));
    undo_ret = qcow2_references_walk(q, q->l1, q->n_l1, &n_added, drop_reference);
    settle_or_stay_dirty(q, undo_ret);
    return ret;
}

static gpointer copy_snapshot(gconstpointer data, gpointer unused)
{
    const Qcow2Snapshot *snapshot = data;
    Qcow2Snapshot *copy = g_memdup2(snapshot, sizeof(*snapshot));

    copy->id = g_strdup(snapshot->id);
    copy->name = g_strdup(snapshot->name);
    copy->extra = g_memdup2(snapshot->extra, snapshot->extra_size);
    return copy;
}

static GPtrArray *copy_list(const Qcow2 *q)
{
    GPtrArray *list = g_ptr_array_copy(q->snapshots, copy_snapshot, NULL);

    g_ptr_array_set_free_func(list, qcow2_snapshot_table_free_entry);
    return list;
}

/* The index of the one that has what is not NULL; -1: none. */
static int find(const Qcow2 *q, const char *id, const char *name)
{
    for (guint i = 0; i < q->snapshots->len; i++) {
        const Qcow2Snapshot *snapshot = q->snapshots->pdata[i];

        if ((!id || strcmp(id, snapshot->id) == 0) &&
            (!name || strcmp(name, snapshot->name) == 0))
            return (int)i;
    }
    return -1;
}

static bool check_new(const Qcow2 *q, const char *name, GError **error)
{
    if (find(q, NULL, name) >= 0)
        error_set(error, "a snapshot '%s' is there already", name);
    else if (strlen(name) > MAX_NAME)
        error_set(error, "the name of a snapshot has %u bytes at most", MAX_NAME);
    else if (q->snapshots->len >= QCOW2_MAX_SNAPSHOTS)
        error_set(error, "there are %u snapshots, and no more can be",
                  q->snapshots->len);
    else
        return true;
    return false;
}

bool qcow2_snapshot_create(BlockNode *node, const char *name, GError **error)
{
    Qcow2 *q = qcow2_of(node);
    g_autoptr(GPtrArray) snapshots = NULL;
    Qcow2Snapshot *snapshot;
    int ret;

    if (!check(q, error) || !check_new(q, name, error))
        return false;
    lock_take_long(&q->lock);
    snapshot = new_snapshot(q, name);
    snapshots = copy_list(q);
    g_ptr_array_add(snapshots, snapshot);
    ret = create(q, snapshots, snapshot);
    lock_drop_long(&q->lock);
    if (ret == -ERANGE)
        error_set(error, "a refcount of %u bits cannot count one more snapshot",
                  1u << q->layout.refcount_order);
    else if (ret < 0)
        error_set_errno(error, -ret, "cannot take a snapshot");
    return ret == 0;
}

/* Delete. */

static int give_up_reference(Qcow2 *q, uint64_t cluster, uint64_t n)
{
    int ret = qcow2_flush_if_due(q);

    if (ret == 0)
        qcow2_free_later(q, cluster << q->layout.cluster_bits, n, QCOW2_DISCARD_SNAPSHOT);
    return ret;
}

static int delete(Qcow2 *q, GPtrArray *snapshots, const Qcow2Snapshot *snapshot)
{
    g_autofree uint64_t *l1 = g_try_malloc_n(MAX(snapshot->n_l1, 1), sizeof(*l1));
    uint64_t n_left = UINT64_MAX;
    List list = { 0 };
    int ret = l1 ? begin(q) : -ENOMEM;

    if (ret < 0)
        return ret;
    ret = qcow2_disk_read_words(q, snapshot->l1_offset, l1, snapshot->n_l1);
    if (ret == 0)
        ret = write_list(q, snapshots, &list);
    if (ret == 0)
        ret = take_list(q, &list, snapshots->len);
    if (ret < 0) {
        if (q->is_corrupt)
            return ret;
        undo_table(q, QCOW2_SNAPSHOT_TABLE, list.offset, list.n_clusters);
        settle_or_stay_dirty(q, 0);
        return ret;
    }
    publish(q, g_ptr_array_ref(snapshots), &list);
    ret = qcow2_references_walk(q, l1, snapshot->n_l1, &n_left, give_up_reference);
    if (ret == 0 && snapshot->n_l1 > 0) {
        qcow2_overlap_remove(q, QCOW2_INACTIVE_L1,
                             snapshot->l1_offset >> q->layout.cluster_bits,
                             n_l1_clusters(q, snapshot));
        qcow2_free_later(q, snapshot->l1_offset, n_l1_clusters(q, snapshot),
                         QCOW2_DISCARD_SNAPSHOT);
    }
    settle_or_stay_dirty(q, ret);
    return 0;
}

SnapshotInfo *qcow2_snapshot_delete(BlockNode *node, const char *id, const char *name,
                                    GError **error)
{
    Qcow2 *q = qcow2_of(node);
    g_autoptr(GPtrArray) snapshots = NULL;
    Qcow2Snapshot *snapshot;
    SnapshotInfo *info = NULL;
    int index = find(q, id, name), ret;

    if (!check(q, error))
        return NULL;
    if (index < 0) {
        error_set(error, "there is no snapshot '%s'", name ? name : id);
        return NULL;
    }
    lock_take_long(&q->lock);
    snapshots = copy_list(q);
    snapshot = g_ptr_array_steal_index(snapshots, (guint)index);
    ret = delete(q, snapshots, snapshot);
    lock_drop_long(&q->lock);
    if (ret < 0)
        error_set_errno(error, -ret, "cannot delete the snapshot");
    else
        info = qcow2_info_of_snapshot(snapshot);
    qcow2_snapshot_table_free_entry(snapshot);
    return info;
}
