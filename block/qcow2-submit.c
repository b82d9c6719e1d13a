/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The short way: requests whose clusters the tables in memory know.
 *
 * A loop looks the first part up, passes it to the file (or the data file, or the backing
 * file), and the next when that is done.  It takes no lock and no memory, and writes
 * nothing but its own queue's count; only what is new in the file is entered into the
 * tables, if the lock is free (qcow2-fresh.c).  As soon as a part needs more (a table
 * that is not in memory, a copy, a compressed cluster) the request goes to a worker, from
 * its beginning: the parts that were done are done again.
 *
 * A write to clusters that a worker is about to allocate for another request of the
 * queue is parked until that has ended: it then finds them in place, and passes by the
 * short way with others.
 */
#include <errno.h>

#include "berth/iov.h"

#include "qcow2-clusters.h"
#include "qcow2-data.h"

static Qcow2Ctx *ctx_of(BlockReq *req)
{
    return block_req_ctx(req);
}

bool qcow2_submit_attach(BlockQueue *queue, GError **error)
{
    Qcow2 *q = qcow2_of(queue->node);
    Qcow2Queue *state = block_queue_state(queue);

    state->file = block_queue_child(queue, BLOCK_ROLE_STORAGE);
    state->data = block_queue_child(queue, BLOCK_ROLE_DATA);
    state->backing = block_queue_child(queue, BLOCK_ROLE_BACKING);
    if (!state->data)
        state->data = state->file;
    list_init(&state->allocating);
    list_init(&state->parked);
    lock_take(&q->queues_lock);
    list_append(&q->queues, &state->node);
    lock_drop(&q->queues_lock);
    return true;
}

void qcow2_submit_detach(BlockQueue *queue)
{
    Qcow2 *q = qcow2_of(queue->node);
    Qcow2Queue *state = block_queue_state(queue);

    lock_take(&q->queues_lock);
    list_remove(&state->node);
    lock_drop(&q->queues_lock);
}

/* Nothing can be given up in an image that is only read. */
static void enter(BlockReq *req)
{
    Qcow2 *q = qcow2_of(req->queue->node);

    if (!q->node.read_only)
        ctx_of(req)->slot = qcow2_epoch_enter(q, block_queue_state(req->queue));
}

static void leave(BlockReq *req)
{
    if (!req->queue->node->read_only)
        qcow2_epoch_leave(block_queue_state(req->queue), ctx_of(req)->slot);
}

static void end(BlockReq *req, int ret)
{
    leave(req);
    block_req_complete(req, ret);
}

/* Whether tables in memory differ from those on stable storage. */
static bool has_changes(const Qcow2 *q)
{
    return __atomic_load_n(&q->changes, __ATOMIC_ACQUIRE) !=
        __atomic_load_n(&q->changes_stable, __ATOMIC_ACQUIRE);
}

/* What is to be durable may lie in clusters that others have just got. */
static bool may_pass(const BlockReq *req)
{
    return !(req->io.flags & BLOCK_FUA) || !has_changes(qcow2_of(req->queue->node));
}

static void walk(BlockReq *req);

/* Those that waited look again; some may wait for others then. */
static void unpark(Qcow2Queue *state)
{
    ListNode parked;

    list_init(&parked);
    while (!list_is_empty(&state->parked)) {
        ListNode *node = list_first(&state->parked);

        list_remove(node);
        list_append(&parked, node);
    }
    while (!list_is_empty(&parked)) {
        Qcow2Ctx *ctx = CONTAINER_OF(list_first(&parked), Qcow2Ctx, node);

        list_remove(&ctx->node);
        ctx->done = 0;
        enter(ctx->req);
        walk(ctx->req);
    }
}

static void on_written(BlockReq *req, int ret)
{
    Qcow2Ctx *ctx = ctx_of(req);

    req->done = ctx->done_fn;
    list_remove(&ctx->node);
    unpark(block_queue_state(req->queue));
    block_req_complete(req, ret);
}

