/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sections are as large as keeps their number in bounds: 2% of the whole, and 16 MiB at
 * least.  Each is a memory slot of its own (Region.apart), since a vCPU that uses memory
 * must not find it away while its slot becomes larger.
 */
#include "mem-window.h"

#define SECTION_MIN (16 * MIB)

G_STATIC_ASSERT(MEM_WINDOW_SECTIONS <= 64);

static uint64_t section_size(uint64_t size, uint64_t block_size)
{
    uint64_t section = MAX(block_size, SECTION_MIN);

    while ((size - 1) / section >= MEM_WINDOW_SECTIONS)
        section *= 2;
    return section;
}

void mem_window_init(MemWindow *window, AddressSpace *memory, RamBlock *ram,
                     uint64_t block_size, bool is_whole)
{
    uint64_t size = is_whole ? ram->size : section_size(ram->size, block_size);

    window->memory = memory;
    window->block_size = block_size;
    window->section_blocks = size / block_size;
    window->n_sections = (unsigned)((ram->size + size - 1) / size);
    window->sections = g_new0(Region, window->n_sections);
    region_init_container(&window->region, "virtio-mem", ram->size);
    for (unsigned i = 0; i < window->n_sections; i++) {
        Region *section = &window->sections[i];
        uint64_t offset = i * size;

        region_init_ram(section, ram->name, ram, offset, MIN(size, ram->size - offset));
        section->apart = true;
        section->enabled = false;
        region_add(&window->region, offset, section, 0);
    }
}

void mem_window_done(MemWindow *window)
{
    if (!window->sections)
        return;
    for (unsigned i = 0; i < window->n_sections; i++)
        region_done(&window->sections[i]);
    region_done(&window->region);
    g_clear_pointer(&window->sections, g_free);
}

bool mem_window_show(MemWindow *window, uint64_t shown)
{
    if (shown == window->shown)
        return false;
    region_batch_begin(window->memory);
    for (unsigned i = 0; i < window->n_sections; i++)
        region_set_enabled(&window->sections[i], shown >> i & 1);
    region_batch_end(window->memory);
    window->shown = shown;
    return true;
}

uint64_t mem_window_wanted(const MemWindow *window, const MemBlocks *blocks)
{
    uint64_t wanted = 0;

    for (unsigned i = 0; i < window->n_sections; i++) {
        uint64_t first = i * window->section_blocks;
        uint64_t n = MIN(window->section_blocks, blocks->n - first);

        if (mem_blocks_count(blocks, first, n))
            wanted |= UINT64_C(1) << i;
    }
    return wanted;
}

void mem_window_widen(const MemWindow *window, uint64_t shown, uint64_t *first,
                      uint64_t *n)
{
    uint64_t n_blocks = window->region.size / window->block_size;
    uint64_t from = *first / window->section_blocks;
    uint64_t to = (*first + *n - 1) / window->section_blocks;
    uint64_t end = *first + *n;

    if (!(shown >> from & 1))
        *first = from * window->section_blocks;
    if (!(shown >> to & 1))
        end = MIN((to + 1) * window->section_blocks, n_blocks);
    *n = end - *first;
}
