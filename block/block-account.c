/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counts of requests, and how long they took.
 *
 * A histogram is published: a loop that has just loaded the one that main replaces counts
 * into the old one once more, which is freed when the loop has passed a quiescent point.
 */
#include "berth/error.h"

#include "block-account.h"

BlockKind block_account_kind(BlockOp op)
{
    static const BlockKind kinds[BLOCK_OP__MAX] = {
        [BLOCK_OP_READ] = BLOCK_KIND_READ,
        [BLOCK_OP_WRITE] = BLOCK_KIND_WRITE,
        [BLOCK_OP_ZERO] = BLOCK_KIND_WRITE,
        [BLOCK_OP_FLUSH] = BLOCK_KIND_FLUSH,
        [BLOCK_OP_DISCARD] = BLOCK_KIND_UNMAP,
    };

    return kinds[op];
}

static uint64_t get(const uint64_t *from)
{
    return __atomic_load_n(from, __ATOMIC_RELAXED);
}

void block_account_sum(BlockCounts *sum, const BlockCounts *counts)
{
    for (unsigned i = 0; i < BLOCK_KIND__MAX; i++) {
        const BlockCount *count = &counts->of[i];

        sum->of[i].n_done += get(&count->n_done);
        sum->of[i].n_failed += get(&count->n_failed);
        sum->of[i].n_invalid += get(&count->n_invalid);
        sum->of[i].n_joined += get(&count->n_joined);
        sum->of[i].bytes += get(&count->bytes);
        sum->of[i].time_ns += get(&count->time_ns);
    }
    sum->last_ns =
        MAX(sum->last_ns, __atomic_load_n(&counts->last_ns, __ATOMIC_RELAXED));
}

/* There is one writer. */
static void add(uint64_t *to, uint64_t n)
{
    __atomic_store_n(to, *to + n, __ATOMIC_RELAXED);
}

static size_t find_bin(const BlockHistogram *histogram, uint64_t ns)
{
    size_t low = 0, high = histogram->n_boundaries;

    while (low < high) {
        size_t middle = low + (high - low) / 2;

        if (ns < histogram->boundaries[middle])
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

static void add_time(BlockCounts *counts, const BlockAccount *account, BlockKind kind,
                     int64_t start_ns)
{
    const BlockHistogram *histogram =
        __atomic_load_n(&account->histograms[kind], __ATOMIC_ACQUIRE);
    int64_t now = loop_clock_ns();
    uint64_t ns = (uint64_t)(now - start_ns);

    add(&counts->of[kind].time_ns, ns);
    __atomic_store_n(&counts->last_ns, now, __ATOMIC_RELAXED);
    if (histogram)
        __atomic_fetch_add(&histogram->bins[find_bin(histogram, ns)], 1,
                           __ATOMIC_RELAXED);
}

void block_account_done(BlockCounts *counts, const BlockAccount *account, BlockKind kind,
                        uint64_t bytes, int64_t start_ns)
{
    add(&counts->of[kind].n_done, 1);
    if (kind != BLOCK_KIND_FLUSH)
        add(&counts->of[kind].bytes, bytes);
    add_time(counts, account, kind, start_ns);
}

void block_account_failed(BlockCounts *counts, const BlockAccount *account,
                          BlockKind kind, int64_t start_ns)
{
    add(&counts->of[kind].n_failed, 1);
    add_time(counts, account, kind, start_ns);
}

void block_account_invalid(BlockCounts *counts, BlockKind kind)
{
    add(&counts->of[kind].n_invalid, 1);
    __atomic_store_n(&counts->last_ns, loop_clock_ns(), __ATOMIC_RELAXED);
}

void block_account_joined(BlockCounts *counts, BlockKind kind)
{
    add(&counts->of[kind].n_joined, 1);
}

static void on_free(QsbrNode *node)
{
    g_free(CONTAINER_OF(node, BlockHistogram, qsbr));
}

void block_account_set_histogram(BlockAccount *account, BlockKind kind,
                                 BlockHistogram *histogram)
{
    BlockHistogram *old =
        __atomic_exchange_n(&account->histograms[kind], histogram, __ATOMIC_ACQ_REL);

    if (old)
        qsbr_defer(&old->qsbr, on_free);
}

static bool check_boundaries(const Uint64List *boundaries, GError **error)
{
    uint64_t last = 0;

    for (size_t i = 0; i < boundaries->n; i++) {
        if (boundaries->items[i] <= last) {
            error_set(error, "boundaries are above 0 and rise, %" PRIu64 " does not",
                      boundaries->items[i]);
            return false;
        }
        last = boundaries->items[i];
    }
    return true;
}

BlockHistogram *block_account_histogram_new(const Uint64List *boundaries, GError **error)
{
    size_t n = boundaries->n;
    BlockHistogram *histogram;

    if (!check_boundaries(boundaries, error))
        return NULL;
    histogram = g_malloc0(sizeof(*histogram) + (2 * n + 1) * sizeof(uint64_t));
    histogram->n_boundaries = n;
    histogram->bins = &histogram->boundaries[n];
    for (size_t i = 0; i < n; i++)
        histogram->boundaries[i] = boundaries->items[i];
    return histogram;
}

BlockLatencyHistogramInfo *block_account_histogram(const BlockAccount *account,
                                                   BlockKind kind)
{
    const BlockHistogram *histogram = account->histograms[kind];
    BlockLatencyHistogramInfo *info;

    if (!histogram)
        return NULL;
    info = g_new0(BlockLatencyHistogramInfo, 1);
    info->boundaries = Uint64List_new();
    info->bins = Uint64List_new();
    for (size_t i = 0; i < histogram->n_boundaries; i++)
        Uint64List_append(info->boundaries, histogram->boundaries[i]);
    for (size_t i = 0; i <= histogram->n_boundaries; i++)
        Uint64List_append(info->bins, get(&histogram->bins[i]));
    return info;
}

void block_account_clear(BlockAccount *account)
{
    for (unsigned i = 0; i < BLOCK_KIND__MAX; i++)
        block_account_set_histogram(account, i, NULL);
}
