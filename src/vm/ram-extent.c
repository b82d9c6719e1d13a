/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared memory has its pages in its file: lseek(2) with SEEK_DATA knows them, also those
 * that are swapped out.  Private anonymous memory has them in the process's page tables:
 * /proc/self/pagemap (Linux, Documentation/admin-guide/mm/pagemap.rst) has a word for
 * each page with the bits "present" and "swapped".
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "berth/ram-extent.h"

#define PAGE 4096u
#define PAGEMAP_HELD (3ull << 62)       /* present, or swapped */
#define PAGEMAP_WORDS 512u

void ram_extent_init(RamExtents *extents, const RamBlock *block)
{
    *extents = (RamExtents) { .block = block, .pagemap_fd = -1 };
    if (block->fd < 0 && !block->shared)
        extents->pagemap_fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
}

void ram_extent_done(RamExtents *extents)
{
    base_close_fd(&extents->pagemap_fd);
}

/* As SEEK_DATA and SEEK_HOLE; @to where there is none, @from where nobody can tell. */
static uint64_t seek(const RamBlock *block, uint64_t from, uint64_t to, int whence)
{
    off_t found = lseek(block->fd, (off_t)(block->fd_offset + from), whence);

    if (found >= 0)
        return MIN((uint64_t)found - block->fd_offset, to);
    return whence == SEEK_DATA && errno != ENXIO ? from : to;
}

/* Reads words of pages from @offset on; returns how many, 0 when that fails. */
static size_t read_words(const RamExtents *extents, uint64_t offset, uint64_t to,
                         uint64_t words[PAGEMAP_WORDS])
{
    uint64_t page = (uintptr_t)extents->block->host / PAGE + offset / PAGE;
    size_t n = MIN(PAGEMAP_WORDS, (to - offset + PAGE - 1) / PAGE);
    ssize_t got = pread(extents->pagemap_fd, words, n * sizeof(words[0]),
                        (off_t)(page * sizeof(words[0])));

    return got > 0 ? (size_t)got / sizeof(words[0]) : 0;
}

/* The first page from @from on that is @held or not; @to when there is none. */
static uint64_t find_page(const RamExtents *extents, uint64_t from, uint64_t to,
                          bool held)
{
    uint64_t words[PAGEMAP_WORDS];
    uint64_t at = from & ~(uint64_t)(PAGE - 1);

    while (at < to) {
        size_t n = read_words(extents, at, to, words);

        if (n == 0)
            return held ? MAX(at, from) : to;
        for (size_t i = 0; i < n; i++, at += PAGE) {
            if (((words[i] & PAGEMAP_HELD) != 0) == held)
                return CLAMP(at, from, to);
        }
    }
    return to;
}

bool ram_extent_next(RamExtents *extents, uint64_t from, uint64_t to,
                     uint64_t *ret_start, uint64_t *ret_end)
{
    const RamBlock *block = extents->block;
    uint64_t start = from;
    uint64_t end = to;

    if (extents->pagemap_fd >= 0) {
        start = find_page(extents, from, to, true);
        end = find_page(extents, start, to, false);
    } else if (block->fd >= 0 && block->shared) {
        start = seek(block, from, to, SEEK_DATA);
        end = seek(block, start, to, SEEK_HOLE);
    }
    *ret_start = start;
    /* A hole that was made meanwhile must not stop the reader. */
    *ret_end = MAX(end, MIN(start + PAGE, to));
    return start < to;
}
