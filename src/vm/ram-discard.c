/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages of guest memory that the host gets back.
 *
 * Memory that is shared has its pages in a file, named or not: a hole is punched there
 * (MADV_REMOVE).  Private memory has its own in the page tables (MADV_DONTNEED); what a
 * private mapping has read of its file stays the host's cache, but for a memfd, which is
 * ours alone and has a page beside each that was written.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>

#include "berth/ram.h"

bool ram_discard_leaves_zeros(const RamBlock *block)
{
    return block->shared || !block->has_contents;
}

static int punch(const RamBlock *block, uint64_t offset, uint64_t size)
{
    return fallocate(block->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                     (off_t)(block->fd_offset + offset), (off_t)size);
}

int ram_discard_pages(RamBlock *block, uint64_t offset, uint64_t size)
{
    int ret;

    g_assert(offset % block->page_size == 0 && size % block->page_size == 0 &&
             offset <= block->size && size <= block->size - offset);
    do {
        ret = madvise(block->host + offset, size,
                      block->shared ? MADV_REMOVE : MADV_DONTNEED);
    } while (ret < 0 && errno == EINTR);
    if (ret == 0 && !block->shared && block->fd >= 0 && !block->has_contents)
        ret = punch(block, offset, size);
    return ret < 0 ? -errno : 0;
}
