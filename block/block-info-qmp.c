/* SPDX-License-Identifier: Apache-2.0 */
#include "berth/error.h"

#include "block-info.h"
#include "qmp-commands.h"

BlockInfoList *qmp_query_block(QmpContext *ctx, GError **error)
{
    BlockInfoList *list = BlockInfoList_new();

    LIST_FOREACH(at, &ctx->blocks->drives) {
        BlockInfoList_append(list,
                             block_info_drive(CONTAINER_OF(at, BlockDrive, graph_node)));
    }
    return list;
}

BlockDeviceInfoList *qmp_query_named_block_nodes(QmpContext *ctx,
                                                 const QueryNamedBlockNodesArgs *args,
                                                 GError **error)
{
    BlockDeviceInfoList *list = BlockDeviceInfoList_new();

    for (ListNode *at = ctx->blocks->nodes.prev; at != &ctx->blocks->nodes;
         at = at->prev) {
        BlockNode *node = CONTAINER_OF(at, BlockNode, graph_node);

        BlockDeviceInfoList_append(list, block_info_node(node, NULL, args->flat));
    }
    return list;
}

BlockStatsList *qmp_query_blockstats(QmpContext *ctx, const QueryBlockstatsArgs *args,
                                     GError **error)
{
    BlockStatsList *list = BlockStatsList_new();

    if (args->query_nodes) {
        LIST_FOREACH(at, &ctx->blocks->nodes) {
            BlockNode *node = CONTAINER_OF(at, BlockNode, graph_node);

            BlockStatsList_append(list, block_stats_of_node(node, false));
        }
        return list;
    }
    LIST_FOREACH(at, &ctx->blocks->drives) {
        BlockDrive *drive = CONTAINER_OF(at, BlockDrive, graph_node);

        BlockStatsList_append(list, block_stats_of_drive(drive));
    }
    return list;
}

/* The histograms of what there are boundaries for; false with @error, and none. */
static bool make_histograms(const BlockLatencyHistogramSetArgs *args,
                            BlockHistogram **ret_histograms, GError **error)
{
    const struct {
        const char *parameter;
        const Uint64List *boundaries;
    } own[BLOCK_KIND__MAX] = {
        [BLOCK_KIND_READ] = { "boundaries-read", args->boundaries_read },
        [BLOCK_KIND_WRITE] = { "boundaries-write", args->boundaries_write },
        [BLOCK_KIND_FLUSH] = { "boundaries-flush", args->boundaries_flush },
    };

    for (unsigned i = 0; i < BLOCK_KIND__MAX; i++) {
        bool has_own = own[i].boundaries;
        const Uint64List *boundaries = has_own ? own[i].boundaries : args->boundaries;

        if (!own[i].parameter || !boundaries)
            continue;
        ret_histograms[i] = block_account_histogram_new(boundaries, error);
        if (ret_histograms[i])
            continue;
        g_prefix_error(error, "parameter '%s': ",
                       has_own ? own[i].parameter : "boundaries");
        while (i-- > 0)
            g_free(ret_histograms[i]);
        return false;
    }
    return true;
}

bool qmp_block_latency_histogram_set(QmpContext *ctx,
                                     const BlockLatencyHistogramSetArgs *args,
                                     GError **error)
{
    BlockDrive *drive = block_drive_find(ctx->blocks, args->id);
    BlockHistogram *histograms[BLOCK_KIND__MAX] = { NULL };
    bool ends = !args->boundaries && !args->boundaries_read && !args->boundaries_write &&
                !args->boundaries_flush;

    if (!drive) {
        error_set_class(error, BERTH_ERROR_DEVICE_NOT_FOUND, "there is no disk '%s'",
                        args->id);
        return false;
    }
    if (!make_histograms(args, histograms, error))
        return false;
    for (unsigned i = 0; i < BLOCK_KIND__MAX; i++) {
        if (histograms[i] || ends)
            block_account_set_histogram(&drive->account, i, histograms[i]);
    }
    return true;
}
