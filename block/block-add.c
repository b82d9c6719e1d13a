/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes that come while the machine runs: main names and joins them, a worker opens them,
 * main puts them into the graph.
 */
#include "berth/error.h"

#include "block-change.h"
#include "block-open.h"

typedef struct Add {
    BlockTask task;
    BlockOpen *open;
    BlockNode *node;            /* in the graph; NULL: not yet, or it failed */
    GError *error;
    BlockAddedFn *done;
    void *opaque;
} Add;

static void end(Add *add)
{
    block_task_end(&add->task);
    block_open_free(add->open);
    add->done(add->opaque, add->node, add->error);
    g_clear_error(&add->error);
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
        add->node = block_open_finish(add->open);
    end(add);
}

void block_add_start(BlockGraph *graph, const BlockdevOptions *options,
                     BlockAddedFn *done, void *opaque)
{
    Add *add = g_new0(Add, 1);

    add->done = done;
    add->opaque = opaque;
    block_task_begin(&add->task, graph, on_cancel);
    add->open = block_open_new(graph, options, &add->error);
    if (add->open)
        block_task_run(&add->task, on_open, on_opened, add);
    else
        end(add);
}
