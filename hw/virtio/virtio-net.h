/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the network device share.
 *
 *     virtio-net.c        properties, features, configuration, life
 *     virtio-net-rx.c     frames to the guest
 *     virtio-net-tx.c     frames from the guest
 *     virtio-net-ctrl.c   the control queue
 *     virtio-net-filter.c which frames the guest takes
 *     virtio-net-kernel.c pairs that the host's kernel serves
 *
 * Queues come in pairs: number 2 * N receives, 2 * N + 1 sends, and both are on one loop,
 * which also polls queue N of the backend.  A pair that is not active receives nothing.
 */
#pragma once

#include <linux/if_ether.h>
#include <linux/virtio_net.h>

#include "berth/net.h"
#include "berth/object.h"
#include "berth/qsbr.h"
#include "berth/virtio.h"

#include "vhost-pair.h"
#include "virtio-loops.h"

#ifndef VIRTIO_NET_F_GUEST_USO4
#define VIRTIO_NET_F_GUEST_USO4 54
#define VIRTIO_NET_F_GUEST_USO6 55
#define VIRTIO_NET_F_HOST_USO 56
#endif

/* The features that are what is left to the guest. */
#define VIRTIO_NET_GUEST_OFFLOADS                                                        \
    (1ull << VIRTIO_NET_F_GUEST_CSUM | 1ull << VIRTIO_NET_F_GUEST_TSO4 |                 \
     1ull << VIRTIO_NET_F_GUEST_TSO6 | 1ull << VIRTIO_NET_F_GUEST_ECN |                  \
     1ull << VIRTIO_NET_F_GUEST_UFO | 1ull << VIRTIO_NET_F_GUEST_USO4 |                  \
     1ull << VIRTIO_NET_F_GUEST_USO6)

#define VIRTIO_NET_MACS 64u     /* of each table */
#define VIRTIO_NET_VLANS 4096u
#define VIRTIO_NET_SEGMENTS 256u /* buffers of a request */
#define VIRTIO_NET_WINDOW 64u   /* requests that a pair has ready for frames */

/* Which frames the guest takes.  What is published is never changed. */
typedef struct VirtioNetFilter {
    QsbrNode node;
    uint8_t mac[NET_MAC_SIZE];
    bool promisc;
    bool allmulti;
    bool alluni;
    bool nomulti;
    bool nouni;
    bool nobcast;
    bool uni_overflow;          /* more addresses than the table has: all are taken */
    bool multi_overflow;
    uint8_t n_uni;
    uint8_t n_multi;
    uint8_t uni[VIRTIO_NET_MACS * NET_MAC_SIZE];
    uint8_t multi[VIRTIO_NET_MACS * NET_MAC_SIZE];
    uint8_t vlans[VIRTIO_NET_VLANS / 8];
} VirtioNetFilter;

typedef struct VirtioNet VirtioNet;

/*
 * Its loop's, but for what is said.
 *
 * The window: requests of the receive queue that were taken from the ring, with their
 * buffers one behind the other, so that a frame is read straight into as many as it
 * needs.  What does not fit goes to the spill, and from there to buffers that come later.
 */
typedef struct VirtioNetPair {
    VirtioNet *net;
    unsigned index;
    NetQueue *queue;            /* NULL: has no backend */
    Virtqueue *rx;
    Virtqueue *tx;
    LoopMessage changed;        /* any thread: the link or the number of pairs did */
    bool running;
    bool starved;               /* the guest has no buffer for the next frame */
    bool blocked;               /* the backend takes no frame now */
    bool lost;                  /* the backend gives errors alone */
    unsigned n_errors;          /* in a row */

    VirtqueueReq *reqs[VIRTIO_NET_WINDOW];
    unsigned first_req;
    unsigned n_reqs;            /* from the first one on */
    struct iovec *iov;          /* of NET_IOV_MAX: the buffers of the requests */
    unsigned first_iov;
    unsigned n_iov;
    uint32_t capacity;          /* their bytes */
    uint8_t *spill;             /* NET_FRAME_MAX bytes */
    uint32_t pending;           /* bytes of a frame that waits for buffers, 0: none */

    /* Answers, see virtio-net-tx.c. */
    unsigned n_unanswered;      /* frames that were sent in this round */
    unsigned n_expected;        /* of the round that reads answers, else 0 */
    bool is_answered;           /* no such round was in vain since frames came */

    NetCounters counters;
} VirtioNetPair;

