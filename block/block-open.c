/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making nodes from options.
 *
 * Opening a file may take as long as the storage behind it likes, so it happens on a
 * worker while main serves others.  What the new nodes name in the graph is held from the
 * first step on; they themselves are seen by nobody until the last.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/id.h"
#include "berth/thread.h"

#include "block-change.h"
#include "block-open.h"

#define MAX_NODES 1024u         /* of one definition */
#define NODE_NAME_MAX 31u       /* characters */

struct BlockOpen {
    BlockGraph *graph;
    BlockNode *top;             /* held */
    GPtrArray *nodes;           /* those that are new, the lower first; held */
    GHashTable *names;          /* theirs, also of those that are not on the list yet */
    ListNode graph_node;        /* in BlockGraph.opens */
    bool is_finished;
};

static char *choose_name(BlockGraph *graph)
{
    unsigned n = __atomic_fetch_add(&graph->n_named, 1, __ATOMIC_RELAXED);

    return g_strdup_printf("#block%03u", n);
}

/* Also by a node that is being made. */
static bool is_taken(BlockGraph *graph, const char *name)
{
    LIST_FOREACH(at, &graph->opens) {
        const BlockOpen *open = CONTAINER_OF(at, BlockOpen, graph_node);

        if (g_hash_table_contains(open->names, name))
            return true;
    }
    return block_graph_find(graph, name) || block_drive_named(graph, name);
}

static bool check_name(const BlockOpen *open, const char *name, GError **error)
{
    if (!id_check(name, "node-name", error))
        return false;
    if (strlen(name) > NODE_NAME_MAX) {
        error_set(error, "parameter 'node-name': '%s' has more than %u characters", name,
                  NODE_NAME_MAX);
        return false;
    }
    if (!is_taken(open->graph, name) &&
        g_hash_table_add(open->names, g_strdup(name)))
        return true;
    error_set(error, "parameter 'node-name': there is a block node '%s' already", name);
    return false;
}

/* What a definition inside another does not say. */
static void inherit(BlockdevOptions *options, BlockRole role,
                    const BlockdevOptions *parent)
{
    if (!options->has_read_only) {
        options->has_read_only = true;
        options->read_only = role == BLOCK_ROLE_BACKING || parent->read_only;
    }
    if (!options->cache)
        options->cache = qapi_clone_BlockdevCacheOptions(parent->cache);
    if (!options->has_discard && role != BLOCK_ROLE_BACKING) {
        options->has_discard = true;
        options->discard = BLOCKDEV_DISCARD_OPTIONS_UNMAP;
    }
}

void block_open_settle(BlockdevOptions *options, BlockRole role,
                       const BlockdevOptions *parent)
{
    if (parent)
        inherit(options, role, parent);
    options->has_read_only = true;
    options->has_discard = true;
    if (!options->cache)
        options->cache = g_new0(BlockdevCacheOptions, 1);
    options->cache->has_direct = true;
    options->cache->has_no_flush = true;
}

static BlockNode *make_node(BlockOpen *open, const BlockdevOptions *options,
                            BlockRole role, const BlockdevOptions *parent,
                            GError **error);

static BlockNode *make_child(BlockOpen *open, BlockNode *node, const BlockChild *child,
                             const BlockdevRef *ref, GError **error)
{
    BlockNode *below;

    if (ref->type == QAPI_KIND_OBJECT)
        return make_node(open, ref->u.definition, child->role, node->options, error);
    below = block_graph_find(open->graph, ref->u.reference);
    if (!below)
        error_set(error, "there is no block node '%s'", ref->u.reference);
    return below && block_hold_check(below, error) ? block_node_ref(below) : NULL;
}

static bool make_children(BlockOpen *open, BlockNode *node, GError **error)
{
    for (const BlockChild *child = node->driver->children; child && child->ref; child++) {
        BlockdevRef *ref =
            *(BlockdevRef *const *)((const char *)node->options + child->ref);
        BlockNode *below;

        if (!ref || ref->type == QAPI_KIND_NULL)
            continue;
        below = make_child(open, node, child, ref, error);
        if (!below)
            return false;
        block_link_join(node, child->role, below);
        block_node_unref(below);
    }
    return true;
}

