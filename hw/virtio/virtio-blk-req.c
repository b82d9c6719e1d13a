/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to a disk (virtio 1.3, section 5.2.6).
 *
 * A request has a header of 16 bytes first and a status byte last, wherever the driver's
 * buffers begin and end; they are cut off the request's own copy of the buffers, and what
 * is between is data.  A request without room for them is no request and breaks the
 * device; one that asks for what the disk has not is answered with a status.
 *
 * A failed request is reported, ignored, or held: then the machine stops, and the request
 * is popped again when it goes on.
 *
 * A read or a write that goes on where the one before it ended, in one round of the ring,
 * is joined to it: the disk does both at once.  The buffers of those that are joined are
 * copied behind those of the first, into room that its slot has anyway.
 */
#include <errno.h>
#include <linux/virtio_blk.h>

#include "berth/iov.h"
#include "berth/trace.h"

#include "virtio-blk.h"

/* Bytes of requests that are joined: more are not done faster, but one after another. */
#define JOINED_MAX (128 * KIB)

/* Where 0 is no limit. */
#define MIN_LIMIT(n, limit) ((limit) > 0 ? MIN(n, limit) : (n))

typedef struct Header {
    uint32_t type;
    uint32_t reserved;
    uint64_t sector;
} Header;

typedef struct Range {
    uint64_t sector;
    uint32_t n_sectors;
    uint32_t flags;
} Range;

G_STATIC_ASSERT(sizeof(Header) == sizeof(struct virtio_blk_outhdr));
G_STATIC_ASSERT(sizeof(Range) == sizeof(struct virtio_blk_discard_write_zeroes));

static void finish(VirtqueueReq *vreq, uint8_t status)
{
    VirtioBlkReq *ctx = virtqueue_req_ctx(vreq);

    *ctx->status = status;
    virtqueue_push(vreq->vq, vreq, status == VIRTIO_BLK_S_OK ? ctx->written : 1);
}

/* Takes @size bytes off the beginning of the buffers to read. */
static void cut_front(VirtqueueReq *vreq, size_t size)
{
    vreq->out_size -= (uint32_t)size;
    while (vreq->n_out > 0 && size >= vreq->out->iov_len) {
        size -= vreq->out->iov_len;
        vreq->out++;
        vreq->n_out--;
    }
    if (size > 0) {
        vreq->out->iov_base = (uint8_t *)vreq->out->iov_base + size;
        vreq->out->iov_len -= size;
    }
}

static uint8_t *cut_status(VirtqueueReq *vreq)
{
    struct iovec *last = &vreq->in[vreq->n_in - 1];

    vreq->in_size--;
    last->iov_len--;
    if (last->iov_len == 0)
        vreq->n_in--;
    return (uint8_t *)last->iov_base + last->iov_len;
}

static void fail(VirtioBlk *blk, VirtqueueReq *vreq, bool is_write, int errnum)
{
    const Board *board = blk->vdev.dev->board;
    const BoardIoError error = {
        .qom_path = blk->qom_path,
        .drive_name = block_drive_name(blk->drive),
        .node_name = block_node_name(block_use_node(blk->use)),
        .is_write = is_write,
        .action = block_drive_on_error(blk->drive, is_write, errnum),
        .errnum = errnum,
    };

    switch (error.action) {
    case BLOCK_ERROR_ACTION_IGNORE:
        finish(vreq, VIRTIO_BLK_S_OK);
        break;
    case BLOCK_ERROR_ACTION_REPORT:
        finish(vreq, VIRTIO_BLK_S_IOERR);
        break;
    case BLOCK_ERROR_ACTION_STOP:
        virtqueue_hold(vreq->vq, vreq);
        break;
    }
    if (board->ops && board->ops->block_io_error)
        board->ops->block_io_error(board->opaque, &error);
}

static void on_done(BlockReq *req, int ret)
{
    VirtqueueReq *vreq = req->opaque;
    VirtioBlk *blk = virtio_blk_of(vreq->vq->vdev);

    TRACE(virtio_blk_done, "%s queue %u head %u: %d", device_name(blk->vdev.dev),
          vreq->vq->index, vreq->head, ret);
    if (ret == 0)
        finish(vreq, VIRTIO_BLK_S_OK);
    else
        fail(blk, vreq, req->io.op != BLOCK_OP_READ, -ret);
}

