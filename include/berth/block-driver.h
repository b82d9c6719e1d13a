/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block nodes, for those who write drivers: protocols (file), formats (qcow2), filters
 * (throttle).  A driver is a const BlockDriver at the end of its file and one line in
 * block/block-drivers.c, indexed by the schema's enum BlockdevDriver.
 *
 * Two ways lead through a driver.  io() is the whole of it in straight lines: it blocks,
 * and runs on workers.  submit() is the short way, on a loop, without waiting, locks or
 * memory; a driver that has none, or a request that it cannot serve, goes to io() by
 * block_req_punt().
 */
#pragma once

#include "berth/block-node.h"
#include "berth/worker.h"

/* Where the bytes at an offset are. */
typedef enum BlockMapKind {
    BLOCK_MAP_DATA,             /* in this node */
    BLOCK_MAP_ZERO,             /* read as zero */
    BLOCK_MAP_BACKING,          /* in the node's backing */
    BLOCK_MAP_FILTERED,         /* as the filtered child says, at child_offset */
} BlockMapKind;

typedef struct BlockMap {
    BlockMapKind kind;
    bool allocated;             /* takes space here */
    uint64_t bytes;             /* that are alike, from the offset; never 0 */
    bool has_offset;
    uint64_t child_offset;      /* place in the child that has the data */
} BlockMap;

/* A node below, as the options name it. */
typedef struct BlockChild {
    BlockRole role;
    size_t ref;                 /* offset of a BlockdevRef * in BlockdevOptions */
} BlockChild;

typedef struct BlockReopenOps BlockReopenOps;

struct BlockDriver {
    const char *name;           /* as in the schema: "qcow2" */
    size_t instance_size;
    bool is_filter;             /* what it does not say is what its child says */
    const BlockChild *children; /* ended by a ref of 0; NULL for none */

    /* What needs main and does not block, before open().  NULL: nothing. */
    bool (*prepare)(BlockNode *node, GError **error);
    /* May block: a worker, or main at start.  Children are open.  Sets size, limits. */
    bool (*open)(BlockNode *node, GError **error);
    /* Like open(), after all of a definition: changes the image.  NULL: nothing. */
    bool (*begin)(BlockNode *node, GError **error);
    /* Main, ahead of close(): its timers end.  NULL: there are none. */
    void (*retire)(BlockNode *node);
    /* Like open(); also after a prepare() or open() that failed. */
    void (*close)(BlockNode *node);

    /* A worker.  Required. */
    int (*io)(BlockNode *node, const BlockIo *io);

    /* The short way; NULL: there is none. */
    size_t ctx_size;            /* bytes beside each request */
    size_t queue_size;          /* bytes beside each queue, zero at attach */
    bool (*attach)(BlockQueue *queue, GError **error);
    void (*detach)(BlockQueue *queue);
    void (*submit)(BlockReq *req);
    /*
     * The requests under way are waited for, or no more: what the driver holds back of
     * its own accord goes on.  The loop.  NULL: nothing.
     */
    void (*hurry)(BlockQueue *queue, bool on);
    /*
     * Takes back what the driver holds back of its own accord, or false; by its own
     * lists, since what is at @req may be stale.  The loop.  NULL: nothing.
     */
    bool (*cancel)(BlockReq *req);

