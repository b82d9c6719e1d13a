/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far nodes are written, and telling main of a write that goes beyond a threshold.
 *
 * A node that channels pass by is watched where the one below it is written.  Main is
 * told that a watched offset was crossed, and looks itself whose threshold that was: a
 * message that comes late finds it told or taken back.
 */
#include "berth/thread.h"

#include "block-threshold.h"

static void raise_to(uint64_t *to, uint64_t value)
{
    uint64_t now = __atomic_load_n(to, __ATOMIC_RELAXED);

    while (now < value &&
           !__atomic_compare_exchange_n(to, &now, value, true, __ATOMIC_RELEASE,
                                        __ATOMIC_RELAXED))
        ;
}

void block_threshold_note(BlockNode *node, uint64_t end)
{
    raise_to(&node->written_end, end);
    if (end <= __atomic_load_n(&node->watch, __ATOMIC_RELAXED))
        return;
    raise_to(&node->crossed, end);
    loop_post(node->graph->loop, &node->tell_crossed);
}

/* The least threshold of @node, and of those that channels pass by on their way to it. */
static uint64_t least(const BlockNode *node)
{
    uint64_t offset = node->write_threshold ? node->write_threshold : UINT64_MAX;

    LIST_FOREACH(at, &node->parents) {
        const BlockLink *link = CONTAINER_OF(at, BlockLink, child_node);

        if (link->parent && link->parent->is_transparent)
            offset = MIN(offset, least(link->parent));
    }
    return offset;
}

void block_threshold_update(BlockNode *node)
{
    for (; node; node = node->is_transparent ? block_node_storage(node) : NULL)
        __atomic_store_n(&node->watch, least(node), __ATOMIC_RELAXED);
}

static void tell(BlockNode *node, uint64_t end)
{
    uint64_t threshold = node->write_threshold;

    if (threshold && end > threshold) {
        node->write_threshold = 0;
        block_threshold_qmp_tell(node, end - threshold, threshold);
    }
    LIST_FOREACH(at, &node->parents) {
        BlockLink *link = CONTAINER_OF(at, BlockLink, child_node);

        if (link->parent && link->parent->is_transparent)
            tell(link->parent, end);
    }
}

static void on_crossed(void *opaque)
{
    BlockNode *node = opaque;

    tell(node, __atomic_exchange_n(&node->crossed, 0, __ATOMIC_ACQUIRE));
    block_threshold_update(node);
}

void block_threshold_init(BlockNode *node)
{
    node->watch = UINT64_MAX;
    loop_message_init(&node->tell_crossed, on_crossed, node);
}
