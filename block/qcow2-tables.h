/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tables of a qcow2 image in memory, and what they say about the guest's clusters.
 */
#pragma once

#include "qcow2-private.h"

/* What a piece of the guest's disk is. */
typedef enum Qcow2Kind {
    QCOW2_KIND_UNKNOWN,         /* the table is not in memory */
    QCOW2_KIND_BACKING,         /* not here: in the backing file, or zero */
    QCOW2_KIND_ZERO,
    QCOW2_KIND_DATA,
    QCOW2_KIND_COMPRESSED,
    QCOW2_KIND_BAD,             /* the entry cannot be */
} Qcow2Kind;

typedef struct Qcow2Extent {
    Qcow2Kind kind;
    bool in_place;              /* data: nothing else refers to the clusters */
    uint64_t host;              /* data: offset in Qcow2.data */
    uint64_t descriptor;        /* compressed, bad: the entry */
    uint64_t bytes;             /* that are alike, from the offset */
} Qcow2Extent;

/* An L2 entry in the machine's byte order. */
typedef struct Qcow2Entry {
    uint64_t entry;
    uint64_t bitmap;            /* 0 unless entries are extended */
} Qcow2Entry;

/* qcow2-map.c */

/* Any thread. */

/* The key of the slice that has @offset's entry, and the entry's index in it. */
uint64_t qcow2_map_slice(const Qcow2 *q, uint64_t offset);
unsigned qcow2_map_index(const Qcow2 *q, uint64_t offset);
uint64_t qcow2_map_l1_entry(const Qcow2 *q, uint64_t offset);
Qcow2Entry qcow2_map_get(const Qcow2 *q, const Qcow2Table *slice, unsigned index);
/* What @entry says of the unit (cluster or subcluster) at @offset, alone. */
Qcow2Extent qcow2_map_unit(const Qcow2 *q, Qcow2Entry entry, uint64_t offset);
/*
 * What is at @offset, as far as it is alike and no more than @bytes.  The lock, or a loop
 * without it.
 */
Qcow2Extent qcow2_map_find(const Qcow2 *q, uint64_t offset, uint64_t bytes);

/* qcow2-tidy.c: a worker with the lock, after a table came into memory. */

void qcow2_tidy_note_table(Qcow2 *q);

/* qcow2-l2.c: a worker with the lock. */

/* Reads the slice of @offset if there is a table; drops the lock meanwhile. */
int qcow2_l2_load(Qcow2 *q, uint64_t offset);
/* The same by qcow2_map_find(). */
int qcow2_l2_find(Qcow2 *q, uint64_t offset, uint64_t bytes, Qcow2Extent *ret_extent);
/*
 * The slice of @offset, in a table that is ours alone: made or copied if it is not.
 * Good until the lock is dropped or another slice is asked for.
 */
int qcow2_l2_get(Qcow2 *q, uint64_t offset, Qcow2Table **ret_slice);
void qcow2_l2_set(Qcow2 *q, Qcow2Table *slice, unsigned index, Qcow2Entry entry);
/* Where the slice of @key is on disk. */
uint64_t qcow2_l2_disk_offset(const Qcow2 *q, uint64_t key);