/*
 * A node has so many ways down that whoever walks them all, on whatever stack, comes to
 * an end.
 */
static bool weigh(BlockNode *node, GError **error)
{
    if (block_node_weigh(node) <= BLOCK_WEIGHT_MAX)
        return true;
    error_set(error, "node '%s': more than %u block nodes lie one below the other",
              node->name, BLOCK_WEIGHT_MAX);
    return false;
}

static bool prepare(BlockNode *node, GError **error)
{
    if (!node->driver->prepare)
        return true;
    node->needs_close = true;
    if (node->driver->prepare(node, error))
        return true;
    g_prefix_error(error, "node '%s': ", node->name);
    return false;
}

/* The new node, held for the caller beside the list. */
static BlockNode *make_node(BlockOpen *open, const BlockdevOptions *options,
                            BlockRole role, const BlockdevOptions *parent, GError **error)
{
    BlockNode *node;

    if (open->nodes->len >= MAX_NODES) {
        error_set(error, "more than %u block nodes in one definition", MAX_NODES);
        return NULL;
    }
    if (options->node_name && !check_name(open, options->node_name, error))
        return NULL;
    node = block_node_new(options->driver);
    node->graph = open->graph;
    node->open = open;
    node->name = options->node_name ? g_strdup(options->node_name)
                                    : choose_name(open->graph);
    node->options = qapi_clone_BlockdevOptions(options);
    node->inherits_read_only = parent && role != BLOCK_ROLE_BACKING &&
        !options->has_read_only;
    node->inherits_cache = parent && role != BLOCK_ROLE_BACKING && !options->cache;
    block_open_settle(node->options, role, parent);
    node->read_only = node->options->read_only;
    node->force_share = node->options->force_share;
    if (node->force_share && !node->read_only) {
        error_set(error, "node '%s': force-share=on needs read-only=on", node->name);
    } else if (make_children(open, node, error) && weigh(node, error) &&
               prepare(node, error)) {
        g_ptr_array_add(open->nodes, block_node_ref(node));
        return node;
    }
    block_node_unref(node);
    return NULL;
}

static bool open_node(BlockNode *node, GError **error)
{
    if (node->was_opened)
        return true;
    node->was_opened = true;
    node->needs_close = true;
    if (node->driver->open(node, error) && block_perm_tell(node, error))
        return true;
    g_prefix_error(error, "node '%s': ", node->name);
    return false;
}

/* Those above are new as well, and have one user. */
static bool weigh_up(BlockNode *node, GError **error)
{
    if (!weigh(node, error))
        return false;
    if (list_is_empty(&node->parents))
        return true;
    return weigh_up(CONTAINER_OF(list_first(&node->parents), BlockLink,
                                 child_node)->parent, error);
}

/* What an image names is never more than files by their paths. */
static bool check_from_image(const BlockdevOptions *options, GError **error)
{
    const char *filename = NULL;

    if (options->driver == BLOCKDEV_DRIVER_FILE)
        filename = options->u.file.filename;
    else if (options->driver == BLOCKDEV_DRIVER_HOST_DEVICE)
        filename = options->u.host_device.filename;
    if (filename && g_str_has_prefix(filename, "/dev/fdset/")) {
        error_set(error, "an image cannot name a set of descriptors, '%s'", filename);
        return false;
    }
    if (options->node_name) {
        error_set(error, "an image cannot name a block node, '%s'", options->node_name);
        return false;
    }
    for (const BlockChild *child = block_drivers[options->driver]->children;
         child && child->ref; child++) {
        const BlockdevRef *ref =
            *(BlockdevRef *const *)((const char *)options + child->ref);

        if (ref && ref->type == QAPI_KIND_STR) {
            error_set(error, "an image cannot name a block node, '%s'", ref->u.reference);
            return false;
        }
        if (ref && ref->type == QAPI_KIND_OBJECT &&
            !check_from_image(ref->u.definition, error))
            return false;
    }
    return true;
}

