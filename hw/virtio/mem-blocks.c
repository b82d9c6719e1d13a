/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bitmap that is worked through in words: 64 KiB for 1 TiB in blocks of 2 MiB.
 */
#include "berth/error.h"

#include "mem-blocks.h"

#define WORD_BITS 64u

void mem_blocks_init(MemBlocks *blocks, uint64_t n)
{
    g_assert(n > 0 && n / WORD_BITS < UINT32_MAX);
    blocks->n = n;
    blocks->n_plugged = 0;
    blocks->n_words = (uint32_t)((n + WORD_BITS - 1) / WORD_BITS);
    blocks->words = g_new0(uint64_t, blocks->n_words);
}

void mem_blocks_done(MemBlocks *blocks)
{
    g_clear_pointer(&blocks->words, g_free);
}

/* The bits of word @index that stand for blocks from @first up to @end. */
static uint64_t mask_of(uint64_t index, uint64_t first, uint64_t end)
{
    uint64_t low = index * WORD_BITS;
    uint64_t mask = UINT64_MAX;

    if (first > low)
        mask &= UINT64_MAX << (first - low);
    if (end - low < WORD_BITS)
        mask &= (UINT64_C(1) << (end - low)) - 1;
    return mask;
}

static void check(const MemBlocks *blocks, uint64_t first, uint64_t n)
{
    g_assert(first <= blocks->n && n <= blocks->n - first);
}

uint64_t mem_blocks_count(const MemBlocks *blocks, uint64_t first, uint64_t n)
{
    uint64_t end = first + n;
    uint64_t count = 0;

    check(blocks, first, n);
    for (uint64_t i = first / WORD_BITS; i * WORD_BITS < end; i++)
        count += (unsigned)__builtin_popcountll(blocks->words[i] &
                                                mask_of(i, first, end));
    return count;
}

uint64_t mem_blocks_end(const MemBlocks *blocks)
{
    for (uint64_t i = blocks->n_words; i > 0; i--) {
        uint64_t word = blocks->words[i - 1];

        if (word)
            return i * WORD_BITS - (unsigned)__builtin_clzll(word);
    }
    return 0;
}

void mem_blocks_set(MemBlocks *blocks, uint64_t first, uint64_t n, bool plugged)
{
    uint64_t end = first + n;

    blocks->n_plugged -= mem_blocks_count(blocks, first, n);
    if (plugged)
        blocks->n_plugged += n;
    for (uint64_t i = first / WORD_BITS; i * WORD_BITS < end; i++) {
        uint64_t mask = mask_of(i, first, end);

        if (plugged)
            blocks->words[i] |= mask;
        else
            blocks->words[i] &= ~mask;
    }
}

static bool mem_blocks_post_load(void *opaque, GError **error)
{
    MemBlocks *blocks = opaque;

    if (mem_blocks_end(blocks) > blocks->n) {
        error_set(error, "field 'words' has a block behind the last one");
        return false;
    }
    blocks->n_plugged = mem_blocks_count(blocks, 0, blocks->n);
    return true;
}

static const VMStateField mem_blocks_fields[] = {
    VMSTATE_U64_POINTER(MemBlocks, words, n_words),
    VMSTATE_END
};

const VMStateDesc mem_blocks_vmstate = {
    .name = "mem-blocks", .version = 1, .min_version = 1, .fields = mem_blocks_fields,
    .post_load = mem_blocks_post_load,
};
