/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The place of a virtio-mem in the guest's memory.  It is cut into sections; one is
 * memory while a block in it is plugged, and nothing else: a guest that touches another
 * finds nobody there, and takes no page of the host.
 *
 * Main only, but where said.
 */
#pragma once

#include "berth/region.h"

#include "mem-blocks.h"

/*
 * A section is a memory slot, a run of them an entry in vhost's table, which has room for
 * 64 in all.
 */
#define MEM_WINDOW_SECTIONS 64u

typedef struct MemWindow {
    AddressSpace *memory;       /* lent */
    Region region;              /* of the whole, for whom places it */
    uint64_t block_size;
    uint64_t section_blocks;    /* blocks of a section; the last may have fewer */
    unsigned n_sections;
    uint64_t shown;             /* a bit for each */
    Region *sections;
} MemWindow;

/* All of @ram in blocks; @is_whole: as one section.  No section is shown. */
void mem_window_init(MemWindow *window, AddressSpace *memory, RamBlock *ram,
                     uint64_t block_size, bool is_whole);
/* Accepts a zero-initialised one.  window->region was taken out. */
void mem_window_done(MemWindow *window);

/*
 * Has the guest see the sections whose bit is set in @shown, and no other; whether that
 * is a change.
 */
bool mem_window_show(MemWindow *window, uint64_t shown);

/* Any thread: the sections of which a block is plugged. */
uint64_t mem_window_wanted(const MemWindow *window, const MemBlocks *blocks);
/*
 * Any thread: a range of blocks that leaves with those of @shown kept.  What is hidden
 * with it leaves too, whether it was plugged or not.
 */
void mem_window_widen(const MemWindow *window, uint64_t shown, uint64_t *first,
                      uint64_t *n);
