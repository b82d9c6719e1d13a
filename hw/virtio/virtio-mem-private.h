/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of virtio-mem share.
 */
#pragma once

#include "berth/memory-device.h"
#include "berth/timer.h"
#include "berth/virtio.h"
#include "berth/virtio-mem.h"
#include "berth/worker.h"

#include "mem-blocks.h"
#include "mem-window.h"

/* What is being done for a request that takes long. */
typedef enum MemWork {
    MEM_WORK_NONE,
    MEM_WORK_POPULATE,          /* take the pages of blocks from the host */
    MEM_WORK_DISCARD,           /* give them back to it */
} MemWork;

/* The request that is under way; the loop's, lent to main and a worker by message. */
typedef struct MemTask {
    VirtqueueReq *req;          /* NULL: there is none */
    bool plugs;
    bool is_refused;            /* by the host: the blocks are not plugged after all */
    MemWork work;
    uint64_t first;             /* blocks */
    uint64_t n;
    uint16_t response;          /* VIRTIO_MEM_RESP_* when it is done */
    int err;                    /* of the host: errno */
} MemTask;

/* What became of what the operator asked for last. */
typedef struct MemCounts {
    unsigned requests;          /* to plug or unplug, from the driver */
    unsigned refusals;          /* of the host */
} MemCounts;

typedef struct VirtioMem {
    VirtioDevice vdev;

    /* Fixed. */
    MemoryDevice memory;
    RamBlock *ram;              /* of that */
    uint64_t block_size;
    bool prealloc;

    /* Under dev->lock. */
    MemBlocks blocks;
    uint64_t requested_size;
    uint64_t usable_size;       /* beyond which the driver may not plug */
    MemCounts counts;           /* since the operator asked */

    /* Main. */
    uint64_t saved_memaddr;     /* as in a state that is saved or loaded */
    uint64_t saved_block_size;
    MemWindow window;
    LoopMessage show;           /* to main: other sections are to be shown */
    LoopMessage changed;        /* to main: another size is plugged */
    Timer deadline;             /* of what the operator asked for */
    bool is_unmet;              /* it has passed */
    MemoryUnmetReason reason;

    /* The loop's. */
    MemTask task;
    LoopMessage shown;          /* from main */
    WorkerJob job;
} VirtioMem;

static inline VirtioMem *virtio_mem_of(VirtioDevice *vdev)
{
    return CONTAINER_OF(vdev, VirtioMem, vdev);
}

/* dev->lock is held. */
static inline uint64_t virtio_mem_plugged(const VirtioMem *mem)
{
    return mem->blocks.n_plugged * mem->block_size;
}

/* dev->lock is held: the usable size follows the requested one, down too if @shrinks. */
void virtio_mem_resize_usable(VirtioMem *mem, bool shrinks);

/* virtio-mem-req.c. */

void virtio_mem_req_init(VirtioMem *mem);
/* Nothing is under way. */
void virtio_mem_req_done(VirtioMem *mem);
/* The loop's. */
void virtio_mem_req_handle(VirtioDevice *vdev, Virtqueue *vq);

/* virtio-mem-size.c; main. */

void virtio_mem_size_init(VirtioMem *mem);
void virtio_mem_size_done(VirtioMem *mem);
/* False with @error, which names the property. */
bool virtio_mem_size_check(uint64_t size, uint64_t block_size, uint64_t max_size,
                           GError **error);
