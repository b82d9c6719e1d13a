/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations of main that change the graph while a guest runs: they wait for workers or
 * for quiet, and have what they change for themselves.  Main only.
 */
#pragma once

#include "block-drive-private.h"

/* An operation of main that waits. */
typedef struct BlockTask {
    ListNode node;              /* in BlockGraph.tasks */
    BlockGraph *graph;
    WorkerJob job;
    /*
     * The graph goes: the worker has returned or did not begin, and nothing of the task
     * is called any more.  Ends it, with an error to who asked.
     */
    void (*cancel)(struct BlockTask *task);
} BlockTask;

/* block-task.c: main. */

/* @task is zero-initialised, or was ended. */
void block_task_begin(BlockTask *task, BlockGraph *graph,
                      void (*cancel)(BlockTask *task));
/* Has @work done on a worker, then @done on main; possibly both before this returns. */
void block_task_run(BlockTask *task, WorkerFn *work, WorkerFn *done, void *opaque);
void block_task_end(BlockTask *task);
void block_task_cancel_all(BlockGraph *graph);

/* block-hold.c: main. */

/* The nodes that an operation has for itself; zero-initialised. */
typedef struct BlockHold {
    GPtrArray *nodes;           /* held; those above first */
    GArray *sizes;              /* theirs, before */
} BlockHold;

/*
 * Takes @node, and those that store it, for the operation @what (static text: "a
 * snapshot").  False with @error when another one has them.
 */
bool block_hold_add(BlockHold *hold, BlockNode *node, const char *what, GError **error);
void block_hold_end(BlockHold *hold);
/* Quiet: tells those above @node that its size has changed. */
void block_hold_tell_size(const BlockNode *node);
/* The same of those of @hold whose size has changed. */
void block_hold_tell_sizes(const BlockHold *hold);
/* False with @error that says what has @node, or one that stores it, for itself. */
bool block_hold_check(const BlockNode *node, GError **error);

/*
 * block-graph.c: the node that a client names by the name of its drive, or by its own
 * (NULL for the one it does not use); NULL with @error.
 */
BlockNode *block_graph_named(BlockGraph *graph, const char *device, const char *node_name,
                             GError **error);

/* The same by either name, of one whose image can have snapshots within it. */
BlockNode *block_graph_with_snapshots(BlockGraph *graph, const char *name,
                                      GError **error);

/* block-drive.c: the drive that -drive named so; NULL: none. */
BlockDrive *block_drive_named(BlockGraph *graph, const char *name);

/*
 * block-close.c: the caller lets go of @node, which leaves the graph when nobody else
 * holds it, and those below likewise.  A worker closes them; then @done is called, unless
 * it is NULL, possibly before this returns.
 */
void block_close(BlockNode *node, LoopFn *done, void *opaque);
