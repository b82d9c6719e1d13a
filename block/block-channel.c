/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A user's way to its node on one loop: the memory of its requests, the gate that main
 * closes to change the graph, and what is counted.
 *
 *     open --main asks--> closing --nothing in flight--> quiet --main is done--> open
 *
 * A closed channel gives out no requests.  When the last one that is under way ends, main
 * is told; from then on until it opens the gate, main may change everything below the
 * channel (block-quiesce.c).
 */
#include <errno.h>
#include <string.h>

#include "berth/error.h"
#include "berth/thread.h"

#include "block-throttle.h"

#define SLOT_ALIGN 16u

static BlockSlot *slot_at(const BlockChannel *channel, unsigned i)
{
    return (BlockSlot *)(channel->layers.slots + channel->layers.slot_size * i);
}

static BlockSlot *take_slot(BlockChannel *channel)
{
    BlockSlot *slot = channel->free;

    if (slot) {
        channel->free = slot->next_free;
    } else if (channel->n_touched < channel->depth) {
        slot = slot_at(channel, channel->n_touched++);
        slot->channel = channel;
    }
    return slot;
}

static void layers_free(BlockLayers *layers)
{
    g_clear_pointer(&layers->queue, block_queue_free);
    g_clear_pointer(&layers->slots, g_free);
}

typedef struct Prepare {
    BlockChannel *channel;
    GError **error;
} Prepare;

/* Pages of slots that are never used are never touched. */
static void prepare(void *opaque)
{
    Prepare *call = opaque;
    BlockChannel *channel = call->channel;
    BlockLayers *next = &channel->next;
    size_t slot_size = ALIGN_UP(sizeof(BlockSlot), (size_t)SLOT_ALIGN);

    next->queue = block_queue_new(channel->use->link.child, channel, 0, call->error);
    if (!next->queue)
        return;
    slot_size += block_queue_req_size(next->queue);
    next->slot_size = ALIGN_UP(slot_size, (size_t)SLOT_ALIGN);
    next->slots = g_try_malloc0_n(channel->depth, next->slot_size);
    if (next->slots)
        return;
    error_set(call->error, "no memory for %u requests", channel->depth);
    layers_free(next);
}

bool block_channel_prepare(BlockChannel *channel, GError **error)
{
    Prepare call = { channel, error };

    assert_main();
    g_assert(!channel->next.queue);
    loop_call_sync(channel->loop, prepare, &call);
    return channel->next.queue != NULL;
}

static void commit(void *opaque)
{
    BlockChannel *channel = opaque;

    g_assert(channel->in_flight == 0);
    layers_free(&channel->layers);
    channel->layers = channel->next;
    channel->next = (BlockLayers) { 0 };
    channel->free = NULL;
    channel->n_touched = 0;
}

void block_channel_commit(BlockChannel *channel)
{
    loop_call_sync(channel->loop, commit, channel);
}

static void cancel(void *opaque)
{
    layers_free(&((BlockChannel *)opaque)->next);
}

void block_channel_cancel(BlockChannel *channel)
{
    loop_call_sync(channel->loop, cancel, channel);
}

/* Tells limits whether the requests under way are waited for, all or some. */
static void tell_hurry(BlockChannel *channel)
{
    bool all = channel->in_flight > 0 &&
        (channel->closed || __atomic_load_n(&channel->hurry, __ATOMIC_RELAXED));

    channel->is_hurried = all || channel->n_unwanted > 0;
    block_queue_hurry(channel->layers.queue, channel->is_hurried);
    block_throttle_hurry(channel, all);
}

static void tell_quiet(BlockChannel *channel)
{
    if (!channel->closed || channel->in_flight > 0 || channel->told_quiet)
        return;
    channel->told_quiet = true;
    __atomic_store_n(&channel->quiet_wish, channel->seen_wish, __ATOMIC_RELEASE);
    loop_post(channel->use->link.child->graph->loop, &channel->quiet);
}

