/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's data in a qcow2 image, read and written by workers, without the lock except
 * where said.  0 or a negative errno.
 */
#pragma once

#include "berth/iov.h"

#include "qcow2-tables.h"

/* Some bytes of a request's buffers. */
typedef struct Qcow2Piece {
    struct iovec *iov;
    unsigned n_iov;
    size_t done;                /* where they begin */
    uint64_t bytes;
} Qcow2Piece;

/* A request on the short way, its loop's. */
typedef struct Qcow2Ctx {
    uint64_t done;
    uint64_t bytes;             /* of the part that is under way */
    IovSlice slice;
    bool is_sliced;
    unsigned slot;              /* of the epoch */
    bool is_walking;            /* a part that ends at once goes on where it began */
    bool has_ended;             /* the part, at once */
    int ret;

    /* A write, while a worker does it or it waits for one that a worker does. */
    BlockReq *req;
    ListNode node;              /* in the queue's allocating or parked */
    uint64_t start;             /* its clusters */
    uint64_t end;
    BlockDoneFn *done_fn;       /* the request's own */
} Qcow2Ctx;

/* qcow2-read.c */

/* Reads from the image, and what it has not from the chain below it. */
int qcow2_read(Qcow2 *q, uint64_t offset, const Qcow2Piece *piece);
int qcow2_read_buffer(Qcow2 *q, uint64_t offset, void *data, size_t size);
/* Whether all of it reads as zero, as far as the chain's tables say. */
int qcow2_read_is_zero(Qcow2 *q, uint64_t offset, uint64_t bytes, bool *ret_is_zero);

/* BlockDriver.map() */
int qcow2_read_map(BlockNode *node, uint64_t offset, uint64_t bytes, BlockMap *ret_map);

/* qcow2-compressed.c: the bytes at guest offset @offset, of the cluster of @entry. */
int qcow2_compressed_read(Qcow2 *q, uint64_t entry, uint64_t offset,
                          const Qcow2Piece *piece);

/* qcow2-claim.c: the lock. */

/* A part of the guest's disk whose entries nobody but its owner changes. */
typedef struct Qcow2Claim {
    ListNode node;
    uint64_t start;
    uint64_t end;
} Qcow2Claim;

void qcow2_claim_take(Qcow2 *q, Qcow2Claim *claim, uint64_t start, uint64_t end);
void qcow2_claim_drop(Qcow2 *q, Qcow2Claim *claim);
/* Nobody has claimed any of it. */
bool qcow2_claim_is_free(const Qcow2 *q, uint64_t offset, uint64_t bytes);
/*
 * Waits until the slice of @offset is in memory and the first of the bytes is free; how
 * many are is in *@ret_bytes.  May drop the lock.
 */
int qcow2_claim_wait(Qcow2 *q, uint64_t offset, uint64_t bytes, uint64_t *ret_bytes);

/* qcow2-write.c */

int qcow2_write(Qcow2 *q, uint64_t offset, const Qcow2Piece *piece);
int qcow2_write_zeroes(Qcow2 *q, uint64_t offset, uint64_t bytes);
/* Has clusters for what is zero; with @reserves the host has space for them. */
int qcow2_write_preallocate(Qcow2 *q, uint64_t offset, uint64_t bytes, bool reserves);

/* qcow2-fresh.c: a loop, within an epoch; does not wait for the lock. */

/*
 * Gives new clusters to the first of @bytes at @offset, which are not there and read as
 * zero; what is behind the image ends at @below.  False: a worker is to do it.
 */
bool qcow2_fresh_place(Qcow2 *q, uint64_t offset, uint64_t bytes, uint64_t below,
                       Qcow2Extent *ret_extent);

/* qcow2-clear.c */

int qcow2_clear_zero(Qcow2 *q, uint64_t offset, uint64_t bytes, bool may_unmap);
int qcow2_clear_discard(Qcow2 *q, uint64_t offset, uint64_t bytes);
/* What the disk does not have any more: as if it never was. */
int qcow2_clear_gone(Qcow2 *q, uint64_t offset, uint64_t bytes);

/* qcow2-submit.c: the short way. */

void qcow2_submit(BlockReq *req);
/* Takes back one that is parked. */
bool qcow2_submit_cancel(BlockReq *req);
bool qcow2_submit_attach(BlockQueue *queue, GError **error);
void qcow2_submit_detach(BlockQueue *queue);
