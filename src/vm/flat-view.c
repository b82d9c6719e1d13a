/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flattening a region tree.
 *
 * The tree is walked from its root, in each container the children of higher priority
 * first, so whatever is met first wins: a leaf fills only what is still empty of its
 * window.  Positions are computed in 128 bits with a sign, since an alias moves its
 * target below zero or past 2^64 before the window cuts it.
 *
 * Invariant: ranges are sorted by start and disjoint at every step.
 */
#include <string.h>

#include "flat-view.h"

/* Deeper nesting than this is a cycle of aliases: a mistake of ours. */
#define DEPTH_MAX 32

typedef __int128 Position;

typedef struct Window {
    Position start;
    Position last;
} Window;

static Position region_last(const Region *region)
{
    return region->size == UINT64_MAX ? (Position)UINT64_MAX : (Position)region->size - 1;
}

/* The index of the first range whose last address is at or above @addr. */
static unsigned lower_bound(const FlatRange *ranges, unsigned n, uint64_t addr)
{
    unsigned low = 0;

    while (n > 0) {
        unsigned half = n / 2;

        if (ranges[low + half].last < addr) {
            low += half + 1;
            n -= half + 1;
        } else {
            n = half;
        }
    }
    return low;
}

static FlatRange make_range(const Region *region, Position base, uint64_t start,
                            uint64_t last)
{
    FlatRange range = {
        .start = start, .last = last, .region = region, .kind = region->kind,
    };
    uint64_t offset = (uint64_t)((Position)start - base);

    if (region->kind == REGION_IO) {
        range.io.offset = offset;
        range.io.ops = region->ops;
        range.io.opaque = region->opaque;
        range.io.lock = region->lock;
    } else {
        range.ram.host = region->ram->host + region->ram_offset + offset;
        range.ram.block = region->ram;
        range.ram.ops = region->ops;
        range.ram.opaque = region->opaque;
    }
    return range;
}

/* Puts the leaf @region, whose offset 0 is at @base, into what is empty of @window. */
static void fill(GArray *ranges, const Region *region, Position base, Window window)
{
    uint64_t start = (uint64_t)window.start;
    uint64_t last = (uint64_t)window.last;
    unsigned i = lower_bound((FlatRange *)ranges->data, ranges->len, start);

    for (;;) {
        const FlatRange *next =
            i < ranges->len ? &g_array_index(ranges, FlatRange, i) : NULL;

        if (!next || next->start > last) {
            FlatRange range = make_range(region, base, start, last);

            g_array_insert_val(ranges, i, range);
            return;
        }

        uint64_t next_last = next->last;

        if (next->start > start) {
            FlatRange range = make_range(region, base, start, next->start - 1);

            g_array_insert_val(ranges, i, range);
            i++;
        }
        if (next_last >= last)
            return;
        start = next_last + 1;
        i++;
    }
}

/* Walks @region, whose offset 0 is at @base, as far as @window shows it. */
static void render(GArray *ranges, const Region *region, Position base, Window window,
                   unsigned depth)
{
    g_assert(depth < DEPTH_MAX);
    if (!region->enabled)
        return;
    window.start = MAX(window.start, base);
    window.last = MIN(window.last, base + region_last(region));
    if (window.start > window.last)
        return;

    switch (region->kind) {
    case REGION_CONTAINER:
        LIST_FOREACH(node, &region->children) {
            const Region *child = CONTAINER_OF(node, Region, node);

            render(ranges, child, base + child->addr, window, depth + 1);
        }
        break;
    case REGION_ALIAS:
        render(ranges, region->alias, base - region->alias_offset, window, depth + 1);
        break;
    case REGION_IO:
    case REGION_RAM:
    case REGION_ROM:
        fill(ranges, region, base, window);
        break;
    }
}

static bool is_side_by_side(const FlatRange *range, const FlatRange *next)
{
    return range->last != UINT64_MAX && range->last + 1 == next->start &&
           range->kind == next->kind;
}

bool flat_view_adjoins(const FlatRange *range, const FlatRange *next)
{
    uint64_t length = next->start - range->start;

    return is_side_by_side(range, next) && range->kind != REGION_IO &&
           range->ram.block == next->ram.block &&
           range->ram.host + length == next->ram.host;
}

/* Whether @next continues @range: side by side, same registers or same memory. */
static bool continues(const FlatRange *range, const FlatRange *next)
{
    uint64_t length = next->start - range->start;

    if (range->kind != REGION_IO)
        return flat_view_adjoins(range, next) &&
               (range->region == next->region ||
                (!range->region->apart && !next->region->apart));
    return is_side_by_side(range, next) && range->region == next->region &&
           range->io.offset + length == next->io.offset;
}

/* Joins ranges that continue each other, in place. */
static void simplify(GArray *ranges)
{
    FlatRange *array = (FlatRange *)ranges->data;
    unsigned n = 0;

    for (unsigned i = 0; i < ranges->len; i++) {
        if (n > 0 && continues(&array[n - 1], &array[i]))
            array[n - 1].last = array[i].last;
        else
            array[n++] = array[i];
    }
    g_array_set_size(ranges, n);
}

FlatView *flat_view_new(const Region *root)
{
    g_autoptr(GArray) ranges = g_array_new(FALSE, FALSE, sizeof(FlatRange));
    Window all = { 0, UINT64_MAX };
    FlatView *view;

    render(ranges, root, 0, all, 0);
    simplify(ranges);
    view = g_malloc(sizeof(*view) + ranges->len * sizeof(FlatRange));
    view->n = ranges->len;
    if (view->n > 0)
        memcpy(view->ranges, ranges->data, view->n * sizeof(FlatRange));
    for (unsigned i = 0; i < view->n; i++) {
        if (view->ranges[i].kind != REGION_IO)
            ram_block_ref(view->ranges[i].ram.block);
    }
    return view;
}

void flat_view_free(FlatView *view)
{
    if (!view)
        return;
    for (unsigned i = 0; i < view->n; i++) {
        if (view->ranges[i].kind != REGION_IO)
            ram_block_unref(view->ranges[i].ram.block);
    }
    g_free(view);
}

static void on_unread(QsbrNode *node)
{
    flat_view_free(CONTAINER_OF(node, FlatView, retired));
}

void flat_view_retire(FlatView *view)
{
    qsbr_defer(&view->retired, on_unread);
}

static bool range_equal(const FlatRange *a, const FlatRange *b)
{
    if (a->start != b->start || a->last != b->last || a->region != b->region ||
        a->kind != b->kind)
        return false;
    if (a->kind == REGION_IO)
        return a->io.offset == b->io.offset && a->io.ops == b->io.ops &&
               a->io.opaque == b->io.opaque && a->io.lock == b->io.lock;
    return a->ram.host == b->ram.host && a->ram.block == b->ram.block &&
           a->ram.ops == b->ram.ops && a->ram.opaque == b->ram.opaque;
}

bool flat_view_equal(const FlatView *a, const FlatView *b)
{
    if (a->n != b->n)
        return false;
    for (unsigned i = 0; i < a->n; i++) {
        if (!range_equal(&a->ranges[i], &b->ranges[i]))
            return false;
    }
    return true;
}

const FlatRange *flat_view_find(const FlatView *view, unsigned *hint, uint64_t addr)
{
    unsigned i = *hint;

    if (i < view->n && addr >= view->ranges[i].start && addr <= view->ranges[i].last)
        return &view->ranges[i];
    i = lower_bound(view->ranges, view->n, addr);
    if (i == view->n)
        return NULL;
    *hint = i;
    return &view->ranges[i];
}
