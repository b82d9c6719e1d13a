/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the qcow2 driver share: the image, its tables in memory, and who may
 * touch what.
 */
#pragma once

#include "berth/block-driver.h"
#include "berth/timer.h"
#include "berth/thread.h"

#include "qcow2-cache.h"
#include "qcow2-format.h"

/* Entries of L1 or the refcount table that are not on disk: none when equal. */
typedef struct Qcow2Span {
    uint64_t from;
    uint64_t end;
} Qcow2Span;

/* What lies in the file beside a guest's clusters. */
typedef enum Qcow2TableKind {
    QCOW2_MAIN_HEADER = 1 << 0,
    QCOW2_ACTIVE_L1 = 1 << 1,
    QCOW2_ACTIVE_L2 = 1 << 2,
    QCOW2_REFCOUNT_TABLE = 1 << 3,
    QCOW2_REFCOUNT_BLOCK = 1 << 4,
    QCOW2_SNAPSHOT_TABLE = 1 << 5,
    QCOW2_INACTIVE_L1 = 1 << 6,
    QCOW2_INACTIVE_L2 = 1 << 7,
    QCOW2_BITMAP_DIRECTORY = 1 << 8,
} Qcow2TableKind;

/* Why clusters are given up: it decides whether the host is told. */
typedef enum Qcow2Discard {
    QCOW2_DISCARD_NEVER,
    QCOW2_DISCARD_REQUEST,
    QCOW2_DISCARD_SNAPSHOT,
    QCOW2_DISCARD_OTHER,
    QCOW2_DISCARD__MAX,
} Qcow2Discard;

/* Clusters that a table, once it is on disk, refers to no more. */
typedef struct Qcow2Free {
    uint64_t cluster;
    uint64_t n;
    Qcow2Discard why;
} Qcow2Free;

/* The layout, as the header says it. */
typedef struct Qcow2Layout {
    unsigned version;
    unsigned cluster_bits;
    unsigned entry_words;       /* of 64 bits in an L2 entry: 2 when it is extended */
    unsigned table_bits;        /* entries in an L2 table */
    unsigned slice_bits;        /* entries in a part of it that is cached */
    unsigned unit_bits;         /* bytes that an L2 entry tells apart */
    unsigned refcount_order;
    unsigned refblock_bits;     /* entries in a refcount block */
    Qcow2Compression compression;
    bool is_external;           /* guest clusters are in a data file */
    bool is_raw;                /* which is to be readable alone */
} Qcow2Layout;

/* A channel's way through the image. */
typedef struct Qcow2Queue {
    ListNode node;              /* in Qcow2.queues, under queues_lock */
    uint64_t in_flight[2];      /* by epoch; atomic, the loop writes, others read */
    BlockQueue *file;
    BlockQueue *data;
    BlockQueue *backing;
    ListNode allocating;        /* of Qcow2Ctx: writes that workers do */
    ListNode parked;            /* of Qcow2Ctx: writes to the same clusters */
} Qcow2Queue;

/* So that the end of one claim does not wake all who wait for others. */
#define QCOW2_CLAIM_CONDS 16u

