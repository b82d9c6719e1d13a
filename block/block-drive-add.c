/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives that come while the machine runs: each is made when its node is there.
 */
#include "berth/qapi.h"

#include "block-drive-private.h"
#include "block-open.h"

typedef struct Add {
    BlockGraph *graph;
    BlockDriveOptions options;
    char *name;                         /* in @options */
    DriveThrottling *throttling;        /* in @options */
    BlockDriveAddedFn *done;
    void *opaque;
} Add;

/* Without a @node and an @error it has no medium. */
static void on_added(void *opaque, BlockNode *node, const GError *error)
{
    Add *add = opaque;
    g_autoptr(GError) own = NULL;

    if (!error)
        block_drive_new(add->graph, &add->options, node, &own);
    add->done(add->opaque, error ? error : own);
    qapi_free_DriveThrottling(add->throttling);
    g_free(add->name);
    g_free(add);
}

void block_drive_add(BlockGraph *graph, const BlockDriveOptions *options,
                     const BlockdevOptions *node, BlockDriveAddedFn *done, void *opaque)
{
    Add *add = g_new0(Add, 1);

    add->graph = graph;
    add->options = *options;
    add->options.name = add->name = g_strdup(options->name);
    if (options->throttling)
        add->throttling = qapi_clone_DriveThrottling(options->throttling);
    add->options.throttling = add->throttling;
    add->done = done;
    add->opaque = opaque;
    if (node)
        block_add_start(graph, node, on_added, add);
    else
        on_added(add, NULL, NULL);
}
