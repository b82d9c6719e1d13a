/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Split virtqueues, device side (virtio 1.3, section 2.7).
 *
 * A queue runs on its device's loop between start and stop.  A request is a slot that was
 * made with the queue; its buffers are host addresses of guest RAM, checked by
 * virtqueue_pop().  The guest may change their contents at any time: copy once, check the
 * copy, use the copy.
 *
 *     while ((req = virtqueue_pop(vq)))
 *         virtqueue_push(vq, req, fill(req));
 *
 * What is pushed in a turn of the loop is published at its end, with one interrupt if the
 * driver wants one.  The loop looks at the ring in each turn and has doorbells rung only
 * while it sleeps (poller.h).  A round of virtqueue_pop() ends (NULL) after as many
 * requests as the ring has entries, and goes on in the next turn by itself, so that one
 * guest's ring does not hold the loop.  A device that stops before it has seen the ring
 * empty (NULL) is not told of what the driver adds: it calls virtqueue_schedule() when it
 * can go on.
 *
 * A queue stops when nothing is in flight.  A request that is held (virtqueue_hold()) is
 * not: it stays the device's while the queue stands still, and is popped again first when
 * the queue runs.
 */
#pragma once

#include "berth/counters.h"
#include "berth/poller.h"
#include "berth/region.h"
#include "berth/vmstate.h"

#include <sys/uio.h>

#define VIRTQUEUE_SIZE_MAX 1024u

typedef struct VirtqueueReq {
    _Alignas(16) Virtqueue *vq;
    uint16_t head;
    bool busy;                  /* popped, not yet pushed */
    bool held;
    uint16_t n_out;             /* buffers that the device reads */
    uint16_t n_in;              /* buffers that it writes */
    uint32_t out_size;          /* their bytes */
    uint32_t in_size;
    struct iovec *out;
    struct iovec *in;
} VirtqueueReq;

/* The rings in host memory; NULL while the queue does not run. */
typedef struct VirtqueueRings {
    const void *desc;
    const uint16_t *avail;      /* flags, idx, ring[size], used_event */
    uint16_t *used;             /* flags, idx, ring[size] of 8 bytes, avail_event */
} VirtqueueRings;

/* The loop counts; of the time since the device was made. */
typedef struct VirtqueueCounters {
    uint64_t kicks;             /* doorbells that were heard */
    uint64_t rounds;            /* of work */
    uint64_t requests;          /* taken from the ring */
    uint64_t batches;           /* of requests that were ended and told of at once */
    uint64_t interrupts;
    uint64_t out_bytes;         /* for the device, of requests that it took */
    uint64_t in_bytes;          /* that it wrote, of those that it ended */
} VirtqueueCounters;

extern const CounterDesc virtqueue_counters[];

struct Virtqueue {
    VirtioDevice *vdev;
    Loop *loop;
    uint16_t index;
    uint16_t max_size;

    /* Written by the driver, under dev->lock; fixed while the queue runs. */
    uint16_t size;
    bool enabled;
    uint64_t desc_gpa;
    uint64_t avail_gpa;
    uint64_t used_gpa;
    uint16_t vector;            /* atomic: may change at any time */
    int kick_fd;                /* an eventfd while the queue runs, else -1 */

    /* The loop's. */
    bool running;
    bool serving;               /* the device has started */
    bool stopping;              /* gives no requests any more */
    bool event_idx;
    bool indirect;
    bool kicks_on;
    bool again;                 /* the round ended before the ring was empty */
    bool stalled;               /* the device has not seen the end of the ring */
    uint16_t last_avail;        /* the next entry to pop */
    uint16_t avail_idx;         /* the driver's, as last read */
    uint16_t used_idx;          /* the next entry to push */
    uint16_t published_idx;     /* as the driver sees it */
    uint16_t in_flight;
    uint16_t n_holding;         /* requests that are held now */
    uint16_t max_segments;
    uint32_t budget;            /* requests left in this round */
    AddressHint hint;
    VirtqueueRings rings;
    uint8_t *slots;             /* of slot_size bytes: VirtqueueReq, then the context */
    size_t slot_size;
    struct iovec *iovs;         /* max_segments for each slot, or shared by all */
    LoopFd kick;
    Poller poller;
    LoopHook flush;
    LoopMessage next_round;
    VirtqueueCounters counters;

