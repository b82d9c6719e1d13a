/* SPDX-License-Identifier: Apache-2.0 */
#include "berth/error.h"

#include "block-change.h"
#include "block-open.h"
#include "qmp-commands.h"

typedef struct Add {
    BlockTask task;
    QmpReply *reply;
    BlockOpen *open;
    GError *error;
} Add;

static void end(Add *add)
{
    block_task_end(&add->task);
    block_open_free(add->open);
    if (add->error)
        qmp_reply_fail(add->reply, add->error);
    else
        qmp_return_blockdev_add(add->reply);
    g_free(add);
}

static void on_cancel(BlockTask *task)
{
    Add *add = CONTAINER_OF(task, Add, task);

    g_clear_error(&add->error);
    error_set(&add->error, "the machine ends");
    end(add);
}

static void on_open(void *opaque)
{
    Add *add = opaque;

    block_open_run(add->open, &add->error);
}

static void on_opened(void *opaque)
{
    Add *add = opaque;

    if (!add->error)
        block_open_finish(add->open);
    end(add);
}

void qmp_blockdev_add(QmpContext *ctx, const BlockdevOptions *args, QmpReply *reply)
{
    Add *add = g_new0(Add, 1);

    add->reply = reply;
    block_task_begin(&add->task, ctx->blocks, on_cancel);
    if (!args->node_name)
        error_set(&add->error, "parameter 'node-name' is missing");
    else
        add->open = block_open_new(ctx->blocks, args, &add->error);
    if (add->open)
        block_task_run(&add->task, on_open, on_opened, add);
    else
        end(add);
}

static void on_deleted(void *opaque)
{
    qmp_return_blockdev_del(opaque);
}

void qmp_blockdev_del(QmpContext *ctx, const BlockdevDelArgs *args, QmpReply *reply)
{
    BlockNode *node = block_graph_find(ctx->blocks, args->node_name);
    GError *error = NULL;

    if (!node)
        error_set(&error, "there is no block node '%s'", args->node_name);
    if (!node || !block_graph_check_unused(node, &error)) {
        qmp_reply_fail(reply, error);
        return;
    }
    node->is_owned = false;
    block_close(node, on_deleted, reply);
}