/* The disk has these bytes, whole blocks of it. */
static bool is_on_disk(const VirtioBlk *blk, uint64_t sector, uint64_t bytes)
{
    uint64_t size = block_node_size(block_use_node(blk->use));

    if (sector > UINT64_MAX / VIRTIO_BLK_SECTOR || bytes > size)
        return false;
    return sector * VIRTIO_BLK_SECTOR <= size - bytes &&
        sector * VIRTIO_BLK_SECTOR % blk->block_size == 0 && bytes % blk->block_size == 0;
}

/* Fills in what reads or writes; the status to answer, or -1 to submit. */
static int transfer(VirtioBlk *blk, BlockIo *io, const VirtqueueReq *vreq,
                    uint64_t sector)
{
    if (io->op == BLOCK_OP_READ) {
        io->bytes = vreq->in_size;
        io->iov = vreq->in;
        io->n_iov = vreq->n_in;
    } else {
        io->bytes = vreq->out_size;
        io->iov = vreq->out;
        io->n_iov = vreq->n_out;
    }
    if (!is_on_disk(blk, sector, io->bytes) ||
        (io->op == BLOCK_OP_WRITE && blk->is_read_only))
        return VIRTIO_BLK_S_IOERR;
    io->offset = sector * VIRTIO_BLK_SECTOR;
    if (io->op == BLOCK_OP_WRITE && !__atomic_load_n(&blk->write_cache, __ATOMIC_RELAXED))
        io->flags |= BLOCK_FUA;
    return io->bytes > 0 ? -1 : VIRTIO_BLK_S_OK;
}

/* Discard and write zeroes: one range. */
static int free_range(VirtioBlk *blk, BlockIo *io, const VirtqueueReq *vreq)
{
    bool zeroes = io->op == BLOCK_OP_ZERO;
    uint32_t max_sectors = zeroes ? blk->props->max_write_zeroes_sectors
                                  : blk->props->max_discard_sectors;
    uint64_t bytes;
    Range range;

    if (!virtio_has_feature(&blk->vdev, zeroes ? VIRTIO_BLK_F_WRITE_ZEROES
                                               : VIRTIO_BLK_F_DISCARD))
        return VIRTIO_BLK_S_UNSUPP;
    if (vreq->out_size != sizeof(range) ||
        virtqueue_req_read(vreq, 0, &range, sizeof(range)) != sizeof(range))
        return VIRTIO_BLK_S_UNSUPP;
    range.flags = GUINT32_FROM_LE(range.flags);
    if (range.flags & ~(zeroes ? VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP : 0u))
        return VIRTIO_BLK_S_UNSUPP;
    range.sector = GUINT64_FROM_LE(range.sector);
    range.n_sectors = GUINT32_FROM_LE(range.n_sectors);
    bytes = (uint64_t)range.n_sectors * VIRTIO_BLK_SECTOR;
    if (range.n_sectors > max_sectors || blk->is_read_only ||
        !is_on_disk(blk, range.sector, bytes))
        return VIRTIO_BLK_S_IOERR;
    io->offset = range.sector * VIRTIO_BLK_SECTOR;
    io->bytes = bytes;
    if (range.flags & VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP)
        io->flags |= BLOCK_MAY_UNMAP;
    if (zeroes && !__atomic_load_n(&blk->write_cache, __ATOMIC_RELAXED))
        io->flags |= BLOCK_FUA;
    return bytes > 0 ? -1 : VIRTIO_BLK_S_OK;
}

static int get_id(const VirtioBlk *blk, VirtqueueReq *vreq)
{
    VirtioBlkReq *ctx = virtqueue_req_ctx(vreq);

    ctx->written =
        (uint32_t)virtqueue_req_write(vreq, 0, blk->serial, sizeof(blk->serial)) + 1;
    return VIRTIO_BLK_S_OK;
}

/* What the request asks, as a block operation: the status, or -1 to submit it. */
static int translate(VirtioBlk *blk, BlockIo *io, VirtqueueReq *vreq,
                     const Header *header)
{
    *io = (BlockIo) { 0 };
    switch (header->type) {
    case VIRTIO_BLK_T_IN:
        io->op = BLOCK_OP_READ;
        return transfer(blk, io, vreq, header->sector);
    case VIRTIO_BLK_T_OUT:
        io->op = BLOCK_OP_WRITE;
        return transfer(blk, io, vreq, header->sector);
    case VIRTIO_BLK_T_FLUSH:
        io->op = BLOCK_OP_FLUSH;
        return -1;
    case VIRTIO_BLK_T_DISCARD:
        io->op = BLOCK_OP_DISCARD;
        return free_range(blk, io, vreq);
    case VIRTIO_BLK_T_WRITE_ZEROES:
        io->op = BLOCK_OP_ZERO;
        return free_range(blk, io, vreq);
    case VIRTIO_BLK_T_GET_ID:
        return get_id(blk, vreq);
    default:
        return VIRTIO_BLK_S_UNSUPP;
    }
}

