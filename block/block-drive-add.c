/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives that come while the machine runs: a worker opens the node, and the drive is made
 * when that is there.
 */
#include "berth/error.h"
#include "berth/qapi.h"

#include "block-change.h"
#include "block-drive-private.h"
#include "block-open.h"

typedef struct Add {
    BlockTask task;
    BlockGraph *graph;
    BlockDriveOptions options;
    char *name;
    DriveThrottling *throttling;        /* NULL: there are no limits */
    BlockOpen *open;                    /* NULL: there is no medium */
    GError *error;
    BlockDriveAddedFn *done;
    void *opaque;
} Add;

static void end(Add *add)
{
    block_task_end(&add->task);
    block_open_free(add->open);
    add->done(add->opaque, add->error);
    g_clear_error(&add->error);
    qapi_free_DriveThrottling(add->throttling);
    g_free(add->name);
    g_free(add);
}

static void on_cancel(BlockTask *task)
{
    Add *add = CONTAINER_OF(task, Add, task);

    g_clear_error(&add->error);
    error_set(&add->error, "the machine ends");
    end(add);
}

/* The drive around @node, which goes with it, or NULL. */
static void make(Add *add, BlockNode *node)
{
    BlockDrive *drive = block_drive_new(add->graph, &add->options, node, &add->error);

    if (drive && add->throttling &&
        !block_drive_set_throttle(drive, add->throttling, &add->error))
        block_drive_detach(drive, true);
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
        make(add, block_open_finish(add->open));
    end(add);
}

void block_drive_add(BlockGraph *graph, const BlockDriveOptions *options,
                     const BlockdevOptions *node, const DriveThrottling *throttling,
                     BlockDriveAddedFn *done, void *opaque)
{
    Add *add = g_new0(Add, 1);

    add->graph = graph;
    add->options = *options;
    add->options.name = add->name = g_strdup(options->name);
    if (throttling)
        add->throttling = qapi_clone_DriveThrottling(throttling);
    add->done = done;
    add->opaque = opaque;
    block_task_begin(&add->task, graph, on_cancel);
    if (node)
        add->open = block_open_new(graph, node, &add->error);
    else
        make(add, NULL);
    if (add->open)
        block_task_run(&add->task, on_open, on_opened, add);
    else
        end(add);
}
