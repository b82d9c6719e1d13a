/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The nodes of a machine, by name.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/thread.h"

#include "block-change.h"
#include "block-open.h"
#include "block-throttle.h"
#include "job.h"

BlockGraph *block_graph_new(Loop *loop)
{
    BlockGraph *graph = g_new0(BlockGraph, 1);

    graph->loop = loop;
    list_init(&graph->nodes);
    list_init(&graph->tasks);
    list_init(&graph->opens);
    list_init(&graph->quiesces);
    list_init(&graph->drives);
    list_init(&graph->jobs);
    list_init(&graph->throttle_groups);
    g_mutex_init(&graph->throttle_lock);
    return graph;
}

/* Those above first: they hold the others. */
void block_graph_free(BlockGraph *graph)
{
    if (!graph)
        return;
    assert_main();
    graph->ends = true;
    block_task_cancel_all(graph);
    job_free_all(graph);
    LIST_FOREACH(at, &graph->drives) {
        block_drive_free(CONTAINER_OF(at, BlockDrive, graph_node));
    }
    while (!list_is_empty(&graph->nodes)) {
        size_t n_before = 0, n_removed = 0;

        LIST_FOREACH(at, &graph->nodes) {
            BlockNode *node = CONTAINER_OF(at, BlockNode, graph_node);

            n_before++;
            if (!list_is_empty(&node->parents))
                continue;
            block_node_unref(node);
            n_removed++;
            break;
        }
        g_assert(n_removed > 0 || n_before == 0);
    }
    throttle_group_forget_graph(graph);
    g_mutex_clear(&graph->throttle_lock);
    g_free(graph);
}

void block_graph_let_go(BlockGraph *graph)
{
    assert_main();
    LIST_FOREACH(at, &graph->nodes) {
        BlockNode *node = CONTAINER_OF(at, BlockNode, graph_node);

        if (node->driver->let_go)
            node->driver->let_go(node);
    }
    LIST_FOREACH(at, &graph->drives) {
        block_throttle_let_go(CONTAINER_OF(at, BlockDrive, graph_node));
    }
}

void block_graph_set_open_hook(BlockGraph *graph, BlockOpenFn *fn, void *opaque)
{
    graph->open_file = fn;
    graph->opaque = opaque;
}

void block_graph_set_events(BlockGraph *graph, QmpEvents *events)
{
    graph->events = events;
}

int block_graph_open_file(BlockGraph *graph, const char *path, int flags, GError **error)
{
    assert_main();
    if (graph->open_file)
        return graph->open_file(graph->opaque, path, flags, error);
    error_set(error, "cannot open '%s': there are no sets of descriptors", path);
    return -1;
}

BlockNode *block_graph_find(BlockGraph *graph, const char *node_name)
{
    LIST_FOREACH(at, &graph->nodes) {
        BlockNode *node = CONTAINER_OF(at, BlockNode, graph_node);

        if (strcmp(node->name, node_name) == 0)
            return node;
    }
    return NULL;
}

BlockNode *block_graph_named(BlockGraph *graph, const char *device, const char *node_name,
                             GError **error)
{
    BlockDrive *drive = device ? block_drive_find(graph, device) : NULL;
    BlockNode *node = NULL;

    if (!device == !node_name) {
        error_set(error, "one of the parameters 'device' and 'node-name' is needed");
        return NULL;
    }
    if (device && !drive) {
        error_set(error, "there is no disk '%s'", device);
        return NULL;
    }
    node = device ? block_drive_node(drive) : block_graph_find(graph, node_name);
    if (!node && device)
        error_set(error, "disk '%s' has no medium", device);
    else if (!node)
        error_set(error, "there is no block node '%s'", node_name);
    return node;
}

BlockNode *block_graph_with_snapshots(BlockGraph *graph, const char *name, GError **error)
{
    bool is_drive = block_drive_find(graph, name);
    BlockNode *node = block_graph_named(graph, is_drive ? name : NULL,
                                        is_drive ? NULL : name, error);

    if (!node || node->driver->snapshot_create)
        return node;
    error_set(error, "node '%s': a '%s' has no snapshots within it", node->name,
              node->driver->name);
    return NULL;
}

BlockNode *block_graph_add(BlockGraph *graph, const BlockdevOptions *options,
                           GError **error)
{
    g_autoptr(BlockOpen) open = block_open_new(graph, options, error);

    if (!open || !block_open_run(open, error))
        return NULL;
    return block_open_finish(open);
}

bool block_graph_check_unused(BlockNode *node, GError **error)
{
    const BlockLink *link;

    if (list_is_empty(&node->parents))
        return block_hold_check(node, error);
    link = CONTAINER_OF(list_first(&node->parents), BlockLink, child_node);
    if (link->role == BLOCK_ROLE_USE) {
        g_autofree char *who = link->use->ops->describe(link->use->opaque);

        error_set(error, "node '%s' is in use: by %s", node->name, who);
    } else {
        error_set(error, "node '%s' is in use: by node '%s'", node->name,
                  link->parent->name);
    }
    return false;
}

bool block_graph_del(BlockGraph *graph, const char *node_name, GError **error)
{
    BlockNode *node = block_graph_find(graph, node_name);

    assert_main();
    if (!node) {
        error_set(error, "there is no block node '%s'", node_name);
        return false;
    }
    if (!block_graph_check_unused(node, error))
        return false;
    block_node_unref(node);
    block_perm_update(graph, NULL);
    return true;
}
