/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Putting a node above another, so that those who used the lower use the upper.  Main
 * only, and both are quiet.
 */
#pragma once

#include "block-change.h"

typedef struct BlockOverlay {
    BlockNode *node;            /* lent, as the next */
    BlockNode *overlay;
    GPtrArray *moved;           /* of BlockLink: from node to overlay; NULL: not put */
} BlockOverlay;

/* False with @error when another node cannot be where @link leads. */
bool block_overlay_can_move(const BlockLink *link, GError **error);
/* Has @link lead to @to; somebody else holds where it led. */
void block_overlay_move(BlockLink *link, BlockNode *to);
/* Weighs @node, and those above it; false when one has too many below. */
bool block_overlay_weigh(BlockNode *node);

/* False with @error when @overlay cannot be one. */
bool block_overlay_check(BlockNode *overlay, GError **error);
/*
 * False with @error, and nothing is changed.  Permissions and channels are the caller's
 * to bring up to date.
 */
bool block_overlay_put(BlockOverlay *put, GError **error);
/* As it was before; accepts that it was not put. */
void block_overlay_undo(BlockOverlay *put);
/* It stays: users learn of another size. */
void block_overlay_keep(BlockOverlay *put);
