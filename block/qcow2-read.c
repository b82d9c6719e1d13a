/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading, by workers.
 *
 * What an image has not is looked for in its backing file, and so on down the chain: in a
 * loop, so that a chain of any length needs no stack.
 */
#include <errno.h>

#include "berth/iov.h"

#include "qcow2-clusters.h"
#include "qcow2-data.h"

/* Who has the bytes. */
typedef struct Source {
    Qcow2Extent extent;
    Qcow2 *image;               /* data, compressed: in whose epoch we are */
    unsigned slot;
    BlockNode *other;           /* an image that is not ours has them, at the offset */
} Source;

/* The kind of @bytes at @offset in @q alone; stays in its epoch. */
static int find_here(Qcow2 *q, uint64_t offset, uint64_t bytes, Source *source)
{
    int ret;

    lock_take_long(&q->lock);
    source->slot = qcow2_epoch_enter_worker(q);
    ret = qcow2_l2_find(q, offset, bytes, &source->extent);
    lock_drop_long(&q->lock);
    source->image = q;
    return ret;
}

static void leave(Source *source)
{
    if (source->image)
        qcow2_epoch_leave_worker(source->image, source->slot);
    source->image = NULL;
}

static int find(Qcow2 *q, uint64_t offset, uint64_t bytes, Source *source)
{
    *source = (Source) { 0 };
    for (;;) {
        BlockNode *backing = block_node_child(&q->node, BLOCK_ROLE_BACKING);
        uint64_t size = backing ? block_node_size(backing) : 0;
        int ret = find_here(q, offset, bytes, source);

        if (ret < 0 || source->extent.kind != QCOW2_KIND_BACKING) {
            if (ret < 0 || source->extent.kind == QCOW2_KIND_ZERO)
                leave(source);
            return ret;
        }
        leave(source);
        if (offset >= size) {
            source->extent.kind = QCOW2_KIND_ZERO;
            return 0;
        }
        bytes = MIN(source->extent.bytes, size - offset);
        source->extent.bytes = bytes;
        source->other = backing;
        if (backing->driver != &qcow2_driver)
            return 0;
        q = qcow2_of(backing);
    }
}

/* What is beyond the end of the file reads as zero. */
static int read_node(BlockNode *node, uint64_t offset, const Qcow2Piece *piece)
{
    uint64_t size = block_node_size(node);
    uint64_t n = offset < size ? MIN(piece->bytes, size - offset) : 0;
    IovSlice slice;
    int ret;

    iov_zero(piece->iov, piece->n_iov, piece->done + n, piece->bytes - n);
    if (n == 0)
        return 0;
    iov_slice_begin(&slice, piece->iov, piece->done, n);
    ret = block_io(node, &(BlockIo) {
        .op = BLOCK_OP_READ, .offset = offset, .bytes = n,
        .iov = slice.iov, .n_iov = slice.n_iov,
    });
    iov_slice_end(&slice);
    return ret;
}

static int read_source(Source *source, uint64_t offset, const Qcow2Piece *piece)
{
    int ret = -EIO;

    switch (source->extent.kind) {
    case QCOW2_KIND_ZERO:
        iov_zero(piece->iov, piece->n_iov, piece->done, piece->bytes);
        return 0;
    case QCOW2_KIND_BACKING:
        return read_node(source->other, offset, piece);
    case QCOW2_KIND_DATA:
        ret = read_node(source->image->data, source->extent.host, piece);
        break;
    case QCOW2_KIND_COMPRESSED:
        ret = qcow2_compressed_read(source->image, source->extent.descriptor, offset,
                                    piece);
        break;
    case QCOW2_KIND_UNKNOWN:
    case QCOW2_KIND_BAD:
        break;
    }
    leave(source);
    return ret;
}

int qcow2_read(Qcow2 *q, uint64_t offset, const Qcow2Piece *piece)
{
    int ret = 0;

    for (uint64_t done = 0; ret == 0 && done < piece->bytes;) {
        Qcow2Piece part = *piece;
        Source source;

        ret = find(q, offset + done, piece->bytes - done, &source);
        if (ret < 0)
            break;
        part.done += done;
        part.bytes = source.extent.bytes;
        ret = read_source(&source, offset + done, &part);
        done += part.bytes;
    }
    return ret;
}

int qcow2_read_buffer(Qcow2 *q, uint64_t offset, void *data, size_t size)
{
    struct iovec iov = { data, size };
    const Qcow2Piece piece = { &iov, 1, 0, size };

    return qcow2_read(q, offset, &piece);
}

int qcow2_read_is_zero(Qcow2 *q, uint64_t offset, uint64_t bytes, bool *ret_is_zero)
{
    int ret = 0;

    *ret_is_zero = true;
    for (uint64_t done = 0; done < bytes && *ret_is_zero;) {
        Source source;

        ret = find(q, offset + done, bytes - done, &source);
        if (ret < 0)
            break;
        *ret_is_zero = source.extent.kind == QCOW2_KIND_ZERO;
        done += source.extent.bytes;
        leave(&source);
    }
    return ret;
}

int qcow2_read_map(BlockNode *node, uint64_t offset, uint64_t bytes, BlockMap *ret_map)
{
    Qcow2 *q = qcow2_of(node);
    Source source;
    int ret = find_here(q, offset, bytes, &source);

    leave(&source);
    if (ret < 0)
        return ret;
    *ret_map = (BlockMap) { .kind = BLOCK_MAP_DATA, .bytes = source.extent.bytes };
    switch (source.extent.kind) {
    case QCOW2_KIND_BACKING:
        ret_map->kind = block_node_child(node, BLOCK_ROLE_BACKING) ? BLOCK_MAP_BACKING
                                                                   : BLOCK_MAP_ZERO;
        break;
    case QCOW2_KIND_ZERO:
        ret_map->kind = BLOCK_MAP_ZERO;
        ret_map->allocated = true;
        break;
    case QCOW2_KIND_DATA:
        ret_map->has_offset = true;
        ret_map->child_offset = source.extent.host;
        ret_map->allocated = true;
        break;
    case QCOW2_KIND_COMPRESSED:
        ret_map->allocated = true;
        break;
    case QCOW2_KIND_UNKNOWN:
    case QCOW2_KIND_BAD:
        return -EIO;
    }
    return 0;
}
