/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What workers do with a file: everything, in calls that block.
 *
 * With O_DIRECT the kernel wants offsets, lengths and memory aligned.  What is not is
 * done through a buffer; a write that begins or ends within a block reads the rest of it
 * first, and takes turns with others (file-range.c).
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "berth/iov.h"

#include "file-private.h"

#define BOUNCE_MAX (1u * MIB)
#define ZEROES_SIZE (64u * KIB)

typedef ssize_t TransferFn(int fd, const struct iovec *iov, int n_iov, off_t offset,
                           int flags);

/* Moves all bytes of @iov; a read that meets the end of the file leaves zeroes. */
static int transfer(const File *file, const BlockIo *io, int flags)
{
    TransferFn *fn = io->op == BLOCK_OP_READ ? preadv2 : pwritev2;
    uint64_t done = 0;

    while (done < io->bytes) {
        IovSlice slice;
        ssize_t n;

        iov_slice_begin(&slice, io->iov, done, io->bytes - done);
        n = fn(file->fd, slice.iov, (int)MIN(slice.n_iov, IOV_MAX),
               (off_t)(io->offset + done), flags);
        iov_slice_end(&slice);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return -errno;
        if (n == 0 && io->op == BLOCK_OP_WRITE)
            return -ENOSPC;
        if (n == 0)
            break;
        done += (uint64_t)n;
    }
    iov_zero(io->iov, io->n_iov, done, io->bytes - done);
    return 0;
}

static int transfer_buffer(const File *file, BlockOp op, uint64_t offset, void *data,
                           size_t size, int flags)
{
    struct iovec iov = { data, size };
    const BlockIo io = {
        .op = op, .offset = offset, .bytes = size, .iov = &iov, .n_iov = 1,
    };

    return transfer(file, &io, flags);
}

/* The blocks that hold [@offset, @offset + @size) of @io's @done-th byte on. */
static int bounce_piece(const File *file, const BlockIo *io, uint64_t done, size_t size,
                        uint8_t *buffer, int flags)
{
    uint32_t align = file->node.limits.request_alignment;
    uint64_t begin = ALIGN_DOWN(io->offset + done, align);
    uint64_t end = ALIGN_UP(io->offset + done + size, align);
    size_t skip = io->offset + done - begin;
    bool is_whole = skip == 0 && end == io->offset + done + size;
    int ret = 0;

    if (io->op == BLOCK_OP_READ || !is_whole)
        ret = transfer_buffer(file, BLOCK_OP_READ, begin, buffer, end - begin, 0);
    if (ret < 0)
        return ret;
    if (io->op == BLOCK_OP_READ) {
        iov_write(io->iov, io->n_iov, done, buffer + skip, size);
        return 0;
    }
    iov_read(io->iov, io->n_iov, done, buffer + skip, size);
    return transfer_buffer(file, BLOCK_OP_WRITE, begin, buffer, end - begin, flags);
}

static int bounce(const File *file, const BlockIo *io, int flags)
{
    const BlockLimits *limits = &file->node.limits;
    size_t room = MIN(BOUNCE_MAX, ALIGN_UP(io->bytes, limits->request_alignment) +
                      limits->request_alignment);
    uint8_t *buffer = aligned_alloc(limits->memory_alignment,
                                    ALIGN_UP(room, (size_t)limits->memory_alignment));
    int ret = buffer ? 0 : -ENOMEM;

    for (uint64_t done = 0, n; ret == 0 && done < io->bytes; done += n) {
        uint64_t skip = (io->offset + done) % limits->request_alignment;

        n = MIN(io->bytes - done, room - limits->request_alignment - skip);
        n = MAX(n, MIN(io->bytes - done, limits->request_alignment - skip));
        ret = bounce_piece(file, io, done, n, buffer, flags);
    }
    free(buffer);
    return ret;
}

static bool is_whole(const File *file, const BlockIo *io)
{
    return (io->offset | io->bytes) % file->node.limits.request_alignment == 0;
}

static int transfer_or_bounce(const File *file, const BlockIo *io, int flags)
{
    if (is_whole(file, io) &&
        iov_is_aligned(io->iov, io->n_iov, file->node.limits.memory_alignment))
        return transfer(file, io, flags);
    return bounce(file, io, flags);
}

/*
 * The block in which the file ends is written as a whole: what that has added to the file
 * beyond what was asked for is cut off again, before anybody else makes it longer.
 */
static int write_at_end(File *file, const BlockIo *io, int flags)
{
    uint32_t align = file->node.limits.request_alignment;
    struct stat before, after;
    off_t end;
    int ret = 0;

    lock_take_long(&file->end_lock);
    if (fstat(file->fd, &before) < 0)
        ret = -errno;
    if (ret == 0)
        ret = bounce(file, io, flags);
    end = MAX(before.st_size, (off_t)(io->offset + io->bytes));
    /* Longer than that, it was not this that did it. */
    if (fstat(file->fd, &after) == 0 && after.st_size > end &&
        after.st_size == ALIGN_UP(end, (off_t)align) &&
        ftruncate(file->fd, end) < 0 && ret == 0)
        ret = -errno;
    lock_drop_long(&file->end_lock);
    return ret;
}

/* Whether a block that @io writes in part is not in the file as a whole. */
static bool is_at_end(const File *file, const BlockIo *io)
{
    uint64_t end = ALIGN_UP(io->offset + io->bytes, file->node.limits.request_alignment);
    struct stat st;

    return !file->is_device && !is_whole(file, io) &&
        (fstat(file->fd, &st) < 0 || end > (uint64_t)st.st_size);
}

