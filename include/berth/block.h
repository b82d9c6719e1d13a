/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block nodes, for those who read and write them: devices, jobs, exports.
 *
 *     BlockUse       a user's hold on a node, with what it needs and what it allows
 *     BlockChannel   a user's way to its node on one loop, and the memory of its requests
 *     BlockReq       one request, a piece of the channel
 *
 * The graph of nodes belongs to main and changes only while every channel above the
 * change is quiet (block-quiesce.c).  A channel belongs to its loop.  A request allocates
 * nothing: its memory, that of all layers below and of the kernel's interface were made
 * with the channel.
 *
 *     req = block_channel_get(channel);            NULL: wait for ready()
 *     req->io = (BlockIo) { .op = BLOCK_OP_READ, .offset = ... };  req->done = on_done;
 *     block_channel_submit(channel, req);
 *
 * done() comes exactly once, on the channel's loop, possibly before submit returned; the
 * request goes back to the channel when it returns.
 */
#pragma once

#include <sys/uio.h>

#include "berth/loop.h"
#include "qapi-types.h"

typedef struct BlockChannel BlockChannel;
typedef struct BlockNode BlockNode;
typedef struct BlockQueue BlockQueue;
typedef struct BlockReq BlockReq;
typedef struct BlockSlot BlockSlot;
typedef struct BlockUse BlockUse;

typedef enum BlockOp {
    BLOCK_OP_READ,
    BLOCK_OP_WRITE,
    BLOCK_OP_FLUSH,             /* what was completed before is on stable storage */
    BLOCK_OP_DISCARD,           /* contents are undefined afterwards */
    BLOCK_OP_ZERO,
    BLOCK_OP__MAX,
} BlockOp;

enum {
    BLOCK_FUA = 1 << 0,         /* write, zero: on stable storage when it is done */
    BLOCK_MAY_UNMAP = 1 << 1,   /* zero: may free the space */
};

/* @ret: 0 or a negative errno. */
typedef void BlockDoneFn(BlockReq *req, int ret);

/* What is to be done. */
typedef struct BlockIo {
    BlockOp op;
    uint32_t flags;
    uint64_t offset;            /* bytes */
    uint64_t bytes;
    struct iovec *iov;          /* @bytes in all; lent, cut and put back meanwhile */
    unsigned n_iov;
} BlockIo;

struct BlockReq {
    BlockQueue *queue;          /* the layer's */
    BlockSlot *slot;            /* the channel's */
    BlockIo io;
    BlockDoneFn *done;
    void *opaque;
};

/* What a user needs of a node, and what it allows others to do with it. */
enum {
    BLOCK_PERM_CONSISTENT_READ = 1 << 0,
    BLOCK_PERM_WRITE = 1 << 1,
    BLOCK_PERM_WRITE_UNCHANGED = 1 << 2,        /* writes what is there already */
    BLOCK_PERM_RESIZE = 1 << 3,
    BLOCK_PERM_ALL = (1 << 4) - 1,
};

typedef struct BlockUseOps {
    /* A name for messages: "device 'disk0'"; the caller frees. */
    char *(*describe)(void *opaque);
    /* The size of the node changed.  NULL: no matter. */
    void (*resized)(void *opaque);
} BlockUseOps;

typedef struct BlockChannelOps {
    /* block_channel_get() gives requests again after it did not; the channel's loop. */
    void (*ready)(void *opaque);
} BlockChannelOps;

/* What an operation costs and where it may lie; bytes, 0 for no limit. */
typedef struct BlockLimits {
    uint32_t request_alignment; /* of offsets and lengths: a power of two from 1 */
    uint32_t memory_alignment;  /* of buffers */
    uint32_t max_transfer;
    uint32_t max_iov;
    uint64_t max_discard;
    uint32_t discard_alignment;
    uint64_t max_zero;
    uint32_t zero_alignment;
} BlockLimits;

/* Opens @path with the open(2) @flags; the descriptor, or -1 with @error. */
typedef int BlockOpenFn(void *opaque, const char *path, int flags, GError **error);

/* Main only. */