static void tell_ready(BlockChannel *channel)
{
    if (channel->closed || !channel->wanted_more)
        return;
    channel->wanted_more = false;
    channel->ops->ready(channel->opaque);
}

static void on_gate(void *opaque)
{
    BlockChannel *channel = opaque;

    channel->seen_wish = __atomic_load_n(&channel->wish, __ATOMIC_ACQUIRE);
    channel->closed = __atomic_load_n(&channel->n_quiesced, __ATOMIC_RELAXED) > 0;
    channel->told_quiet = false;
    tell_hurry(channel);
    tell_quiet(channel);
    tell_ready(channel);
}

void block_channel_hurry(BlockChannel *channel, bool on)
{
    if (__atomic_exchange_n(&channel->hurry, on, __ATOMIC_ACQ_REL) != on)
        loop_post(channel->loop, &channel->gate);
}

BlockChannel *block_channel_new(BlockUse *use, Loop *loop, unsigned depth,
                                const BlockChannelOps *ops, void *opaque, GError **error)
{
    BlockChannel *channel = g_new0(BlockChannel, 1);

    assert_main();
    channel->use = use;
    channel->loop = loop;
    channel->ops = ops;
    channel->opaque = opaque;
    channel->depth = depth;
    loop_message_init(&channel->gate, on_gate, channel);
    block_quiesce_init_channel(channel);
    if (!block_channel_prepare(channel, error)) {
        g_free(channel);
        return NULL;
    }
    block_channel_commit(channel);
    if (use->throttle)
        loop_call_sync(loop, block_throttle_enter, channel);
    list_append(&use->channels, &channel->use_node);
    return channel;
}

static void drop(void *opaque)
{
    BlockChannel *channel = opaque;

    g_assert(channel->in_flight == 0);
    loop_message_cancel(channel->loop, &channel->gate);
    block_throttle_leave(channel);
    layers_free(&channel->layers);
}

void block_channel_free(BlockChannel *channel)
{
    if (!channel)
        return;
    assert_main();
    loop_call_sync(channel->loop, drop, channel);
    block_quiesce_forget_channel(channel);
    if (channel->use->account)
        block_account_sum(&channel->use->account->gone, &channel->counts);
    list_remove(&channel->use_node);
    g_free(channel);
}

unsigned block_channel_in_flight(const BlockChannel *channel)
{
    return channel->in_flight;
}

BlockReq *block_channel_get(BlockChannel *channel)
{
    BlockSlot *slot = channel->closed ? NULL : take_slot(channel);
    BlockReq *req;

    if (!slot) {
        channel->wanted_more = true;
        return NULL;
    }
    channel->in_flight++;
    slot->busy = true;
    req = block_slot_req(slot);
    req->queue = channel->layers.queue;
    req->slot = slot;
    req->io.flags = 0;
    return req;
}

void block_channel_put(BlockChannel *channel, BlockReq *req)
{
    BlockSlot *slot = req->slot;

    g_assert(slot->busy);
    slot->busy = false;
    slot->next_free = channel->free;
    channel->free = slot;
    channel->in_flight--;
    channel->n_unwanted -= slot->is_unwanted;
    if (channel->is_hurried && (slot->is_unwanted || channel->in_flight == 0))
        tell_hurry(channel);
    slot->is_unwanted = false;
    tell_quiet(channel);
    tell_ready(channel);
}

static void count(BlockChannel *channel, const BlockSlot *slot, uint64_t bytes, int ret)
{
    const BlockAccount *account = channel->use->account;

    if (account && ret == 0)
        block_account_done(&channel->counts, account, slot->kind, bytes, slot->start_ns);
    else if (account)
        block_account_failed(&channel->counts, account, slot->kind, slot->start_ns);
}

void block_channel_count_invalid(BlockChannel *channel, BlockOp op)
{
    block_account_invalid(&channel->counts, block_account_kind(op));
}

