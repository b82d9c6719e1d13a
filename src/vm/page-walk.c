/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Page tables of all modes by one table of shapes.
 *
 *     5-level   47..56 -> 4-level        48 bits and up: PML5
 *     4-level   PML4 -> PDPT (1 GiB) -> PD (2 MiB) -> PT
 *     PAE               PDPT of 4     -> PD (2 MiB) -> PT
 *     32-bit                             PD (4 MiB) -> PT
 *
 * A level's index is @bits bits of the address from @shift up; an entry with PS (bit 7)
 * is a page of 2^shift bytes where the shape allows it.
 */
#include <string.h>

#include "berth/page-walk.h"

#define CR0_PG (1ull << 31)
#define CR4_PSE (1ull << 4)
#define CR4_PAE (1ull << 5)
#define CR4_LA57 (1ull << 12)
#define EFER_LMA (1ull << 10)

#define ADDRESS_MASK 0x000ffffffffff000ull      /* bits 12 to 51 */

#define LEVELS_MAX 5
#define TABLE_SIZE 4096u

typedef struct Level {
    uint8_t shift;
    uint8_t bits;
    bool may_be_page;
} Level;

typedef struct Shape {
    unsigned n_levels;
    unsigned entry_size;
    unsigned n_bits;            /* of a canonical address; 32: there is no other */
    Level levels[LEVELS_MAX];
} Shape;

static const Shape shape_5_level = {
    5, 8, 57, { { 48, 9, false }, { 39, 9, false }, { 30, 9, true }, { 21, 9, true },
                { 12, 9, true } }
};
static const Shape shape_4_level = {
    4, 8, 48, { { 39, 9, false }, { 30, 9, true }, { 21, 9, true }, { 12, 9, true } }
};
static const Shape shape_pae = {
    3, 8, 32, { { 30, 2, false }, { 21, 9, true }, { 12, 9, true } }
};
static const Shape shape_32_bit_pse = {
    2, 4, 32, { { 22, 10, true }, { 12, 10, true } }
};
static const Shape shape_32_bit = {
    2, 4, 32, { { 22, 10, false }, { 12, 10, true } }
};

void page_walk_init(PageWalk *walk, const RamMap *ram, const VcpuRegisters *registers)
{
    *walk = (PageWalk) {
        .ram = ram,
        .cr0 = registers->cr0,
        .cr3 = registers->cr3,
        .cr4 = registers->cr4,
        .efer = registers->efer,
    };
}

bool page_walk_is_paging(const PageWalk *walk)
{
    return walk->cr0 & CR0_PG;
}

/* Of a vCPU that is paging. */
static const Shape *find_shape(const PageWalk *walk)
{
    if (walk->efer & EFER_LMA)
        return walk->cr4 & CR4_LA57 ? &shape_5_level : &shape_4_level;
    if (walk->cr4 & CR4_PAE)
        return &shape_pae;
    return walk->cr4 & CR4_PSE ? &shape_32_bit_pse : &shape_32_bit;
}

static uint64_t root_of(const PageWalk *walk, const Shape *shape)
{
    if (shape == &shape_pae)
        return walk->cr3 & 0xffffffe0ull;
    return walk->cr3 & ADDRESS_MASK & (shape->entry_size == 4 ? 0xffffffffull : ~0ull);
}

static uint64_t entry_at(const void *table, unsigned index, unsigned entry_size)
{
    uint64_t entry = 0;

    memcpy(&entry, (const uint8_t *)table + index * entry_size, entry_size);
    return GUINT64_FROM_LE(entry);
}

static bool is_page(const Shape *shape, unsigned level, uint64_t entry)
{
    if (level == shape->n_levels - 1)
        return true;
    return shape->levels[level].may_be_page && (entry & PAGE_ENTRY_LARGE);
}

/* Where the page begins that @entry of @level is. */
static uint64_t page_of(const Shape *shape, unsigned level, uint64_t entry)
{
    uint64_t size = 1ull << shape->levels[level].shift;

    /* PSE-36: bits 13 to 20 of a 4 MiB entry are bits 32 to 39 of the address. */
    if (shape->entry_size == 4 && level == 0)
        return (entry & 0xffc00000ull) | (entry & 0x1fe000ull) << 19;
    if (shape->entry_size == 4)
        return entry & 0xfffff000ull;
    return entry & ADDRESS_MASK & ~(size - 1);
}

static uint64_t table_of(const Shape *shape, uint64_t entry)
{
    return shape->entry_size == 4 ? entry & 0xfffff000ull : entry & ADDRESS_MASK;
}

static bool is_canonical(const Shape *shape, uint64_t gva)
{
    int64_t high = (int64_t)gva >> (shape->n_bits - 1);

    return shape->n_bits == 32 ? gva >> 32 == 0 : high == 0 || high == -1;
}

bool page_walk_translate(const PageWalk *walk, uint64_t gva, uint64_t *ret_gpa,
                         uint64_t *ret_size)
{
    const Shape *shape;
    uint64_t table;

    if (!page_walk_is_paging(walk)) {
        *ret_gpa = gva;
        *ret_size = TABLE_SIZE - gva % TABLE_SIZE;
        return true;
    }
    shape = find_shape(walk);
    table = root_of(walk, shape);
    if (!is_canonical(shape, gva))
        return false;
    for (unsigned level = 0; level < shape->n_levels; level++) {
        const Level *at = &shape->levels[level];
        uint64_t index = gva >> at->shift & ((1u << at->bits) - 1);
        uint64_t offset = gva & ((1ull << at->shift) - 1);
        uint64_t entry = 0;

        if (!ram_map_read(walk->ram, table + index * shape->entry_size, &entry,
                          shape->entry_size) ||
            !(GUINT64_FROM_LE(entry) & PAGE_ENTRY_PRESENT))
            return false;
        entry = GUINT64_FROM_LE(entry);
        if (is_page(shape, level, entry)) {
            *ret_gpa = page_of(shape, level, entry) + offset;
            *ret_size = (1ull << at->shift) - offset;
            return true;
        }
        table = table_of(shape, entry);
    }
    return false;
}

