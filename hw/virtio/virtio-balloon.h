/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the balloon share.
 */
#pragma once

#include "berth/json.h"
#include "berth/timer.h"
#include "berth/worker.h"

#include "balloon-batch.h"
#include "virtio-loops.h"

#define BALLOON_N_STATS 16      /* Linux 6.12 */
/* Requests that one batch may end. */
#define BALLOON_MAX_REQS 64u

/* What a queue is for, in the order in which those have numbers that the driver knows. */
typedef enum BalloonRole {
    BALLOON_INFLATE,
    BALLOON_DEFLATE,
    BALLOON_STATS,
    BALLOON_HINT,
    BALLOON_REPORT,
    BALLOON_N_ROLES,
} BalloonRole;

typedef struct VirtioBalloon {
    VirtioDevice vdev;
    VirtioLoops loops;
    LoopMessage changed;        /* to main: the guest says that it has more or less */

    /* Under dev->lock. */
    uint32_t num_pages;         /* that the guest is asked for */
    uint32_t actual;            /* that it says it has given */
    uint32_t poison_val;
    uint64_t stats[BALLOON_N_STATS];    /* UINT64_MAX: not told */
    int64_t last_update;        /* seconds of the epoch; 0: never */
    uint64_t n_answers;         /* since the device is there */
    uint32_t told_actual;       /* actual, when they were told */

    uint32_t wanted;            /* main's: as interval, by berth-autoballoon */

    /* The loop's. */
    bool running;
    uint32_t interval;          /* seconds; 0: the guest is not asked for statistics */
    Timer poll;
    VirtqueueReq *stats_req;    /* held, to be given back when statistics are wanted */
    bool stats_are_known;       /* those of the request that was held */
    BalloonBatch batch;
    WorkerJob job;              /* gives a batch back that takes long */
    LoopMessage slice;          /* gives back the next part of one that does not */
    bool busy;                  /* either is under way */
    VirtqueueReq *req;          /* of which a part was read */
    size_t req_offset;
    VirtqueueReq *taken;        /* the same of what the guest takes back */
    size_t taken_offset;
    VirtqueueReq *reqs[BALLOON_MAX_REQS];       /* that end with the batch */
    unsigned n_reqs;
} VirtioBalloon;

static inline VirtioBalloon *virtio_balloon_of(VirtioDevice *vdev)
{
    return CONTAINER_OF(vdev, VirtioBalloon, vdev);
}

/* Main. */
bool virtio_balloon_is(const Device *dev);
/* Main: that of the machine, or NULL. */
VirtioBalloon *virtio_balloon_find(DeviceTree *tree);
/* Any thread: the bytes that the guest has left. */
uint64_t virtio_balloon_actual(VirtioBalloon *balloon);

/* Main. */

JsonValue *balloon_stats_query(VirtioBalloon *balloon);
void balloon_stats_set_interval(VirtioBalloon *balloon, uint32_t seconds);
void balloon_stats_want(VirtioBalloon *balloon, uint32_t seconds);

/* The loop's. */

void balloon_stats_start(VirtioBalloon *balloon);
void balloon_stats_stop(VirtioBalloon *balloon);
void balloon_stats_reset(VirtioBalloon *balloon);
void balloon_stats_handle(VirtioBalloon *balloon, Virtqueue *vq);
