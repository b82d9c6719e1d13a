/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the loop does with a file itself, since it waits for no device.
 *
 * With the page cache: reads of what is cached, and writes where the file system can tell
 * that they would not wait (RWF_NOWAIT; xfs and btrfs can, ext4 cannot).
 *
 * A file on tmpfs is memory as the guest's is: to copy it may need a page, or one that
 * was swapped out, and so may each access to guest RAM.  tmpfs knows no RWF_NOWAIT, nor
 * needs it.  But a write waits for who frees a part of the file, which may take long:
 * while a worker does, writes go to workers.  A loop counts itself in `n_now`, then looks
 * at `n_freeing`; a worker counts itself in `n_freeing`, then waits until `n_now` is 0,
 * which is as long as a copy takes.  Both are sequentially consistent, so that one sees
 * the other.
 *
 * Large requests are copied by workers, beside the loop.
 */
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <sys/vfs.h>
#include <linux/magic.h>

#include "file-private.h"

#define NOW_MAX (128 * KIB)

void file_now_look(File *file)
{
    struct statfs fs;

    file->is_memory = !file->is_device && fstatfs(file->fd, &fs) == 0 &&
        (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC);
}

void file_now_freeing(File *file, bool on)
{
    if (!file->is_memory)
        return;
    if (!on) {
        __atomic_fetch_sub(&file->n_freeing, 1, __ATOMIC_SEQ_CST);
        return;
    }
    __atomic_fetch_add(&file->n_freeing, 1, __ATOMIC_SEQ_CST);
    while (__atomic_load_n(&file->n_now, __ATOMIC_SEQ_CST) > 0)
        sched_yield();
}

/* Whether all of @io was moved. */
static bool move(const File *file, const BlockIo *io, int flags)
{
    ssize_t n = (io->op == BLOCK_OP_READ ? preadv2 : pwritev2)
        (file->fd, io->iov, (int)io->n_iov, (off_t)io->offset, flags);

    return n >= 0 && (uint64_t)n == io->bytes;
}

static bool write_memory(File *file, const BlockIo *io)
{
    bool is_done;

    __atomic_fetch_add(&file->n_now, 1, __ATOMIC_SEQ_CST);
    is_done = __atomic_load_n(&file->n_freeing, __ATOMIC_SEQ_CST) == 0 &&
        move(file, io, 0);
    __atomic_fetch_sub(&file->n_now, 1, __ATOMIC_SEQ_CST);
    return is_done;
}

/* What has to reach the disk at once waits for it. */
static bool transfer_cached(File *file, const BlockIo *io)
{
    bool *cannot = io->op == BLOCK_OP_READ ? &file->no_read_now : &file->no_write_now;

    if (__atomic_load_n(cannot, __ATOMIC_RELAXED) || io->flags & BLOCK_FUA)
        return false;
    errno = 0;
    if (move(file, io, RWF_NOWAIT))
        return true;
    if (errno == EOPNOTSUPP)
        __atomic_store_n(cannot, true, __ATOMIC_RELAXED);
    return false;
}

bool file_now_transfer(File *file, const BlockIo *io)
{
    if (file->is_direct || io->bytes > NOW_MAX || io->n_iov > IOV_MAX)
        return false;
    if (!file->is_memory)
        return transfer_cached(file, io);
    return io->op == BLOCK_OP_READ ? move(file, io, 0) : write_memory(file, io);
}

void file_now_forget(File *file)
{
    __atomic_store_n(&file->no_read_now, false, __ATOMIC_RELAXED);
    __atomic_store_n(&file->no_write_now, false, __ATOMIC_RELAXED);
}
