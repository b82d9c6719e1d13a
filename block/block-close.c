/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Letting go of nodes while a guest runs: who is held by nobody any more leaves the graph
 * at once, and is closed by a worker, for a close may flush.  Until that has returned its
 * edges stay, and with them what it needs of those below.
 */
#include "berth/thread.h"

#include "block-change.h"

typedef struct Close {
    BlockTask task;
    BlockNode *top;             /* held */
    GPtrArray *dying;           /* those above first; lent by @top */
    LoopFn *done;
    void *opaque;
} Close;

/* Those that go when one holder of @node lets go. */
static void collect(BlockNode *node, GPtrArray *dying)
{
    if (++node->n_leaving < node->n_refs)
        return;
    g_ptr_array_add(dying, node);
    LIST_FOREACH(at, &node->children) {
        collect(CONTAINER_OF(at, BlockLink, parent_node)->child, dying);
    }
}

static void forget(BlockNode *node)
{
    node->n_leaving = 0;
    LIST_FOREACH(at, &node->children) {
        BlockNode *child = CONTAINER_OF(at, BlockLink, parent_node)->child;

        if (child->n_leaving > 0)
            forget(child);
    }
}

static void end(Close *closing)
{
    BlockGraph *graph = closing->top->graph;

    block_task_end(&closing->task);
    g_ptr_array_unref(closing->dying);
    block_node_unref(closing->top);
    /* Less is wanted than before: nobody can be against it. */
    block_perm_update(graph, NULL);
    if (closing->done)
        closing->done(closing->opaque);
    g_free(closing);
}

static void on_close(void *opaque)
{
    Close *closing = opaque;

    for (guint i = 0; i < closing->dying->len; i++)
        block_node_close(g_ptr_array_index(closing->dying, i));
}

static void on_closed(void *opaque)
{
    end(opaque);
}

static void on_cancel(BlockTask *task)
{
    end(CONTAINER_OF(task, Close, task));
}

void block_close(BlockNode *node, LoopFn *done, void *opaque)
{
    Close *closing = g_new0(Close, 1);

    assert_main();
    closing->top = node;
    closing->dying = g_ptr_array_new();
    closing->done = done;
    closing->opaque = opaque;
    collect(node, closing->dying);
    forget(node);
    for (guint i = 0; i < closing->dying->len; i++) {
        BlockNode *one = g_ptr_array_index(closing->dying, i);

        list_remove(&one->graph_node);
        block_node_retire(one);
    }
    block_task_begin(&closing->task, node->graph, on_cancel);
    if (closing->dying->len == 0)
        end(closing);
    else
        block_task_run(&closing->task, on_close, on_closed, closing);
}
