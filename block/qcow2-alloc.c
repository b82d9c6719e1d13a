/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking clusters of the image's file.
 *
 * A guest's clusters come from what was given up, then from the first free ones.  Tables
 * of more than one cluster come from the end of the file.
 */
#include <errno.h>

#include "qcow2-clusters.h"

#define REUSABLE_MAX 1024u      /* the rest is found again from first_free on */

/* What is reusable lies before first_free: the rest is found from there. */
static void go_back(Qcow2 *q, uint64_t cluster)
{
    guint n_kept = 0;

    q->first_free = MIN(q->first_free, cluster);
    for (guint i = 0; i < q->reusable->len; i++) {
        Qcow2Free run = g_array_index(q->reusable, Qcow2Free, i);

        if (run.cluster >= q->first_free)
            continue;
        run.n = MIN(run.n, q->first_free - run.cluster);
        g_array_index(q->reusable, Qcow2Free, n_kept++) = run;
    }
    g_array_set_size(q->reusable, n_kept);
}

void qcow2_alloc_note_free(Qcow2 *q, uint64_t cluster, uint64_t n)
{
    Qcow2Free run = { .cluster = cluster, .n = n };
    Qcow2Free *last = q->reusable->len > 0
        ? &g_array_index(q->reusable, Qcow2Free, q->reusable->len - 1) : NULL;

    if (cluster >= q->first_free)
        return;
    if (last && last->cluster + last->n == cluster)
        last->n += n;
    else if (q->reusable->len < REUSABLE_MAX)
        g_array_append_val(q->reusable, run);
    else
        go_back(q, cluster);
}

void qcow2_alloc_note_used(Qcow2 *q, uint64_t end)
{
    q->used_end = MAX(q->used_end, end);
    q->file_end = MAX(q->file_end, end);
    q->zero_from = MAX(q->zero_from, end << q->layout.cluster_bits);
}

/* Up to @n of what was given up; n = 0: there is none. */
static Qcow2FreeRun take_reusable(Qcow2 *q, uint64_t n)
{
    Qcow2FreeRun run = { 0 };
    Qcow2Free *last;

    if (q->reusable->len == 0)
        return run;
    last = &g_array_index(q->reusable, Qcow2Free, q->reusable->len - 1);
    run = (Qcow2FreeRun) { last->cluster, MIN(n, last->n) };
    last->cluster += run.n;
    last->n -= run.n;
    if (last->n == 0)
        g_array_set_size(q->reusable, q->reusable->len - 1);
    return run;
}

static int find(Qcow2 *q, uint64_t n, Qcow2FreeRun *ret_run)
{
    unsigned bits = q->layout.refblock_bits;

    *ret_run = take_reusable(q, n);
    while (ret_run->n == 0) {
        int ret = qcow2_refcount_find_free(q, q->first_free, n, ret_run);

        if (ret == 0 && ret_run->n == 0)
            ret = qcow2_reftable_add_block(q, ret_run->cluster >> bits);
        if (ret < 0)
            return ret;
        q->first_free = ret_run->cluster + ret_run->n;
    }
    return 0;
}

/* Takes what was found. */
static int take(Qcow2 *q, const Qcow2FreeRun *found, Qcow2Run *ret_run)
{
    unsigned bits = q->layout.cluster_bits;
    uint64_t end = found->cluster + found->n;
    int ret = end <= QCOW2_OFFSET_MASK >> bits ? qcow2_disk_grow(q, end) : -EFBIG;

    if (ret == 0)
        ret = qcow2_refcount_set(q, found->cluster, found->n, 1);
    if (ret < 0) {
        go_back(q, found->cluster);
        return ret;
    }
    *ret_run = (Qcow2Run) {
        .offset = found->cluster << bits,
        .n = found->n,
        .is_fresh = found->cluster << bits >= q->zero_from,
    };
    qcow2_alloc_note_used(q, end);
    return 0;
}

int qcow2_alloc_clusters(Qcow2 *q, uint64_t n, Qcow2Run *ret_run)
{
    Qcow2FreeRun found;
    int ret = find(q, n, &found);

    if (ret == 0)
        ret = take(q, &found, ret_run);
    if (ret < 0 || qcow2_overlap_is_data(q, found.cluster, found.n))
        return ret;
    return qcow2_corrupt(q, ret_run->offset, found.n << q->layout.cluster_bits,
                         "a table in use has refcount 0");
}

int qcow2_alloc_table(Qcow2 *q, Qcow2TableKind kind, uint64_t n, Qcow2Run *ret_run)
{
    Qcow2FreeRun found = { .n = n };
    int ret = n == 1 ? find(q, 1, &found)
                     : qcow2_reftable_make_space(q, n, &found.cluster);

    if (ret == 0)
        ret = take(q, &found, ret_run);
    if (ret < 0)
        return ret;
    if (qcow2_overlap_add(q, kind, found.cluster, n))
        return 0;
    return qcow2_corrupt(q, ret_run->offset, n << q->layout.cluster_bits,
                         "a cluster in use has refcount 0");
}

/* Up to @n clusters from first_free on that can be had without a look at the disk. */
static uint64_t count_fresh(const Qcow2 *q, const Qcow2Table *block, uint64_t n)
{
    unsigned bits = q->layout.cluster_bits;
    uint64_t mask = (1ull << q->layout.refblock_bits) - 1;
    uint64_t from = q->first_free;
    uint64_t end = MIN(block_node_size(q->file) >> bits, (from | mask) + 1);
    uint64_t at = from;

    if (from << bits < q->zero_from)
        return 0;
    end = MIN(end, from + n);
    while (at < end && qcow2_refcount_read(q, block->words, at & mask) == 0 &&
           !qcow2_overlap_has_table(q, at))
        at++;
    return at - from;
}

bool qcow2_alloc_try_fresh(Qcow2 *q, uint64_t n, Qcow2Run *ret_run)
{
    uint64_t from = q->first_free;
    const Qcow2Table *block =
        qcow2_cache_find(&q->refblocks, from >> q->layout.refblock_bits);
    int ret;

    /* What was given up comes first. */
    n = block && q->reusable->len == 0 ? count_fresh(q, block, n) : 0;
    if (n == 0)
        return false;
    ret = qcow2_refcount_set(q, from, n, 1);
    g_assert(ret == 0);
    q->first_free = from + n;
    qcow2_alloc_note_used(q, from + n);
    *ret_run = (Qcow2Run) { from << q->layout.cluster_bits, n, true };
    return true;
}

void qcow2_alloc_undo(Qcow2 *q, uint64_t offset, uint64_t n)
{
    uint64_t cluster = offset >> q->layout.cluster_bits;

    /* The blocks were there a moment ago; one that cannot be read again is a leak. */
    if (qcow2_refcount_set(q, cluster, n, 0) == 0)
        qcow2_alloc_note_free(q, cluster, n);
}
