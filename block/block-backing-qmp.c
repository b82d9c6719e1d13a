/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change-backing-file: a worker writes into the image while nothing is under way above
 * it.
 */
#include "berth/block-quiesce.h"
#include "berth/error.h"

#include "block-change.h"
#include "block-drive-private.h"
#include "qmp-commands.h"

typedef struct ChangeBacking {
    BlockTask task;
    QmpReply *reply;
    BlockNode *node;            /* the hold's */
    char *name;                 /* NULL: none */
    char *format;
    BlockHold hold;
    BlockQuiesce *quiesce;
    GError *error;
} ChangeBacking;

static void end(ChangeBacking *change)
{
    block_quiesce_end(change->quiesce);
    block_hold_end(&change->hold);
    block_task_end(&change->task);
    if (change->error)
        qmp_reply_fail(change->reply, change->error);
    else
        qmp_return_change_backing_file(change->reply);
    g_free(change->name);
    g_free(change->format);
    g_free(change);
}

static void on_cancel(BlockTask *task)
{
    ChangeBacking *change = CONTAINER_OF(task, ChangeBacking, task);

    g_clear_error(&change->error);
    error_set(&change->error, "the machine ends");
    end(change);
}

static void on_change(void *opaque)
{
    ChangeBacking *change = opaque;

    change->node->driver->change_backing(change->node, change->name, change->format,
                                         &change->error);
}

static void on_changed(void *opaque)
{
    end(opaque);
}

static void on_quiet(void *opaque)
{
    ChangeBacking *change = opaque;

    block_task_run(&change->task, on_change, on_changed, change);
}

/* Whether @node is @top, or below it as a backing node or what a filter filters. */
static bool is_in_chain(const BlockNode *top, const BlockNode *node)
{
    while (top && top != node) {
        const BlockNode *next = block_node_child(top, BLOCK_ROLE_FILTERED);

        top = next ? next : block_node_child(top, BLOCK_ROLE_BACKING);
    }
    return top != NULL;
}

static BlockNode *find(BlockGraph *graph, const ChangeBackingFileArgs *args,
                       GError **error)
{
    bool is_drive = block_drive_find(graph, args->device);
    BlockNode *top = block_graph_named(graph, is_drive ? args->device : NULL,
                                       is_drive ? NULL : args->device, error);
    BlockNode *node =
        top ? block_graph_named(graph, NULL, args->image_node_name, error) : NULL;

    if (!node)
        return NULL;
    if (!is_in_chain(top, node))
        error_set(error, "node '%s' is not in the chain of '%s'", node->name,
                  args->device);
    else if (!node->driver->change_backing)
        error_set(error, "node '%s': a '%s' names no backing file", node->name,
                  node->driver->name);
    else if (node->read_only)
        error_set(error, "node '%s' is read-only", node->name);
    else
        return node;
    return NULL;
}

void qmp_change_backing_file(QmpContext *ctx, const ChangeBackingFileArgs *args,
                             QmpReply *reply)
{
    ChangeBacking *change = g_new0(ChangeBacking, 1);
    BlockNode *backing;

    change->reply = reply;
    block_task_begin(&change->task, ctx->blocks, on_cancel);
    change->node = find(ctx->blocks, args, &change->error);
    if (!change->node || !block_hold_add(&change->hold, change->node,
                                         "change-backing-file", &change->error))
        return end(change);
    backing = block_node_child(change->node, BLOCK_ROLE_BACKING);
    change->name = *args->backing_file ? g_strdup(args->backing_file) : NULL;
    change->format = backing ? g_strdup(backing->driver->name) : NULL;
    change->quiesce = block_quiesce_begin(change->node, on_quiet, change);
}
