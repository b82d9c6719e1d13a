/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the block layer's core share: graph, uses, channels.
 */
#pragma once

#include "berth/block-driver.h"

#include "block-account.h"

/* Layers below a channel that requests pass by the short way. */
#define BLOCK_MAX_LAYERS 8u

/* Nodes below one, counted once for each way that leads to them. */
#define BLOCK_WEIGHT_MAX 400u

struct BlockGraph {
    Loop *loop;                 /* main */
    ListNode tasks;             /* of BlockTask */
    ListNode opens;             /* of BlockOpen: names that are taken */
    ListNode nodes;             /* of BlockNode.graph_node, in order of addition */
    bool ends;                  /* nothing is left to a worker any more */
    ListNode drives;            /* of BlockDrive, in order of addition */
    ListNode quiesces;          /* of BlockQuiesce */
    ListNode jobs;              /* of Job, in order of addition */
    QmpEvents *events;          /* lent; NULL: nobody is told */
    unsigned n_named;           /* atomic: for names that berth chooses */
    GMutex throttle_lock;       /* before that of a group */
    ListNode throttle_groups;   /* of ThrottleGroup, under the lock */
    unsigned perm_round;        /* of block-perm.c; not 0 */
    BlockOpenFn *open_file;
    void *opaque;
};

typedef struct BlockThrottle BlockThrottle;
typedef struct BlockChannelThrottle BlockChannelThrottle;

struct BlockUse {
    BlockLink link;
    const BlockUseOps *ops;
    void *opaque;
    ListNode channels;          /* of BlockChannel.use_node */
    BlockAccount *account;      /* the drive's, or NULL: nobody asks */
    BlockThrottle *throttle;    /* the drive's, or NULL: no limits */
};

/* A request with what its channel knows of it. */
struct BlockSlot {
    BlockSlot *next_free;
    BlockChannel *channel;
    BlockDoneFn *done;          /* the user's */
    BlockKind kind;             /* as it was submitted */
    int64_t start_ns;
    bool busy;
    bool is_unwanted;           /* with a worker when it was to be taken back */
    BlockSlot *joined;          /* the next request that is done with the first */
    BlockSlot *last_joined;     /* of the first, as what follows: while there are some */
    uint64_t bytes;             /* its own, and buffers */
    unsigned n_iov;
    WorkerJob job;
    BlockReq *punted;           /* the layer whose io() the job calls */
    int ret;
};

/* What is below a channel, and the memory of its requests in all of it. */
typedef struct BlockLayers {
    BlockQueue *queue;
    uint8_t *slots;
    size_t slot_size;
} BlockLayers;

struct BlockChannel {
    BlockUse *use;
    Loop *loop;
    const BlockChannelOps *ops;
    void *opaque;
    unsigned depth;
    ListNode use_node;

    /* Changed on the loop while main waits, and nothing is in flight. */
    BlockLayers layers;
    BlockLayers next;

    /* The loop's. */
    BlockSlot *free;
    unsigned n_touched;         /* slots that were used once */
    unsigned in_flight;         /* got and not given back */
    bool closed;
    bool told_quiet;
    unsigned seen_wish;
    bool wanted_more;           /* get() gave none: ready() is owed */
    BlockCounts counts;
    BlockChannelThrottle *throttle;     /* NULL: no limits */
    unsigned n_unwanted;        /* slots that are so */
    bool is_hurried;            /* what is below has been told */

    bool hurry;                 /* atomic: the user waits for its requests */

    /* Any thread.  Main changes n_quiesced, then wish; the loop reads wish first. */
    unsigned n_quiesced;        /* atomic: those who want the gate closed */
    unsigned wish;              /* atomic: the number of the last change */
    unsigned quiet_wish;        /* atomic: the change after which it was quiet */
    LoopMessage gate;           /* to the loop: look at n_quiesced and hurry */
    LoopMessage quiet;          /* to main: closed, and nothing is in flight */

    /* Main. */
    bool is_quiet;
};

static inline BlockReq *block_slot_req(BlockSlot *slot)
{
    return (BlockReq *)((uint8_t *)slot + ALIGN_UP(sizeof(BlockSlot), (size_t)16));
}

/* block-node.c */

BlockNode *block_node_new(BlockdevDriver driver);
BlockNode *block_node_ref(BlockNode *node);
/* The last closes it, which may block.  Accepts NULL. */
void block_node_unref(BlockNode *node);
/* Nodes on all ways down from it, by what those just below have; BLOCK_WEIGHT_MAX + 1 for
 * more than that. */
unsigned block_node_weigh(BlockNode *node);
/* The link to the child of @role, NULL when there is none. */
BlockLink *block_node_link(const BlockNode *node, BlockRole role);
/* Ahead of the last unref: may block. */
void block_node_close(BlockNode *node);
/* Main, ahead of that. */
void block_node_retire(BlockNode *node);

/* Links @link, whose role and upper end are set, to @child. */
void block_link_add(BlockLink *link, BlockNode *child);
/* Lets go of the child, which may close it. */
void block_link_remove(BlockLink *link);
/* Joins two nodes. */
void block_link_join(BlockNode *parent, BlockRole role, BlockNode *child);

/*
 * block-io.c: makes of @io what the options of @node make of it; false when nothing is
 * left to do.  Any thread.
 */
bool block_io_settle(const BlockNode *node, BlockIo *io);

/* block-perm.c */

/*
 * After a change of the graph: checks it, and tells the drivers what is needed of them.
 * On false the drivers were told nothing, or what they knew before.  Main.
 */
bool block_perm_update(BlockGraph *graph, GError **error);
/* The same for one node that is being made. */
bool block_perm_tell(BlockNode *node, GError **error);

/* block-queue.c: the loop's thread. */

BlockQueue *block_queue_new(BlockNode *node, BlockChannel *channel, unsigned layer,
                            GError **error);
void block_queue_free(BlockQueue *queue);
/* As BlockDriver.hurry, all layers. */
void block_queue_hurry(BlockQueue *queue, bool on);
/* Bytes of a request and all its layers. */
size_t block_queue_req_size(const BlockQueue *queue);

/* block-channel.c: main, which waits for the loop. */

/*
 * After a change of the graph, nothing in flight: makes the layers below the channel anew
 * beside those it has, so that what both need (a context of asynchronous I/O) stays.
 */
bool block_channel_prepare(BlockChannel *channel, GError **error);
/* Takes the new ones in place of the old, or drops them. */
void block_channel_commit(BlockChannel *channel);
void block_channel_cancel(BlockChannel *channel);

/* block-quiesce.c: main. */

void block_quiesce_init_channel(BlockChannel *channel);
void block_quiesce_forget_channel(BlockChannel *channel);