static void end(BlockReq *req, int ret)
{
    BlockSlot *slot = req->slot;

    count(slot->channel, slot, req->io.bytes, ret);
    slot->done(req, ret);
    block_channel_put(slot->channel, req);
}

static void on_done(BlockReq *req, int ret);

static bool is_in_bounds(const BlockReq *req)
{
    uint64_t size = block_node_size(req->queue->node);

    return req->io.op == BLOCK_OP_FLUSH ||
        (req->io.offset <= size && req->io.bytes <= size - req->io.offset);
}

static void submit_alone(BlockReq *req)
{
    req->done = on_done;
    if (is_in_bounds(req))
        block_req_submit(req);
    else
        block_req_complete(req, -EIO);
}

/*
 * @slot's request is done, with those that were joined to it.  If that failed, each is
 * done once more alone: the error is one of them's, and the others may not have it.
 */
static void take_apart(BlockSlot *slot, int ret)
{
    BlockReq *first = block_slot_req(slot);

    first->io.bytes = slot->bytes;
    first->io.n_iov = slot->n_iov;
    while (slot) {
        BlockSlot *next = slot->joined;

        slot->joined = NULL;
        if (ret == 0)
            end(block_slot_req(slot), 0);
        else
            submit_alone(block_slot_req(slot));
        slot = next;
    }
}

static void on_done(BlockReq *req, int ret)
{
    if (req->slot->joined)
        take_apart(req->slot, ret);
    else
        end(req, ret);
}

static void begin(BlockReq *req)
{
    BlockSlot *slot = req->slot;

    g_assert(slot->busy);
    slot->start_ns = loop_clock_ns();
    slot->kind = block_account_kind(req->io.op);
    slot->done = req->done;
}

void block_channel_join(BlockChannel *channel, BlockReq *first, BlockReq *req)
{
    BlockSlot *slot = first->slot;
    BlockIo *io = &first->io;

    begin(req);
    if (!slot->joined) {
        slot->last_joined = slot;
        slot->bytes = io->bytes;
        slot->n_iov = io->n_iov;
    }
    memcpy(&io->iov[io->n_iov], req->io.iov, req->io.n_iov * sizeof(struct iovec));
    io->n_iov += req->io.n_iov;
    io->bytes += req->io.bytes;
    slot->last_joined->joined = req->slot;
    slot->last_joined = req->slot;
    block_account_joined(&channel->counts, req->slot->kind);
}

void block_channel_submit(BlockChannel *channel, BlockReq *req)
{
    begin(req);
    req->done = on_done;
    if (!is_in_bounds(req))
        block_req_complete(req, -EIO);
    else if (!channel->throttle || block_throttle_admit(channel, req))
        block_req_submit(req);
}

/*
 * What is below may be stale, and have been used by another layer since: who cancels
 * knows by its own lists what waits.
 */
static BlockReq *cancel_below(BlockReq *req)
{
    const BlockQueue *queue = req->queue;
    BlockReq *below = (BlockReq *)((uint8_t *)req + queue->child_offset);

    if (!queue->is_short)
        return NULL;
    if (queue->node->driver->cancel && queue->node->driver->cancel(req))
        return req;
    for (unsigned i = 0; i < queue->n_children; i++) {
        if (below->queue == queue->children[i])
            return cancel_below(below);
    }
    return NULL;
}

/*
 * A worker has it, which may wait for what other workers read or write: limits below hold
 * back nothing until it has ended.
 */
static void hurry_for(BlockChannel *channel, BlockSlot *slot)
{
    if (slot->is_unwanted || !slot->punted)
        return;
    slot->is_unwanted = true;
    channel->n_unwanted++;
    tell_hurry(channel);
}

bool block_channel_take_back(BlockChannel *channel, BlockReq *req)
{
    BlockReq *held = req;

    if (!channel->throttle || !block_throttle_cancel(channel, req))
        held = cancel_below(req);
    if (held)
        block_req_complete(held, -ECANCELED);
    else
        hurry_for(channel, req->slot);
    return held != NULL;
}
