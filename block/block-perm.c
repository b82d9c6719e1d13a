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

static Needs needs_of_node(BlockNode *node, unsigned round);

static Needs needs_of_link(const BlockLink *link, unsigned round)
{
    const uint8_t changes = BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE;
    Needs needs;

    if (link->role == BLOCK_ROLE_USE)
        return (Needs) { link->wants, link->permits };
    needs = needs_of_node(link->parent, round);
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

/*
 * @round: of a walk through the whole graph, in which a node is reached on many ways and
 * looked at once; 0: of the node alone.
 */
static Needs needs_of_node(BlockNode *node, unsigned round)
{
    Needs all = { 0, BLOCK_PERM_ALL };

    if (round != 0 && node->perm_round == round)
        return (Needs) { node->perm_wants, node->perm_permits };
    LIST_FOREACH(at, &node->parents) {
        Needs needs = needs_of_link(CONTAINER_OF(at, BlockLink, child_node), round);

        all.wants |= needs.wants;
        all.permits &= needs.permits;
    }
    if (round != 0) {
        node->perm_round = round;
        node->perm_wants = all.wants;
        node->perm_permits = all.permits;
    }
    return all;
}

static char *describe(const BlockLink *link)
{
    if (link->role != BLOCK_ROLE_USE)
        return g_strdup_printf("node '%s'", link->parent->name);
    return link->use->ops->describe(link->use->opaque);
}

/* An edge but @other that wants @perm, or does not permit it. */
static const BlockLink *find(const BlockNode *node, const BlockLink *other, uint8_t perm,
                             bool wanting, unsigned round)
{
    LIST_FOREACH(at, &node->parents) {
        const BlockLink *link = CONTAINER_OF(at, BlockLink, child_node);
        Needs needs = needs_of_link(link, round);

        if (link != other && (wanting ? needs.wants & perm : !(needs.permits & perm)))
            return link;
    }
    return NULL;
}

/* Says of which two edges one wants what the other does not permit. */
static void explain(const BlockNode *node, uint8_t perm, unsigned round, GError **error)
{
    const BlockLink *wanting = find(node, NULL, perm, true, round);
    const BlockLink *against = find(node, wanting, perm, false, round);
    g_autofree char *who = NULL, *whom = NULL;

    if (!against) {
        /* Only that one is against it, then another one wants it. */
        against = wanting;
        wanting = find(node, against, perm, true, round);
    }
    who = describe(wanting);
    whom = describe(against);
    error_set(error, "node '%s': %s needs '%s', which %s does not allow", node->name, who,
              names[__builtin_ctz(perm)], whom);
}

/* Whether an edge wants @perm and another one does not permit it. */
static bool has_conflict(const BlockNode *node, uint8_t perm, unsigned round)
{
    unsigned n_wanting = 0, n_against = 0, n_both = 0;

    LIST_FOREACH(at, &node->parents) {
        Needs needs = needs_of_link(CONTAINER_OF(at, BlockLink, child_node), round);
        bool wants = needs.wants & perm, refuses = !(needs.permits & perm);

        n_wanting += wants;
        n_against += refuses;
        n_both += wants && refuses;
    }
    return n_wanting > 0 && n_against > 0 &&
        !(n_wanting == 1 && n_against == 1 && n_both == 1);
}

static bool check_node(BlockNode *node, unsigned round, GError **error)
{
    Needs all = needs_of_node(node, round);

    if (node->read_only && all.wants & BLOCK_PERM_WRITE) {
        error_set(error, "node '%s' is read-only", node->name);
        return false;
    }
    for (uint8_t perm = 1; perm < BLOCK_PERM_ALL; perm <<= 1) {
        if (has_conflict(node, perm, round)) {
            explain(node, perm, round, error);
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
    return tell(node, needs_of_node(node, 0), error);
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

/* 0 is no round. */
static unsigned next_round(BlockGraph *graph)
{
    if (++graph->perm_round == 0)
        graph->perm_round = 1;
    return graph->perm_round;
}

bool block_perm_update(BlockGraph *graph, GError **error)
{
    g_autoptr(GArray) before = g_array_new(FALSE, FALSE, sizeof(Needs));
    unsigned round = next_round(graph);

    assert_main();
    LIST_FOREACH(at, &graph->nodes) {
        if (!check_node(CONTAINER_OF(at, BlockNode, graph_node), round, error))
            return false;
    }
    LIST_FOREACH(at, &graph->nodes) {
        BlockNode *node = CONTAINER_OF(at, BlockNode, graph_node);
        Needs needs = { node->wants, node->permits };

        g_array_append_val(before, needs);
        if (!tell(node, needs_of_node(node, round), error)) {
            take_back(graph, before, at);
            return false;
        }
    }
    return true;
}
