/* SPDX-License-Identifier: Apache-2.0 */
#include "berth/error.h"

#include "block-change.h"
#include "block-open.h"
#include "qmp-commands.h"

static void on_added(void *opaque, BlockNode *node, const GError *error)
{
    if (error)
        qmp_reply_fail(opaque, g_error_copy(error));
    else
        qmp_return_blockdev_add(opaque);
}

void qmp_blockdev_add(QmpContext *ctx, const BlockdevOptions *args, QmpReply *reply)
{
    GError *error = NULL;

    if (!args->node_name) {
        error_set(&error, "parameter 'node-name' is missing");
        qmp_reply_fail(reply, error);
        return;
    }
    block_add_start(ctx->blocks, args, on_added, reply);
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