bool block_open_later(BlockNode *node, BlockRole role, const BlockdevOptions *options,
                      GError **error)
{
    BlockNode *below = NULL;

    if (check_from_image(options, error))
        below = make_node(node->open, options, role, node->options, error);
    if (!below)
        return false;
    block_link_join(node, role, below);
    block_node_unref(below);
    return weigh_up(node, error);
}

bool block_open_below(BlockNode *node, BlockRole role, const BlockdevOptions *options,
                      GError **error)
{
    GPtrArray *nodes = node->open->nodes;
    guint first = nodes->len;

    if (!block_open_later(node, role, options, error))
        return false;
    for (guint i = first; i < nodes->len; i++) {
        if (!open_node(g_ptr_array_index(nodes, i), error))
            return false;
    }
    return true;
}

BlockOpen *block_open_new(BlockGraph *graph, const BlockdevOptions *options,
                          GError **error)
{
    g_autoptr(BlockOpen) open = g_new0(BlockOpen, 1);

    assert_main();
    open->graph = graph;
    open->nodes = g_ptr_array_new();
    open->names = g_hash_table_new_full(g_str_hash, g_str_equal, g_free, NULL);
    list_append(&graph->opens, &open->graph_node);
    open->top = make_node(open, options, BLOCK_ROLE_USE, NULL, error);
    if (!open->top || !block_perm_update(graph, error))
        return NULL;
    return g_steal_pointer(&open);
}

BlockNode *block_open_top(const BlockOpen *open)
{
    return open->top;
}

static void close_all(BlockOpen *open)
{
    for (guint i = open->nodes->len; i-- > 0;) {
        BlockNode *node = g_ptr_array_index(open->nodes, i);

        block_node_close(node);
    }
}

/* Nodes that are opened add others to the list: no depth of backing files needs stack. */
static bool open_all(BlockOpen *open, GError **error)
{
    for (guint i = 0; i < open->nodes->len; i++) {
        if (!open_node(g_ptr_array_index(open->nodes, i), error))
            return false;
    }
    return true;
}

static bool begin_all(BlockOpen *open, GError **error)
{
    for (guint i = 0; i < open->nodes->len; i++) {
        BlockNode *node = g_ptr_array_index(open->nodes, i);

        if (!node->driver->begin || node->driver->begin(node, error))
            continue;
        g_prefix_error(error, "node '%s': ", node->name);
        return false;
    }
    return true;
}

bool block_open_run(BlockOpen *open, GError **error)
{
    if (open_all(open, error) && begin_all(open, error))
        return true;
    close_all(open);
    return false;
}

BlockNode *block_open_finish(BlockOpen *open)
{
    BlockGraph *graph = open->graph;

    assert_main();
    for (guint i = 0; i < open->nodes->len; i++) {
        BlockNode *node = g_ptr_array_index(open->nodes, i);

        node->open = NULL;
        if (node->driver->tell)
            block_node_tell(node);
        list_append(&graph->nodes, &node->graph_node);
    }
    open->top->is_owned = true;
    block_node_ref(open->top);
    open->is_finished = true;
    return open->top;
}

void block_open_free(BlockOpen *open)
{
    if (!open)
        return;
    assert_main();
    list_remove(&open->graph_node);
    block_node_unref(open->top);
    for (guint i = open->nodes->len; i-- > 0;)
        block_node_unref(g_ptr_array_index(open->nodes, i));
    g_ptr_array_unref(open->nodes);
    g_hash_table_unref(open->names);
    /* What the new nodes wanted of those that were there is wanted no more. */
    if (!open->is_finished)
        block_perm_update(open->graph, NULL);
    g_free(open);
}
