/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two queues of a virtio device, one behind the other, that a vhost device of the kernel
 * serves as its rings 0 and 1.
 *
 *     vhost_pair_init()       realize
 *     vhost_pair_start()      VirtioClass.start: the kernel knows all; then it is told to
 *                             begin, by what its kind of device has for that
 *     vhost_pair_run()        it has begun
 *     vhost_pair_pause()      it is about to be told to end
 *     vhost_pair_stop()       VirtioClass.stop: it has ended
 *     vhost_pair_done()       unrealize
 *
 * The kernel interrupts by an eventfd: while the queue's vector is unmasked, that
 * vector's own, so that no thread of ours is in the way; else one that the loop reads,
 * which leaves the interrupt to the transport (the pin, or the bit "pending").  Which of
 * them it is may change at any access of the guest, under dev->lock, where `call_fd` is
 * set, too.
 */
#pragma once

#include "berth/vhost.h"
#include "berth/virtio.h"

#define VHOST_PAIR_RINGS 2u

typedef struct VhostPair VhostPair;

typedef struct VhostPairRing {
    VhostPair *pair;
    Virtqueue *vq;
    int own_fd;                 /* for interrupts that the transport makes */
    LoopFd own;
    int call_fd;                /* what the kernel has; dev->lock */
    bool started;               /* the kernel has the ring; dev->lock for others */
} VhostPairRing;

struct VhostPair {
    VirtioDevice *vdev;
    Vhost *vhost;               /* lent */
    uint32_t first;             /* the queue that is ring 0 */
    VhostPairRing rings[VHOST_PAIR_RINGS];
    int error_fd;
    LoopFd error;
    bool running;               /* dev->lock for others than the loop */
};

/* False with @error; vhost_pair_done() is called all the same. */
bool vhost_pair_init(VhostPair *pair, VirtioDevice *vdev, Vhost *vhost, uint32_t first,
                     GError **error);
/* Of a pair that was not made, all zero: no effect. */
void vhost_pair_done(VhostPair *pair);

/* On vdev->loop. */

/*
 * Gives the kernel the rings that were mapped and not started by virtqueue_start().
 * False with @error, and nothing is with the kernel.
 */
bool vhost_pair_start(VhostPair *pair, GError **error);
/* Interrupts go the short way, and what is in the rings is looked at. */
void vhost_pair_run(VhostPair *pair);
/* Returns whether the pair ran. */
bool vhost_pair_pause(VhostPair *pair);
/* Takes the rings back, with their place. */
void vhost_pair_stop(VhostPair *pair);

/* For VirtioClass.memory_added. */
bool vhost_pair_memory_added(VhostPair *pair, GError **error);

/* For VirtioClass.irqfd_changed; dev->lock is held. */
void vhost_pair_irqfd_changed(VhostPair *pair);