/* False: it was no request, and the device is broken. */
static bool read_header(VirtqueueReq *vreq, Header *header)
{
    VirtioBlkReq *ctx = virtqueue_req_ctx(vreq);

    if (vreq->in_size == 0 ||
        virtqueue_req_read(vreq, 0, header, sizeof(*header)) < sizeof(*header)) {
        virtqueue_error(vreq->vq, "request with %u bytes to read and %u to write",
                        vreq->out_size, vreq->in_size);
        return false;
    }
    header->type = GUINT32_FROM_LE(header->type);
    header->sector = GUINT64_FROM_LE(header->sector);
    cut_front(vreq, sizeof(*header));
    ctx->status = cut_status(vreq);
    ctx->written = vreq->in_size + 1;
    return true;
}

/* Whether @io goes on what @open asks for, and both are not too much. */
static bool may_join(const VirtioBlk *blk, const BlockReq *open, const BlockIo *io)
{
    const BlockLimits *limits = block_node_limits(block_use_node(blk->use));
    uint64_t max_bytes = MIN_LIMIT(JOINED_MAX, limits->max_transfer);
    const struct iovec *end = virtqueue_req_list_end(open->opaque);
    unsigned n_iov = open->io.n_iov + io->n_iov;

    return io->op == open->io.op && io->flags == open->io.flags &&
        io->offset == open->io.offset + open->io.bytes &&
        io->bytes + open->io.bytes <= max_bytes &&
        n_iov <= MIN_LIMIT(IOV_MAX, limits->max_iov) &&
        io->n_iov <= end - (open->io.iov + open->io.n_iov);
}

/* Requests of one round: the last one is kept back, for the next to be joined to it. */
typedef struct Round {
    VirtioBlk *blk;
    BlockChannel *channel;
    BlockReq *open;             /* NULL: none is kept back */
} Round;

static void submit_open(Round *round)
{
    BlockReq *req = g_steal_pointer(&round->open);

    if (req)
        block_channel_submit(round->channel, req);
}

static void submit(Round *round, BlockReq *req)
{
    bool is_transfer = req->io.op == BLOCK_OP_READ || req->io.op == BLOCK_OP_WRITE;

    if (round->open && may_join(round->blk, round->open, &req->io)) {
        block_channel_join(round->channel, round->open, req);
        return;
    }
    submit_open(round);
    if (is_transfer && round->blk->props->request_merging)
        round->open = req;
    else
        block_channel_submit(round->channel, req);
}

static void start(Round *round, BlockReq *req, VirtqueueReq *vreq)
{
    VirtioBlk *blk = round->blk;
    Header header;
    int status;

    if (!read_header(vreq, &header)) {
        block_channel_put(round->channel, req);
        virtqueue_drop(vreq->vq, vreq);
        return;
    }
    TRACE(virtio_blk_start, "%s queue %u head %u: type %u sector %" PRIu64,
          device_name(blk->vdev.dev), vreq->vq->index, vreq->head, header.type,
          header.sector);
    status = translate(blk, &req->io, vreq, &header);
    if (status >= 0) {
        if (status == VIRTIO_BLK_S_IOERR)
            block_channel_count_invalid(round->channel, req->io.op);
        block_channel_put(round->channel, req);
        finish(vreq, (uint8_t)status);
        return;
    }
    req->done = on_done;
    req->opaque = vreq;
    submit(round, req);
}

void virtio_blk_req_handle_queue(VirtioDevice *vdev, Virtqueue *vq)
{
    VirtioBlk *blk = virtio_blk_of(vdev);
    Round round = { .blk = blk, .channel = blk->channels[vq->index] };
    BlockReq *req;

    while ((req = block_channel_get(round.channel))) {
        VirtqueueReq *vreq = virtqueue_pop(vq);

        if (!vreq) {
            block_channel_put(round.channel, req);
            break;
        }
        start(&round, req, vreq);
    }
    submit_open(&round);
}
