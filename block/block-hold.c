/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One operation at a time on a node and on what stores it: size, options, edges.  Other
 * operations, new users and new nodes above are refused meanwhile; users that are there
 * go on.
 */
#include "berth/error.h"
#include "berth/thread.h"

#include "block-change.h"

static bool has(const BlockHold *hold, const BlockNode *node)
{
    return hold && g_ptr_array_find(hold->nodes, node, NULL);
}

/* Whether nobody but @hold, which may be NULL, has one of them. */
static bool check(const BlockHold *hold, const BlockNode *node, GError **error)
{
    if (node->busy && !has(hold, node)) {
        error_set(error, "node '%s' is busy: %s is under way", node->name, node->busy);
        return false;
    }
    LIST_FOREACH(at, &node->children) {
        const BlockLink *link = CONTAINER_OF(at, BlockLink, parent_node);

        if (link->role != BLOCK_ROLE_BACKING && !check(hold, link->child, error))
            return false;
    }
    return true;
}

bool block_hold_check(const BlockNode *node, GError **error)
{
    return check(NULL, node, error);
}

static void mark(BlockHold *hold, BlockNode *node, const char *what)
{
    if (!node->busy) {
        uint64_t size = block_node_size(node);

        node->busy = what;
        g_ptr_array_add(hold->nodes, block_node_ref(node));
        g_array_append_val(hold->sizes, size);
    }
    LIST_FOREACH(at, &node->children) {
        const BlockLink *link = CONTAINER_OF(at, BlockLink, parent_node);

        if (link->role != BLOCK_ROLE_BACKING)
            mark(hold, link->child, what);
    }
}

bool block_hold_add(BlockHold *hold, BlockNode *node, const char *what, GError **error)
{
    assert_main();
    if (!hold->nodes) {
        hold->nodes = g_ptr_array_new();
        hold->sizes = g_array_new(FALSE, FALSE, sizeof(uint64_t));
    }
    if (!check(hold, node, error))
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
    g_clear_pointer(&hold->sizes, g_array_unref);
}

void block_hold_tell_size(const BlockNode *node)
{
    LIST_FOREACH(at, &node->parents) {
        BlockLink *link = CONTAINER_OF(at, BlockLink, child_node);
        BlockNode *parent = link->parent;
        uint64_t before;

        if (link->use && link->use->ops->resized)
            link->use->ops->resized(link->use->opaque);
        if (!parent || !parent->driver->follow)
            continue;
        before = block_node_size(parent);
        parent->driver->follow(parent);
        if (block_node_size(parent) != before)
            block_hold_tell_size(parent);
    }
}

void block_hold_tell_sizes(const BlockHold *hold)
{
    for (guint i = 0; i < hold->nodes->len; i++) {
        const BlockNode *node = g_ptr_array_index(hold->nodes, i);

        if (block_node_size(node) != g_array_index(hold->sizes, uint64_t, i))
            block_hold_tell_size(node);
    }
}
