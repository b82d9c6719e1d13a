/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of blockdev-reopen share.  Main only.
 */
#pragma once

#include "berth/block-quiesce.h"

#include "block-change.h"
#include "block-reopen.h"

/* An edge that is to lead elsewhere. */
typedef struct BlockReopenEdge {
    BlockNode *parent;
    BlockRole role;
    BlockNode *before;          /* held, as the next; NULL: none */
    BlockNode *after;
    bool is_done;
} BlockReopenEdge;

/* A node that is to have other options. */
typedef struct BlockReopenNode {
    BlockReopen reopen;
    BlockdevOptions *options;   /* the new ones; the old ones while it has those */
    uint64_t size;              /* before */
    bool is_applied;            /* a worker: apply() was called */
    bool is_entered;
} BlockReopenNode;

typedef enum BlockReopenStage {
    BLOCK_REOPEN_WAIT,          /* until it is quiet */
    BLOCK_REOPEN_APPLY,
    BLOCK_REOPEN_UNDO,
    BLOCK_REOPEN_CLOSE,
} BlockReopenStage;

typedef struct BlockReopenAll {
    BlockTask task;
    void (*answer)(QmpReply *reply, GError *error);     /* takes the error, or NULL */
    QmpReply *reply;
    GPtrArray *nodes;           /* of BlockReopenNode */
    GArray *edges;              /* of BlockReopenEdge */
    BlockHold hold;
    BlockQuiesce *quiesce;
    BlockReopenStage stage;
    guint at;                   /* of nodes, in the order of the stage */
    GError *error;
} BlockReopenAll;

static inline BlockReopenNode *block_reopen_node(const BlockReopenAll *all, guint i)
{
    return g_ptr_array_index(all->nodes, i);
}

/* block-reopen.c */

/* Does what @all asks for, answers, and frees it. */
void block_reopen_run(BlockReopenAll *all);
/* The machine ends: the same, without what was not done yet. */
void block_reopen_cancel(BlockReopenAll *all);
/* Answers with the error, and frees it. */
void block_reopen_end(BlockReopenAll *all);

/* block-reopen-edges.c */

/* Notes that @node's child of @role is to be what @ref names, if that is another. */
bool block_reopen_edges_add(BlockReopenAll *all, BlockNode *node, BlockRole role,
                            const BlockdevRef *ref, GError **error);
bool block_reopen_edges_have(const BlockReopenAll *all, const BlockNode *parent,
                             BlockRole role);
/* Quiet.  On false some of them may be changed. */
bool block_reopen_edges_change(BlockReopenAll *all, GError **error);
void block_reopen_edges_put_back(BlockReopenAll *all);
/* They stay: options name the new nodes, users learn of other sizes. */
void block_reopen_edges_keep(BlockReopenAll *all);
void block_reopen_edges_free(BlockReopenAll *all);