typedef struct Qcow2 {
    BlockNode node;
    BlockNode *file;
    BlockNode *data;            /* where guest clusters are */
    const BlockdevOptionsQcow2 *options;
    char *path;                 /* the canonical one of the file; NULL: none is known */
    bool is_open;

    /* Main. */
    Timer tidy;
    bool is_retired;
    bool was_told;              /* that it is corrupt */

    /* Set by open() or while it is quiet. */
    Qcow2Layout layout;
    uint64_t *l1;               /* atomic */
    uint32_t n_l1;
    bool passes_discard[QCOW2_DISCARD__MAX];
    bool is_lazy;               /* refcounts wait, and the image says that it is dirty */
    bool keeps_dirty;           /* it is to be repaired by who opens it next */

    /* Any thread. */
    Qcow2Cache l2;              /* keyed by guest offset, in slices */
    uint64_t epoch;             /* atomic; changed under the lock */
    uint64_t changes;           /* atomic: of tables in memory; under the lock */
    uint64_t changes_stable;    /* atomic: those that are on stable storage */
    bool has_draining;          /* atomic: the next flush looks at draining */
    bool is_corrupt;            /* atomic: nothing may be written */

    /*
     * The lock: taken by workers, who may block in the kernel with it only to load a
     * refcount block or to make a new table.  A loop takes it only if it is free, and
     * drops it without waiting for anything (qcow2-fresh.c).
     */
    GMutex lock;
    bool is_tidied;             /* main's timer looks at the caches */
    GCond woken;                /* a load or a flush has ended */
    ListNode claims;            /* of Qcow2Claim */
    GCond claim_ended[QCOW2_CLAIM_CONDS];       /* by where the claim begins */
    GArray *loading;            /* of uint64_t: slices that are being read */
    uint8_t *header;            /* the image's first bytes, as they are on disk */
    size_t header_size;
    bool dirty_is_stable;       /* the dirty bit is on stable storage */
    uint64_t incompatible;
    uint64_t compatible;
    uint64_t autoclear;
    uint64_t l1_offset;
    Qcow2Span l1_dirty;
    Qcow2Cache refblocks;
    uint64_t *reftable;
    uint64_t n_reftable;
    uint64_t reftable_offset;
    Qcow2Span reftable_dirty;
    bool reftable_has_moved;    /* the header has the old one's place */
    unsigned guarded;           /* of Qcow2TableKind: kinds in metadata */
    GHashTable *metadata;       /* cluster -> kinds: what nothing else may touch */
    uint64_t first_free;        /* no cluster before it is free, but those in reusable */
    GArray *reusable;           /* of Qcow2Free */
    uint64_t file_end;          /* clusters from here on are not in the file */
    uint64_t used_end;          /* and from here on were never counted */
    uint64_t zero_from;         /* the file reads as zero from this offset */
    uint64_t size_at_open;      /* bytes of the file */
    uint64_t changes_written;   /* of changes: those that are on disk */
    bool needs_barrier;         /* what tables refer to may not be on stable storage */
    bool is_flushing;
    bool is_applying;
    GArray *pending;            /* of Qcow2Free: tables not written */
    uint64_t n_pending;         /* clusters */
    GArray *written;            /* written, not on stable storage */
    GArray *draining;           /* on stable storage; requests may be under way */
    uint64_t drain_epoch;
    uint64_t in_flight[2];      /* requests of workers, by epoch; atomic */

    /* queues_lock: a leaf. */
    GMutex queues_lock;
    ListNode queues;            /* of Qcow2Queue */

    /* Changed while it is quiet, read by main: under queues_lock. */
    char *backing_name;         /* as the header has it */
    char *backing_format;
    char *data_file_name;
    GPtrArray *snapshots;       /* of Qcow2Snapshot */
    uint64_t snapshots_offset;
    uint64_t snapshots_size;    /* bytes */
    Qcow2BitmapsExt bitmaps;    /* in the machine's byte order */
    GPtrArray *bitmap_list;     /* of Qcow2Bitmap */
    bool is_dirty_for_query;    /* atomic: the header says that it is dirty */
    bool was_corrupt;           /* as it was opened */

    /* The first contradiction that was found; set once, before it is told. */
    char *corrupt_text;
    bool has_corrupt_text;      /* atomic: it and what follows are there */
    uint64_t corrupt_offset;
    uint64_t corrupt_size;
} Qcow2;

static inline Qcow2 *qcow2_of(BlockNode *node)
{
    return CONTAINER_OF(node, Qcow2, node);
}

static inline uint64_t qcow2_cluster_size(const Qcow2 *q)
{
    return 1ull << q->layout.cluster_bits;
}

static inline uint64_t qcow2_in_cluster(const Qcow2 *q, uint64_t offset)
{
    return offset & (qcow2_cluster_size(q) - 1);
}