static bool has_allocating(const Qcow2Queue *state, const Qcow2Ctx *ctx)
{
    LIST_FOREACH(at, &state->allocating) {
        const Qcow2Ctx *other = CONTAINER_OF(at, Qcow2Ctx, node);

        if (ctx->start < other->end && other->start < ctx->end)
            return true;
    }
    return false;
}

bool qcow2_submit_cancel(BlockReq *req)
{
    const Qcow2Queue *state = block_queue_state(req->queue);
    Qcow2Ctx *ctx = ctx_of(req);

    if (!list_has(&state->parked, &ctx->node))
        return false;
    list_remove(&ctx->node);
    return true;
}

/* A worker does it, or has begun to do what it waits for. */
static void allocate(BlockReq *req)
{
    Qcow2 *q = qcow2_of(req->queue->node);
    Qcow2Queue *state = block_queue_state(req->queue);
    Qcow2Ctx *ctx = ctx_of(req);

    ctx->req = req;
    ctx->start = ALIGN_DOWN(req->io.offset, qcow2_cluster_size(q));
    ctx->end = ALIGN_UP(req->io.offset + req->io.bytes, qcow2_cluster_size(q));
    if (has_allocating(state, ctx)) {
        list_append(&state->parked, &ctx->node);
        return;
    }
    list_append(&state->allocating, &ctx->node);
    ctx->done_fn = req->done;
    req->done = on_written;
    block_req_punt(req);
}

static void punt(BlockReq *req)
{
    leave(req);
    if (req->io.op == BLOCK_OP_WRITE)
        allocate(req);
    else
        block_req_punt(req);
}

static void on_part_done(BlockReq *below, int ret)
{
    BlockReq *req = below->opaque;
    Qcow2Ctx *ctx = ctx_of(req);

    if (ctx->is_sliced)
        iov_slice_end(&ctx->slice);
    ctx->done += ctx->bytes;
    if (ctx->is_walking) {
        ctx->has_ended = true;
        ctx->ret = ret;
    } else if (ret < 0 || ctx->done == req->io.bytes) {
        end(req, ret);
    } else {
        walk(req);
    }
}

/* Passes ctx->bytes from ctx->done on to @child, where they are at @offset. */
static void pass(BlockReq *req, BlockQueue *child, uint64_t offset)
{
    Qcow2Ctx *ctx = ctx_of(req);
    BlockReq *below = block_req_below(req, child);

    below->io = req->io;
    below->io.offset = offset;
    below->io.bytes = ctx->bytes;
    below->done = on_part_done;
    below->opaque = req;
    ctx->is_sliced = ctx->bytes < req->io.bytes;
    if (ctx->is_sliced) {
        iov_slice_begin(&ctx->slice, req->io.iov, ctx->done, ctx->bytes);
        below->io.iov = ctx->slice.iov;
        below->io.n_iov = ctx->slice.n_iov;
    }
    block_req_submit(below);
}

/* Whether the part is in the file as it is now; the file grows under workers only. */
static bool is_within(const BlockQueue *child, const Qcow2Extent *extent)
{
    uint64_t size = block_node_size(child->node);

    return extent->host <= size && extent->bytes <= size - extent->host;
}

static void fill_zeroes(BlockReq *req)
{
    Qcow2Ctx *ctx = ctx_of(req);

    iov_zero(req->io.iov, req->io.n_iov, ctx->done, ctx->bytes);
    ctx->done += ctx->bytes;
    ctx->has_ended = true;
    ctx->ret = 0;
}

/* Begins the next part; false: a worker is to do it. */
static bool read_part(BlockReq *req, const Qcow2Extent *extent)
{
    const Qcow2Queue *state = block_queue_state(req->queue);
    uint64_t offset = req->io.offset + ctx_of(req)->done;
    uint64_t size = state->backing ? block_node_size(state->backing->node) : 0;

    switch (extent->kind) {
    case QCOW2_KIND_DATA:
        if (!is_within(state->data, extent))
            return false;
        pass(req, state->data, extent->host);
        return true;
    case QCOW2_KIND_BACKING:
        if (offset < size) {
            ctx_of(req)->bytes = MIN(extent->bytes, size - offset);
            pass(req, state->backing, offset);
            return true;
        }
        fill_zeroes(req);
        return true;
    case QCOW2_KIND_ZERO:
        fill_zeroes(req);
        return true;
    case QCOW2_KIND_UNKNOWN:
    case QCOW2_KIND_COMPRESSED:
    case QCOW2_KIND_BAD:
        break;
    }
    return false;
}

