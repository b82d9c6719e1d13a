/* SPDX-License-Identifier: Apache-2.0 */
#include "berth/error.h"

#include "block-open.h"
#include "qmp-commands.h"

/* Opening and closing wait for the storage: a worker of main's loop does it. */
typedef struct NodeJob {
    BlockJob job;
    QmpReply *reply;
    BlockOpen *open;            /* blockdev-add */
    BlockNode *node;            /* blockdev-del: held */
    GError *error;
} NodeJob;

static NodeJob *to_node_job(BlockJob *job)
{
    return CONTAINER_OF(job, NodeJob, job);
}

static void free_job(NodeJob *job)
{
    list_remove(&job->job.node);
    block_open_free(job->open);
    block_node_unref(job->node);
    g_free(job);
}

static void on_cancel(BlockJob *cancelled)
{
    NodeJob *job = to_node_job(cancelled);

    g_clear_error(&job->error);
    error_set(&job->error, "the machine ends");
    qmp_reply_fail(job->reply, job->error);
    free_job(job);
}

static void on_open(void *opaque)
{
    NodeJob *job = opaque;

    block_open_run(job->open, &job->error);
}

static void on_opened(void *opaque)
{
    NodeJob *job = opaque;

    if (!job->error)
        block_open_finish(job->open, &job->error);
    if (job->error)
        qmp_reply_fail(job->reply, job->error);
    else
        qmp_return_blockdev_add(job->reply);
    free_job(job);
}

static void start_job(NodeJob *job, BlockGraph *graph, WorkerFn *work, WorkerFn *done)
{
    job->job.cancel = on_cancel;
    list_append(&graph->jobs, &job->job.node);
    worker_job_init(&job->job.work, work, done, job);
    if (!worker_submit(worker_pool_of(graph->loop), &job->job.work, &job->error))
        done(job);
}

void qmp_blockdev_add(QmpContext *ctx, const BlockdevOptions *args, QmpReply *reply)
{
    NodeJob *job;
    GError *error = NULL;
    BlockOpen *open;

    if (!args->node_name) {
        error_set(&error, "parameter 'node-name' is missing");
        qmp_reply_fail(reply, error);
        return;
    }
    open = block_open_new(ctx->blocks, args, &error);
    if (!open) {
        qmp_reply_fail(reply, error);
        return;
    }
    job = g_new0(NodeJob, 1);
    job->reply = reply;
    job->open = open;
    start_job(job, ctx->blocks, on_open, on_opened);
}

static void on_close(void *opaque)
{
    NodeJob *job = opaque;

    block_node_close(job->node);
}

static void on_closed(void *opaque)
{
    NodeJob *job = opaque;

    qmp_return_blockdev_del(job->reply);
    free_job(job);
}

void qmp_blockdev_del(QmpContext *ctx, const BlockdevDelArgs *args, QmpReply *reply)
{
    BlockNode *node = block_graph_find(ctx->blocks, args->node_name);
    GError *error = NULL;
    NodeJob *job;

    if (!node)
        error_set(&error, "there is no block node '%s'", args->node_name);
    if (!node || !block_graph_check_unused(node, &error)) {
        qmp_reply_fail(reply, error);
        return;
    }
    job = g_new0(NodeJob, 1);
    job->reply = reply;
    job->node = block_node_ref(node);
    block_graph_remove_node(node);
    start_job(job, ctx->blocks, on_close, on_closed);
}
