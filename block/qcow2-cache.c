/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded cache of tables of one size: a hash table whose readers need no lock.
 *
 * Writers hold the image's lock.  A table is complete when it is published, by one store
 * into its bucket.  One that goes is unlinked by one store, keeps its own link for those
 * who stand on it, and is freed when every loop has passed a quiescent point.
 *
 * Which one goes is decided by the clock algorithm: readers mark what they find, the hand
 * takes the mark away and takes the first clean table without one.  Dirty tables and
 * those that are being written stay, so there may be more tables than were asked for
 * until the next flush.
 */
#include <stdlib.h>
#include <string.h>

#include "qcow2-cache.h"

#define FEWEST_BUCKETS 4u

void qcow2_cache_init(Qcow2Cache *cache, size_t table_size, unsigned max_tables,
                      size_t alignment)
{
    unsigned n_buckets = FEWEST_BUCKETS;

    while (n_buckets < max_tables)
        n_buckets *= 2;
    *cache = (Qcow2Cache) {
        .table_size = table_size,
        .alignment = MAX(alignment, sizeof(uint64_t)),
        .max_tables = max_tables,
        .mask = n_buckets - 1,
        .buckets = g_new0(Qcow2Table *, n_buckets),
    };
    list_init(&cache->tables);
}

/* Neighbours, which are used together, are in neighbouring buckets. */
static Qcow2Table **bucket_of(const Qcow2Cache *cache, uint64_t key)
{
    return &cache->buckets[key & cache->mask];
}

Qcow2Table *qcow2_cache_find(const Qcow2Cache *cache, uint64_t key)
{
    Qcow2Table *table = __atomic_load_n(bucket_of(cache, key), __ATOMIC_ACQUIRE);

    while (table && table->key != key)
        table = __atomic_load_n(&table->next, __ATOMIC_ACQUIRE);
    /* Without the test loops would take the line from each other with each request. */
    if (table && !__atomic_load_n(&table->used, __ATOMIC_RELAXED))
        __atomic_store_n(&table->used, 1, __ATOMIC_RELAXED);
    return table;
}

static bool may_go(const Qcow2Table *table)
{
    return table->dirty_from == table->dirty_end && !table->is_writing;
}

/* Frees clean tables until there is room for one. */
static void make_room(Qcow2Cache *cache)
{
    unsigned n_looks = 2 * cache->n_tables;

    while (cache->n_tables >= cache->max_tables && n_looks-- > 0) {
        Qcow2Table *table = CONTAINER_OF(list_first(&cache->tables), Qcow2Table, node);
        bool was_used = __atomic_exchange_n(&table->used, 0, __ATOMIC_RELAXED);

        if (!was_used && may_go(table)) {
            qcow2_cache_remove(cache, table);
            continue;
        }
        list_remove(&table->node);
        list_append(&cache->tables, &table->node);
    }
}

Qcow2Table *qcow2_cache_new_table(Qcow2Cache *cache, uint64_t key)
{
    Qcow2Table *table;
    void *words;

    make_room(cache);
    if (posix_memalign(&words, cache->alignment, cache->table_size) != 0)
        return NULL;
    table = g_new0(Qcow2Table, 1);
    table->key = key;
    table->words = words;
    table->used = 1;
    list_init(&table->node);
    return table;
}

void qcow2_cache_publish(Qcow2Cache *cache, Qcow2Table *table)
{
    Qcow2Table **bucket = bucket_of(cache, table->key);

    table->next = *bucket;
    __atomic_store_n(bucket, table, __ATOMIC_RELEASE);
    list_append(&cache->tables, &table->node);
    cache->n_tables++;
}

void qcow2_cache_free_table(Qcow2Table *table)
{
    free(table->words);
    g_free(table);
}

static void free_later(QsbrNode *node)
{
    qcow2_cache_free_table(CONTAINER_OF(node, Qcow2Table, qsbr));
}

void qcow2_cache_remove(Qcow2Cache *cache, Qcow2Table *table)
{
    Qcow2Table **link = bucket_of(cache, table->key);

    g_assert(may_go(table));
    while (*link != table)
        link = &(*link)->next;
    __atomic_store_n(link, table->next, __ATOMIC_RELEASE);
    list_remove(&table->node);
    cache->n_tables--;
    qsbr_defer(&table->qsbr, free_later);
}

void qcow2_cache_clear(Qcow2Cache *cache)
{
    LIST_FOREACH(at, &cache->tables) {
        qcow2_cache_remove(cache, CONTAINER_OF(at, Qcow2Table, node));
    }
}

void qcow2_cache_done(Qcow2Cache *cache)
{
    if (!cache->buckets)
        return;
    LIST_FOREACH(at, &cache->tables) {
        Qcow2Table *table = CONTAINER_OF(at, Qcow2Table, node);

        list_remove(&table->node);
        qsbr_defer(&table->qsbr, free_later);
    }
    g_clear_pointer(&cache->buckets, g_free);
}

void qcow2_cache_set_dirty(Qcow2Cache *cache, Qcow2Table *table, uint32_t from,
                           uint32_t size)
{
    if (table->dirty_from == table->dirty_end) {
        table->dirty_from = from;
        table->dirty_end = from + size;
        cache->n_dirty++;
        return;
    }
    table->dirty_from = MIN(table->dirty_from, from);
    table->dirty_end = MAX(table->dirty_end, from + size);
}

void qcow2_cache_set_clean(Qcow2Cache *cache, Qcow2Table *table)
{
    if (table->dirty_from == table->dirty_end)
        return;
    table->dirty_from = table->dirty_end = 0;
    cache->n_dirty--;
}

unsigned qcow2_cache_tidy(Qcow2Cache *cache)
{
    LIST_FOREACH(at, &cache->tables) {
        Qcow2Table *table = CONTAINER_OF(at, Qcow2Table, node);

        if (!__atomic_exchange_n(&table->used, 0, __ATOMIC_RELAXED) && may_go(table))
            qcow2_cache_remove(cache, table);
    }
    return cache->n_tables;
}
