/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The way of what a guest writes to a flash to the file behind it, which no vCPU waits
 * for.
 */
#pragma once

#include "berth/block-drive.h"
#include "berth/device.h"

typedef struct PflashStore PflashStore;

/* Main only. */

/* @drive has its medium, of whole blocks.  Both are lent. */
PflashStore *pflash_store_new(Device *dev, BlockDrive *drive, GError **error);
/* Nothing is under way.  Accepts NULL. */
void pflash_store_free(PflashStore *store);
/* As of DeviceClass; all accept NULL. */
void pflash_store_pause(PflashStore *store);
void pflash_store_resume(PflashStore *store);
bool pflash_store_is_draining(PflashStore *store);

/* Any thread, one at a time. */

/* [@begin, @end) of the block at @block was changed; @bytes is all of the block. */
void pflash_store_put(PflashStore *store, uint64_t block, uint32_t begin, uint32_t end,
                      const uint8_t *bytes);
/* Whether something was lost since this was asked last.  Accepts NULL. */
bool pflash_store_take_failure(PflashStore *store);
