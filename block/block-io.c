/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations without a loop: for workers, and for main while no guest runs.
 */
#include <errno.h>

#include "berth/iov.h"

#include "block-threshold.h"

static bool is_in_bounds(const BlockNode *node, const BlockIo *io)
{
    uint64_t size = block_node_size(node);

    return io->offset <= size && io->bytes <= size - io->offset;
}

bool block_io_settle(const BlockNode *node, BlockIo *io)
{
    const BlockdevOptions *options = node->options;
    bool may_discard = options->discard == BLOCKDEV_DISCARD_OPTIONS_UNMAP;

    if (options->detect_zeroes != BLOCKDEV_DETECT_ZEROES_OPTIONS_OFF &&
        io->op == BLOCK_OP_WRITE && iov_is_zero(io->iov, io->n_iov)) {
        io->op = BLOCK_OP_ZERO;
        if (options->detect_zeroes == BLOCKDEV_DETECT_ZEROES_OPTIONS_UNMAP)
            io->flags |= BLOCK_MAY_UNMAP;
    }
    if (!may_discard)
        io->flags &= ~(uint32_t)BLOCK_MAY_UNMAP;
    return may_discard || io->op != BLOCK_OP_DISCARD;
}

int block_io(BlockNode *node, const BlockIo *asked)
{
    bool changes = asked->op != BLOCK_OP_READ && asked->op != BLOCK_OP_FLUSH;
    BlockIo io = *asked;

    if (io.op != BLOCK_OP_FLUSH && !is_in_bounds(node, &io))
        return -EINVAL;
    if (changes && node->read_only)
        return -EROFS;
    if (io.bytes == 0 && io.op != BLOCK_OP_FLUSH)
        return 0;
    block_threshold_see(node, &io);
    return block_io_settle(node, &io) ? node->driver->io(node, &io) : 0;
}

int block_io_read(BlockNode *node, uint64_t offset, void *data, size_t size)
{
    struct iovec iov = { data, size };
    const BlockIo io = {
        .op = BLOCK_OP_READ, .offset = offset, .bytes = size, .iov = &iov, .n_iov = 1,
    };

    return block_io(node, &io);
}

int block_io_write(BlockNode *node, uint64_t offset, const void *data, size_t size,
                uint32_t flags)
{
    struct iovec iov = { (void *)data, size };
    const BlockIo io = {
        .op = BLOCK_OP_WRITE, .flags = flags, .offset = offset, .bytes = size,
        .iov = &iov, .n_iov = 1,
    };

    return block_io(node, &io);
}

int block_io_flush(BlockNode *node)
{
    const BlockIo io = { .op = BLOCK_OP_FLUSH };

    return block_io(node, &io);
}
