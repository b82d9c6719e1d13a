/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages that a guest gives, gathered from requests until it is worth while to tell the
 * host: sorted, neighbours together, so that a call gives back many.
 *
 * The loop gathers, and gives back a slice a turn, or has a worker do it where that may
 * take long; until all is given the loop adds nothing.
 */
#pragma once

#include "berth/ram-map.h"
#include "berth/virtio.h"

#include "balloon-pages.h"

#define BALLOON_BATCH_PFNS 1024u
/* What one request of reports has at most. */
#define BALLOON_BATCH_BUFFERS 64u
#define BALLOON_BATCH_RUNS (BALLOON_BATCH_PFNS + BALLOON_BATCH_BUFFERS)

typedef struct BalloonRun {
    RamBlock *block;            /* referenced */
    uint64_t offset;
    uint64_t size;
} BalloonRun;

/* What is made with the first pages that are given. */
typedef struct BalloonRoom {
    uint32_t pfns[BALLOON_BATCH_PFNS];
    BalloonRun runs[BALLOON_BATCH_RUNS];
} BalloonRoom;

typedef struct BalloonBatch {
    AddressSpace *memory;       /* lent */
    AddressHint hint;
    RamMap *map;                /* NULL: none since the device started */
    GPtrArray *pages;           /* of BalloonPages, of memory in large pages; NULL */
    BalloonRoom *room;
    unsigned n_pfns;
    unsigned n_runs;
    unsigned next_run;          /* those before it were given back */
    uint64_t n_bytes;           /* of all runs */
    bool has_files;             /* some of it may be on a disk */
    unsigned n_bad;             /* pages of this batch that are no RAM */
    uint32_t bad_pfn;           /* one of them */
    int err;                    /* errno of the last that the host did not take */

    /* Bytes, atomic. */
    uint64_t discarded;
    uint64_t failed;            /* that the host did not take */
    uint64_t partial;           /* in pages of the host that are not whole, now */
} BalloonBatch;

void balloon_batch_init(BalloonBatch *batch, AddressSpace *memory);
void balloon_batch_done(BalloonBatch *batch);

/* Of a device that starts: makes room to note what is given of large pages. */
void balloon_batch_start(BalloonBatch *batch);
/* It has stopped: lets go of memory that may be unplugged now. */
void balloon_batch_stop(BalloonBatch *batch);
/* The guest's balloon is empty. */
void balloon_batch_clear(BalloonBatch *batch);

/*
 * Takes page numbers of @req from byte *@offset on, as many as there is room for; true
 * when the end of @req was reached.
 */
bool balloon_batch_read(BalloonBatch *batch, const VirtqueueReq *req, size_t *offset);
/* What was read is given to the host by balloon_batch_discard(). */
void balloon_batch_give(BalloonBatch *batch);
/* What was read is the guest's again. */
void balloon_batch_take(BalloonBatch *batch);
/* The guest has no use for @n buffers now, @zeros: and wants zeros there later. */
void balloon_batch_report(BalloonBatch *batch, const struct iovec *buffers, unsigned n,
                          bool zeros);
/* Whether a request of reports still fits. */
bool balloon_batch_has_room(const BalloonBatch *batch);

/* Whether to give it back may take so long that a loop should not. */
bool balloon_batch_is_slow(const BalloonBatch *batch);
/* Gives @max more runs back to the host; true when none is left.  Any thread. */
bool balloon_batch_discard(BalloonBatch *batch, unsigned max);
/* Begins a new batch. */
void balloon_batch_reset(BalloonBatch *batch);