    /* May block.  NULL: all of it is data. */
    int (*map)(BlockNode *node, uint64_t offset, uint64_t bytes, BlockMap *ret_map);
    /* May block; quiet.  NULL: it cannot be resized. */
    bool (*resize)(BlockNode *node, uint64_t size, PreallocMode prealloc, GError **error);
    /* Main; quiet.  The child's size changed; sets the node's.  NULL: no matter. */
    void (*follow)(BlockNode *node);
    /*
     * May block; quiet.  What the image names as its backing file: nothing when @name is
     * NULL.  NULL: it names none.
     */
    bool (*change_backing)(BlockNode *node, const char *name, const char *format,
                           GError **error);
    /*
     * May block; quiet.  Snapshots within the image; of @id and @name one may be NULL.
     * NULL: it has none.
     */
    bool (*snapshot_create)(BlockNode *node, const char *name, GError **error);
    SnapshotInfo *(*snapshot_delete)(BlockNode *node, const char *id, const char *name,
                                     GError **error);
    /* Main; quiet.  options->discard is another.  NULL: no matter. */
    void (*discard_changed)(BlockNode *node);
    /* block-reopen.h.  NULL: those options may differ that all nodes have. */
    const BlockReopenOps *reopen;
    /*
     * Main; quiet.  A child has other limits, or another node is in the place of the
     * FILTERED one.  NULL: none can be.
     */
    void (*rejoin)(BlockNode *node);
    /* Main.  The needs of all users changed: locks.  NULL: nothing to do. */
    bool (*set_perm)(BlockNode *node, uint8_t wants, uint8_t permits, GError **error);
    /*
     * Main, which does not wait.  Adds to ImageInfo what only the driver knows; it has
     * the filename, the format, the virtual size, and dirty-flag off.  NULL: nothing.
     */
    void (*describe)(BlockNode *node, ImageInfo *info);
    /* Main: after block_node_tell().  NULL: there is nothing to tell. */
    void (*tell)(BlockNode *node);
    /* Main.  The machine ends: what the driver holds back goes on.  NULL: nothing. */
    void (*let_go)(BlockNode *node);
    /* Main.  The name of its file.  NULL: that of its storage, or its options. */
    char *(*filename)(const BlockNode *node);
    /* Main.  What it counts.  NULL: nothing. */
    BlockStatsSpecific *(*count)(BlockNode *node);
    /* Main: the bytes of its tables, now and at most.  NULL: it has none. */
    void (*memory)(BlockNode *node, uint64_t *ret_now, uint64_t *ret_most);
};

extern const BlockDriver file_driver;
extern const BlockDriver file_driver_host_device;
extern const BlockDriver inject_driver;
extern const BlockDriver null_co_driver;
extern const BlockDriver qcow2_driver;
extern const BlockDriver raw_driver;
extern const BlockDriver throttle_driver;

extern const BlockDriver *const block_drivers[BLOCKDEV_DRIVER__MAX];

/* A node's part of a channel. */
struct BlockQueue {
    BlockNode *node;
    BlockChannel *channel;
    Loop *loop;
    size_t child_offset;        /* of a child's request, from this layer's */
    bool is_short;              /* submit() is there; else all is punted */
    unsigned n_children;
    BlockQueue *children[3];
    BlockRole roles[3];
};

/* A driver, while it makes a node. */

/* In prepare(): opens a path that only main can ("/dev/fdset/N"). */
int block_graph_open_file(BlockGraph *graph, const char *path, int flags, GError **error);

/*
 * In open(): makes a node from @options, which a file named, and opens it below @node.
 */
bool block_open_below(BlockNode *node, BlockRole role, const BlockdevOptions *options,
                      GError **error);
/* The same, and it is opened after @node. */
bool block_open_later(BlockNode *node, BlockRole role, const BlockdevOptions *options,
                      GError **error);

/*
 * Any thread.  Has main call tell(): once or more after this, and after the node was
 * added to the graph; not if it goes first.
 */
void block_node_tell(BlockNode *node);

/* May block. */

/* Any size and alignment that the node's limits allow, or that its driver mends. */
int block_io(BlockNode *node, const BlockIo *io);
/* Quiet. */
bool block_node_resize(BlockNode *node, uint64_t size, PreallocMode prealloc,
                       GError **error);

/* The queue's loop. */

/* The queue of the child of @role, NULL when there is none. */
BlockQueue *block_queue_child(const BlockQueue *queue, BlockRole role);

static inline void *block_queue_state(BlockQueue *queue)
{
    return queue + 1;
}

/* The driver's context, ctx_size bytes; what it had from an earlier request is there. */
static inline void *block_req_ctx(BlockReq *req)
{
    return req + 1;
}

/*
 * A request for @child, in the memory of @req; one at a time.  The caller fills it in,
 * but for its queue.
 */
BlockReq *block_req_below(BlockReq *req, BlockQueue *child);
void block_req_submit(BlockReq *req);
/* Ends @req, exactly once. */
void block_req_complete(BlockReq *req, int ret);
/* Has io() of the node do it on a worker. */
void block_req_punt(BlockReq *req);
