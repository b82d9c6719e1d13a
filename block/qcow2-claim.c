/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Claims: parts of the guest's disk whose L2 entries are about to change.
 *
 * Who allocates clusters claims them from then until the entries refer to them; it does
 * not hold the lock while data is written.  Others who would change the same entries
 * wait.
 * Loops do not ask: they write only into clusters that are there, and such an entry
 * changes only by what the guest does to the same bytes at the same time.
 */
#include "qcow2-clusters.h"
#include "qcow2-data.h"

uint64_t qcow2_claim_free(const Qcow2 *q, uint64_t offset, uint64_t bytes)
{
    uint64_t end = offset + bytes;

    LIST_FOREACH(at, &q->claims) {
        const Qcow2Claim *claim = CONTAINER_OF(at, Qcow2Claim, node);

        if (claim->start <= offset && offset < claim->end)
            return 0;
        if (claim->start > offset && claim->start < end)
            end = claim->start;
    }
    return end - offset;
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
    g_cond_broadcast(&q->woken);
}

int qcow2_claim_wait(Qcow2 *q, uint64_t offset, uint64_t bytes, uint64_t *ret_bytes)
{
    for (;;) {
        int ret = qcow2_l2_load(q, offset);

        if (ret < 0)
            return ret;
        *ret_bytes = qcow2_claim_free(q, offset, bytes);
        if (*ret_bytes > 0)
            return 0;
        lock_wait_long(&q->woken, &q->lock);
    }
}
