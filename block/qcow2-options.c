/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the options of a node, together with the image, come to.
 */
#include "berth/error.h"

#include "qcow2-image.h"
#include "qcow2-tables.h"

#define DEFAULT_L2_CACHE (32 * MIB)
#define DEFAULT_ENTRY_SIZE (64 * KIB)
#define LEAST_ENTRY_SIZE 512u
#define LEAST_REFCOUNT_BLOCKS 4u
#define LEAST_L2_SLICES 2u

typedef struct CacheSizes {
    uint64_t l2;
    uint64_t refcount;
    uint64_t entry;
} CacheSizes;

static bool check_sums(const BlockdevOptionsQcow2 *options, GError **error)
{
    uint64_t sum = options->cache_size;

    if (!options->has_cache_size)
        return true;
    if (options->has_l2_cache_size && options->has_refcount_cache_size)
        error_set(error, "parameters 'cache-size', 'l2-cache-size' and "
                  "'refcount-cache-size' cannot all be given");
    else if (options->has_l2_cache_size && options->l2_cache_size > sum)
        error_set(error, "parameter 'l2-cache-size' is larger than 'cache-size'");
    else if (options->has_refcount_cache_size && options->refcount_cache_size > sum)
        error_set(error, "parameter 'refcount-cache-size' is larger than 'cache-size'");
    else
        return true;
    return false;
}

/* Bytes of all L2 tables that the disk can have. */
static uint64_t all_l2(const Qcow2 *q)
{
    uint64_t size = qcow2_cluster_size(q);
    uint64_t n = (block_node_size(&q->node) + size - 1) / size;

    return ALIGN_UP(n * q->layout.entry_words * sizeof(uint64_t), size);
}

static bool find_sizes(const Qcow2 *q, CacheSizes *sizes, GError **error)
{
    const BlockdevOptionsQcow2 *options = q->options;
    uint64_t least_refcount = LEAST_REFCOUNT_BLOCKS * qcow2_cluster_size(q);
    uint64_t all = all_l2(q);

    if (!check_sums(options, error))
        return false;
    sizes->entry = options->has_l2_cache_entry_size
        ? options->l2_cache_entry_size : MIN(qcow2_cluster_size(q), DEFAULT_ENTRY_SIZE);
    if (sizes->entry < LEAST_ENTRY_SIZE || sizes->entry > qcow2_cluster_size(q) ||
        sizes->entry & (sizes->entry - 1)) {
        error_set(error, "parameter 'l2-cache-entry-size' expects a power of two from %u "
                  "to the cluster size, %" PRIu64, LEAST_ENTRY_SIZE,
                  qcow2_cluster_size(q));
        return false;
    }
    sizes->l2 = options->has_l2_cache_size ? options->l2_cache_size : DEFAULT_L2_CACHE;
    sizes->refcount = options->has_refcount_cache_size ? options->refcount_cache_size
                                                       : least_refcount;
    if (options->has_cache_size && options->has_l2_cache_size)
        sizes->refcount = options->cache_size - options->l2_cache_size;
    else if (options->has_cache_size && options->has_refcount_cache_size)
        sizes->l2 = options->cache_size - options->refcount_cache_size;
    else if (options->has_cache_size && options->cache_size >= all + least_refcount)
        *sizes = (CacheSizes) { all, options->cache_size - all, sizes->entry };
    else if (options->has_cache_size)
        *sizes = (CacheSizes) {
            options->cache_size - MIN(options->cache_size, least_refcount),
            MIN(options->cache_size, least_refcount), sizes->entry,
        };
    sizes->l2 = MIN(sizes->l2, all);
    return true;
}

static void make_cache(Qcow2Cache *cache, size_t table_size, uint64_t max_tables,
                       size_t alignment)
{
    if (cache->buckets && cache->table_size == table_size &&
        cache->max_tables == max_tables && cache->alignment >= alignment)
        return;
    qcow2_cache_done(cache);
    qcow2_cache_init(cache, table_size, (unsigned)max_tables, alignment);
}

