/* SPDX-License-Identifier: Apache-2.0 */
/*
 * New clusters on the loop, so that first writes keep the queue's depth.
 *
 * It is done if nothing has to be waited for: the lock is free, the tables are in memory
 * and the image's own, the file is long enough.  The entries refer to the clusters before
 * the data is there.  That is right where both the clusters and what was there before
 * read as zero: whoever reads meanwhile, and whoever finds the image after a crash, has
 * zeroes or the data.  All else is a worker's.
 */
#include "qcow2-clusters.h"
#include "qcow2-data.h"

#define MAX_CLUSTERS 256u       /* that are taken at once */

/* Nothing is in the cluster at @offset, and it reads as zero. */
static bool is_zero(const Qcow2 *q, Qcow2Entry entry, uint64_t offset, uint64_t below)
{
    if (q->layout.entry_words == 1 && q->layout.version >= 3 && entry.entry == QCOW2_ZERO)
        return true;
    return entry.entry == 0 && !(entry.bitmap & QCOW2_ALL_ALLOCATED) &&
        (offset >= below || entry.bitmap == QCOW2_ALL_ZERO);
}

/* How many clusters in a row from @offset on are so. */
static uint64_t count(const Qcow2 *q, const Qcow2Table *slice, uint64_t offset,
                      uint64_t end, uint64_t below)
{
    uint64_t size = qcow2_cluster_size(q), n = 0;

    for (uint64_t at = offset; at < end && n < MAX_CLUSTERS; at += size) {
        unsigned index = qcow2_map_index(q, at);

        /* The next slice begins at index 0. */
        if ((index == 0 && at != offset) ||
            !is_zero(q, qcow2_map_get(q, slice, index), at, below))
            break;
        n++;
    }
    return n;
}

/* With the lock. */
static bool place(Qcow2 *q, uint64_t offset, uint64_t bytes, uint64_t below,
                  Qcow2Extent *ret_extent)
{
    unsigned bits = q->layout.cluster_bits;
    uint64_t start = offset - qcow2_in_cluster(q, offset);
    Qcow2Table *slice = qcow2_cache_find(&q->l2, qcow2_map_slice(q, offset));
    Qcow2Run run;
    uint64_t n;

    if (q->is_corrupt || !slice || !slice->is_sound || qcow2_flush_is_due(q) ||
        !(qcow2_map_l1_entry(q, offset) & QCOW2_COPIED))
        return false;
    n = count(q, slice, start, offset + bytes, below);
    if (n == 0 || !qcow2_claim_is_free(q, start, n << bits) ||
        !qcow2_alloc_try_fresh(q, n, &run))
        return false;
    for (uint64_t i = 0; i < run.n; i++) {
        const Qcow2Entry entry = {
            .entry = (run.offset + (i << bits)) | QCOW2_COPIED,
            .bitmap = q->layout.entry_words == 2 ? QCOW2_ALL_ALLOCATED : 0,
        };

        qcow2_l2_set(q, slice, qcow2_map_index(q, start + (i << bits)), entry);
    }
    q->needs_barrier = true;
    *ret_extent = (Qcow2Extent) {
        .kind = QCOW2_KIND_DATA, .in_place = true,
        .host = run.offset + (offset - start),
        .bytes = MIN(bytes, start + (run.n << bits) - offset),
    };
    return true;
}

bool qcow2_fresh_place(Qcow2 *q, uint64_t offset, uint64_t bytes, uint64_t below,
                       Qcow2Extent *ret_extent)
{
    bool ok;

    /* In a data file, clusters are not new. */
    if (q->layout.is_external || !lock_try_long(&q->lock))
        return false;
    ok = place(q, offset, bytes, below, ret_extent);
    lock_drop_long(&q->lock);
    return ok;
}
