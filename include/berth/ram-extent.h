/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pages of guest memory hold something.  Reading the rest would give them pages of
 * their own; a reader of all memory leaves them out and takes them as zeros.
 *
 * Where the host does not tell (huge pages, a private mapping of a file, no /proc), all
 * of the memory counts as held.  One thread at a time for a block.
 */
#pragma once

#include "berth/ram.h"

typedef struct RamExtents {
    const RamBlock *block;      /* lent */
    int pagemap_fd;             /* of private anonymous memory, else -1 */
} RamExtents;

void ram_extent_init(RamExtents *extents, const RamBlock *block);
void ram_extent_done(RamExtents *extents);

/*
 * The first part of [@from, @to) (offsets in the block) that may hold something; false
 * when nothing does.
 */
bool ram_extent_next(RamExtents *extents, uint64_t from, uint64_t to,
                     uint64_t *ret_start, uint64_t *ret_end);
