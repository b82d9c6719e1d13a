/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log of what was written, in the order in which the guest wrote it: firmware that
 * updates its variables relies on the order, so that a machine which is killed leaves the
 * old ones or the new ones.
 *
 *     vCPU: put() --> log of pieces --> the queues' loop: one write at a time --> flush
 *
 * A piece is a part of one block, with a copy of its bytes as they were, in whole sectors
 * of the disk.  What goes on in the block of the last piece is added to that, so that a
 * block that is programmed byte by byte is one piece until it is under way.  A guest that
 * writes faster than the disk for long has LOG_MAX pieces; from then on what is in the
 * log for the block is brought up to date, wherever it stands there: the order is lost,
 * memory is not.
 *
 * A write that fails is reported, ignored or held as the drive's policy says; what was
 * held is written when the machine goes on.
 */
#include <stdlib.h>
#include <string.h>

#include "berth/error.h"
#include "berth/loop.h"
#include "berth/thread.h"
#include "berth/trace.h"

#include "pflash-chip.h"
#include "pflash-store.h"

#define LOG_MAX 256u
#define SECTOR 512u
#define BUFFER_ALIGN 4096u

typedef struct Piece {
    ListNode node;
    uint64_t block;             /* offset of it */
    uint32_t begin;             /* in the block */
    uint32_t end;
    uint8_t bytes[PFLASH_BLOCK];
} Piece;

struct PflashStore {
    Device *dev;
    BlockDrive *drive;
    uint32_t sector;            /* what the disk writes at least, bytes */
    Loop *loop;
    BlockChannel *channel;
    LoopMessage work;           /* to the loop: there may be something to do */
    LoopMessage drained;        /* to main */
    bool has_failed;            /* atomic */

    /* The loop. */
    bool is_under_way;
    uint8_t *buffer;
    struct iovec iov;

    GMutex lock;                /* a leaf */

    /* Under the lock. */
    ListNode log;               /* of Piece; the first may be under way */
    unsigned n_pieces;
    bool is_busy;               /* the first, or a flush, is under way */
    bool needs_flush;
    bool is_held;               /* until the machine goes on */
};

static bool has_work(const PflashStore *store)
{
    return !store->is_held && (store->n_pieces > 0 || store->needs_flush);
}

static Piece *first_piece(const PflashStore *store)
{
    return CONTAINER_OF(store->log.next, Piece, node);
}

static void drop_piece(PflashStore *store, Piece *piece)
{
    list_remove(&piece->node);
    store->n_pieces--;
    g_free(piece);
}

static void on_drained(void *opaque)
{
    PflashStore *store = opaque;
    Board *board = store->dev->board;

    if (board->ops && board->ops->device_drained)
        board->ops->device_drained(board->opaque);
}

/* As the drive's policy says; whether what failed is tried again. */
static bool fail(PflashStore *store, int errnum)
{
    const Board *board = store->dev->board;
    const BoardIoError error = {
        .qom_path = store->dev->path,
        .drive_name = block_drive_name(store->drive),
        .node_name = block_node_name(block_drive_node(store->drive)),
        .is_write = true,
        .action = block_drive_on_error(store->drive, true, errnum),
        .errnum = errnum,
    };

    if (error.action == BLOCK_ERROR_ACTION_REPORT) {
        device_host_error(store->dev, "what the guest wrote is lost: %s",
                          error_text(errnum));
        __atomic_store_n(&store->has_failed, true, __ATOMIC_RELAXED);
    }
    if (board->ops && board->ops->block_io_error)
        board->ops->block_io_error(board->opaque, &error);
    return error.action == BLOCK_ERROR_ACTION_STOP;
}

static void on_done(BlockReq *req, int ret)
{
    PflashStore *store = req->opaque;
    bool was_flush = req->io.op == BLOCK_OP_FLUSH;
    bool again = ret < 0 && fail(store, -ret);
    bool goes_on;

    TRACE(pflash_written, "%s: %s: %d", store->dev->path,
          was_flush ? "flush" : "write", ret);
    lock_take(&store->lock);
    store->is_busy = false;
    store->is_held |= again;
    if (!again && was_flush)
        store->needs_flush = false;
    else if (!again)
        drop_piece(store, first_piece(store));
    goes_on = has_work(store);
    lock_drop(&store->lock);
    store->is_under_way = false;
    if (goes_on)
        loop_post(store->loop, &store->work);
    else
        loop_post(store->dev->board->loop, &store->drained);
}

/* What comes next; false: nothing. */
static bool take_work(PflashStore *store, BlockIo *io)
{
    bool through = !block_drive_is_write_back(store->drive);
    bool has = false;

    lock_take(&store->lock);
    if (has_work(store) && store->n_pieces > 0) {
        const Piece *piece = first_piece(store);

        store->iov = (struct iovec) { store->buffer, piece->end - piece->begin };
        memcpy(store->buffer, piece->bytes + piece->begin, store->iov.iov_len);
        *io = (BlockIo) {
            .op = BLOCK_OP_WRITE, .flags = through ? BLOCK_FUA : 0,
            .offset = piece->block + piece->begin, .bytes = store->iov.iov_len,
            .iov = &store->iov, .n_iov = 1,
        };
        store->needs_flush = !through;
        has = true;
    } else if (has_work(store)) {
        *io = (BlockIo) { .op = BLOCK_OP_FLUSH };
        has = true;
    }
    store->is_busy = has;
    lock_drop(&store->lock);
    return has;
}

