/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockdev-snapshot-delete-internal-sync: a worker deletes a snapshot within an image
 * while nothing is under way above it.
 */
#include "berth/block-quiesce.h"
#include "berth/error.h"

#include "block-change.h"
#include "qmp-commands.h"

typedef struct Delete {
    BlockTask task;
    QmpReply *reply;
    BlockNode *node;            /* the hold's */
    char *id;
    char *name;
    BlockHold hold;
    BlockQuiesce *quiesce;
    SnapshotInfo *deleted;
    GError *error;
} Delete;

static void end(Delete *delete)
{
    block_quiesce_end(delete->quiesce);
    block_hold_end(&delete->hold);
    block_task_end(&delete->task);
    if (delete->error)
        qmp_reply_fail(delete->reply, delete->error);
    else
        qmp_return_blockdev_snapshot_delete_internal_sync(delete->reply, delete->deleted);
    g_free(delete->id);
    g_free(delete->name);
    g_free(delete);
}

static void on_cancel(BlockTask *task)
{
    Delete *delete = CONTAINER_OF(task, Delete, task);

    g_clear_error(&delete->error);
    g_clear_pointer(&delete->deleted, qapi_free_SnapshotInfo);
    error_set(&delete->error, "the machine ends");
    end(delete);
}

static void on_delete(void *opaque)
{
    Delete *delete = opaque;

    delete->deleted = delete->node->driver->snapshot_delete(delete->node, delete->id,
                                                            delete->name, &delete->error);
}

static void on_deleted(void *opaque)
{
    end(opaque);
}

static void on_quiet(void *opaque)
{
    Delete *delete = opaque;

    block_task_run(&delete->task, on_delete, on_deleted, delete);
}

void qmp_blockdev_snapshot_delete_internal_sync(
    QmpContext *ctx, const BlockdevSnapshotDeleteInternalSyncArgs *args, QmpReply *reply)
{
    Delete *delete = g_new0(Delete, 1);

    delete->reply = reply;
    delete->id = g_strdup(args->id);
    delete->name = g_strdup(args->name);
    block_task_begin(&delete->task, ctx->blocks, on_cancel);
    delete->node = block_graph_with_snapshots(ctx->blocks, args->device, &delete->error);
    if (delete->node && !args->id && !args->name)
        error_set(&delete->error, "parameters 'id' and 'name': one of them has to be "
                  "given");
    if (delete->error ||
        !block_hold_add(&delete->hold, delete->node,
                        "blockdev-snapshot-delete-internal-sync", &delete->error))
        return end(delete);
    delete->quiesce = block_quiesce_begin(delete->node, on_quiet, delete);
}
