/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes that are being made, in three steps: main names and joins them, a worker (or main
 * before a guest runs) opens them, main puts them into the graph.
 */
#pragma once

#include "block-private.h"

/* Main. */

/* Makes the nodes of @options, closed; NULL with @error. */
BlockOpen *block_open_new(BlockGraph *graph, const BlockdevOptions *options,
                          GError **error);
/* Frees what was not finished; it is closed after block_open_run() failed.  NULL is
 * accepted. */
void block_open_free(BlockOpen *open);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlockOpen, block_open_free)

/*
 * Fills in what is left out of @options of a node, which are inside those of @parent;
 * NULL: inside no other.
 */
void block_open_settle(BlockdevOptions *options, BlockRole role,
                       const BlockdevOptions *parent);

/* The uppermost: once it is open, somebody may use it whom nobody sees. */
BlockNode *block_open_top(const BlockOpen *open);

/* May block.  Opens them, those below first; on false all are closed. */
bool block_open_run(BlockOpen *open, GError **error);

/* Main.  Adds them to the graph, which owns the uppermost; returns that one. */
BlockNode *block_open_finish(BlockOpen *open);

/* block-add.c: main. */

/* @node is in the graph, which owns it; NULL with @error, lent. */
typedef void BlockAddedFn(void *opaque, BlockNode *node, const GError *error);
/*
 * All three steps, while the machine runs.  @done is called once, perhaps at once, also
 * when the machine ends first.
 */
void block_add_start(BlockGraph *graph, const BlockdevOptions *options,
                     BlockAddedFn *done, void *opaque);

/* block-graph.c: main. */

/* False with @error that says who uses @node. */
bool block_graph_check_unused(BlockNode *node, GError **error);
