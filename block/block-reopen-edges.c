/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockdev-reopen: other nodes below those that are there.
 */
#include "berth/error.h"

#include "block-overlay.h"
#include "block-reopen-private.h"

static BlockReopenEdge *edge_at(const BlockReopenAll *all, guint i)
{
    return &g_array_index(all->edges, BlockReopenEdge, i);
}

bool block_reopen_edges_have(const BlockReopenAll *all, const BlockNode *parent,
                             BlockRole role)
{
    for (guint i = 0; i < all->edges->len; i++) {
        const BlockReopenEdge *edge = edge_at(all, i);

        if (edge->parent == parent && edge->role == role)
            return true;
    }
    return false;
}

bool block_reopen_edges_add(BlockReopenAll *all, BlockNode *node, BlockRole role,
                            const BlockdevRef *ref, GError **error)
{
    BlockNode *before = block_node_child(node, role), *after = NULL;
    BlockReopenEdge edge = { .parent = node, .role = role };

    if (ref->type == QAPI_KIND_STR) {
        after = block_graph_named(node->graph, NULL, ref->u.reference, error);
        if (!after)
            return false;
    }
    if (before == after)
        return true;
    if (before && !block_overlay_can_move(block_node_link(node, role), error))
        return false;
    if (!after && role != BLOCK_ROLE_BACKING) {
        error_set(error, "node '%s' needs a node below it", node->name);
        return false;
    }
    if (after && !block_hold_add(&all->hold, after, "blockdev-reopen", error))
        return false;
    edge.before = before ? block_node_ref(before) : NULL;
    edge.after = after ? block_node_ref(after) : NULL;
    g_array_append_val(all->edges, edge);
    return true;
}

static void cut(BlockLink *link)
{
    block_link_remove(link);
    g_free(link);
}

/* Has the edge lead to @to, which may be NULL as what it leads to now may. */
static void lead(const BlockReopenEdge *edge, BlockNode *to)
{
    BlockLink *link = block_node_link(edge->parent, edge->role);

    if (link && to)
        block_overlay_move(link, to);
    else if (link)
        cut(link);
    else if (to)
        block_link_join(edge->parent, edge->role, to);
    block_overlay_weigh(edge->parent);
}

static bool is_below(const BlockNode *node, const BlockNode *of)
{
    if (node == of)
        return true;
    LIST_FOREACH(at, &of->children) {
        if (is_below(node, CONTAINER_OF(at, BlockLink, parent_node)->child))
            return true;
    }
    return false;
}

static bool change(BlockReopenEdge *edge, GError **error)
{
    if (edge->after && is_below(edge->parent, edge->after)) {
        error_set(error, "node '%s' would be below itself", edge->parent->name);
        return false;
    }
    lead(edge, edge->after);
    edge->is_done = true;
    if (block_overlay_weigh(edge->parent))
        return true;
    error_set(error, "node '%s': more than %u block nodes lie one below the other",
              edge->parent->name, BLOCK_WEIGHT_MAX);
    return false;
}

bool block_reopen_edges_change(BlockReopenAll *all, GError **error)
{
    for (guint i = 0; i < all->edges->len; i++) {
        if (!change(edge_at(all, i), error))
            return false;
    }
    return true;
}

void block_reopen_edges_put_back(BlockReopenAll *all)
{
    for (guint i = all->edges->len; i-- > 0;) {
        BlockReopenEdge *edge = edge_at(all, i);

        if (edge->is_done)
            lead(edge, edge->before);
        edge->is_done = false;
    }
}

/* What is told of a node names the one that is below it now. */
static void note(const BlockReopenEdge *edge)
{
    const BlockChild *child = edge->parent->driver->children;
    BlockdevRef **ref;

    while (child->role != edge->role)
        child++;
    ref = (BlockdevRef **)((char *)edge->parent->options + child->ref);
    qapi_free_BlockdevRef(*ref);
    *ref = g_new0(BlockdevRef, 1);
    (*ref)->type = edge->after ? QAPI_KIND_STR : QAPI_KIND_NULL;
    if (edge->after)
        (*ref)->u.reference = g_strdup(edge->after->name);
}

void block_reopen_edges_keep(BlockReopenAll *all)
{
    for (guint i = 0; i < all->edges->len; i++) {
        const BlockReopenEdge *edge = edge_at(all, i);

        note(edge);
        if (edge->role == BLOCK_ROLE_FILTERED &&
            block_node_size(edge->before) != block_node_size(edge->after))
            block_hold_tell_size(edge->after);
    }
}

static void let_go(BlockNode *node)
{
    if (node)
        block_close(node, NULL, NULL);
}

void block_reopen_edges_free(BlockReopenAll *all)
{
    for (guint i = 0; i < all->edges->len; i++) {
        let_go(edge_at(all, i)->before);
        let_go(edge_at(all, i)->after);
    }
    g_array_unref(all->edges);
}
