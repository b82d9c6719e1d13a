/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How far nodes have been written, and who is told of it.
 */
#pragma once

#include "block-private.h"

/* Main. */

void block_threshold_init(BlockNode *node);
/* After its threshold, or the nodes above it, changed. */
void block_threshold_update(BlockNode *node);
/* block-threshold-qmp.c: sends the event. */
void block_threshold_qmp_tell(BlockNode *node, uint64_t exceeded, uint64_t threshold);

/* Any thread. */

/* A write of @node ends at @end, beyond what is known or watched. */
void block_threshold_note(BlockNode *node, uint64_t end);

/* What is done about each operation of a node, on any thread. */
static inline void block_threshold_see(BlockNode *node, const BlockIo *io)
{
    uint64_t end = io->offset + io->bytes;

    if ((io->op == BLOCK_OP_WRITE || io->op == BLOCK_OP_ZERO) &&
        (end > __atomic_load_n(&node->written_end, __ATOMIC_RELAXED) ||
         end > __atomic_load_n(&node->watch, __ATOMIC_RELAXED)))
        block_threshold_note(node, end);
}
