/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which clusters of the file hold tables.
 *
 * An image that contradicts itself may say that a guest's cluster is one of them, or that
 * a table's cluster is free.  Each slice is checked when it is loaded, so that loops need
 * not look; each cluster that becomes a table's is compared with the slices in memory.
 * Two tables in one cluster are found when the image is opened.
 */
#include <errno.h>

#include "berth/error.h"

#include "qcow2-clusters.h"
#include "qcow2-image.h"
#include "qcow2-tables.h"

/* Tables that snapshots share with the guest's disk, and with each other. */
#define SHARED (QCOW2_ACTIVE_L2 | QCOW2_INACTIVE_L2)

static unsigned kinds_at(const Qcow2 *q, uint64_t cluster)
{
    return GPOINTER_TO_UINT(g_hash_table_lookup(q->metadata, (gpointer)cluster));
}

static void set_kinds(Qcow2 *q, uint64_t cluster, unsigned kinds)
{
    if (kinds)
        g_hash_table_insert(q->metadata, (gpointer)cluster, GUINT_TO_POINTER(kinds));
    else
        g_hash_table_remove(q->metadata, (gpointer)cluster);
}

static bool add(Qcow2 *q, Qcow2TableKind kind, uint64_t cluster, uint64_t n)
{
    if (!(q->guarded & kind))
        return true;
    for (uint64_t i = cluster; i < cluster + n; i++) {
        unsigned kinds = kinds_at(q, i);

        if (kinds && (kind == QCOW2_ACTIVE_L2 || !(kind & SHARED) || kinds & ~SHARED))
            return false;
        set_kinds(q, i, kinds | kind);
    }
    return true;
}

/* Whether an entry of a slice in memory refers to one of the clusters. */
static bool is_referred_to(const Qcow2 *q, uint64_t cluster, uint64_t n)
{
    unsigned words = q->layout.entry_words;
    size_t n_words = q->l2.table_size / sizeof(uint64_t);

    LIST_FOREACH(at, &q->l2.tables) {
        const Qcow2Table *slice = CONTAINER_OF(at, Qcow2Table, node);

        for (size_t i = 0; i < n_words; i += words) {
            uint64_t entry = GUINT64_FROM_BE(slice->words[i]);
            uint64_t host = (entry & QCOW2_OFFSET_MASK) >> q->layout.cluster_bits;

            if (host >= cluster && host < cluster + n && !(entry & QCOW2_COMPRESSED))
                return true;
        }
    }
    return false;
}

bool qcow2_overlap_add(Qcow2 *q, Qcow2TableKind kind, uint64_t cluster, uint64_t n)
{
    bool is_referred = !q->layout.is_external && q->guarded & kind &&
                       is_referred_to(q, cluster, n);

    return !is_referred && add(q, kind, cluster, n);
}

void qcow2_overlap_remove(Qcow2 *q, Qcow2TableKind kind, uint64_t cluster, uint64_t n)
{
    for (uint64_t i = cluster; i < cluster + n; i++)
        set_kinds(q, i, kinds_at(q, i) & ~(unsigned)kind);
}

bool qcow2_overlap_has_table(const Qcow2 *q, uint64_t cluster)
{
    return kinds_at(q, cluster) != 0;
}

bool qcow2_overlap_may_be_l2(const Qcow2 *q, uint64_t cluster)
{
    return cluster < q->file_end && !(kinds_at(q, cluster) & ~SHARED);
}

bool qcow2_overlap_is_data(const Qcow2 *q, uint64_t cluster, uint64_t n)
{
    if (q->layout.is_external)
        return true;
    for (uint64_t i = cluster; i < cluster + n; i++) {
        if (i >= q->file_end || kinds_at(q, i))
            return false;
    }
    return true;
}

bool qcow2_overlap_is_sound(const Qcow2 *q, const uint64_t *words)
{
    unsigned n = q->layout.entry_words;
    size_t n_words = q->l2.table_size / sizeof(uint64_t);

    for (size_t i = 0; i < n_words; i += n) {
        uint64_t entry = GUINT64_FROM_BE(words[i]);
        uint64_t host = entry & QCOW2_OFFSET_MASK, n_hosts = 1;

        if (q->layout.is_external || (host == 0 && !(entry & QCOW2_COMPRESSED)))
            continue;
        if (entry & QCOW2_COMPRESSED)
            host = qcow2_free_compressed_span(q, entry, &n_hosts);
        else if (qcow2_in_cluster(q, host))
            return false;
        else
            host >>= q->layout.cluster_bits;
        if (!qcow2_overlap_is_data(q, host, n_hosts))
            return false;
    }
    return true;
}

static uint64_t n_clusters(const Qcow2 *q, uint64_t size)
{
    return (size + qcow2_cluster_size(q) - 1) >> q->layout.cluster_bits;
}

static bool add_tables(Qcow2 *q, Qcow2TableKind kind, const uint64_t *entries, uint64_t n)
{
    bool ok = true;

    if (!(q->guarded & kind))
        return true;
    for (uint64_t i = 0; ok && i < n; i++) {
        uint64_t offset = entries[i] & QCOW2_OFFSET_MASK;

        if (offset != 0)
            ok = add(q, kind, offset >> q->layout.cluster_bits, 1);
    }
    return ok;
}

static bool add_snapshot(Qcow2 *q, const Qcow2Snapshot *snapshot)
{
    g_autofree uint64_t *l1 = NULL;
    size_t size = snapshot->n_l1 * sizeof(uint64_t);

    if (!add(q, QCOW2_INACTIVE_L1, snapshot->l1_offset >> q->layout.cluster_bits,
             n_clusters(q, size)))
        return false;
    if (!(q->guarded & QCOW2_INACTIVE_L2))
        return true;
    /* A table that cannot be read now is not guarded. */
    l1 = g_try_malloc(size);
    if (!l1 || qcow2_disk_read_words(q, snapshot->l1_offset, l1, snapshot->n_l1) < 0)
        return true;
    return add_tables(q, QCOW2_INACTIVE_L2, l1, snapshot->n_l1);
}

bool qcow2_overlap_build(Qcow2 *q, GError **error)
{
    unsigned bits = q->layout.cluster_bits;
    bool ok = true;

    g_hash_table_remove_all(q->metadata);
    ok = add(q, QCOW2_MAIN_HEADER, 0, 1) &&
        add(q, QCOW2_REFCOUNT_TABLE, q->reftable_offset >> bits,
            n_clusters(q, q->n_reftable * sizeof(uint64_t))) &&
        add(q, QCOW2_ACTIVE_L1, q->l1_offset >> bits,
            n_clusters(q, q->n_l1 * sizeof(uint64_t))) &&
        add(q, QCOW2_SNAPSHOT_TABLE, q->snapshots_offset >> bits,
            n_clusters(q, q->snapshots_size)) &&
        add_tables(q, QCOW2_REFCOUNT_BLOCK, q->reftable, q->n_reftable) &&
        add_tables(q, QCOW2_ACTIVE_L2, q->l1, q->n_l1);
    if (ok && q->autoclear & QCOW2_BITMAPS)
        ok = add(q, QCOW2_BITMAP_DIRECTORY, q->bitmaps.directory_offset >> bits,
                 n_clusters(q, q->bitmaps.directory_size));
    for (guint i = 0; ok && i < q->snapshots->len; i++)
        ok = add_snapshot(q, q->snapshots->pdata[i]);
    if (!ok)
        error_set(error, "the image is corrupt: two of its tables share a cluster; "
                  "qemu-img check can repair it");
    return ok;
}
