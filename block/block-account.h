/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is counted of a drive's requests.  Each channel counts on its loop and nobody
 * else writes there; who asks adds up.  A number may be one request behind its
 * neighbour.
 */
#pragma once

#include "berth/block.h"
#include "berth/qsbr.h"

typedef enum BlockKind {
    BLOCK_KIND_READ,
    BLOCK_KIND_WRITE,           /* zeroes, too */
    BLOCK_KIND_FLUSH,
    BLOCK_KIND_UNMAP,
    BLOCK_KIND__MAX,
} BlockKind;

typedef struct BlockCount {
    uint64_t n_done;
    uint64_t n_failed;
    uint64_t n_invalid;         /* never submitted */
    uint64_t n_joined;          /* that were done together with another */
    uint64_t bytes;             /* of those that are done */
    uint64_t time_ns;           /* of all that ended, from submit() */
} BlockCount;

typedef struct BlockCounts {
    BlockCount of[BLOCK_KIND__MAX];
    int64_t last_ns;            /* when the last one ended; 0: none did */
} BlockCounts;

/* Published; its bins are counted up by several loops. */
typedef struct BlockHistogram {
    QsbrNode qsbr;
    size_t n_boundaries;
    uint64_t *bins;             /* one more; behind the boundaries */
    uint64_t boundaries[];      /* rising */
} BlockHistogram;

/* Of a use, or of a drive for all its uses. */
typedef struct BlockAccount {
    BlockCounts gone;           /* of channels that are gone */
    BlockHistogram *histograms[BLOCK_KIND__MAX]; /* atomic; NULL: none is wanted */
} BlockAccount;

/* Any thread. */

BlockKind block_account_kind(BlockOp op);
void block_account_sum(BlockCounts *sum, const BlockCounts *counts);

/* The loop to whose channel @counts belong; @account's histogram counts, too. */
void block_account_done(BlockCounts *counts, const BlockAccount *account, BlockKind kind,
                        uint64_t bytes, int64_t start_ns);
void block_account_failed(BlockCounts *counts, const BlockAccount *account,
                          BlockKind kind, int64_t start_ns);
void block_account_invalid(BlockCounts *counts, BlockKind kind);
void block_account_joined(BlockCounts *counts, BlockKind kind);

/* Main. */

/* One with empty bins; NULL with @error when @boundaries do not rise from above 0. */
BlockHistogram *block_account_histogram_new(const Uint64List *boundaries, GError **error);
/* Counts by @histogram, which is taken, from now on; NULL: no more. */
void block_account_set_histogram(BlockAccount *account, BlockKind kind,
                                 BlockHistogram *histogram);
/* NULL: there is none. */
BlockLatencyHistogramInfo *block_account_histogram(const BlockAccount *account,
                                                   BlockKind kind);
void block_account_clear(BlockAccount *account);
