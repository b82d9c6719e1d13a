/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which loops the request queues of a disk controller run on: those of iothreads that its
 * properties name, or the device tree's.
 */
#pragma once

#include "berth/virtio.h"

typedef struct VirtioLoops {
    GPtrArray *iothreads;       /* of Object, held */
    Loop **of_queue;            /* of each queue */
    uint32_t n_queues;
} VirtioLoops;

/* Main only. */

/*
 * For realize(): chooses the loops of @n_queues queues, of which number 0 is the first
 * that runs requests, and vdev->loop.  @iothread and @mapping are as the operator gave
 * them, NULL when not.  False with @error that names the parameter, and nothing held.
 */
bool virtio_loops_init(VirtioLoops *loops, VirtioDevice *vdev, uint32_t n_queues,
                       const char *iothread, const IOThreadVirtQueueMappingList *mapping,
                       GError **error);
/* The queues are gone.  No effect on one that is zero. */
void virtio_loops_done(VirtioLoops *loops);
