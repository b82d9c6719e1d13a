/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claims: parts of the guest's disk whose L2 entries are about to change.
 *
 * Who allocates clusters claims them from then until the entries refer to them; it does
 * not hold the lock while data is written.  Others who would change the same entries
 * wait.
 * Loops that write into clusters that are there do not ask: such an entry changes only by
 * what the guest does to the same bytes at the same time.
 */
#include "qcow2-clusters.h"
#include "qcow2-data.h"

/* The claim that has @offset; NULL: nobody. */
static Qcow2Claim *find(const Qcow2 *q, uint64_t offset)
{
    LIST_FOREACH(at, &q->claims) {
        Qcow2Claim *claim = CONTAINER_OF(at, Qcow2Claim, node);

        if (claim->start <= offset && offset < claim->end)
            return claim;
    }
    return NULL;
}

/* How many bytes from @offset on, whose first is free, nobody has claimed. */
static uint64_t count_free(const Qcow2 *q, uint64_t offset, uint64_t bytes)
{
    uint64_t end = offset + bytes;

    LIST_FOREACH(at, &q->claims) {
        const Qcow2Claim *claim = CONTAINER_OF(at, Qcow2Claim, node);

        if (claim->start > offset && claim->start < end)
            end = claim->start;
    }
    return end - offset;
}

static GCond *cond_of(Qcow2 *q, const Qcow2Claim *claim)
{
    return &q->claim_ended[(claim->start >> q->layout.cluster_bits) % QCOW2_CLAIM_CONDS];
}

void qcow2_claim_take(Qcow2 *q, Qcow2Claim *claim, uint64_t start, uint64_t end)
{
    claim->start = start;
    claim->end = end;
    list_append(&q->claims, &claim->node);
}

void qcow2_claim_drop(Qcow2 *q, Qcow2Claim *claim)
{
    list_remove(&claim->node);
    g_cond_broadcast(cond_of(q, claim));
}

bool qcow2_claim_is_free(const Qcow2 *q, uint64_t offset, uint64_t bytes)
{
    return !find(q, offset) && count_free(q, offset, bytes) == bytes;
}

int qcow2_claim_wait(Qcow2 *q, uint64_t offset, uint64_t bytes, uint64_t *ret_bytes)
{
    for (;;) {
        int ret = qcow2_l2_load(q, offset);
        Qcow2Claim *claim;

        if (ret < 0)
            return ret;
        claim = find(q, offset);
        if (!claim) {
            *ret_bytes = count_free(q, offset, bytes);
            return 0;
        }
        lock_wait_long(cond_of(q, claim), &q->lock);
    }
}
