/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One layer's request: submitted, passed on, done by a worker, completed.
 */
#include <errno.h>

#include "block-threshold.h"

BlockReq *block_req_below(BlockReq *req, BlockQueue *child)
{
    BlockReq *below = (BlockReq *)((uint8_t *)req + req->queue->child_offset);

    below->queue = child;
    below->slot = req->slot;
    return below;
}

static void on_worked(void *opaque)
{
    BlockSlot *slot = opaque;
    BlockReq *req = g_steal_pointer(&slot->punted);

    block_req_complete(req, slot->ret);
}

/* A worker. */
static void on_work(void *opaque)
{
    BlockSlot *slot = opaque;

    slot->ret = block_io(slot->punted->queue->node, &slot->punted->io);
}

static void work_here(BlockSlot *slot);

static void on_retry(void *opaque)
{
    work_here(opaque);
}

/*
 * The host has no thread for it: the loop does it, however long it takes.  What would
 * wait for another request of this loop is tried again when that may have ended.
 */
static void work_here(BlockSlot *slot)
{
    on_work(slot);
    if (slot->ret != -EDEADLK) {
        on_worked(slot);
        return;
    }
    loop_message_init(&slot->job.message, on_retry, slot);
    loop_post(slot->channel->loop, &slot->job.message);
}

void block_req_punt(BlockReq *req)
{
    BlockSlot *slot = req->slot;

    g_assert(!slot->punted);
    slot->punted = req;
    worker_job_init(&slot->job, on_work, on_worked, slot);
    if (!worker_submit(worker_pool_of(req->queue->loop), &slot->job, NULL))
        work_here(slot);
}

void block_req_submit(BlockReq *req)
{
    block_threshold_see(req->queue->node, &req->io);
    if (!req->queue->is_short)
        block_req_punt(req);
    else if (req->io.op == BLOCK_OP_READ || block_io_settle(req->queue->node, &req->io))
        req->queue->node->driver->submit(req);
    else
        block_req_complete(req, 0);
}

void block_req_complete(BlockReq *req, int ret)
{
    g_assert(ret <= 0);
    req->done(req, ret);
}
