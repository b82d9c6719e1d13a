/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A copy of the flat view's memory, by address and with references.
 */
#include <string.h>

#include "berth/ram-map.h"

#include "address-space.h"

static bool is_memory(const FlatRange *range)
{
    return range->kind == REGION_RAM || range->kind == REGION_ROM;
}

RamMap *ram_map_new(AddressSpace *as)
{
    const FlatView *view;
    RamMap *map;

    address_space_begin(as);
    view = address_space_view(as);
    map = g_malloc0(sizeof(*map) + view->n * sizeof(map->ranges[0]));
    for (unsigned i = 0; i < view->n; i++) {
        const FlatRange *range = &view->ranges[i];

        if (!is_memory(range))
            continue;
        if (i > 0 && flat_view_adjoins(range - 1, range)) {
            map->ranges[map->n - 1].size += range->last - range->start + 1;
            continue;
        }
        map->ranges[map->n++] = (RamMapRange) {
            .gpa = range->start,
            .size = range->last - range->start + 1,
            .host = range->ram.host,
            .block = ram_block_ref(range->ram.block),
            .offset = (uint64_t)(range->ram.host - range->ram.block->host),
            .is_rom = range->kind == REGION_ROM,
        };
    }
    address_space_end(as);
    return map;
}

void ram_map_free(RamMap *map)
{
    if (!map)
        return;
    for (size_t i = 0; i < map->n; i++)
        ram_block_unref(map->ranges[i].block);
    g_free(map);
}

const RamMapRange *ram_map_find(const RamMap *map, uint64_t gpa)
{
    size_t low = 0;
    size_t high = map->n;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        const RamMapRange *range = &map->ranges[middle];

        if (gpa >= range->gpa && gpa - range->gpa >= range->size)
            low = middle + 1;
        else
            high = middle;
    }
    return low < map->n ? &map->ranges[low] : NULL;
}

bool ram_map_read(const RamMap *map, uint64_t gpa, void *data, size_t size)
{
    uint8_t *bytes = data;

    while (size > 0) {
        const RamMapRange *range = ram_map_find(map, gpa);
        size_t part;

        if (!range || gpa < range->gpa)
            return false;
        part = MIN(size, range->size - (gpa - range->gpa));
        memcpy(bytes, range->host + (gpa - range->gpa), part);
        gpa += part;
        bytes += part;
        size -= part;
    }
    return true;
}
