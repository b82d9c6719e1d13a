/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tables of a snapshot, or of the guest's disk, refer to.
 *
 * Tables are read from the disk: all is flushed before.  What cannot be a guest's cluster
 * or an L2 table ends the walk, so that no refcount of another table is touched.
 */
#include <errno.h>
#include <stdlib.h>

#include "qcow2-clusters.h"
#include "qcow2-snapshot.h"
#include "qcow2-tables.h"

typedef struct Walk {
    Qcow2 *q;
    Qcow2ReferenceFn *fn;
    uint64_t *n_left;           /* references to see */
} Walk;

/* 1: enough. */
static int visit(const Walk *walk, uint64_t cluster, uint64_t n)
{
    int ret;

    if (*walk->n_left == 0)
        return 1;
    ret = walk->fn(walk->q, cluster, n);
    *walk->n_left -= ret == 0;
    return ret;
}

static int visit_entry(const Walk *walk, uint64_t entry)
{
    Qcow2 *q = walk->q;
    uint64_t host = entry & QCOW2_OFFSET_MASK, n = 1;

    if (entry & QCOW2_COMPRESSED)
        host = qcow2_free_compressed_span(q, entry, &n) << q->layout.cluster_bits;
    else if (host == 0)
        return 0;
    if (qcow2_in_cluster(q, host) ||
        !qcow2_overlap_is_data(q, host >> q->layout.cluster_bits, n))
        return qcow2_corrupt(q, host, qcow2_cluster_size(q),
                             "an L2 table has the entry %#" PRIx64, entry);
    return visit(walk, host >> q->layout.cluster_bits, n);
}

static int visit_table(const Walk *walk, uint64_t offset, uint64_t *words)
{
    Qcow2 *q = walk->q;
    uint64_t n = qcow2_cluster_size(q) / sizeof(*words);
    int ret;

    if (qcow2_in_cluster(q, offset) ||
        !qcow2_overlap_may_be_l2(q, offset >> q->layout.cluster_bits))
        return qcow2_corrupt(q, offset, qcow2_cluster_size(q),
                             "an L1 table refers to %#" PRIx64, offset);
    ret = qcow2_disk_read_words(q, offset, words, n);
    for (uint64_t i = 0; ret == 0 && i < n; i += q->layout.entry_words)
        ret = visit_entry(walk, words[i]);
    return ret == 0 ? visit(walk, offset >> q->layout.cluster_bits, 1) : ret;
}

int qcow2_references_walk(Qcow2 *q, const uint64_t *l1, uint64_t n_l1, uint64_t *n_left,
                          Qcow2ReferenceFn *fn)
{
    const Walk walk = { q, fn, n_left };
    uint64_t *words = qcow2_disk_buffer(q, qcow2_cluster_size(q));
    int ret = words ? 0 : -ENOMEM;

    for (uint64_t i = 0; ret == 0 && i < n_l1; i++) {
        if (l1[i] & QCOW2_OFFSET_MASK)
            ret = visit_table(&walk, l1[i] & QCOW2_OFFSET_MASK, words);
    }
    free(words);
    return ret < 0 ? ret : 0;
}

/* Whether the flag of @entry, which refers to a cluster, is to change. */
static int is_wrong(Qcow2 *q, uint64_t entry, bool *ret_is_wrong)
{
    uint64_t count;
    int ret = qcow2_refcount_get(q, (entry & QCOW2_OFFSET_MASK) >> q->layout.cluster_bits,
                                 &count);

    *ret_is_wrong = ret == 0 && (count == 1) != !!(entry & QCOW2_COPIED);
    return ret;
}

static int set_flags_of_slice(Qcow2 *q, uint64_t offset)
{
    unsigned n = 1u << q->layout.slice_bits;
    int ret = qcow2_flush_if_due(q);
    Qcow2Table *slice;

    if (ret == 0)
        ret = qcow2_l2_load(q, offset);
    slice = ret == 0 ? qcow2_cache_find(&q->l2, qcow2_map_slice(q, offset)) : NULL;
    for (unsigned i = 0; slice && ret == 0 && i < n; i++) {
        Qcow2Entry entry = qcow2_map_get(q, slice, i);
        bool wrong = false;

        if (entry.entry & QCOW2_OFFSET_MASK && !(entry.entry & QCOW2_COMPRESSED))
            ret = is_wrong(q, entry.entry, &wrong);
        entry.entry ^= QCOW2_COPIED;
        if (wrong)
            qcow2_l2_set(q, slice, i, entry);
    }
    return ret;
}

int qcow2_references_set_flags(Qcow2 *q)
{
    unsigned slice_shift = q->layout.cluster_bits + q->layout.slice_bits;
    unsigned table_shift = q->layout.cluster_bits + q->layout.table_bits;
    int ret = 0;

    for (uint64_t i = 0; ret == 0 && i < q->n_l1; i++) {
        bool wrong;

        if (!(q->l1[i] & QCOW2_OFFSET_MASK))
            continue;
        ret = is_wrong(q, q->l1[i], &wrong);
        if (wrong) {
            __atomic_store_n(&q->l1[i], q->l1[i] ^ QCOW2_COPIED, __ATOMIC_RELEASE);
            qcow2_flush_add_to_span(&q->l1_dirty, i);
            qcow2_flush_note_change(q);
        }
        for (uint64_t at = i << table_shift; ret == 0 && at < (i + 1) << table_shift;
             at += 1ull << slice_shift)
            ret = set_flags_of_slice(q, at);
    }
    return ret;
}
