/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver of virtio-blk on queue 0: requests one by one, or several at a time.
 */
#pragma once

#include "kit-virtio.h"

#define KIT_BLK_SLOTS 32u
#define KIT_BLK_DATA 4096u              /* bytes of a request at most */

typedef struct KitBlk {
    KitBoard *kit;
    KitVirtio *v;
    uint64_t memory;            /* gpa of all that is its own */
    bool busy[KIT_BLK_SLOTS];
} KitBlk;

/* Starts the driver of device @id: up to 16 are beside each other. */
KitBlk *kit_blk_new(KitBoard *kit, const char *id);
void kit_blk_free(KitBlk *blk);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KitBlk, kit_blk_free)

/* Memory of a request, for what it writes or reads. */
uint8_t *kit_blk_data(KitBlk *blk, unsigned slot);
/*
 * Offers a request of @type in @slot, which is free; @size bytes of its memory.  No
 * doorbell.
 */
void kit_blk_offer(KitBlk *blk, unsigned slot, uint32_t type, uint64_t sector,
                   uint32_t size);
/* The same, and rings. */
void kit_blk_submit(KitBlk *blk, unsigned slot, uint32_t type, uint64_t sector,
                    uint32_t size);
/* A request that has ended: its slot and status; false when there is none now. */
bool kit_blk_take(KitBlk *blk, unsigned *ret_slot, uint8_t *ret_status);

/* In slot 0, and turns the loops until it has ended. */
uint8_t kit_blk_ask(KitBlk *blk, uint32_t type, uint64_t sector, uint32_t size);

/* The same, and they succeed. */
void kit_blk_write(KitBlk *blk, uint64_t sector, uint8_t value, uint32_t size);
const uint8_t *kit_blk_read(KitBlk *blk, uint64_t sector, uint32_t size);
void kit_blk_flush(KitBlk *blk);
void kit_blk_discard(KitBlk *blk, uint64_t sector, uint32_t n_sectors);

/* The capacity in its configuration, in sectors. */
uint64_t kit_blk_capacity(KitBlk *blk);
