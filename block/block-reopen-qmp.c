/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockdev-reopen: what may differ is found and checked first; then, while nothing is
 * under way, all of it is changed, or put back.
 */
#include <string.h>

#include "berth/block-quiesce.h"
#include "berth/error.h"

#include "block-overlay.h"
#include "qmp-commands.h"

#define WHAT "blockdev-reopen"

/* One edge that is to lead elsewhere. */
typedef struct Edge {
    BlockNode *parent;
    BlockRole role;
    BlockNode *before;          /* held, as the next; NULL: none */
    BlockNode *after;
    bool is_done;
} Edge;

typedef struct Change {
    BlockNode *node;
    BlockdevDiscardOptions discard;     /* swapped with the node's, as the next */
    BlockdevDetectZeroesOptions detect_zeroes;
} Change;

typedef struct Reopen {
    BlockTask task;
    QmpReply *reply;
    GArray *changes;            /* of Change */
    GArray *edges;              /* of Edge */
    BlockHold hold;
    BlockQuiesce *quiesce;
    GError *error;
} Reopen;

static Edge *edge_at(const Reopen *reopen, guint i)
{
    return &g_array_index(reopen->edges, Edge, i);
}

static void let_go(BlockNode *node)
{
    if (node)
        block_close(node, NULL, NULL);
}

static void end(Reopen *reopen)
{
    block_quiesce_end(reopen->quiesce);
    block_hold_end(&reopen->hold);
    for (guint i = 0; i < reopen->edges->len; i++) {
        let_go(edge_at(reopen, i)->before);
        let_go(edge_at(reopen, i)->after);
    }
    block_task_end(&reopen->task);
    if (reopen->error)
        qmp_reply_fail(reopen->reply, reopen->error);
    else
        qmp_return_blockdev_reopen(reopen->reply);
    g_array_unref(reopen->changes);
    g_array_unref(reopen->edges);
    g_free(reopen);
}

static void on_cancel(BlockTask *task)
{
    Reopen *reopen = CONTAINER_OF(task, Reopen, task);

    g_clear_error(&reopen->error);
    error_set(&reopen->error, "the machine ends");
    end(reopen);
}

static void cut(BlockLink *link)
{
    block_link_remove(link);
    g_free(link);
}

/* Has the edge lead to @to, which may be NULL as what it leads to now may. */
static void lead(const Edge *edge, BlockNode *to)
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

static bool change_edge(Edge *edge, GError **error)
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

static bool change_edges(Reopen *reopen, GError **error)
{
    for (guint i = 0; i < reopen->edges->len; i++) {
        if (!change_edge(edge_at(reopen, i), error))
            return false;
    }
    return block_perm_update(reopen->task.graph, error);
}

static void put_back(Reopen *reopen)
{
    for (guint i = reopen->edges->len; i-- > 0;) {
        if (edge_at(reopen, i)->is_done)
            lead(edge_at(reopen, i), edge_at(reopen, i)->before);
    }
    block_perm_update(reopen->task.graph, NULL);
}

/* The other way round the second time. */
static void swap_options(Reopen *reopen)
{
    for (guint i = 0; i < reopen->changes->len; i++) {
        Change *change = &g_array_index(reopen->changes, Change, i);
        BlockdevOptions *options = change->node->options;
        BlockdevDiscardOptions discard = options->discard;
        BlockdevDetectZeroesOptions detect_zeroes = options->detect_zeroes;

        options->discard = change->discard;
        options->detect_zeroes = change->detect_zeroes;
        change->discard = discard;
        change->detect_zeroes = detect_zeroes;
        if (change->node->driver->discard_changed)
            change->node->driver->discard_changed(change->node);
    }
}

/* What is told of a node names the one that is below it now. */
static void note_edge(const Edge *edge)
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

static void on_quiet(void *opaque)
{
    Reopen *reopen = opaque;

    swap_options(reopen);
    if (!change_edges(reopen, &reopen->error) ||
        !block_quiesce_rebuild(reopen->quiesce, &reopen->error)) {
        put_back(reopen);
        swap_options(reopen);
    }
    for (guint i = 0; !reopen->error && i < reopen->edges->len; i++) {
        const Edge *edge = edge_at(reopen, i);

        note_edge(edge);
        if (edge->role == BLOCK_ROLE_FILTERED &&
            block_node_size(edge->before) != block_node_size(edge->after))
            block_hold_tell_size(edge->after);
    }
    end(reopen);
}