BlockGraph *block_graph_new(Loop *loop);
/* Closes all nodes, which may block; every use is gone.  Accepts NULL. */
void block_graph_free(BlockGraph *graph);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(BlockGraph, block_graph_free)
/*
 * The machine ends: what nodes hold back of their own accord (injected delays, limits)
 * goes on, so that only the storage itself is waited for.
 */
void block_graph_let_go(BlockGraph *graph);
/* How files are opened that are not there by path ("/dev/fdset/N"): called on main. */
void block_graph_set_open_hook(BlockGraph *graph, BlockOpenFn *fn, void *opaque);

/* Whom events of nodes are told to; lent. */
void block_graph_set_events(BlockGraph *graph, QmpEvents *events);

/* Makes a node, and those that its options define, before a guest runs: may block. */
BlockNode *block_graph_add(BlockGraph *graph, const BlockdevOptions *options,
                           GError **error);
/*
 * Makes a node above @node whose writes are thrown away with it; may block.  @node, which
 * was added, goes with it, and on an error.
 */
BlockNode *block_temporary_new(BlockGraph *graph, BlockNode *node, GError **error);
/* Removes a node that nobody uses; may block. */
bool block_graph_del(BlockGraph *graph, const char *node_name, GError **error);
BlockNode *block_graph_find(BlockGraph *graph, const char *node_name);

/*
 * Takes hold of @node.  NULL with @error that names who stands against it: another user
 * of the node, or another process that has the image open.
 */
BlockUse *block_use_new(BlockNode *node, uint8_t wants, uint8_t permits,
                        const BlockUseOps *ops, void *opaque, GError **error);
/* Its channels are gone.  Accepts NULL. */
void block_use_free(BlockUse *use);
/* Changes what was said; false with @error and nothing changed. */
bool block_use_set(BlockUse *use, uint8_t wants, uint8_t permits, GError **error);
/* The node that the use is on now: others may be put above or in place of it. */
BlockNode *block_use_node(const BlockUse *use);

const char *block_node_name(const BlockNode *node);
bool block_node_is_read_only(const BlockNode *node);
const BlockLimits *block_node_limits(const BlockNode *node);

/*
 * A way to the use's node for up to @depth requests at a time, on @loop, for which main
 * waits.
 */
BlockChannel *block_channel_new(BlockUse *use, Loop *loop, unsigned depth,
                                const BlockChannelOps *ops, void *opaque, GError **error);
/* No request is under way.  Accepts NULL. */
void block_channel_free(BlockChannel *channel);

/* Any thread. */

uint64_t block_node_size(const BlockNode *node);        /* bytes */

/* The channel's loop. */

/* A request to fill in and submit; NULL: none now, and ready() will be called. */
BlockReq *block_channel_get(BlockChannel *channel);
void block_channel_submit(BlockChannel *channel, BlockReq *req);
/*
 * Has @req, which goes on where @first ends and is alike else, done with @first, which
 * will be submitted; each ends on its own.  @first's iov has room for both's buffers.
 */
void block_channel_join(BlockChannel *channel, BlockReq *first, BlockReq *req);
/*
 * The user has no use any more for @req, which was submitted: if a limit holds it back it
 * ends now, with -ECANCELED, before this returns true.  False: it ends as it does, and
 * limits below do not hold it back.
 */
bool block_channel_take_back(BlockChannel *channel, BlockReq *req);
/* Gives back one that was got and not submitted. */
void block_channel_put(BlockChannel *channel, BlockReq *req);
/* The user refused an operation that is not the disk's to do. */
void block_channel_count_invalid(BlockChannel *channel, BlockOp op);
unsigned block_channel_in_flight(const BlockChannel *channel);

/* Any thread. */

/*
 * The user waits until its requests have ended, or no more: limits do not hold back those
 * that are under way.
 */
void block_channel_hurry(BlockChannel *channel, bool on);

/* May block: a worker, or main while no guest runs.  0 or a negative errno. */

int block_io_read(BlockNode *node, uint64_t offset, void *data, size_t size);
int block_io_write(BlockNode *node, uint64_t offset, const void *data, size_t size,
                uint32_t flags);
int block_io_flush(BlockNode *node);
