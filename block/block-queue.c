/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The layers that a channel's requests pass, as they are on its loop.
 *
 * The walk down from the user's node is done once, when the channel is made and after
 * each change of the graph.  It settles how much memory a request needs in all layers,
 * and leaves out filters that change nothing.  Layers beyond BLOCK_MAX_LAYERS have no
 * short way; what reaches them is done by workers.
 */
#include "berth/error.h"

#include "block-private.h"

/* Whether requests reach the child as they are. */
static bool changes_nothing(const BlockNode *node, const BlockNode *child)
{
    const BlockdevOptions *options = node->options;

    return options->detect_zeroes == BLOCKDEV_DETECT_ZEROES_OPTIONS_OFF &&
        (options->discard == BLOCKDEV_DISCARD_OPTIONS_UNMAP ||
         child->options->discard == BLOCKDEV_DISCARD_OPTIONS_IGNORE);
}

static BlockNode *skip_transparent(BlockNode *node)
{
    while (node->is_transparent) {
        BlockNode *child = block_node_child(node, BLOCK_ROLE_FILTERED);

        if (!changes_nothing(node, child))
            break;
        node = child;
    }
    return node;
}

static bool add_children(BlockQueue *queue, unsigned layer, GError **error)
{
    LIST_FOREACH(at, &queue->node->children) {
        BlockLink *link = CONTAINER_OF(at, BlockLink, parent_node);
        BlockQueue *child;

        g_assert(queue->n_children < G_N_ELEMENTS(queue->children));
        child = block_queue_new(link->child, queue->channel, layer + 1, error);
        if (!child)
            return false;
        queue->roles[queue->n_children] = link->role;
        queue->children[queue->n_children++] = child;
    }
    return true;
}

BlockQueue *block_queue_new(BlockNode *node, BlockChannel *channel, unsigned layer,
                            GError **error)
{
    const BlockDriver *driver;
    BlockQueue *queue;

    node = skip_transparent(node);
    driver = node->driver;
    queue = g_malloc0(sizeof(BlockQueue) + driver->queue_size);
    queue->node = node;
    queue->channel = channel;
    queue->loop = channel->loop;
    queue->child_offset =
        ALIGN_UP(sizeof(BlockReq) + driver->ctx_size, _Alignof(max_align_t));
    queue->is_short = driver->submit && layer < BLOCK_MAX_LAYERS;
    if (!queue->is_short)
        return queue;
    if (!add_children(queue, layer, error) ||
        (driver->attach && !driver->attach(queue, error))) {
        queue->is_short = false;
        block_queue_free(queue);
        return NULL;
    }
    return queue;
}

void block_queue_free(BlockQueue *queue)
{
    if (!queue)
        return;
    if (queue->is_short && queue->node->driver->detach)
        queue->node->driver->detach(queue);
    for (unsigned i = 0; i < queue->n_children; i++)
        block_queue_free(queue->children[i]);
    g_free(queue);
}

void block_queue_hurry(BlockQueue *queue, bool on)
{
    if (queue->is_short && queue->node->driver->hurry)
        queue->node->driver->hurry(queue, on);
    for (unsigned i = 0; i < queue->n_children; i++)
        block_queue_hurry(queue->children[i], on);
}

size_t block_queue_req_size(const BlockQueue *queue)
{
    size_t below = 0;

    for (unsigned i = 0; i < queue->n_children; i++)
        below = MAX(below, block_queue_req_size(queue->children[i]));
    return queue->child_offset + below;
}

BlockQueue *block_queue_child(const BlockQueue *queue, BlockRole role)
{
    for (unsigned i = 0; i < queue->n_children; i++) {
        if (queue->roles[i] == role)
            return queue->children[i];
    }
    return NULL;
}
