/* SPDX-License-Identifier: Apache-2.0 */
/*
 * throttle: a filter that holds requests back for the limits of its group.
 */
#include "block-reopen.h"
#include "throttle-group.h"

typedef struct Throttle {
    BlockNode node;
    BlockNode *file;
    ThrottleGroup *group;
    ThrottleMember *member;     /* owned */
} Throttle;

typedef struct ThrottleQueue {
    ThrottleLane lane;
    bool is_hurried;
} ThrottleQueue;

static Throttle *to_throttle(BlockNode *node)
{
    return CONTAINER_OF(node, Throttle, node);
}

static bool throttle_prepare(BlockNode *node, GError **error)
{
    Throttle *throttle = to_throttle(node);

    throttle->file = block_node_child(node, BLOCK_ROLE_FILTERED);
    throttle->group = throttle_group_get(
        node->graph, node->options->u.throttle.throttle_group, error);
    if (!throttle->group)
        return false;
    throttle->member = g_new0(ThrottleMember, 1);
    throttle_group_join(throttle->group, throttle->member);
    return true;
}

static bool throttle_open(BlockNode *node, GError **error)
{
    const Throttle *throttle = to_throttle(node);

    node->limits = *block_node_limits(throttle->file);
    block_node_set_size(node, block_node_size(throttle->file));
    return true;
}

static void throttle_close(BlockNode *node)
{
    Throttle *throttle = to_throttle(node);

    if (!throttle->group)
        return;
    throttle_group_leave(throttle->group, throttle->member);
    throttle_group_unref(g_steal_pointer(&throttle->group));
    g_clear_pointer(&throttle->member, g_free);
}

static int throttle_io(BlockNode *node, const BlockIo *io)
{
    Throttle *throttle = to_throttle(node);

    throttle_group_wait(throttle->group, throttle->member, io);
    return block_io(throttle->file, io);
}

static void on_passed(BlockReq *below, int ret)
{
    block_req_complete(below->opaque, ret);
}

static void pass(void *opaque)
{
    BlockReq *req = opaque;
    BlockReq *below =
        block_req_below(req, block_queue_child(req->queue, BLOCK_ROLE_FILTERED));

    below->io = req->io;
    below->done = on_passed;
    below->opaque = req;
    block_req_submit(below);
}

static void throttle_submit(BlockReq *req)
{
    ThrottleQueue *state = block_queue_state(req->queue);

    if (throttle_group_admit(&state->lane, block_req_ctx(req), &req->io, req))
        pass(req);
}

static bool throttle_cancel(BlockReq *req)
{
    ThrottleQueue *state = block_queue_state(req->queue);

    return throttle_group_cancel(&state->lane, block_req_ctx(req));
}

static bool throttle_attach(BlockQueue *queue, GError **error)
{
    Throttle *throttle = to_throttle(queue->node);
    ThrottleQueue *state = block_queue_state(queue);

    throttle_group_add_lane(throttle->group, throttle->member, &state->lane, queue->loop,
                            pass);
    return true;
}

static void throttle_hurry(BlockQueue *queue, bool on)
{
    Throttle *throttle = to_throttle(queue->node);
    ThrottleQueue *state = block_queue_state(queue);

    if (state->is_hurried == on)
        return;
    state->is_hurried = on;
    throttle_group_hurry(throttle->group, throttle->member, on);
}

static void throttle_detach(BlockQueue *queue)
{
    ThrottleQueue *state = block_queue_state(queue);

    throttle_hurry(queue, false);
    throttle_group_remove_lane(&state->lane);
}

static void throttle_let_go(BlockNode *node)
{
    Throttle *throttle = to_throttle(node);

    throttle_group_hurry(throttle->group, throttle->member, true);
}

static int throttle_map(BlockNode *node, uint64_t offset, uint64_t bytes,
                        BlockMap *ret_map)
{
    *ret_map = (BlockMap) {
        .kind = BLOCK_MAP_FILTERED, .bytes = bytes, .has_offset = true,
        .child_offset = offset,
    };
    return 0;
}

static bool throttle_resize(BlockNode *node, uint64_t size, PreallocMode prealloc,
                            GError **error)
{
    const Throttle *throttle = to_throttle(node);

    if (!block_node_resize(throttle->file, size, prealloc, error))
        return false;
    block_node_set_size(node, block_node_size(throttle->file));
    return true;
}

static void throttle_follow(BlockNode *node)
{
    block_node_set_size(node, block_node_size(to_throttle(node)->file));
}

static void throttle_rejoin(BlockNode *node)
{
    to_throttle(node)->file = block_node_child(node, BLOCK_ROLE_FILTERED);
    node->limits = *block_node_limits(to_throttle(node)->file);
}

/* A place in another group; from enter() on, that in the one before. */
typedef struct ThrottleReopen {
    ThrottleGroup *group;
    ThrottleMember *member;
} ThrottleReopen;

static bool prepare_reopen(BlockReopen *reopen, GError **error)
{
    ThrottleReopen *state = g_new0(ThrottleReopen, 1);

    reopen->state = state;
    state->group = throttle_group_get(
        reopen->node->graph, reopen->node->options->u.throttle.throttle_group, error);
    if (!state->group)
        return false;
    state->member = g_new0(ThrottleMember, 1);
    throttle_group_join(state->group, state->member);
    return true;
}

/* Queues are made anew afterwards. */
static void swap_groups(BlockReopen *reopen)
{
    Throttle *throttle = to_throttle(reopen->node);
    ThrottleReopen *state = reopen->state;
    ThrottleReopen before = { throttle->group, throttle->member };

    throttle->group = state->group;
    throttle->member = state->member;
    *state = before;
}

static void close_reopen(BlockReopen *reopen)
{
    ThrottleReopen *state = g_steal_pointer(&reopen->state);

    if (!state)
        return;
    if (state->group) {
        throttle_group_leave(state->group, state->member);
        throttle_group_unref(state->group);
    }
    g_free(state->member);
    g_free(state);
}

static const char *const reopen_options[] = { "throttle-group", NULL };

static const BlockReopenOps throttle_reopen_ops = {
    .options = reopen_options,
    .prepare = prepare_reopen,
    .enter = swap_groups,
    .leave = swap_groups,
    .close = close_reopen,
};

static const BlockChild throttle_children[] = {
    { BLOCK_ROLE_FILTERED, offsetof(BlockdevOptions, u.throttle.file) },
    { 0 }
};

const BlockDriver throttle_driver = {
    .name = "throttle",
    .instance_size = sizeof(Throttle),
    .is_filter = true,
    .children = throttle_children,
    .prepare = throttle_prepare,
    .open = throttle_open,
    .close = throttle_close,
    .io = throttle_io,
    .ctx_size = sizeof(ThrottleTicket),
    .queue_size = sizeof(ThrottleQueue),
    .attach = throttle_attach,
    .detach = throttle_detach,
    .submit = throttle_submit,
    .cancel = throttle_cancel,
    .hurry = throttle_hurry,
    .map = throttle_map,
    .resize = throttle_resize,
    .follow = throttle_follow,
    .rejoin = throttle_rejoin,
    .reopen = &throttle_reopen_ops,
    .let_go = throttle_let_go,
};