bool qcow2_options_make_caches(Qcow2 *q, GError **error)
{
    uint64_t cluster_size = qcow2_cluster_size(q);
    size_t alignment = q->file->limits.memory_alignment;
    CacheSizes sizes;

    if (!find_sizes(q, &sizes, error))
        return false;
    if (sizes.l2 / sizes.entry > INT32_MAX || sizes.refcount / cluster_size > INT32_MAX) {
        error_set(error, "a cache of so many bytes is not supported");
        return false;
    }
    q->layout.slice_bits = (unsigned)__builtin_ctzll(sizes.entry) - 3 -
        (q->layout.entry_words - 1);
    make_cache(&q->l2, sizes.entry, MAX(sizes.l2 / sizes.entry, LEAST_L2_SLICES),
               alignment);
    make_cache(&q->refblocks, cluster_size,
               MAX(sizes.refcount / cluster_size, LEAST_REFCOUNT_BLOCKS), alignment);
    return true;
}

static unsigned kinds_of_mode(Qcow2OverlapCheckMode mode)
{
    const unsigned constant = QCOW2_MAIN_HEADER | QCOW2_ACTIVE_L1 | QCOW2_REFCOUNT_TABLE |
                              QCOW2_SNAPSHOT_TABLE | QCOW2_BITMAP_DIRECTORY;
    const unsigned cached = constant | QCOW2_ACTIVE_L2 | QCOW2_REFCOUNT_BLOCK |
                            QCOW2_INACTIVE_L1;

    switch (mode) {
    case QCOW2_OVERLAP_CHECK_MODE_NONE:
        return 0;
    case QCOW2_OVERLAP_CHECK_MODE_CONSTANT:
        return constant;
    case QCOW2_OVERLAP_CHECK_MODE_CACHED:
        return cached;
    case QCOW2_OVERLAP_CHECK_MODE_ALL:
        return cached | QCOW2_INACTIVE_L2;
    }
    return cached;
}

static void set_kind(unsigned *kinds, Qcow2TableKind kind, bool is_given, bool value)
{
    if (is_given)
        *kinds = value ? *kinds | kind : *kinds & ~(unsigned)kind;
}

unsigned qcow2_options_guarded(const BlockdevOptionsQcow2 *options)
{
    const Qcow2OverlapChecks *checks = options->overlap_check;
    const Qcow2OverlapCheckFlags *flags;
    unsigned kinds;

    if (!checks)
        return kinds_of_mode(QCOW2_OVERLAP_CHECK_MODE_CACHED);
    if (checks->type != QAPI_KIND_OBJECT)
        return kinds_of_mode(checks->u.mode);
    flags = checks->u.flags;
    kinds = kinds_of_mode(flags->template);
#define SET(kind, member) set_kind(&kinds, kind, flags->has_##member, flags->member)
    SET(QCOW2_MAIN_HEADER, main_header);
    SET(QCOW2_ACTIVE_L1, active_l1);
    SET(QCOW2_ACTIVE_L2, active_l2);
    SET(QCOW2_REFCOUNT_TABLE, refcount_table);
    SET(QCOW2_REFCOUNT_BLOCK, refcount_block);
    SET(QCOW2_SNAPSHOT_TABLE, snapshot_table);
    SET(QCOW2_INACTIVE_L1, inactive_l1);
    SET(QCOW2_INACTIVE_L2, inactive_l2);
    SET(QCOW2_BITMAP_DIRECTORY, bitmap_directory);
#undef SET
    return kinds;
}

void qcow2_options_set_discards(Qcow2 *q)
{
    const BlockdevOptionsQcow2 *options = q->options;

    q->passes_discard[QCOW2_DISCARD_NEVER] = false;
    q->passes_discard[QCOW2_DISCARD_REQUEST] = options->has_pass_discard_request
        ? options->pass_discard_request
        : q->node.options->discard == BLOCKDEV_DISCARD_OPTIONS_UNMAP;
    q->passes_discard[QCOW2_DISCARD_SNAPSHOT] = options->pass_discard_snapshot;
    q->passes_discard[QCOW2_DISCARD_OTHER] = options->pass_discard_other;
}
