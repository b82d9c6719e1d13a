/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One operation at a time on a node and on what stores it: size, options, edges.  Other
 * operations, new users and new nodes above are refused meanwhile; users that are there
 * go on.
 */
#include "berth/error.h"
#include "berth/thread.h"

#include "block-change.h"

static bool check_one(const BlockNode *node, GError **error)
{
    if (!node->busy)
        return true;
    error_set(error, "node '%s' is busy: %s is under way", node->name, node->busy);
    return false;
}

bool block_hold_check(const BlockNode *node, GError **error)
{
    if (!check_one(node, error))
        return false;
    LIST_FOREACH(at, &node->children) {
        const BlockLink *link = CONTAINER_OF(at, BlockLink, parent_node);

        if (link->role != BLOCK_ROLE_BACKING && !block_hold_check(link->child, error))
            return false;
    }
    return true;
}

static void mark(BlockHold *hold, BlockNode *node, const char *what)
{
    if (!node->busy) {
        node->busy = what;
        g_ptr_array_add(hold->nodes, block_node_ref(node));
    }
    LIST_FOREACH(at, &node->children) {
        const BlockLink *link = CONTAINER_OF(at, BlockLink, parent_node);

        if (link->role != BLOCK_ROLE_BACKING)
            mark(hold, link->child, what);
    }
}

static bool has(const BlockHold *hold, const BlockNode *node)
{
    return g_ptr_array_find(hold->nodes, node, NULL);
}

bool block_hold_add(BlockHold *hold, BlockNode *node, const char *what, GError **error)
{
    assert_main();
    if (!hold->nodes)
        hold->nodes = g_ptr_array_new();
    if (has(hold, node))
        return true;
    if (!block_hold_check(node, error))
        return false;
    mark(hold, node, what);
    return true;
}

void block_hold_end(BlockHold *hold)
{
    assert_main();
    for (guint i = 0; hold->nodes && i < hold->nodes->len; i++) {
        BlockNode *node = g_ptr_array_index(hold->nodes, i);

        node->busy = NULL;
        block_close(node, NULL, NULL);
    }
    g_clear_pointer(&hold->nodes, g_ptr_array_unref);
}
