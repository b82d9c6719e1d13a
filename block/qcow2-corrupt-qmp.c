/* SPDX-License-Identifier: Apache-2.0 */
#include "block-drive-private.h"
#include "qapi-events.h"

#include "qcow2-image.h"

/* Whose drive the node is, if it is one's. */
static const char *drive_of(const BlockNode *node)
{
    LIST_FOREACH(at, &node->graph->drives) {
        const BlockDrive *drive = CONTAINER_OF(at, BlockDrive, graph_node);

        if (block_drive_node(drive) == node)
            return block_drive_name(drive);
    }
    return "";
}

void qcow2_corrupt_qmp_tell(BlockNode *node)
{
    const Qcow2 *q = qcow2_of(node);
    BlockImageCorruptedEvent event = {
        .device = (char *)drive_of(node),
        .node_name = node->name,
        .msg = q->corrupt_text,
        .has_offset = true,
        .offset = (int64_t)q->corrupt_offset,
        .has_size = true,
        .size = (int64_t)q->corrupt_size,
        .fatal = !node->read_only,
    };

    qapi_event_block_image_corrupted(node->graph->events, &event);
}
