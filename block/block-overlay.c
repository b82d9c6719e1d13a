/* SPDX-License-Identifier: Apache-2.0 */
#include "berth/error.h"
#include "berth/thread.h"

#include "block-open.h"
#include "block-overlay.h"
#include "block-threshold.h"

static bool has_role(const BlockDriver *driver, BlockRole role)
{
    for (const BlockChild *child = driver->children; child && child->ref; child++) {
        if (child->role == role)
            return true;
    }
    return false;
}

bool block_overlay_check(BlockNode *overlay, GError **error)
{
    if (!block_graph_check_unused(overlay, error))
        return false;
    if (!has_role(overlay->driver, BLOCK_ROLE_BACKING))
        error_set(error, "node '%s': a '%s' has no backing", overlay->name,
                  overlay->driver->name);
    else if (block_node_child(overlay, BLOCK_ROLE_BACKING))
        error_set(error, "node '%s' has a backing node already; it is opened with "
                  "'backing': null", overlay->name);
    else
        return true;
    return false;
}

bool block_overlay_weigh(BlockNode *node)
{
    bool ok = block_node_weigh(node) <= BLOCK_WEIGHT_MAX;

    LIST_FOREACH(at, &node->parents) {
        BlockNode *parent = CONTAINER_OF(at, BlockLink, child_node)->parent;

        ok = ok && (!parent || block_overlay_weigh(parent));
    }
    return ok;
}

/* Drivers remember what stores their format, and some what they filter. */
bool block_overlay_can_move(const BlockLink *link, GError **error)
{
    if (link->role == BLOCK_ROLE_USE || link->role == BLOCK_ROLE_BACKING ||
        (link->role == BLOCK_ROLE_FILTERED && link->parent->driver->rejoin))
        return true;
    error_set(error, "node '%s' stores node '%s', of which an overlay can be made",
              link->child->name, link->parent->name);
    return false;
}

void block_overlay_move(BlockLink *link, BlockNode *to)
{
    BlockNode *from = link->child;

    list_remove(&link->child_node);
    link->child = block_node_ref(to);
    list_append(&to->parents, &link->child_node);
    if (link->role == BLOCK_ROLE_FILTERED)
        link->parent->driver->rejoin(link->parent);
    block_node_unref(from);
}

bool block_overlay_put(BlockOverlay *put, GError **error)
{
    BlockNode *node = put->node, *overlay = put->overlay;

    assert_main();
    LIST_FOREACH(at, &node->parents) {
        if (!block_overlay_can_move(CONTAINER_OF(at, BlockLink, child_node), error))
            return false;
    }
    put->moved = g_ptr_array_new();
    LIST_FOREACH(at, &node->parents) {
        g_ptr_array_add(put->moved, CONTAINER_OF(at, BlockLink, child_node));
    }
    block_link_join(overlay, BLOCK_ROLE_BACKING, node);
    for (guint i = 0; i < put->moved->len; i++)
        block_overlay_move(g_ptr_array_index(put->moved, i), overlay);
    if (block_overlay_weigh(overlay)) {
        block_threshold_update(node);
        block_threshold_update(overlay);
        return true;
    }
    error_set(error, "node '%s': more than %u block nodes lie one below the other",
              overlay->name, BLOCK_WEIGHT_MAX);
    block_overlay_undo(put);
    return false;
}

static void cut(BlockNode *overlay)
{
    LIST_FOREACH(at, &overlay->children) {
        BlockLink *link = CONTAINER_OF(at, BlockLink, parent_node);

        if (link->role != BLOCK_ROLE_BACKING)
            continue;
        block_link_remove(link);
        g_free(link);
        return;
    }
}

void block_overlay_undo(BlockOverlay *put)
{
    if (!put->moved)
        return;
    assert_main();
    for (guint i = 0; i < put->moved->len; i++)
        block_overlay_move(g_ptr_array_index(put->moved, i), put->node);
    cut(put->overlay);
    block_overlay_weigh(put->overlay);
    block_overlay_weigh(put->node);
    block_threshold_update(put->node);
    block_threshold_update(put->overlay);
    g_clear_pointer(&put->moved, g_ptr_array_unref);
}

void block_overlay_keep(BlockOverlay *put)
{
    assert_main();
    if (block_node_size(put->node) != block_node_size(put->overlay))
        block_hold_tell_size(put->overlay);
    g_clear_pointer(&put->moved, g_ptr_array_unref);
}
