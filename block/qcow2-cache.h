/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bounded cache of tables, read without a lock.
 */
#pragma once

#include "berth/list.h"
#include "berth/qsbr.h"

/*
 * A part of an L2 table (a slice) or a refcount block, in memory as it is on disk.
 * Readers of L2 slices are loops, without the lock: what they find by
 * qcow2_cache_find() they may use until their next quiescent point (qsbr.h).
 */
typedef struct Qcow2Table {
    QsbrNode qsbr;
    struct Qcow2Table *next;    /* in its bucket; atomic */
    uint64_t key;
    uint64_t *words;            /* atomic */
    uint32_t sequence;          /* atomic: odd while an extended entry is changed */
    bool is_sound;              /* each entry may be used as it stands */
    uint8_t used;               /* atomic: found since the clock's hand passed */

    /* Under the lock. */
    ListNode node;              /* in Qcow2Cache.tables */
    uint32_t dirty_from;        /* bytes that are not on disk; none when equal */
    uint32_t dirty_end;
    bool is_writing;            /* a copy is on its way to disk */
} Qcow2Table;

typedef struct Qcow2Cache {
    size_t table_size;
    size_t alignment;
    unsigned max_tables;
    unsigned mask;              /* of buckets, which are a power of two */
    Qcow2Table **buckets;       /* atomic */

    /* Under the lock. */
    ListNode tables;            /* in order of the clock's hand */
    unsigned n_tables;
    unsigned n_dirty;
} Qcow2Cache;

/* A cache of @max_tables tables, none of which is there. */
void qcow2_cache_init(Qcow2Cache *cache, size_t table_size, unsigned max_tables,
                      size_t alignment);
/* Quiet.  Also of a zero-initialised cache. */
void qcow2_cache_done(Qcow2Cache *cache);
/* Forgets all tables, of which none is dirty or being written.  The lock. */
void qcow2_cache_clear(Qcow2Cache *cache);
/* NULL: not in memory.  The lock, or a loop without it. */
Qcow2Table *qcow2_cache_find(const Qcow2Cache *cache, uint64_t key);

/* The lock. */

/* A table to fill in; NULL: no memory.  A clean one may go for it. */
Qcow2Table *qcow2_cache_new_table(Qcow2Cache *cache, uint64_t key);
/* From here on it is found. */
void qcow2_cache_publish(Qcow2Cache *cache, Qcow2Table *table);
/* One that was not published. */
void qcow2_cache_free_table(Qcow2Table *table);
void qcow2_cache_remove(Qcow2Cache *cache, Qcow2Table *table);
/* @size bytes at @from differ from the disk's. */
void qcow2_cache_set_dirty(Qcow2Cache *cache, Qcow2Table *table, uint32_t from,
                           uint32_t size);
void qcow2_cache_set_clean(Qcow2Cache *cache, Qcow2Table *table);
/* Frees clean tables that were not used since the last call; how many are left. */
unsigned qcow2_cache_tidy(Qcow2Cache *cache);
