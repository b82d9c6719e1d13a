/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockdev-reopen: what is asked for.
 *
 * Nodes that are not named are changed with those above them when they have their options
 * from there, because they were defined inside without their own; and when they were to
 * be written, were found to be for reading only (auto-read-only), and are to be written
 * now.
 */
#include <string.h>

#include "berth/error.h"

#include "block-open.h"
#include "block-reopen-private.h"
#include "qmp-commands.h"

#define WHAT "blockdev-reopen"

static void answer(QmpReply *reply, GError *error)
{
    if (error)
        qmp_reply_fail(reply, error);
    else
        qmp_return_blockdev_reopen(reply);
}

static void on_cancel(BlockTask *task)
{
    BlockReopenAll *all = CONTAINER_OF(task, BlockReopenAll, task);

    block_reopen_cancel(all);
}

static BlockdevRef **ref_of(BlockdevOptions *options, const BlockChild *child)
{
    return (BlockdevRef **)((char *)options + child->ref);
}

static void node_free(gpointer data)
{
    BlockReopenNode *node = data;

    qapi_free_BlockdevOptions(node->options);
    g_free(node);
}

/* Removes from @options what may differ, or names other nodes. */
static JsonValue *rest_of(const BlockNode *node, BlockdevOptions *options)
{
    static const char *const others[] = {
        "node-name", "discard", "detect-zeroes", "file", "backing", "data-file",
        "read-only", "auto-read-only", "cache", NULL,
    };
    const BlockReopenOps *ops = node->driver->reopen;
    JsonValue *json = qapi_emit(QAPI_TYPE_BLOCKDEV_OPTIONS, options);

    for (const char *const *name = others; *name; name++)
        json_remove(json, *name);
    for (const char *const *name = ops ? ops->options : NULL; name && *name; name++)
        json_remove(json, *name);
    return json;
}

/* Names what differs and may not. */
static void refuse(const BlockNode *node, const JsonValue *before, const JsonValue *after,
                   GError **error)
{
    const JsonValue *both[] = { after, before };

    for (size_t i = 0; i < G_N_ELEMENTS(both); i++) {
        JsonIter iter = { 0 };
        const char *key;
        JsonValue *value;

        while (json_next(both[i], &iter, &key, &value)) {
            const JsonValue *other = json_member(both[1 - i], key);

            if (other && json_equal(value, other))
                continue;
            error_set(error, "node '%s': parameter '%s' cannot be changed", node->name,
                      key);
            return;
        }
    }
    g_assert_not_reached();
}

static bool check_rest(const BlockNode *node, BlockdevOptions *options, GError **error)
{
    g_autoptr(JsonValue) before = rest_of(node, node->options);
    g_autoptr(JsonValue) after = rest_of(node, options);

    if (!json_equal(before, after)) {
        refuse(node, before, after, error);
        return false;
    }
    if (!node->force_share || options->read_only)
        return true;
    error_set(error, "node '%s': force-share=on needs read-only=on", node->name);
    return false;
}

static BlockReopenNode *find(const BlockReopenAll *all, const BlockNode *node)
{
    for (guint i = 0; i < all->nodes->len; i++) {
        if (block_reopen_node(all, i)->reopen.node == node)
            return block_reopen_node(all, i);
    }
    return NULL;
}

/* Its name and those of the nodes below are as they are told of now. */
static void keep_names(const BlockNode *node, BlockdevOptions *options)
{
    g_autoptr(BlockdevOptions) kept = qapi_clone_BlockdevOptions(node->options);
    char *name = options->node_name;

    options->node_name = kept->node_name;
    kept->node_name = name;
    for (const BlockChild *child = node->driver->children; child && child->ref; child++) {
        BlockdevRef *ref = *ref_of(options, child);

        *ref_of(options, child) = *ref_of(kept, child);
        *ref_of(kept, child) = ref;
    }
}

/* Takes @options. */
static void add_node(BlockReopenAll *all, BlockNode *node, BlockdevOptions *options)
{
    BlockReopenNode *change = g_new0(BlockReopenNode, 1);

    keep_names(node, options);
    change->options = options;
    change->reopen = (BlockReopen) {
        .node = node, .read_only = options->read_only, .fd = -1,
    };
    g_ptr_array_add(all->nodes, change);
}

static bool add(BlockReopenAll *all, BlockNode *node, const BlockdevOptions *asked,
                BlockdevOptions *options, GError **error);

