/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bit and a count for each page: 33 KiB for 1 GiB in pages of 2 MiB, made when the
 * device starts, so that nothing grows with what the guest gives.
 */
#include <string.h>

#include "balloon-pages.h"

BalloonPages *balloon_pages_new(RamBlock *block)
{
    BalloonPages *pages = g_new0(BalloonPages, 1);
    uint64_t n = block->size / BALLOON_PAGE;

    pages->block = ram_block_ref(block);
    pages->n_parts = (unsigned)(block->page_size / BALLOON_PAGE);
    pages->given = g_new0(uint64_t, (n + 63) / 64);
    pages->n_given = g_new0(uint32_t, n / pages->n_parts);
    return pages;
}

void balloon_pages_free(BalloonPages *pages)
{
    if (!pages)
        return;
    ram_block_unref(pages->block);
    g_free(pages->given);
    g_free(pages->n_given);
    g_free(pages);
}

void balloon_pages_clear(BalloonPages *pages)
{
    uint64_t n = pages->block->size / BALLOON_PAGE;

    memset(pages->given, 0, (n + 63) / 64 * sizeof(pages->given[0]));
    memset(pages->n_given, 0, n / pages->n_parts * sizeof(pages->n_given[0]));
    pages->n_partial = 0;
}

/* Sets or clears the bit; returns whether that was a change. */
static bool set_given(BalloonPages *pages, uint64_t index, bool given)
{
    uint64_t *word = &pages->given[index / 64];
    uint64_t bit = UINT64_C(1) << index % 64;

    if (((*word & bit) != 0) == given)
        return false;
    *word ^= bit;
    return true;
}

void balloon_pages_give(BalloonPages *pages, uint64_t offset, uint64_t size,
                        BalloonPagesFn *fn, void *opaque)
{
    uint64_t end = (offset + size) / BALLOON_PAGE;

    for (uint64_t i = offset / BALLOON_PAGE; i < end; i++) {
        uint64_t whole = i / pages->n_parts;

        if (!set_given(pages, i, true))
            continue;
        pages->n_partial++;
        if (++pages->n_given[whole] < pages->n_parts)
            continue;
        pages->n_partial -= pages->n_parts;
        fn(opaque, pages->block, whole * pages->block->page_size,
           pages->block->page_size);
    }
}

void balloon_pages_take(BalloonPages *pages, uint64_t offset, uint64_t size)
{
    uint64_t end = (offset + size) / BALLOON_PAGE;

    for (uint64_t i = offset / BALLOON_PAGE; i < end; i++) {
        uint64_t whole = i / pages->n_parts;

        if (!set_given(pages, i, false))
            continue;
        if (pages->n_given[whole]-- == pages->n_parts)
            pages->n_partial += pages->n_parts;
        pages->n_partial--;
    }
}