static int write_in_turn(File *file, const BlockIo *io)
{
    int flags = io->flags & BLOCK_FUA && !file->no_flush ? RWF_DSYNC : 0;
    FileRange range;
    int ret;

    /* Of a file without blocks there are no parts. */
    if (file->node.limits.request_alignment == 1)
        return transfer_or_bounce(file, io, flags);
    ret = file_range_enter(file, &range, io, !is_whole(file, io));
    if (ret < 0)
        return ret;
    ret = is_at_end(file, io) ? write_at_end(file, io, flags)
                              : transfer_or_bounce(file, io, flags);
    file_range_leave(file, &range);
    return ret;
}

/* After a failure the kernel has dropped what it could not write. */
static int flush(File *file)
{
    if (file->no_flush)
        return 0;
    if (__atomic_load_n(&file->flush_failed, __ATOMIC_RELAXED))
        return -EIO;
    if (fdatasync(file->fd) == 0)
        return 0;
    if (!file->is_direct)
        __atomic_store_n(&file->flush_failed, true, __ATOMIC_RELAXED);
    return -errno;
}

static bool is_unsupported(int errnum)
{
    return errnum == EOPNOTSUPP || errnum == ENOTTY || errnum == ENOSYS;
}

static int deallocate(const File *file, uint64_t offset, uint64_t bytes)
{
    uint64_t range[2] = { offset, bytes };
    int ret;

    if (file->is_device)
        ret = ioctl(file->fd, BLKDISCARD, range);
    else
        ret = fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                        (off_t)offset, (off_t)bytes);
    return ret < 0 ? -errno : 0;
}

static int discard(File *file, const BlockIo *io)
{
    int ret;

    if (!file->may_discard)
        return 0;
    ret = deallocate(file, io->offset, io->bytes);
    if (ret < 0) {
        __atomic_fetch_add(&file->n_failed_discards, 1, __ATOMIC_RELAXED);
        return is_unsupported(-ret) ? 0 : ret;
    }
    __atomic_fetch_add(&file->n_discards, 1, __ATOMIC_RELAXED);
    __atomic_fetch_add(&file->n_discarded, io->bytes, __ATOMIC_RELAXED);
    return 0;
}

static int zero_in_host(const File *file, const BlockIo *io)
{
    uint64_t range[2] = { io->offset, io->bytes };
    int ret;

    if (file->is_device) {
        ret = ioctl(file->fd, BLKZEROOUT, range);
    } else if (io->flags & BLOCK_MAY_UNMAP && file->may_discard) {
        return deallocate(file, io->offset, io->bytes);
    } else {
        ret = fallocate(file->fd, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE,
                        (off_t)io->offset, (off_t)io->bytes);
    }
    return ret < 0 ? -errno : 0;
}

static int write_zeroes(File *file, const BlockIo *io)
{
    uint8_t *zeroes = aligned_alloc(ZEROES_SIZE, ZEROES_SIZE);
    int ret = zeroes ? 0 : -ENOMEM;

    if (zeroes)
        memset(zeroes, 0, ZEROES_SIZE);
    for (uint64_t done = 0; ret == 0 && done < io->bytes; done += ZEROES_SIZE) {
        struct iovec iov = { zeroes, MIN(io->bytes - done, ZEROES_SIZE) };
        const BlockIo piece = {
            .op = BLOCK_OP_WRITE, .offset = io->offset + done, .bytes = iov.iov_len,
            .iov = &iov, .n_iov = 1,
        };

        ret = write_in_turn(file, &piece);
    }
    free(zeroes);
    return ret;
}

static int zero_in_turn(File *file, const BlockIo *io)
{
    FileRange range;
    int ret;

    if (file->node.limits.request_alignment == 1)
        return zero_in_host(file, io);
    ret = file_range_enter(file, &range, io, false);
    if (ret < 0)
        return ret;
    ret = zero_in_host(file, io);
    file_range_leave(file, &range);
    return ret;
}

static int zero(File *file, const BlockIo *io)
{
    int ret = -EOPNOTSUPP;

    if (!__atomic_load_n(&file->no_zero_range, __ATOMIC_RELAXED))
        ret = zero_in_turn(file, io);
    if (ret < 0 && is_unsupported(-ret)) {
        __atomic_store_n(&file->no_zero_range, true, __ATOMIC_RELAXED);
        ret = write_zeroes(file, io);
    }
    if (ret == 0 && io->flags & BLOCK_FUA)
        ret = flush(file);
    return ret;
}

int file_io(BlockNode *node, const BlockIo *io)
{
    File *file = file_of(node);
    int ret;

    switch (io->op) {
    case BLOCK_OP_READ:
        return transfer_or_bounce(file, io, 0);
    case BLOCK_OP_WRITE:
        return write_in_turn(file, io);
    case BLOCK_OP_FLUSH:
        return flush(file);
    case BLOCK_OP_DISCARD:
    case BLOCK_OP_ZERO:
        file_now_freeing(file, true);
        ret = io->op == BLOCK_OP_ZERO ? zero(file, io) : discard(file, io);
        file_now_freeing(file, false);
        return ret;
    case BLOCK_OP__MAX:
        break;
    }
    return -EINVAL;
}
