/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The image as a whole: header, snapshots, bitmaps, size, check.
 *
 * Functions that may block; by open() or a worker.
 */
#pragma once

#include "qcow2-private.h"

typedef struct Qcow2Snapshot {
    uint64_t l1_offset;
    uint32_t n_l1;
    char *id;
    char *name;
    uint32_t date_sec;
    uint32_t date_nsec;
    uint64_t vm_clock_ns;
    uint64_t vm_state_size;
    uint64_t disk_size;
    bool has_icount;
    uint64_t icount;
    uint8_t *extra;             /* what the entry has beside the fields that we know */
    uint32_t extra_size;
} Qcow2Snapshot;

/* A bitmap that the image carries; in a list that changes only while it is opened. */
typedef struct Qcow2Bitmap {
    uint64_t table_offset;
    uint32_t n_table;           /* entries */
    uint32_t flags;
    unsigned granularity_bits;
    char *name;
} Qcow2Bitmap;

/* qcow2-open.c */

bool qcow2_open_prepare(BlockNode *node, GError **error);
bool qcow2_open_image(BlockNode *node, GError **error);
bool qcow2_open_begin(BlockNode *node, GError **error);
void qcow2_open_close(BlockNode *node);
/* What the image and the nodes below allow; auto-read-only may set *@read_only. */
bool qcow2_open_check(Qcow2 *q, bool *read_only, GError **error);
/* Does what has to be right before the first write. */
bool qcow2_open_make_writable(Qcow2 *q, GError **error);
/*
 * Everything reaches the disk, refcounts as well, and the file keeps no more than it
 * needs; quiet.  0 or -errno.
 */
int qcow2_open_save(Qcow2 *q);
void qcow2_open_set_limits(Qcow2 *q);
bool qcow2_open_is_lazy(const Qcow2 *q);

/* qcow2-header.c */

/* A header extension. */
typedef struct Qcow2Extension {
    uint32_t type;
    uint32_t size;
    const uint8_t *data;
} Qcow2Extension;

/* The next one at *@at within [0, @end); false: there is none, or with @error. */
bool qcow2_header_next_extension(const uint8_t *cluster, size_t end, size_t *at,
                                 Qcow2Extension *ret_extension, GError **error);

/* Reads and checks the header and its extensions into @q. */
bool qcow2_header_read(Qcow2 *q, GError **error);

/* The lock.  What they write is not flushed, except where said. */

/* Flushed when @is_dirty is set. */
int qcow2_header_set_dirty(Qcow2 *q, bool is_dirty);
int qcow2_header_set_corrupt(Qcow2 *q);
int qcow2_header_set_autoclear(Qcow2 *q, uint64_t autoclear);
int qcow2_header_set_reftable(Qcow2 *q, uint64_t offset, uint64_t n);
int qcow2_header_set_l1(Qcow2 *q, uint64_t offset, uint64_t n, uint64_t size);
int qcow2_header_set_snapshots(Qcow2 *q, uint64_t offset, unsigned n);

/*
 * qcow2-header-write.c: rewrites the extensions, and the name of the backing file, with
 * what @q has now; flushed.  The lock; quiet.
 */
bool qcow2_header_write_extensions(Qcow2 *q, GError **error);

/* qcow2-options.c */

/* Empty ones, unless it has such already; quiet, and none is dirty. */
bool qcow2_options_make_caches(Qcow2 *q, GError **error);
/* Of Qcow2TableKind. */
unsigned qcow2_options_guarded(const BlockdevOptionsQcow2 *options);
void qcow2_options_set_discards(Qcow2 *q);

/* qcow2-backing.c */

void qcow2_backing_find_path(Qcow2 *q);
/* Makes the node of the backing file that the image names, unless options say another. */
bool qcow2_backing_open(Qcow2 *q, GError **error);
/* Where the backing file is that the image names; NULL: no file.  Main, queues_lock. */
char *qcow2_backing_path(Qcow2 *q);
/* Finds the data file, if there is one. */
bool qcow2_backing_open_data(Qcow2 *q, GError **error);

/* A worker; quiet.  What the image names as its backing file; NULL: none. */
bool qcow2_backing_change(BlockNode *node, const char *name, const char *format,
                          GError **error);

/* qcow2-bitmaps.c */

bool qcow2_bitmaps_read(Qcow2 *q, GError **error);
/* Says of those that are to record writes that they are not saved; flushed. */
bool qcow2_bitmaps_mark(Qcow2 *q, GError **error);
/* The places that the table of a bitmap names; the caller frees.  NULL with @error. */
uint64_t *qcow2_bitmaps_read_table(Qcow2 *q, const Qcow2Bitmap *bitmap, GError **error);
/* Of a Qcow2Bitmap. */
void qcow2_bitmaps_free_entry(gpointer data);

/* qcow2-resize.c: BlockDriver.resize() */

bool qcow2_resize(BlockNode *node, uint64_t size, PreallocMode prealloc, GError **error);

/* qcow2-repair.c */

/* Counts all references anew, and says that the image is not dirty any more. */
bool qcow2_repair(Qcow2 *q, GError **error);

/* qcow2-info.c: main. */

void qcow2_info_describe(BlockNode *node, ImageInfo *info);
void qcow2_info_memory(BlockNode *node, uint64_t *ret_now, uint64_t *ret_most);

/* Any thread; the caller frees. */
SnapshotInfo *qcow2_info_of_snapshot(const Qcow2Snapshot *snapshot);

/* qcow2-tidy.c: main. */

/* A worker has something for main: a corruption, or tables to look at. */
void qcow2_tidy_tell(BlockNode *node);
void qcow2_tidy_retire(BlockNode *node);

/* qcow2-corrupt-qmp.c: main. */

void qcow2_corrupt_qmp_tell(BlockNode *node);

/* qcow2-snapshot-table.c */

bool qcow2_snapshot_table_read(Qcow2 *q, GError **error);
/* The list of @snapshots as it is on disk; the caller frees. */
GByteArray *qcow2_snapshot_table_compose(const GPtrArray *snapshots);
/* Of a Qcow2Snapshot. */
void qcow2_snapshot_table_free_entry(gpointer data);
