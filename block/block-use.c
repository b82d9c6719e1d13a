/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A user's hold on a node.
 */
#include "berth/error.h"
#include "berth/thread.h"

#include "block-change.h"

BlockUse *block_use_new(BlockNode *node, uint8_t wants, uint8_t permits,
                        const BlockUseOps *ops, void *opaque, GError **error)
{
    BlockUse *use;

    assert_main();
    if (!block_hold_check(node, error))
        return NULL;
    use = g_new0(BlockUse, 1);
    use->ops = ops;
    use->opaque = opaque;
    list_init(&use->channels);
    use->link = (BlockLink) {
        .role = BLOCK_ROLE_USE, .use = use, .wants = wants, .permits = permits,
    };
    block_link_add(&use->link, node);
    if (block_perm_update(node->graph, error))
        return use;
    block_link_remove(&use->link);
    g_free(use);
    return NULL;
}

void block_use_free(BlockUse *use)
{
    BlockGraph *graph;

    if (!use)
        return;
    assert_main();
    g_assert(list_is_empty(&use->channels));
    graph = use->link.child->graph;
    block_link_remove(&use->link);
    /* Less is wanted than before: nobody can be against it. */
    block_perm_update(graph, NULL);
    g_free(use);
}

bool block_use_set(BlockUse *use, uint8_t wants, uint8_t permits, GError **error)
{
    BlockLink before = use->link;

    assert_main();
    use->link.wants = wants;
    use->link.permits = permits;
    if (block_perm_update(use->link.child->graph, error))
        return true;
    use->link.wants = before.wants;
    use->link.permits = before.permits;
    return false;
}

BlockNode *block_use_node(const BlockUse *use)
{
    return use->link.child;
}
