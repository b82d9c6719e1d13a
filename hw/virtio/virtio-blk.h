/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the disk share: what it is made of (virtio-blk.c) and its requests
 * (virtio-blk-req.c).
 */
#pragma once

#include "berth/block-drive.h"
#include "berth/virtio.h"

#include "virtio-loops.h"

#define VIRTIO_BLK_SECTOR 512u
#define VIRTIO_BLK_SERIAL 20u           /* bytes of an answer to GET_ID */

typedef struct VirtioBlk {
    VirtioDevice vdev;
    const VirtioBlkProps *props;        /* lent: of dev->args */
    BlockDrive *drive;
    BlockUse *use;                      /* the drive's */
    BlockChannel **channels;            /* of each queue */
    char *qom_path;
    char serial[VIRTIO_BLK_SERIAL];     /* padded with zeros */
    uint32_t block_size;
    VirtioLoops loops;

    bool is_read_only;
    bool write_cache;                   /* atomic: writes are durable after a flush */
} VirtioBlk;

/* Beside each request of a queue. */
typedef struct VirtioBlkReq {
    uint8_t *status;
    uint32_t written;                   /* to the guest, with the status */
} VirtioBlkReq;

static inline VirtioBlk *virtio_blk_of(VirtioDevice *vdev)
{
    return CONTAINER_OF(vdev, VirtioBlk, vdev);
}

/* The queue's loop. */
void virtio_blk_req_handle_queue(VirtioDevice *vdev, Virtqueue *vq);
