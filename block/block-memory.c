/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is allocated for nodes and for requests on their way to them.
 */
#include "block-private.h"

/* Of one channel: what its slots have, made for as many requests as there can be. */
static uint64_t sum_channels(const BlockNode *node)
{
    uint64_t sum = 0;

    LIST_FOREACH(at, &node->parents) {
        const BlockLink *link = CONTAINER_OF(at, BlockLink, child_node);

        if (!link->use)
            continue;
        LIST_FOREACH(channel_at, &link->use->channels) {
            const BlockChannel *channel =
                CONTAINER_OF(channel_at, BlockChannel, use_node);

            sum += sizeof(*channel) + channel->depth * channel->layers.slot_size;
        }
    }
    return sum;
}

void block_memory_visit(const BlockGraph *graph, BlockMemoryFn *fn, void *opaque)
{
    LIST_FOREACH(at, &graph->nodes) {
        BlockNode *node = CONTAINER_OF(at, BlockNode, graph_node);
        uint64_t own = node->driver->instance_size + sum_channels(node);
        uint64_t now = 0, most = 0;

        if (node->driver->memory)
            node->driver->memory(node, &now, &most);
        fn(opaque, node->name, own + now, own + most);
    }
}
