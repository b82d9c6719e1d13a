/* SPDX-License-Identifier: Apache-2.0 */
/*
 * block_resize: while nothing is under way above the node and what stores it, a worker
 * changes the size, and main tells those above of it.
 */
#include "berth/block-quiesce.h"
#include "berth/error.h"

#include "block-change.h"
#include "qmp-commands.h"

typedef struct Resize {
    BlockTask task;
    QmpReply *reply;
    BlockNode *node;            /* the hold's */
    BlockHold hold;
    BlockUse *use;
    BlockQuiesce *quiesce;
    uint64_t size;
    GError *error;
} Resize;

static char *describe(void *opaque)
{
    return g_strdup("command 'block_resize'");
}

static const BlockUseOps use_ops = { .describe = describe };

static void end(Resize *resize)
{
    block_quiesce_end(resize->quiesce);
    block_use_free(resize->use);
    block_hold_end(&resize->hold);
    block_task_end(&resize->task);
    if (resize->error)
        qmp_reply_fail(resize->reply, resize->error);
    else
        qmp_return_block_resize(resize->reply);
    g_free(resize);
}

static void on_cancel(BlockTask *task)
{
    Resize *resize = CONTAINER_OF(task, Resize, task);

    g_clear_error(&resize->error);
    error_set(&resize->error, "the machine ends");
    end(resize);
}

static void on_resize(void *opaque)
{
    Resize *resize = opaque;

    block_node_resize(resize->node, resize->size, PREALLOC_MODE_OFF, &resize->error);
}

/* Also after a failure: a part may have changed. */
static void on_resized(void *opaque)
{
    Resize *resize = opaque;

    block_hold_tell_sizes(&resize->hold);
    end(resize);
}

static void on_quiet(void *opaque)
{
    Resize *resize = opaque;

    block_task_run(&resize->task, on_resize, on_resized, resize);
}

static void start(Resize *resize)
{
    GPtrArray *nodes = resize->hold.nodes;

    resize->quiesce = block_quiesce_begin_all((BlockNode *const *)nodes->pdata,
                                              nodes->len, on_quiet, resize);
}

void qmp_block_resize(QmpContext *ctx, const BlockResizeArgs *args, QmpReply *reply)
{
    Resize *resize = g_new0(Resize, 1);

    resize->reply = reply;
    resize->size = args->size;
    block_task_begin(&resize->task, ctx->blocks, on_cancel);
    resize->node =
        block_graph_named(ctx->blocks, args->device, args->node_name, &resize->error);
    if (resize->node)
        resize->use = block_use_new(resize->node, BLOCK_PERM_RESIZE, BLOCK_PERM_ALL,
                                    &use_ops, resize, &resize->error);
    if (resize->use &&
        block_hold_add(&resize->hold, resize->node, "block_resize", &resize->error))
        start(resize);
    else
        end(resize);
}
