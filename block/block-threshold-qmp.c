/* SPDX-License-Identifier: Apache-2.0 */
#include "berth/error.h"

#include "block-threshold.h"
#include "qapi-events.h"
#include "qmp-commands.h"

void block_threshold_qmp_tell(BlockNode *node, uint64_t exceeded, uint64_t threshold)
{
    BlockWriteThresholdEvent event = {
        .node_name = node->name,
        .amount_exceeded = exceeded,
        .write_threshold = threshold,
    };

    qapi_event_block_write_threshold(node->graph->events, &event);
}

bool qmp_block_set_write_threshold(QmpContext *ctx,
                                   const BlockSetWriteThresholdArgs *args, GError **error)
{
    BlockNode *node = block_graph_find(ctx->blocks, args->node_name);

    if (!node) {
        error_set(error, "there is no block node '%s'", args->node_name);
        return false;
    }
    node->write_threshold = args->write_threshold;
    block_threshold_update(node);
    return true;
}