struct VirtioNet {
    VirtioDevice vdev;
    const VirtioNetProps *props;
    NetNic nic;
    Object *limits;             /* NULL: none */
    VirtioLoops loops;
    uint32_t n_pairs;
    VirtioNetPair *pairs;
    VhostPair *kernel;          /* of each pair, NULL: frames go through here */

    uint16_t n_active;          /* atomic: pairs that the guest uses */
    uint64_t guest_offloads;    /* bits of features, as the guest wants them now */
    bool has_offloads;          /* since the driver started the device */
    bool announce;              /* atomic: the guest is asked to */
    VirtioNetFilter filter;     /* the control queue's copy */
    VirtioNetFilter *published; /* atomic */
    bool filter_told;           /* atomic: clients know that it changed */
    LoopMessage filter_changed; /* to main */
    LoopMessage rarp;           /* to the loop of the first pair */
};

static inline VirtioNet *virtio_net_of(VirtioDevice *vdev)
{
    return CONTAINER_OF(vdev, VirtioNet, vdev);
}

static inline bool virtio_net_link_is_up(const VirtioNet *net)
{
    return __atomic_load_n(&net->nic.link_up, __ATOMIC_RELAXED);
}

/* Any thread, while the device runs: which queue is the control queue. */
bool virtio_net_is_ctrl(const VirtioNet *net, uint32_t index);

/* Main. */
void virtio_net_rx_init(VirtioNetPair *pair);
void virtio_net_rx_done(VirtioNetPair *pair);

/* The pair's loop. */

/* What the pair waits for, as things are now. */
void virtio_net_poll(VirtioNetPair *pair);
void virtio_net_rx_run(VirtioNetPair *pair);
/* Gives the window back to the ring. */
void virtio_net_rx_stop(VirtioNetPair *pair);
void virtio_net_tx_run(VirtioNetPair *pair);

/* The loop of the control queue. */
void virtio_net_ctrl_run(VirtioNet *net, Virtqueue *vq);
/* Offloads and active pairs as the guest wants them; between start and stop. */
void virtio_net_apply(VirtioNet *net);

/* NetNic.query_filter. */
RxFilterInfo *virtio_net_filter_query(NetNic *nic, bool tells_again);
/* As at power-on; the device does not run. */
void virtio_net_filter_reset(VirtioNet *net);
/* Sets net->filter; dev->lock is not held. */
void virtio_net_filter_set(VirtioNet *net, const VirtioNetFilter *filter);
/* The guest's frames are filtered by net->filter from now on. */
void virtio_net_filter_publish(VirtioNet *net);
void virtio_net_filter_done(VirtioNet *net);
/* Any loop of the device: whether the frame that begins with @frame is taken. */
bool virtio_net_filter_takes(const VirtioNet *net, const uint8_t *frame, size_t size);

/* Main, when the pairs are made; false with @error, virtio_net_kernel_done() follows. */
bool virtio_net_kernel_init(VirtioNet *net, GError **error);
void virtio_net_kernel_done(VirtioNet *net);
/* On vdev->loop, as those of VirtioClass. */
bool virtio_net_kernel_start(VirtioNet *net, GError **error);
void virtio_net_kernel_stop(VirtioDevice *vdev);
/* As those of VirtioClass. */
bool virtio_net_kernel_is_external(const VirtioDevice *vdev, uint32_t index);
void virtio_net_kernel_irqfd_changed(VirtioDevice *vdev);
/* For VirtioClass.memory_added. */
bool virtio_net_kernel_memory_added(VirtioDevice *vdev, GError **error);
