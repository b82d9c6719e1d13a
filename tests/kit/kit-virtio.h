/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio driver (virtio 1.3, sections 3.1 and 4.1): finds the structures of a PCI
 * function, negotiates, makes a ring in guest memory, and offers buffers.
 */
#pragma once

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>

#include "kit-pci.h"

#define KIT_VIRTIO_RING 0x100000u       /* gpa of the ring of queue 0 */
#define KIT_VIRTIO_RING_SPACE 0x30000u  /* bytes of it */
#define KIT_VIRTIO_DATA 0x200000u       /* gpa of memory for buffers */
#define KIT_VIRTIO_VECTOR_DATA 0x40u    /* message of queue 0; + 1 is configuration */
#define KIT_VIRTIO_QUEUES 0x400000u     /* gpa of the rings of other queues */

typedef struct KitVirtio KitVirtio;

/* A ring as the driver has it. */
typedef struct KitQueue {
    KitVirtio *v;
    unsigned index;
    unsigned size;
    struct vring_desc *desc;
    uint16_t *avail;
    uint16_t *used;
    uint16_t next_avail;
    uint16_t next_used;
} KitQueue;

struct KitVirtio {
    KitPci pci;
    uint64_t registers;         /* gpa of the structures */
    uint64_t isr;
    uint64_t config;
    uint64_t notify;
    uint32_t notify_multiplier;
    uint64_t features;
    uint64_t ring;              /* gpa of that of queue 0: KIT_VIRTIO_RING */
    KitQueue queue;             /* queue 0 */
};

/* Finds the structures of @dev and enables memory and bus mastering. */
KitVirtio *kit_virtio_new(KitBoard *kit, Device *dev);

/* Registers of the common structure. */
uint32_t kit_virtio_get(KitVirtio *v, unsigned reg, unsigned size);
void kit_virtio_set(KitVirtio *v, unsigned reg, unsigned size, uint32_t value);
uint8_t kit_virtio_status(KitVirtio *v);
void kit_virtio_set_status(KitVirtio *v, uint8_t status);

/* Reset, ACKNOWLEDGE, DRIVER, features (of those offered), FEATURES_OK. */
void kit_virtio_negotiate(KitVirtio *v, uint64_t wanted);
/* Queue 0 of @size entries at its gpa, vectors 0 and 1 when MSI-X is there. */
void kit_virtio_setup_queue(KitVirtio *v, unsigned size);
/* Queue 0 with rings at these addresses, enabled. */
void kit_virtio_set_rings(KitVirtio *v, uint64_t desc, uint64_t avail, uint64_t used);
/* All of it, up to DRIVER_OK. */
void kit_virtio_start(KitVirtio *v, uint64_t wanted, unsigned size);

void kit_virtio_desc(KitVirtio *v, unsigned index, uint64_t gpa, uint32_t len,
                     uint16_t flags, uint16_t next);
/* Makes the chain that begins at @head available; no doorbell. */
void kit_virtio_offer(KitVirtio *v, uint16_t head);
/* The doorbell of queue 0, and what the device does about it. */
void kit_virtio_kick(KitVirtio *v);
/* The next used entry; asks to be told of the one after it.  False when there is none. */
bool kit_virtio_take(KitVirtio *v, uint32_t *ret_head, uint32_t *ret_len);

/*
 * The same for a queue of at most 128 entries that is not queue 0; the vector is that of
 * queue 0.  Set up before DRIVER_OK.
 */
void kit_queue_setup(KitQueue *q, KitVirtio *v, unsigned index, unsigned size);
void kit_queue_desc(KitQueue *q, unsigned index, uint64_t gpa, uint32_t len,
                    uint16_t flags, uint16_t next);
void kit_queue_offer(KitQueue *q, uint16_t head);
void kit_queue_kick(KitQueue *q);
bool kit_queue_take(KitQueue *q, uint32_t *ret_head, uint32_t *ret_len);
