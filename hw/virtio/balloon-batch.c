/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From page numbers to runs of host memory.
 *
 * A page number is the guest's word: it counts where it is RAM, page for page; ROM,
 * registers and holes are told of once a batch.  What is given twice is given once.  A
 * page that berth itself reads or writes at the same time (a ring, a buffer) is one of
 * zeros then, as if the guest had written them.
 *
 * The map says which block an address of this process is in.  It lives from start to
 * stop, between which no memory is unplugged; memory that was plugged since makes a new
 * one.
 */
#include <errno.h>

#include "balloon-batch.h"

#define PFN_SHIFT 12
/* What the kernel frees in a millisecond or two. */
#define SLOW_BYTES (16 * MIB)

void balloon_batch_init(BalloonBatch *batch, AddressSpace *memory)
{
    *batch = (BalloonBatch) { .memory = memory };
}

static void free_pages(gpointer pages)
{
    balloon_pages_free(pages);
}

void balloon_batch_done(BalloonBatch *batch)
{
    balloon_batch_stop(batch);
    balloon_batch_reset(batch);
    g_clear_pointer(&batch->pages, g_ptr_array_unref);
    g_clear_pointer(&batch->room, g_free);
}

static BalloonPages *find_pages(const BalloonBatch *batch, const RamBlock *block)
{
    for (guint i = 0; batch->pages && i < batch->pages->len; i++) {
        BalloonPages *pages = g_ptr_array_index(batch->pages, i);

        if (pages->block == block)
            return pages;
    }
    return NULL;
}

static void renew_map(BalloonBatch *batch)
{
    ram_map_free(batch->map);
    batch->map = ram_map_new(batch->memory);
    for (size_t i = 0; i < batch->map->n; i++) {
        RamBlock *block = batch->map->ranges[i].block;

        if (block->page_size <= BALLOON_PAGE || find_pages(batch, block))
            continue;
        if (!batch->pages)
            batch->pages = g_ptr_array_new_with_free_func(free_pages);
        g_ptr_array_add(batch->pages, balloon_pages_new(block));
    }
}

static bool has_block(const RamMap *map, const RamBlock *block)
{
    for (size_t i = 0; i < map->n; i++) {
        if (map->ranges[i].block == block)
            return true;
    }
    return false;
}

/* Memory that is gone is held no longer. */
static void forget_gone(BalloonBatch *batch)
{
    for (guint i = batch->pages ? batch->pages->len : 0; i > 0; i--) {
        const BalloonPages *pages = g_ptr_array_index(batch->pages, i - 1);

        if (!has_block(batch->map, pages->block))
            g_ptr_array_remove_index(batch->pages, i - 1);
    }
}

void balloon_batch_start(BalloonBatch *batch)
{
    renew_map(batch);
    forget_gone(batch);
}

void balloon_batch_stop(BalloonBatch *batch)
{
    g_clear_pointer(&batch->map, ram_map_free);
}

static void note_partial(BalloonBatch *batch)
{
    uint64_t partial = 0;

    for (guint i = 0; batch->pages && i < batch->pages->len; i++)
        partial += ((BalloonPages *)g_ptr_array_index(batch->pages, i))->n_partial;
    __atomic_store_n(&batch->partial, partial * BALLOON_PAGE, __ATOMIC_RELAXED);
}

void balloon_batch_clear(BalloonBatch *batch)
{
    for (guint i = 0; batch->pages && i < batch->pages->len; i++)
        balloon_pages_clear(g_ptr_array_index(batch->pages, i));
    note_partial(batch);
}

static BalloonRoom *room_of(BalloonBatch *batch)
{
    if (!batch->room)
        batch->room = g_malloc(sizeof(*batch->room));
    return batch->room;
}

bool balloon_batch_read(BalloonBatch *batch, const VirtqueueReq *req, size_t *offset)
{
    BalloonRoom *room = room_of(batch);
    size_t wanted = (BALLOON_BATCH_PFNS - batch->n_pfns) * sizeof(room->pfns[0]);
    size_t n = virtqueue_req_read(req, *offset, &room->pfns[batch->n_pfns], wanted);

    batch->n_pfns += (unsigned)(n / sizeof(room->pfns[0]));
    *offset += n;
    return n < wanted || *offset >= req->out_size;
}

static const RamMapRange *find_range(const RamMap *map, const uint8_t *host,
                                     uint64_t size)
{
    for (size_t i = 0; map && i < map->n; i++) {
        const RamMapRange *range = &map->ranges[i];
        uint64_t offset = (uint64_t)(host - range->host);

        if (host >= range->host && offset < range->size && size <= range->size - offset)
            return range;
    }
    return NULL;
}

/* The block of guest memory that is at @host; NULL for memory that is gone again. */
static RamBlock *block_of(BalloonBatch *batch, const uint8_t *host, uint64_t size,
                          uint64_t *ret_offset)
{
    const RamMapRange *range = find_range(batch->map, host, size);

    if (!range) {
        renew_map(batch);
        range = find_range(batch->map, host, size);
    }
    if (!range)
        return NULL;
    *ret_offset = range->offset + (uint64_t)(host - range->host);
    return range->block;
}

static void add_run(void *opaque, RamBlock *block, uint64_t offset, uint64_t size)
{
    BalloonBatch *batch = opaque;
    BalloonRun *runs = batch->room->runs;
    BalloonRun *last = batch->n_runs > 0 ? &runs[batch->n_runs - 1] : NULL;

    batch->n_bytes += size;
    batch->has_files = batch->has_files || block->has_contents;
    if (last && last->block == block && last->offset + last->size == offset) {
        last->size += size;
        return;
    }
    g_assert(batch->n_runs < BALLOON_BATCH_RUNS);
    runs[batch->n_runs++] = (BalloonRun) { ram_block_ref(block), offset, size };
}

