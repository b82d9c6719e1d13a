/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes and the edges between them.
 *
 * A node lives while somebody holds it: the graph by name, a link from above, an
 * operation under way.  The last one to let go closes it.  A node that is being made
 * belongs to the one who makes it, on whatever thread, until it is added to the graph.
 */
#include "berth/error.h"
#include "berth/thread.h"

#include "block-threshold.h"

static void on_tell(void *opaque)
{
    BlockNode *node = opaque;

    /* Who is not in the graph yet is asked when it is. */
    if (!node->open)
        node->driver->tell(node);
}

void block_node_tell(BlockNode *node)
{
    loop_post(node->graph->loop, &node->tell);
}

BlockNode *block_node_new(BlockdevDriver driver)
{
    BlockNode *node = g_malloc0(block_drivers[driver]->instance_size);

    node->driver = block_drivers[driver];
    node->n_refs = 1;
    node->limits.request_alignment = 1;
    node->limits.memory_alignment = 1;
    node->permits = BLOCK_PERM_ALL;
    block_threshold_init(node);
    loop_message_init(&node->tell, on_tell, node);
    list_init(&node->graph_node);
    list_init(&node->children);
    list_init(&node->parents);
    return node;
}

BlockNode *block_node_ref(BlockNode *node)
{
    node->n_refs++;
    return node;
}

void block_node_retire(BlockNode *node)
{
    if (node->needs_close && node->driver->retire)
        node->driver->retire(node);
}

void block_node_close(BlockNode *node)
{
    if (node->needs_close && node->driver->close)
        node->driver->close(node);
    node->needs_close = false;
}

static void drop_children(BlockNode *node)
{
    LIST_FOREACH(at, &node->children) {
        BlockLink *link = CONTAINER_OF(at, BlockLink, parent_node);

        block_link_remove(link);
        g_free(link);
    }
}

void block_node_unref(BlockNode *node)
{
    if (!node || --node->n_refs > 0)
        return;
    g_assert(list_is_empty(&node->parents));
    list_remove(&node->graph_node);
    if (atomic_load(&node->tell_crossed.pending))
        loop_message_cancel(node->graph->loop, &node->tell_crossed);
    block_node_retire(node);
    block_node_close(node);
    if (atomic_load(&node->tell.pending))
        loop_message_cancel(node->graph->loop, &node->tell);
    drop_children(node);
    qapi_free_BlockdevOptions(node->options);
    g_free(node->name);
    g_free(node);
}

unsigned block_node_weigh(BlockNode *node)
{
    node->weight = 1;
    LIST_FOREACH(at, &node->children) {
        node->weight += CONTAINER_OF(at, BlockLink, parent_node)->child->weight;
        node->weight = MIN(node->weight, BLOCK_WEIGHT_MAX + 1);
    }
    return node->weight;
}

BlockLink *block_node_link(const BlockNode *node, BlockRole role)
{
    LIST_FOREACH(at, &node->children) {
        BlockLink *link = CONTAINER_OF(at, BlockLink, parent_node);

        if (link->role == role)
            return link;
    }
    return NULL;
}

BlockNode *block_node_child(const BlockNode *node, BlockRole role)
{
    BlockLink *link = block_node_link(node, role);

    return link ? link->child : NULL;
}

BlockNode *block_node_storage(const BlockNode *node)
{
    BlockNode *child = block_node_child(node, BLOCK_ROLE_FILTERED);

    return child ? child : block_node_child(node, BLOCK_ROLE_STORAGE);
}

const char *block_node_name(const BlockNode *node)
{
    return node->name;
}

bool block_node_is_read_only(const BlockNode *node)
{
    return node->read_only;
}

const BlockLimits *block_node_limits(const BlockNode *node)
{
    return &node->limits;
}

uint64_t block_node_size(const BlockNode *node)
{
    return __atomic_load_n(&node->size, __ATOMIC_RELAXED);
}

void block_node_set_size(BlockNode *node, uint64_t size)
{
    __atomic_store_n(&node->size, size, __ATOMIC_RELAXED);
}

bool block_node_resize(BlockNode *node, uint64_t size, PreallocMode prealloc,
                       GError **error)
{
    if (node->read_only) {
        error_set(error, "node '%s' is read-only", node->name);
        return false;
    }
    if (!node->driver->resize) {
        error_set(error, "node '%s': a '%s' cannot be resized", node->name,
                  node->driver->name);
        return false;
    }
    return node->driver->resize(node, size, prealloc, error);
}
