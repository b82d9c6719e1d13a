/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A drive that is a file of the host, byte for byte: who only reads it can map it.
 */
#include "berth/block-drive.h"

#include "file-private.h"

int block_host_file_of(const BlockDrive *drive)
{
    BlockNode *node = block_drive_node(drive);

    while (node && node->is_transparent)
        node = block_node_storage(node);
    return node && node->driver == &file_driver ? file_of(node)->fd : -1;
}
