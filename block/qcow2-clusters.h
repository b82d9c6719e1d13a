/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clusters of a qcow2 image's file: who uses them, in which order what is said of
 * them reaches the disk, and when they may be used again.
 *
 * All functions with the lock, by a worker, except where said.
 */
#pragma once

#include "qcow2-private.h"

/* qcow2-disk.c: the image's file.  May block; with or without the lock. */

/* What is beyond the end of the file reads as zero. */
int qcow2_disk_read(Qcow2 *q, uint64_t offset, void *data, size_t size);
/* Within the file. */
int qcow2_disk_write(Qcow2 *q, uint64_t offset, const void *data, size_t size);
/* What was written to the file and to the data file is on stable storage. */
int qcow2_disk_flush(Qcow2 *q);
/* @n words of a table, in the machine's byte order. */
int qcow2_disk_read_words(Qcow2 *q, uint64_t offset, uint64_t *words, uint64_t n);
int qcow2_disk_write_words(Qcow2 *q, uint64_t offset, const uint64_t *words, uint64_t n);
/* Makes the file hold clusters up to @cluster.  The lock. */
int qcow2_disk_grow(Qcow2 *q, uint64_t cluster);
/* Memory that the file can be read into, for free(); NULL: no memory. */
void *qcow2_disk_buffer(const Qcow2 *q, size_t size);

/* qcow2-refcount.c */

int qcow2_refcount_get(Qcow2 *q, uint64_t cluster, uint64_t *ret_count);
/* Sets the refcounts of @n clusters; makes the blocks that are not there. */
int qcow2_refcount_set(Qcow2 *q, uint64_t cluster, uint64_t n, uint64_t count);
/* By +1 or -1; -EIO when it would be less than 0, -ERANGE more than can be. */
int qcow2_refcount_add(Qcow2 *q, uint64_t cluster, uint64_t n, int by);

typedef struct Qcow2FreeRun {
    uint64_t cluster;
    uint64_t n;
} Qcow2FreeRun;

/*
 * The first free clusters from @from on, up to @n of them.  None (n = 0): it comes to
 * cluster @ret_run->cluster, which has no block.
 */
int qcow2_refcount_find_free(Qcow2 *q, uint64_t from, uint64_t n, Qcow2FreeRun *ret_run);
/* Behind the last cluster of the file that is counted, as far as a few blocks tell. */
int qcow2_refcount_find_end(Qcow2 *q, uint64_t *ret_cluster);
/* A refcount in a block in memory. */
uint64_t qcow2_refcount_read(const Qcow2 *q, const void *block, uint64_t index);
void qcow2_refcount_write(const Qcow2 *q, void *block, uint64_t index, uint64_t count);

/* qcow2-reftable.c */

/* Makes the refcount block of @index. */
int qcow2_reftable_add_block(Qcow2 *q, uint64_t index);
/* A row of @n unused clusters for which there are blocks; they are still free. */
int qcow2_reftable_make_space(Qcow2 *q, uint64_t n, uint64_t *ret_cluster);

/* qcow2-alloc.c */

typedef struct Qcow2Run {
    uint64_t offset;            /* bytes */
    uint64_t n;                 /* clusters */
    bool is_fresh;              /* reads as zero */
} Qcow2Run;

/* Takes from 1 to @n clusters in a row, without waiting for a disk; all are fresh. */
bool qcow2_alloc_try_fresh(Qcow2 *q, uint64_t n, Qcow2Run *ret_run);
/* Takes from 1 to @n clusters in a row. */
int qcow2_alloc_clusters(Qcow2 *q, uint64_t n, Qcow2Run *ret_run);
/* Takes @n clusters in a row for a table. */
int qcow2_alloc_table(Qcow2 *q, Qcow2TableKind kind, uint64_t n, Qcow2Run *ret_run);
/* Gives back at once what no table on disk or in memory refers to. */
void qcow2_alloc_undo(Qcow2 *q, uint64_t offset, uint64_t n);
/* Clusters up to @end are in use now. */
void qcow2_alloc_note_used(Qcow2 *q, uint64_t end);
/* Clusters from @cluster on are free. */
void qcow2_alloc_note_free(Qcow2 *q, uint64_t cluster, uint64_t n);

/* qcow2-free.c */

/*
 * A table in memory does not refer to @n clusters any more: their refcounts go down when
 * that is on stable storage and no request is under way that found them before.
 */
void qcow2_free_later(Qcow2 *q, uint64_t offset, uint64_t n, Qcow2Discard why);
/* The same of what the L2 entry @entry refers to, if anything. */
void qcow2_free_entry(Qcow2 *q, uint64_t entry, Qcow2Discard why);
/* The host clusters of a compressed cluster: the first and how many. */
uint64_t qcow2_free_compressed_span(const Qcow2 *q, uint64_t entry, uint64_t *ret_n);
/* So many wait that a flush is due. */
bool qcow2_free_is_due(const Qcow2 *q);
/* Gives up what may be; drops the lock meanwhile. */
void qcow2_free_apply(Qcow2 *q);

/* qcow2-flush.c: drop the lock meanwhile. */

/* Tables that are changed now are on their way to stable storage, in order. */
int qcow2_flush_tables(Qcow2 *q);
/* Everything is on stable storage. */
int qcow2_flush(Qcow2 *q);
/* So much has piled up that it is to go to the disk before there is more. */
bool qcow2_flush_is_due(const Qcow2 *q);
/* Then it goes there. */
int qcow2_flush_if_due(Qcow2 *q);
/* A table in memory was changed. */
void qcow2_flush_note_change(Qcow2 *q);
void qcow2_flush_add_to_span(Qcow2Span *span, uint64_t index);

/* qcow2-epoch.c */

/* Any thread: a channel's loop, from finding clusters to the end of their use. */
unsigned qcow2_epoch_enter(Qcow2 *q, Qcow2Queue *queue);
void qcow2_epoch_leave(Qcow2Queue *queue, unsigned slot);
/* The same for workers; entered with the lock. */
unsigned qcow2_epoch_enter_worker(Qcow2 *q);
void qcow2_epoch_leave_worker(Qcow2 *q, unsigned slot);
/* Goes on if it can; whether requests that were under way in @epoch have ended. */
bool qcow2_epoch_has_passed(Qcow2 *q, uint64_t epoch);

/* qcow2-overlap.c */

/* Finds the clusters of all tables; false: two tables share one. */
bool qcow2_overlap_build(Qcow2 *q, GError **error);
/* False: they are of another table already, or a slice in memory refers to one. */
bool qcow2_overlap_add(Qcow2 *q, Qcow2TableKind kind, uint64_t cluster, uint64_t n);
void qcow2_overlap_remove(Qcow2 *q, Qcow2TableKind kind, uint64_t cluster, uint64_t n);
/* Whether the host cluster is known to be a table's. */
bool qcow2_overlap_has_table(const Qcow2 *q, uint64_t cluster);
/* Whether an L2 table, of whomever, may be in the host cluster. */
bool qcow2_overlap_may_be_l2(const Qcow2 *q, uint64_t cluster);
/* Whether the host clusters may be a guest's. */
bool qcow2_overlap_is_data(const Qcow2 *q, uint64_t cluster, uint64_t n);
/* Whether all entries of a slice may be used as they are. */
bool qcow2_overlap_is_sound(const Qcow2 *q, const uint64_t *words);

/* qcow2-corrupt.c */

/* The image contradicts itself at @offset: says so, and lets nobody write any more. */
int qcow2_corrupt(Qcow2 *q, uint64_t offset, uint64_t size, const char *format, ...)
    G_GNUC_PRINTF(4, 5);