static void on_work(void *opaque)
{
    PflashStore *store = opaque;
    BlockReq *req;

    if (store->is_under_way)
        return;
    req = block_channel_get(store->channel);
    if (!req)
        return;
    if (!take_work(store, &req->io)) {
        block_channel_put(store->channel, req);
        return;
    }
    store->is_under_way = true;
    req->done = on_done;
    req->opaque = store;
    block_channel_submit(store->channel, req);
}

static const BlockChannelOps channel_ops = { .ready = on_work };

/* The piece that a change of @block is to be in; NULL: a new one. */
static Piece *find_piece(PflashStore *store, uint64_t block)
{
    ListNode *first = store->is_busy && store->n_pieces > 0 ? store->log.next : NULL;

    for (ListNode *at = store->log.prev; at != &store->log && at != first;
         at = at->prev) {
        Piece *piece = CONTAINER_OF(at, Piece, node);

        if (piece->block == block)
            return piece;
        if (store->n_pieces < LOG_MAX)
            break;
    }
    return NULL;
}

static Piece *add_piece(PflashStore *store, uint64_t block, uint32_t begin, uint32_t end)
{
    Piece *piece = g_new(Piece, 1);

    piece->block = block;
    piece->begin = begin;
    piece->end = end;
    list_init(&piece->node);
    list_append(&store->log, &piece->node);
    store->n_pieces++;
    return piece;
}

void pflash_store_put(PflashStore *store, uint64_t block, uint32_t begin, uint32_t end,
                      const uint8_t *bytes)
{
    Piece *piece;

    begin = ALIGN_DOWN(begin, store->sector);
    end = ALIGN_UP(end, store->sector);
    lock_take(&store->lock);
    piece = find_piece(store, block);
    if (piece) {
        piece->begin = MIN(piece->begin, begin);
        piece->end = MAX(piece->end, end);
    } else {
        piece = add_piece(store, block, begin, end);
    }
    memcpy(piece->bytes + piece->begin, bytes + piece->begin, piece->end - piece->begin);
    lock_drop(&store->lock);
    loop_post(store->loop, &store->work);
}

bool pflash_store_take_failure(PflashStore *store)
{
    return store && __atomic_exchange_n(&store->has_failed, false, __ATOMIC_RELAXED);
}

void pflash_store_pause(PflashStore *store)
{
    if (store)
        block_channel_hurry(store->channel, true);
}

void pflash_store_resume(PflashStore *store)
{
    if (!store)
        return;
    block_channel_hurry(store->channel, false);
    lock_take(&store->lock);
    store->is_held = false;
    lock_drop(&store->lock);
    loop_post(store->loop, &store->work);
}

bool pflash_store_is_draining(PflashStore *store)
{
    bool draining = false;

    if (store) {
        lock_take(&store->lock);
        draining = store->is_busy || has_work(store);
        lock_drop(&store->lock);
    }
    return draining;
}

PflashStore *pflash_store_new(Device *dev, BlockDrive *drive, GError **error)
{
    const BlockLimits *limits = block_node_limits(block_drive_node(drive));
    Loop *loop = device_tree_queue_loop(dev->tree, error);
    PflashStore *store;

    if (!loop)
        return NULL;
    if (limits->request_alignment > PFLASH_BLOCK) {
        error_set(error, "the disk writes %u bytes at once, and a block of flash has %u",
                  limits->request_alignment, PFLASH_BLOCK);
        return NULL;
    }
    store = g_new0(PflashStore, 1);
    store->dev = dev;
    store->drive = drive;
    store->sector = MAX(SECTOR, limits->request_alignment);
    store->loop = loop;
    list_init(&store->log);
    g_mutex_init(&store->lock);
    loop_message_init(&store->work, on_work, store);
    loop_message_init(&store->drained, on_drained, store);
    if (posix_memalign((void **)&store->buffer, BUFFER_ALIGN, PFLASH_BLOCK))
        error_set(error, "no memory for a block of flash");
    else
        store->channel = block_channel_new(block_drive_use(drive), loop, 1, &channel_ops,
                                           store, error);
    if (store->channel)
        return store;
    pflash_store_free(store);
    return NULL;
}

static void stop(void *opaque)
{
    PflashStore *store = opaque;

    loop_message_cancel(store->loop, &store->work);
}

void pflash_store_free(PflashStore *store)
{
    if (!store)
        return;
    loop_call_sync(store->loop, stop, store);
    loop_message_cancel(store->dev->board->loop, &store->drained);
    block_channel_free(store->channel);
    if (store->n_pieces > 0)
        device_host_error(store->dev, "%u blocks that the guest wrote are lost",
                          store->n_pieces);
    while (store->n_pieces > 0)
        drop_piece(store, first_piece(store));
    free(store->buffer);
    g_mutex_clear(&store->lock);
    g_free(store);
}
