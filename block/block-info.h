/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What clients are told of nodes and drives.  Main only, and does not block.  All that is
 * returned is the caller's.
 */
#pragma once

#include "block-drive-private.h"

/* The file that is the node's, or "json:" and what it was made from. */
char *block_info_filename(const BlockNode *node);

/* What the node stores; @flat: without the images behind it. */
ImageInfo *block_info_image(BlockNode *node, bool flat);

/* @drive: the one that has it as its medium, or NULL. */
BlockDeviceInfo *block_info_node(BlockNode *node, const BlockDrive *drive, bool flat);

BlockInfo *block_info_drive(const BlockDrive *drive);

/* block-stats.c */

/* Of a node, and of those below it. */
BlockStats *block_stats_of_node(BlockNode *node, bool with_backing);
BlockStats *block_stats_of_drive(const BlockDrive *drive);
