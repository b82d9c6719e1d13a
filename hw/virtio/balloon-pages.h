/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of a guest's pages are in its balloon, of memory that the host has in larger
 * ones: those go back to it whole or not at all.  The balloon's loop.
 */
#pragma once

#include "berth/ram.h"

#define BALLOON_PAGE 4096u      /* the balloon's unit (virtio 1.3, section 5.5) */

typedef struct BalloonPages {
    RamBlock *block;            /* referenced */
    unsigned n_parts;           /* of a host's page */
    uint64_t *given;            /* a bit for each of the guest's pages */
    uint32_t *n_given;          /* of each of the host's */
    uint64_t n_partial;         /* given ones whose host's page is not whole */
} BalloonPages;

/* For each of the host's pages that is whole now. */
typedef void BalloonPagesFn(void *opaque, RamBlock *block, uint64_t offset,
                            uint64_t size);

BalloonPages *balloon_pages_new(RamBlock *block);
/* Accepts NULL. */
void balloon_pages_free(BalloonPages *pages);

/* The guest gives, and takes, what is at @offset of the block. */
void balloon_pages_give(BalloonPages *pages, uint64_t offset, uint64_t size,
                        BalloonPagesFn *fn, void *opaque);
void balloon_pages_take(BalloonPages *pages, uint64_t offset, uint64_t size);
/* It has given nothing. */
void balloon_pages_clear(BalloonPages *pages);
