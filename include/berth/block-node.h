/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The graph of block nodes from within: for drivers, jobs, and the block layer itself.
 * Devices see block.h only.
 */
#pragma once

#include "berth/block.h"
#include "berth/list.h"

/* How a node is joined to one below it. */
typedef enum BlockRole {
    BLOCK_ROLE_USE,             /* a BlockUse */
    BLOCK_ROLE_FILTERED,        /* all of it passes through */
    BLOCK_ROLE_STORAGE,         /* data and metadata of a format */
    BLOCK_ROLE_DATA,            /* an external data file */
    BLOCK_ROLE_BACKING,
} BlockRole;

/* An edge of the graph. */
typedef struct BlockLink {
    BlockRole role;
    BlockNode *parent;          /* NULL for a use */
    BlockUse *use;              /* NULL for a parent */
    BlockNode *child;
    uint8_t wants;
    uint8_t permits;
    ListNode parent_node;       /* in the parent's children */
    ListNode child_node;        /* in the child's parents */
} BlockLink;

typedef struct BlockDriver BlockDriver;
typedef struct BlockOpen BlockOpen;     /* block-open.c */

struct BlockNode {
    const BlockDriver *driver;
    BlockGraph *graph;
    BlockOpen *open;            /* while it is being made */
    char *name;
    BlockdevOptions *options;   /* owned: what it was made from, defaults filled in */
    bool read_only;
    bool force_share;           /* others may change it meanwhile */
    bool needs_close;
    bool was_opened;
    /* A filter that changes nothing: channels pass it by.  Said by open(). */
    bool is_transparent;
    BlockLimits limits;         /* filled in by open() */
    uint64_t size;              /* bytes; atomic, changed by block_node_set_size() */

    /* Any thread. */
    uint64_t written_end;       /* atomic: where the furthest write ended */
    uint64_t watch;             /* atomic: main is told of a write that ends beyond */
    uint64_t crossed;           /* atomic: where the furthest of those ended */
    LoopMessage tell_crossed;
    LoopMessage tell;           /* main is to call the driver's tell() */

    /* Main. */
    unsigned n_refs;            /* by name, by links, by those who hold it */
    unsigned n_leaving;         /* of those, while block-close.c looks who goes */
    bool is_owned;              /* by name: it stays when nobody uses it */
    bool inherits_read_only;    /* from the node inside which it was defined */
    bool inherits_cache;
    const char *busy;           /* the operation that has it for itself, or NULL */
    ListNode graph_node;
    ListNode children;
    ListNode parents;
    uint8_t wants;              /* of all parents together */
    uint8_t permits;
    unsigned perm_round;        /* when block-perm.c looked at it, with this result: */
    uint8_t perm_wants;
    uint8_t perm_permits;
    unsigned weight;            /* nodes on all ways down from it, itself with them */
    uint64_t write_threshold;   /* 0: none */
};

/* Nodes.  Main, or open(). */

/* The child of @role, NULL when there is none. */
BlockNode *block_node_child(const BlockNode *node, BlockRole role);
/* The child that a filter filters, or that stores a format. */
BlockNode *block_node_storage(const BlockNode *node);
void block_node_set_size(BlockNode *node, uint64_t size);

/* What is allocated for a node, in bytes, @most: at most.  Main. */
typedef void BlockMemoryFn(void *opaque, const char *name, uint64_t now, uint64_t most);
/*
 * Calls @fn for each node, with its tables and what requests have that come to it by
 * channels.
 */
void block_memory_visit(const BlockGraph *graph, BlockMemoryFn *fn, void *opaque);
