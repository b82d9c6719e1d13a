/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The edges of the graph.
 */
#include "block-private.h"

void block_link_add(BlockLink *link, BlockNode *child)
{
    link->child = block_node_ref(child);
    list_append(&child->parents, &link->child_node);
    if (link->parent)
        list_append(&link->parent->children, &link->parent_node);
}

void block_link_remove(BlockLink *link)
{
    list_remove(&link->child_node);
    if (link->parent)
        list_remove(&link->parent_node);
    block_node_unref(g_steal_pointer(&link->child));
}

void block_link_join(BlockNode *parent, BlockRole role, BlockNode *child)
{
    BlockLink *link = g_new0(BlockLink, 1);

    link->role = role;
    link->parent = parent;
    link->permits = BLOCK_PERM_ALL;
    block_link_add(link, child);
}
