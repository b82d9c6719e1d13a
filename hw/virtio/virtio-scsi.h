/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the SCSI controller share: what it is made of (virtio-scsi.c),
 * requests to disks (virtio-scsi-req.c), task management and events (virtio-scsi-ctrl.c).
 */
#pragma once

#include <linux/virtio_scsi.h>

#include "berth/scsi.h"
#include "berth/virtio.h"

#include "virtio-loops.h"

/* Numbers of queues (virtio 1.3, 5.6.2). */
enum {
    VIRTIO_SCSI_CONTROL,
    VIRTIO_SCSI_EVENTS,
    VIRTIO_SCSI_REQUESTS,       /* the first of them */
};

/* The most that a driver may make them. */
#define VIRTIO_SCSI_CDB_MAX 256u
#define VIRTIO_SCSI_SENSE_MAX 256u

typedef struct VirtioScsi {
    VirtioDevice vdev;
    ScsiBus bus;
    const VirtioScsiProps *props;       /* lent: of dev->args */
    VirtioLoops loops;                  /* of the request queues */
    unsigned *loop_numbers;             /* the bus's, of each request queue */

    /* Atomic: the driver's wishes. */
    uint32_t sense_size;
    uint32_t cdb_size;

    /* The loop number 0's. */
    const struct virtio_scsi_event *event;      /* to be told now */
    bool events_missed;                 /* there was no buffer to tell one in */
} VirtioScsi;

/* Beside each request of a request queue. */
typedef struct VirtioScsiReq {
    ScsiReq scsi;
    uint32_t response_size;     /* bytes in front of the data that the guest gets */
    uint32_t cut;               /* of them in the first buffer of data */
} VirtioScsiReq;

static inline VirtioScsi *virtio_scsi_of(VirtioDevice *vdev)
{
    return CONTAINER_OF(vdev, VirtioScsi, vdev);
}

static inline VirtioScsi *virtio_scsi_of_bus(ScsiBus *bus)
{
    return CONTAINER_OF(bus, VirtioScsi, bus);
}

/* The place that @address names; false: there can be none. */
bool virtio_scsi_req_parse_lun(const uint8_t *address, unsigned *ret_target,
                           unsigned *ret_lun);

/* virtio-scsi-req.c: the queue's loop, and what the bus asks of it */
void virtio_scsi_req_handle_queue(VirtioScsi *scsi, Virtqueue *vq);
void virtio_scsi_req_on_done(ScsiBus *bus, ScsiReq *req);
void virtio_scsi_req_on_hold(ScsiBus *bus, ScsiReq *req);
void virtio_scsi_req_on_unhold(ScsiBus *bus, ScsiReq *req);

/* virtio-scsi-ctrl.c: the loop number 0 */
void virtio_scsi_ctrl_handle_queue(VirtioScsi *scsi, Virtqueue *vq);
void virtio_scsi_ctrl_handle_events(VirtioScsi *scsi, Virtqueue *vq);
/* Main: the bus's changes are told as events. */
void virtio_scsi_ctrl_on_changed(ScsiBus *bus, unsigned target, unsigned lun,
                            ScsiChange change);