/* New clusters are not durable before the tables are. */
static bool place(BlockReq *req, Qcow2Extent *extent)
{
    const Qcow2Queue *state = block_queue_state(req->queue);

    if (extent->kind != QCOW2_KIND_BACKING && extent->kind != QCOW2_KIND_ZERO)
        return false;
    return !(req->io.flags & BLOCK_FUA) &&
        qcow2_fresh_place(qcow2_of(req->queue->node), req->io.offset + ctx_of(req)->done,
                          extent->bytes,
                          state->backing ? block_node_size(state->backing->node) : 0,
                          extent);
}

static bool write_part(BlockReq *req, Qcow2Extent *extent)
{
    const Qcow2Queue *state = block_queue_state(req->queue);
    bool is_there = extent->kind == QCOW2_KIND_DATA && extent->in_place;

    if ((!is_there && !place(req, extent)) || !is_within(state->data, extent) ||
        !may_pass(req))
        return false;
    ctx_of(req)->bytes = extent->bytes;
    pass(req, state->data, extent->host);
    return true;
}

static void walk(BlockReq *req)
{
    Qcow2 *q = qcow2_of(req->queue->node);
    Qcow2Ctx *ctx = ctx_of(req);

    ctx->is_walking = true;
    do {
        Qcow2Extent extent =
            qcow2_map_find(q, req->io.offset + ctx->done, req->io.bytes - ctx->done);
        bool ok;

        ctx->bytes = extent.bytes;
        ctx->has_ended = false;
        ok = req->io.op == BLOCK_OP_READ ? read_part(req, &extent)
                                         : write_part(req, &extent);
        if (!ok) {
            punt(req);
            return;
        }
    } while (ctx->has_ended && ctx->ret == 0 && ctx->done < req->io.bytes);
    ctx->is_walking = false;
    if (ctx->has_ended)
        end(req, ctx->ret);
}

static void on_flushed(BlockReq *below, int ret)
{
    block_req_complete(below->opaque, ret);
}

static void flush_child(BlockReq *req, BlockQueue *child, BlockDoneFn *done)
{
    BlockReq *below = block_req_below(req, child);

    below->io = (BlockIo) { .op = BLOCK_OP_FLUSH };
    below->done = done;
    below->opaque = req;
    block_req_submit(below);
}

static void on_data_flushed(BlockReq *below, int ret)
{
    BlockReq *req = below->opaque;
    const Qcow2Queue *state = block_queue_state(req->queue);

    if (ret < 0)
        block_req_complete(req, ret);
    else
        flush_child(req, state->file, on_flushed);
}

static void flush(BlockReq *req)
{
    Qcow2 *q = qcow2_of(req->queue->node);
    const Qcow2Queue *state = block_queue_state(req->queue);

    if (q->node.read_only)
        block_req_complete(req, 0);
    else if (has_changes(q) || __atomic_load_n(&q->has_draining, __ATOMIC_RELAXED))
        block_req_punt(req);
    else if (state->data != state->file)
        flush_child(req, state->data, on_data_flushed);
    else
        flush_child(req, state->file, on_flushed);
}

void qcow2_submit(BlockReq *req)
{
    Qcow2 *q = qcow2_of(req->queue->node);

    switch (req->io.op) {
    case BLOCK_OP_READ:
    case BLOCK_OP_WRITE:
        if (req->io.op == BLOCK_OP_WRITE &&
            __atomic_load_n(&q->is_corrupt, __ATOMIC_RELAXED)) {
            block_req_punt(req);
            return;
        }
        ctx_of(req)->done = 0;
        enter(req);
        walk(req);
        return;
    case BLOCK_OP_FLUSH:
        flush(req);
        return;
    case BLOCK_OP_DISCARD:
    case BLOCK_OP_ZERO:
    case BLOCK_OP__MAX:
        block_req_punt(req);
        return;
    }
}
