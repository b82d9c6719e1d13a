/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which blocks of a virtio-mem are plugged: a bit for each, made when the device is.  The
 * owner serialises access.
 */
#pragma once

#include "berth/vmstate.h"

typedef struct MemBlocks {
    uint64_t n;
    uint64_t n_plugged;
    uint64_t *words;            /* of 64 bits, those behind the last block are 0 */
    uint32_t n_words;
} MemBlocks;

extern const VMStateDesc mem_blocks_vmstate;

/* All are unplugged. */
void mem_blocks_init(MemBlocks *blocks, uint64_t n);
void mem_blocks_done(MemBlocks *blocks);

/* How many of the @n blocks from @first on are plugged. */
uint64_t mem_blocks_count(const MemBlocks *blocks, uint64_t first, uint64_t n);
/* The number of the first block behind the last that is plugged; 0: none is. */
uint64_t mem_blocks_end(const MemBlocks *blocks);
void mem_blocks_set(MemBlocks *blocks, uint64_t first, uint64_t n, bool plugged);