typedef void PieceFn(BalloonBatch *batch, RamBlock *block, uint64_t offset,
                     uint64_t size);

static void give_piece(BalloonBatch *batch, RamBlock *block, uint64_t offset,
                       uint64_t size)
{
    BalloonPages *pages = find_pages(batch, block);

    if (pages)
        balloon_pages_give(pages, offset, size, add_run, batch);
    else
        add_run(batch, block, offset, size);
}

static void take_piece(BalloonBatch *batch, RamBlock *block, uint64_t offset,
                       uint64_t size)
{
    BalloonPages *pages = find_pages(batch, block);

    if (pages)
        balloon_pages_take(pages, offset, size);
}

/* @n pages from @pfn on, in pieces that are RAM of one block. */
static void add_pages(BalloonBatch *batch, uint32_t pfn, uint32_t n, PieceFn *fn)
{
    while (n > 0) {
        uint64_t gpa = (uint64_t)pfn << PFN_SHIFT;
        uint32_t part = n;
        uint64_t offset;
        uint8_t *host = address_space_map_near(batch->memory, &batch->hint, gpa,
                                               (uint64_t)part << PFN_SHIFT, true);
        RamBlock *block;

        if (!host) {
            part = 1;
            host = address_space_map_near(batch->memory, &batch->hint, gpa,
                                          BALLOON_PAGE, true);
        }
        block = host ? block_of(batch, host, (uint64_t)part << PFN_SHIFT, &offset)
                     : NULL;
        if (block) {
            fn(batch, block, offset, (uint64_t)part << PFN_SHIFT);
        } else {
            batch->n_bad += part;
            batch->bad_pfn = pfn;
        }
        pfn += part;
        n -= part;
    }
}

/* Shell's way: no memory, and next to no work for what is in order. */
static void sort(uint32_t *values, unsigned n)
{
    static const unsigned gaps[] = { 301, 132, 57, 23, 10, 4, 1 };

    for (size_t g = 0; g < G_N_ELEMENTS(gaps); g++) {
        unsigned gap = gaps[g];

        for (unsigned i = gap; i < n; i++) {
            uint32_t value = values[i];
            unsigned at = i;

            for (; at >= gap && values[at - gap] > value; at -= gap)
                values[at] = values[at - gap];
            values[at] = value;
        }
    }
}

static void add_read(BalloonBatch *batch, PieceFn *fn)
{
    uint32_t *pfns = room_of(batch)->pfns;
    unsigned n = batch->n_pfns;

    for (unsigned i = 0; i < n; i++)
        pfns[i] = GUINT32_FROM_LE(pfns[i]);
    sort(pfns, n);
    for (unsigned i = 0; i < n;) {
        uint32_t first = pfns[i];
        uint32_t last = first;

        for (i++; i < n && pfns[i] - last <= 1; i++)
            last = pfns[i];
        add_pages(batch, first, last - first + 1, fn);
    }
    batch->n_pfns = 0;
    note_partial(batch);
}

void balloon_batch_give(BalloonBatch *batch)
{
    add_read(batch, give_piece);
}

void balloon_batch_take(BalloonBatch *batch)
{
    add_read(batch, take_piece);
}

void balloon_batch_report(BalloonBatch *batch, const struct iovec *buffers, unsigned n,
                          bool zeros)
{
    room_of(batch);
    for (unsigned i = 0; i < n; i++) {
        uint64_t offset, start, end;
        RamBlock *block = buffers[i].iov_len == 0 ? NULL
            : block_of(batch, buffers[i].iov_base, buffers[i].iov_len, &offset);

        if (!block || (zeros && !ram_discard_leaves_zeros(block)))
            continue;
        start = ALIGN_UP(offset, block->page_size);
        end = ALIGN_DOWN(offset + buffers[i].iov_len, block->page_size);
        if (start < end)
            add_run(batch, block, start, end - start);
    }
}

bool balloon_batch_has_room(const BalloonBatch *batch)
{
    return BALLOON_BATCH_RUNS - batch->n_runs >= BALLOON_BATCH_BUFFERS;
}

bool balloon_batch_is_slow(const BalloonBatch *batch)
{
    return batch->has_files || batch->n_bytes > SLOW_BYTES;
}

bool balloon_batch_discard(BalloonBatch *batch, unsigned max)
{
    unsigned end = batch->next_run + MIN(max, batch->n_runs - batch->next_run);

    for (; batch->next_run < end; batch->next_run++) {
        const BalloonRun *run = &batch->room->runs[batch->next_run];
        int err = ram_discard_pages(run->block, run->offset, run->size);

        if (err)
            batch->err = -err;
        __atomic_add_fetch(err ? &batch->failed : &batch->discarded, run->size,
                           __ATOMIC_RELAXED);
    }
    return batch->next_run == batch->n_runs;
}

void balloon_batch_reset(BalloonBatch *batch)
{
    for (unsigned i = 0; i < batch->n_runs; i++)
        ram_block_unref(batch->room->runs[i].block);
    batch->n_runs = 0;
    batch->next_run = 0;
    batch->n_bytes = 0;
    batch->has_files = false;
    batch->n_bad = 0;
    batch->err = 0;
}
