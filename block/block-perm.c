/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who may do what with a node.
 *
 * Every edge says what its upper end needs of the lower (wants) and what it lets the
 * other users of that node do (permits).  A use says it itself; what a node asks of its
 * children follows from the edge's role and from what is asked of the node:
 *
 *     role       wants                            permits
 *     filtered   what its users want              what its users permit
 *     storage,   the same, and consistent-read;   no write and no resize, but
 *     data       write and resize unless the      write-unchanged
 *                node is read-only
 *     backing    consistent-read if its users     no write and no resize unless its
 *                want that                        users permit writing; write-unchanged
 *
 * Two edges to a node contradict when one wants what the other does not permit.  What
 * all edges want and permit together is told to the driver, which asks other processes
 * for the same by locks on the file.
 *
 * A change of the graph is made first and then checked here as a whole; who made it takes
 * it back when it is refused.
 */
#include "berth/error.h"
#include "berth/thread.h"

#include "block-private.h"

static const char *const names[] = {
    "consistent read", "write", "write unchanged", "resize",
};

typedef struct Needs {
    uint8_t wants;
    uint8_t permits;
} Needs;

static Needs needs_of_node(const BlockNode *node);

static Needs needs_of_link(const BlockLink *link)
{
    const uint8_t changes = BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE;
    Needs needs;

    if (link->role == BLOCK_ROLE_USE)
        return (Needs) { link->wants, link->permits };
    needs = needs_of_node(link->parent);
    switch (link->role) {
    case BLOCK_ROLE_USE:
    case BLOCK_ROLE_FILTERED:
        break;
    case BLOCK_ROLE_STORAGE:
    case BLOCK_ROLE_DATA:
        needs.wants |= BLOCK_PERM_CONSISTENT_READ;
        needs.wants |= link->parent->read_only ? 0 : changes;
        if (!link->parent->force_share)
            needs.permits &= (uint8_t)~changes;
        break;
    case BLOCK_ROLE_BACKING:
        needs.wants &= BLOCK_PERM_CONSISTENT_READ;
        needs.permits = BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE_UNCHANGED |
                        (needs.permits & BLOCK_PERM_WRITE ? changes : 0);
        break;
    }
    return needs;
}

static Needs needs_of_node(const BlockNode *node)
{
    Needs all = { 0, BLOCK_PERM_ALL };

    LIST_FOREACH(at, &node->parents) {
        Needs needs = needs_of_link(CONTAINER_OF(at, BlockLink, child_node));

        all.wants |= needs.wants;
        all.permits &= needs.permits;
    }
    return all;
}

static char *describe(const BlockLink *link)
{
    if (link->role != BLOCK_ROLE_USE)
        return g_strdup_printf("node '%s'", link->parent->name);
    return link->use->ops->describe(link->use->opaque);
}

static bool check_pair(const BlockLink *wanting, const BlockLink *other, GError **error)
{
    Needs wants = needs_of_link(wanting);
    Needs permits = needs_of_link(other);
    uint8_t refused = wants.wants & ~permits.permits;
    g_autofree char *who = NULL;
    g_autofree char *against = NULL;

    if (!refused)
        return true;
    who = describe(wanting);
    against = describe(other);
    error_set(error, "node '%s': %s needs '%s', which %s does not allow",
              wanting->child->name, who, names[__builtin_ctz(refused)], against);
    return false;
}

static bool check_node(const BlockNode *node, GError **error)
{
    Needs all = needs_of_node(node);

    if (node->read_only && all.wants & BLOCK_PERM_WRITE) {
        error_set(error, "node '%s' is read-only", node->name);
        return false;
    }
    LIST_FOREACH(a, &node->parents) {
        LIST_FOREACH(b, &node->parents) {
            if (a != b && !check_pair(CONTAINER_OF(a, BlockLink, child_node),
                                      CONTAINER_OF(b, BlockLink, child_node), error))
                return false;
        }
    }
    return true;
}

static bool tell(BlockNode *node, Needs needs, GError **error)
{
    if (node->wants == needs.wants && node->permits == needs.permits)
        return true;
    if (node->driver->set_perm &&
        !node->driver->set_perm(node, needs.wants, needs.permits, error))
        return false;
    node->wants = needs.wants;
    node->permits = needs.permits;
    return true;
}

bool block_perm_tell(BlockNode *node, GError **error)
{
    return tell(node, needs_of_node(node), error);
}

/* Tells the nodes before @end what they were told when @before was noted. */
static void take_back(BlockGraph *graph, const GArray *before, const ListNode *end)
{
    guint i = 0;

    LIST_FOREACH(at, &graph->nodes) {
        if (at == end)
            break;
        /* What was allowed a moment ago: locks that were given up for it. */
        tell(CONTAINER_OF(at, BlockNode, graph_node), g_array_index(before, Needs, i++),
             NULL);
    }
}

bool block_perm_update(BlockGraph *graph, GError **error)
{
    g_autoptr(GArray) before = g_array_new(FALSE, FALSE, sizeof(Needs));

    assert_main();
    LIST_FOREACH(at, &graph->nodes) {
        if (!check_node(CONTAINER_OF(at, BlockNode, graph_node), error))
            return false;
    }
    LIST_FOREACH(at, &graph->nodes) {
        BlockNode *node = CONTAINER_OF(at, BlockNode, graph_node);
        Needs needs = { node->wants, node->permits };

        g_array_append_val(before, needs);
        if (!block_perm_tell(node, error)) {
            take_back(graph, before, at);
            return false;
        }
    }
    return true;
}