static bool add_edge(Reopen *reopen, BlockNode *node, BlockRole role,
                     const BlockdevRef *ref, GError **error)
{
    BlockNode *before = block_node_child(node, role), *after = NULL;
    Edge edge = { .parent = node, .role = role };

    if (ref->type == QAPI_KIND_OBJECT) {
        error_set(error, "node '%s': the nodes below it are given by their names",
                  node->name);
        return false;
    }
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
    if (after && !block_hold_add(&reopen->hold, after, WHAT, error))
        return false;
    edge.before = before ? block_node_ref(before) : NULL;
    edge.after = after ? block_node_ref(after) : NULL;
    g_array_append_val(reopen->edges, edge);
    return true;
}

/* Removes from @options what may differ, or names other nodes. */
static JsonValue *rest_of(BlockdevOptions *options)
{
    static const char *const others[] = {
        "node-name", "discard", "detect-zeroes", "file", "backing", "data-file",
        "read-only", "auto-read-only",
    };
    JsonValue *json = qapi_emit(QAPI_TYPE_BLOCKDEV_OPTIONS, options);

    for (size_t i = 0; i < G_N_ELEMENTS(others); i++)
        json_remove(json, others[i]);
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

/* What was opened for reading only because no more is allowed is as it was asked for. */
static bool is_same_mode(const BlockNode *node, const BlockdevOptions *options)
{
    return !options->has_read_only || options->read_only == node->read_only ||
        (node->read_only && options->auto_read_only);
}

static bool check_rest(const BlockNode *node, const BlockdevOptions *asked,
                       GError **error)
{
    BlockdevOptions *options = qapi_clone_BlockdevOptions(asked);
    g_autoptr(JsonValue) before = NULL, after = NULL;

    if (!options->cache)
        options->cache = qapi_clone_BlockdevCacheOptions(node->options->cache);
    before = rest_of(node->options);
    after = rest_of(options);
    qapi_free_BlockdevOptions(options);
    if (!json_equal(before, after)) {
        refuse(node, before, after, error);
        return false;
    }
    if (is_same_mode(node, asked))
        return true;
    error_set(error, "node '%s': parameter 'read-only' cannot be changed", node->name);
    return false;
}

static bool check_once(const Reopen *reopen, const BlockNode *node, GError **error)
{
    for (guint i = 0; i < reopen->changes->len; i++) {
        if (g_array_index(reopen->changes, Change, i).node != node)
            continue;
        error_set(error, "node '%s' is there twice", node->name);
        return false;
    }
    return true;
}

static bool add(Reopen *reopen, const BlockdevOptions *options, GError **error)
{
    BlockNode *node = NULL;
    Change change = {
        .discard = options->discard, .detect_zeroes = options->detect_zeroes,
    };

    if (!options->node_name)
        error_set(error, "parameter 'node-name' is missing");
    else
        node = block_graph_named(reopen->task.graph, NULL, options->node_name, error);
    if (!node || !check_once(reopen, node, error) ||
        !block_hold_add(&reopen->hold, node, WHAT, error) ||
        !check_rest(node, options, error))
        return false;
    for (const BlockChild *child = node->driver->children; child && child->ref; child++) {
        const BlockdevRef *ref =
            *(BlockdevRef *const *)((const char *)options + child->ref);

        if (ref && !add_edge(reopen, node, child->role, ref, error))
            return false;
    }
    change.node = node;
    g_array_append_val(reopen->changes, change);
    return true;
}

static void make_quiet(Reopen *reopen)
{
    g_autoptr(GPtrArray) nodes = g_ptr_array_new();

    for (guint i = 0; i < reopen->changes->len; i++)
        g_ptr_array_add(nodes, g_array_index(reopen->changes, Change, i).node);
    if (nodes->len == 0)
        return end(reopen);
    reopen->quiesce = block_quiesce_begin_all((BlockNode *const *)nodes->pdata,
                                              nodes->len, on_quiet, reopen);
}

void qmp_blockdev_reopen(QmpContext *ctx, const BlockdevReopenArgs *args, QmpReply *reply)
{
    Reopen *reopen = g_new0(Reopen, 1);

    reopen->reply = reply;
    reopen->changes = g_array_new(FALSE, TRUE, sizeof(Change));
    reopen->edges = g_array_new(FALSE, TRUE, sizeof(Edge));
    block_task_begin(&reopen->task, ctx->blocks, on_cancel);
    for (size_t i = 0; !reopen->error && i < args->options->n; i++)
        add(reopen, args->options->items[i], &reopen->error);
    if (reopen->error)
        end(reopen);
    else
        make_quiet(reopen);
}