/* Its options are given inside those of the node above, @above. */
static bool add_inside(BlockReopenAll *all, BlockNode *parent, const BlockChild *child,
                       const BlockdevOptions *asked, const BlockdevOptions *above,
                       GError **error)
{
    BlockNode *node = block_node_child(parent, child->role);
    BlockdevOptions *options;

    if (node && (!asked->node_name || strcmp(asked->node_name, node->name) == 0)) {
        options = qapi_clone_BlockdevOptions(asked);
        block_open_settle(options, child->role, above);
        return add(all, node, asked, options, error);
    }
    error_set(error, "node '%s': other nodes below it are given by their names",
              parent->name);
    return false;
}

static bool add_children(BlockReopenAll *all, BlockNode *node,
                         const BlockdevOptions *asked, const BlockdevOptions *options,
                         GError **error)
{
    for (const BlockChild *child = node->driver->children; child && child->ref; child++) {
        const BlockdevRef *ref = *ref_of((BlockdevOptions *)asked, child);

        if (!ref)
            continue;
        if (ref->type == QAPI_KIND_OBJECT
            ? !add_inside(all, node, child, ref->u.definition, options, error)
            : !block_reopen_edges_add(all, node, child->role, ref, error))
            return false;
    }
    return true;
}

/* Takes @options, which are @asked with what is left out there. */
static bool add(BlockReopenAll *all, BlockNode *node, const BlockdevOptions *asked,
                BlockdevOptions *options, GError **error)
{
    bool ok = false;

    if (find(all, node))
        error_set(error, "node '%s' is there twice", node->name);
    else
        ok = block_hold_add(&all->hold, node, WHAT, error) &&
            check_rest(node, options, error) &&
            add_children(all, node, asked, options, error);
    if (ok)
        add_node(all, node, options);
    else
        qapi_free_BlockdevOptions(options);
    return ok;
}

static bool add_asked(BlockReopenAll *all, const BlockdevOptions *asked, GError **error)
{
    BlockdevOptions *options;
    BlockNode *node;

    if (!asked->node_name) {
        error_set(error, "parameter 'node-name' is missing");
        return false;
    }
    node = block_graph_named(all->task.graph, NULL, asked->node_name, error);
    if (!node)
        return false;
    options = qapi_clone_BlockdevOptions(asked);
    block_open_settle(options, BLOCK_ROLE_USE, NULL);
    return add(all, node, asked, options, error);
}

/* Whether @node is to have other options with those of the one above, @above. */
static bool follows(const BlockNode *node, const BlockdevOptions *above,
                    BlockdevOptions *options)
{
    const BlockdevCacheOptions *cache = above->cache;
    bool was_read_only = options->read_only;
    bool changes_cache = node->inherits_cache &&
        (cache->direct != options->cache->direct ||
         cache->no_flush != options->cache->no_flush);

    if (changes_cache) {
        qapi_free_BlockdevCacheOptions(options->cache);
        options->cache = qapi_clone_BlockdevCacheOptions(cache);
    }
    if (node->inherits_read_only)
        options->read_only = above->read_only;
    return changes_cache || options->read_only != was_read_only ||
        (!above->read_only && node->read_only && !options->read_only);
}

static bool add_followers(BlockReopenAll *all, const BlockReopenNode *above,
                          GError **error)
{
    LIST_FOREACH(at, &above->reopen.node->children) {
        const BlockLink *link = CONTAINER_OF(at, BlockLink, parent_node);
        g_autoptr(BlockdevOptions) options = NULL;

        if (link->role == BLOCK_ROLE_BACKING || find(all, link->child) ||
            block_reopen_edges_have(all, link->parent, link->role))
            continue;
        options = qapi_clone_BlockdevOptions(link->child->options);
        if (!follows(link->child, above->options, options))
            continue;
        if (!block_hold_add(&all->hold, link->child, WHAT, error))
            return false;
        add_node(all, link->child, g_steal_pointer(&options));
    }
    return true;
}

static bool add_all(BlockReopenAll *all, const BlockdevOptionsList *options,
                    GError **error)
{
    for (size_t i = 0; i < options->n; i++) {
        if (!add_asked(all, options->items[i], error))
            return false;
    }
    /* The list grows by those below. */
    for (guint i = 0; i < all->nodes->len; i++) {
        if (!add_followers(all, block_reopen_node(all, i), error))
            return false;
    }
    return true;
}

void qmp_blockdev_reopen(QmpContext *ctx, const BlockdevReopenArgs *args, QmpReply *reply)
{
    BlockReopenAll *all = g_new0(BlockReopenAll, 1);

    all->answer = answer;
    all->reply = reply;
    all->nodes = g_ptr_array_new_with_free_func(node_free);
    all->edges = g_array_new(FALSE, TRUE, sizeof(BlockReopenEdge));
    block_task_begin(&all->task, ctx->blocks, on_cancel);
    if (add_all(all, args->options, &all->error))
        block_reopen_run(all);
    else
        block_reopen_end(all);
}
