/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's memory at one moment, for those that read it for long or beside the loop: a
 * dump, a walk through page tables.  It holds what it lists, whatever is unplugged
 * meanwhile; the bytes are the guest's at any time.
 */
#pragma once

#include "berth/region.h"

typedef struct RamMapRange {
    uint64_t gpa;
    uint64_t size;              /* bytes, never 0 */
    uint8_t *host;
    RamBlock *block;            /* referenced */
    uint64_t offset;            /* of @host in the block */
    bool is_rom;                /* of its first page: the guest's writes go nowhere */
} RamMapRange;

typedef struct RamMap {
    size_t n;
    RamMapRange ranges[];       /* RAM and ROM, by address */
} RamMap;

/* Main, or another thread between qsbr quiescent points. */

RamMap *ram_map_new(AddressSpace *as);

/* Any thread, the map's owner. */

/* Accepts NULL. */
void ram_map_free(RamMap *map);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(RamMap, ram_map_free)

/* The range that holds @gpa, else the first above it, else NULL. */
const RamMapRange *ram_map_find(const RamMap *map, uint64_t gpa);

/* Copies; false when a part of it is no memory (*@data is not defined then). */
bool ram_map_read(const RamMap *map, uint64_t gpa, void *data, size_t size);
