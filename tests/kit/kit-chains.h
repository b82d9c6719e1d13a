/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Chains of descriptors that no driver makes, for any queue of any device: loops, places
 * that are no memory, tables within tables.
 */
#pragma once

#include "kit-virtio.h"

#define KIT_CHAINS_RING 16u             /* entries of the queue */
#define KIT_CHAINS_TABLE (KIT_VIRTIO_DATA + 0x80000)

extern const unsigned kit_chains_n;

/* Offers the @i-th on @q, head 0, without the doorbell; what is wrong with it. */
const char *kit_chains_offer(KitQueue *q, unsigned i);