    /* Heads that were held when the queue stopped: of 2 bytes, little-endian. */
    uint8_t *held;
    uint32_t held_size;         /* bytes */
    uint32_t held_at;           /* the next to pop */
};

extern const VMStateDesc virtqueue_vmstate;

/* The queue's loop, while it runs. */

/*
 * The next request, or NULL.  A chain that the driver may not make breaks the device:
 * NEEDS_RESET, one line in the log, and NULL for ever.
 */
VirtqueueReq *virtqueue_pop(Virtqueue *vq);

/* Gives back the request that was popped last: the next pop finds it again. */
void virtqueue_unpop(Virtqueue *vq, VirtqueueReq *req);

/*
 * Keeps @req, which is the device's: it is popped again when the queue has stopped and
 * runs again.
 */
void virtqueue_hold(Virtqueue *vq, VirtqueueReq *req);

/* @req, which is held, is in flight again. */
void virtqueue_unhold(Virtqueue *vq, VirtqueueReq *req);

/* Forgets @req, of a device that is broken. */
void virtqueue_drop(Virtqueue *vq, VirtqueueReq *req);

/* Ends @req, of whose in buffers the first @written bytes were written. */
void virtqueue_push(Virtqueue *vq, VirtqueueReq *req, uint32_t written);

/* Has handle_queue() called in the next turn, when the queue runs. */
void virtqueue_schedule(Virtqueue *vq);
/* Calls it now, with a new budget; not out of handle_queue(). */
void virtqueue_run(Virtqueue *vq);

/* What the driver did wrong breaks the device, as in virtqueue_pop(). */
void virtqueue_error(Virtqueue *vq, const char *format, ...) G_GNUC_PRINTF(2, 3);

/* The device's context of VirtioClass.req_size bytes, zero when the queue starts. */
static inline void *virtqueue_req_ctx(VirtqueueReq *req)
{
    return req + 1;
}

/*
 * Where the list ends in which @req's buffers are, `out` and `in`: what is behind them is
 * room for the device.
 */
struct iovec *virtqueue_req_list_end(const VirtqueueReq *req);

/*
 * Copies up to @size bytes at @offset of the out buffers, or to the in buffers; returns
 * how many there were.
 */
size_t virtqueue_req_read(const VirtqueueReq *req, size_t offset, void *data,
                          size_t size);
size_t virtqueue_req_write(const VirtqueueReq *req, size_t offset, const void *data,
                           size_t size);

/* Main: the bytes that its requests have, and those of the largest ring. */
void virtqueue_memory(const Virtqueue *vq, uint64_t *ret_now, uint64_t *ret_most);

/* For virtio.c. */

void virtqueue_init(Virtqueue *vq, VirtioDevice *vdev, uint16_t index, uint16_t max_size);
/* All registers as at power-on; dev->lock is held, the queue does not run. */
void virtqueue_reset(Virtqueue *vq);
/* Makes the slots and starts to listen, on the loop; false: the device is broken. */
bool virtqueue_start(Virtqueue *vq);
/* On the loop, when the device has started: only now has it requests to handle. */
void virtqueue_serve(Virtqueue *vq);
/* Checks and maps the rings of a queue that another serves; false: broken. */
bool virtqueue_map(Virtqueue *vq);
/*
 * On the loop: undoes both.  Gives no more requests; returns whether the queue has
 * stopped.  If not, virtio_queue_stopped() is called when nothing is in flight.
 */
bool virtqueue_stop(Virtqueue *vq);
void virtqueue_done(Virtqueue *vq);
