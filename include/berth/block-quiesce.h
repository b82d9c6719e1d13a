/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quiet: no request above a node is under way, and none comes.  For changes of the graph,
 * of sizes, and for moving to another loop.  Main only.
 *
 *     quiesce = block_quiesce_begin(node, fn, opaque);     fn() when it is quiet
 *     ...                                                  change
 *     block_quiesce_end(quiesce);
 *
 * A device with requests that its disk does not answer is not quiet until it does; main
 * does not wait for it.
 */
#pragma once

#include "berth/block.h"

typedef struct BlockQuiesce BlockQuiesce;

/* @fn comes in a later turn of main's loop; NULL: the caller asks. */
BlockQuiesce *block_quiesce_begin(BlockNode *node, LoopFn *fn, void *opaque);
/* The same for several nodes of one graph, one at least. */
BlockQuiesce *block_quiesce_begin_all(BlockNode *const *nodes, size_t n, LoopFn *fn,
                                      void *opaque);
bool block_quiesce_is_quiet(const BlockQuiesce *quiesce);
/* Opens the gates again; also before @fn was called, which then is not. */
void block_quiesce_end(BlockQuiesce *quiesce);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlockQuiesce, block_quiesce_end)

/*
 * After a change of the graph while @quiesce holds: the channels of @node's users go
 * where it leads now.  False with @error, and the channels as before: the caller undoes
 * the change.
 */
bool block_quiesce_rebuild(BlockQuiesce *quiesce, GError **error);