bool page_walk_read(const PageWalk *walk, uint64_t gva, void *data, size_t size)
{
    uint8_t *bytes = data;

    while (size > 0) {
        uint64_t gpa, left;
        size_t part;

        if (!page_walk_translate(walk, gva, &gpa, &left))
            return false;
        part = MIN(size, left);
        if (!ram_map_read(walk->ram, gpa, bytes, part))
            return false;
        gva += part;
        bytes += part;
        size -= part;
    }
    return true;
}

typedef struct Visit {
    const PageWalk *walk;
    const Shape *shape;
    const bool *cancelled;
    uint64_t entries_left;
    PageLeafFn *fn;
    void *opaque;
} Visit;

/* The upper half of what is canonical is negative. */
static uint64_t extend(const Shape *shape, uint64_t gva)
{
    unsigned unused = 64 - shape->n_bits;

    return shape->n_bits == 32 ? gva : (uint64_t)((int64_t)(gva << unused) >> unused);
}

/* Those four entries have no rights. */
static uint64_t access_of(const Shape *shape, unsigned level, uint64_t entry)
{
    return shape == &shape_pae && level == 0 ? PAGE_ENTRY_WRITE | PAGE_ENTRY_USER : entry;
}

static bool visit_table(Visit *visit, unsigned level, uint64_t gpa, PageLeaf above);

/* @leaf has the address, and the rights of the levels above. */
static bool visit_entry(Visit *visit, unsigned level, uint64_t entry, PageLeaf leaf)
{
    const Shape *shape = visit->shape;
    bool is_last = level == shape->n_levels - 1;

    if (!(entry & PAGE_ENTRY_PRESENT))
        return true;
    leaf.access &= access_of(shape, level, entry);
    if (!is_page(shape, level, entry))
        return visit_table(visit, level + 1, table_of(shape, entry), leaf);
    /* That bit is of the memory type there. */
    leaf.entry = is_last ? entry & ~PAGE_ENTRY_LARGE : entry;
    leaf.mapping = (PageMapping) {
        .gva = extend(shape, leaf.mapping.gva),
        .gpa = page_of(shape, level, entry),
        .size = 1ull << shape->levels[level].shift,
    };
    return visit->fn(visit->opaque, &leaf);
}

/* Recurses as deep as there are levels; 4 KiB of stack for each. */
static bool visit_table(Visit *visit, unsigned level, uint64_t gpa, PageLeaf above)
{
    const Shape *shape = visit->shape;
    const Level *at = &shape->levels[level];
    unsigned n = 1u << at->bits;
    uint8_t table[TABLE_SIZE];

    if (visit->entries_left < n ||
        __atomic_load_n(visit->cancelled, __ATOMIC_RELAXED))
        return false;
    visit->entries_left -= n;
    if (!ram_map_read(visit->walk->ram, gpa, table, n * shape->entry_size))
        return true;
    for (unsigned i = 0; i < n; i++) {
        PageLeaf leaf = above;

        leaf.mapping.gva |= (uint64_t)i << at->shift;
        if (!visit_entry(visit, level, entry_at(table, i, shape->entry_size), leaf))
            return false;
    }
    return true;
}

bool page_walk_visit(const PageWalk *walk, uint64_t max_entries, const bool *cancelled,
                     PageLeafFn *fn, void *opaque)
{
    Visit visit = {
        .walk = walk,
        .cancelled = cancelled,
        .entries_left = max_entries,
        .fn = fn,
        .opaque = opaque,
    };
    const PageLeaf top = { .access = PAGE_ENTRY_WRITE | PAGE_ENTRY_USER };

    if (!page_walk_is_paging(walk))
        return true;
    visit.shape = find_shape(walk);
    return visit_table(&visit, 0, root_of(walk, visit.shape), top);
}

typedef struct Listing {
    size_t max_mappings;
    GArray *mappings;
    guint first;                /* of this listing */
} Listing;

static bool add_mapping(void *opaque, const PageLeaf *leaf)
{
    Listing *listing = opaque;
    const PageMapping *mapping = &leaf->mapping;
    GArray *mappings = listing->mappings;
    PageMapping *last = mappings->len > listing->first
        ? &g_array_index(mappings, PageMapping, mappings->len - 1) : NULL;

    if (last && last->gva + last->size == mapping->gva &&
        last->gpa + last->size == mapping->gpa) {
        last->size += mapping->size;
        return true;
    }
    if (mappings->len - listing->first >= listing->max_mappings)
        return false;
    g_array_append_vals(mappings, mapping, 1);
    return true;
}

bool page_walk_list(const PageWalk *walk, const PageWalkLimits *limits,
                    const bool *cancelled, GArray *mappings)
{
    Listing listing = {
        .max_mappings = limits->max_mappings,
        .mappings = mappings,
        .first = mappings->len,
    };

    return page_walk_visit(walk, limits->max_entries, cancelled, add_mapping, &listing);
}
