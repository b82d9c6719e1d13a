/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations of main that wait: for a worker, or for requests to end.
 */
#include "berth/thread.h"

#include "block-change.h"

void block_task_begin(BlockTask *task, BlockGraph *graph,
                      void (*cancel)(BlockTask *task))
{
    assert_main();
    task->graph = graph;
    task->cancel = cancel;
    list_append(&graph->tasks, &task->node);
}

void block_task_run(BlockTask *task, WorkerFn *work, WorkerFn *done, void *opaque)
{
    WorkerPool *pool = worker_pool_of(task->graph->loop);

    worker_job_init(&task->job, work, done, opaque);
    /* Without a thread main does it, however long that takes. */
    if (task->graph->ends || !worker_submit(pool, &task->job, NULL)) {
        work(opaque);
        done(opaque);
    }
}

void block_task_end(BlockTask *task)
{
    list_remove(&task->node);
}

void block_task_cancel_all(BlockGraph *graph)
{
    while (!list_is_empty(&graph->tasks)) {
        BlockTask *task = CONTAINER_OF(list_first(&graph->tasks), BlockTask, node);

        worker_take_back(&task->job);
        task->cancel(task);
    }
}
