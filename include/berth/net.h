/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network backends, as network devices use them: where frames go to and come from.
 *
 * A frame is preceded by NET_HEADER_SIZE bytes, a struct virtio_net_hdr_v1 in
 * little-endian order.  It means something when the backend has offloads; else it is
 * ignored on the way out, and zero on the way in.  Its num_buffers is the device's.
 *
 *     net_nic_attach(), net_queue_set_loop()      main: the device is made
 *     net_queue_start()         the queue's loop: the device calls when it has work
 *     net_queue_send(), net_queue_receive() with readv(2)'s arrays, until -EAGAIN
 *     net_queue_wait()          until the device is called back
 *     net_queue_stop()
 *     net_nic_detach()          main: its queues have stopped
 */
#pragma once

#include "berth/counters.h"
#include "berth/net-limit.h"
#include "berth/timer.h"
#include "qapi-types.h"

#include <sys/uio.h>

#define NET_HEADER_SIZE 12u
/* The largest frame with its header: 64 KiB of IP, an Ethernet header with a VLAN tag. */
#define NET_FRAME_MAX (NET_HEADER_SIZE + 18u + 65535u)
#define NET_MAC_SIZE 6
#define NET_QUEUES_MAX 256u
/* Of an array for net_queue_send() and net_queue_receive(). */
#define NET_IOV_MAX 1024u

typedef struct NetBackend NetBackend;

/* What may be left to the one who takes a frame. */
typedef enum NetOffload {
    NET_OFFLOAD_CSUM = 1 << 0,
    NET_OFFLOAD_TSO4 = 1 << 1,
    NET_OFFLOAD_TSO6 = 1 << 2,
    NET_OFFLOAD_ECN = 1 << 3,
    NET_OFFLOAD_UFO = 1 << 4,
    NET_OFFLOAD_USO4 = 1 << 5,
    NET_OFFLOAD_USO6 = 1 << 6,
} NetOffload;

/* One thread counts those of a direction: the loop of the queue. */
typedef struct NetCounters {
    uint64_t rx_packets;        /* to the guest */
    uint64_t rx_bytes;
    uint64_t rx_dropped;
    uint64_t rx_throttled;      /* how often frames began to wait because of limits */
    uint64_t tx_packets;        /* from the guest */
    uint64_t tx_bytes;
    uint64_t tx_dropped;
    uint64_t tx_throttled;
} NetCounters;

extern const CounterDesc net_counters[];

/* @may_send: also a frame that could not be sent before. */
typedef void NetQueueFn(void *opaque, bool may_send);

/* A pair of directions.  It belongs to the loop of the device's queues. */
typedef struct NetQueue {
    NetBackend *backend;
    unsigned index;
    Loop *loop;                 /* main sets it: the device's, NULL while there is none */
    int fd;                     /* polls for both directions; -1: there is none now */
    bool enabled;               /* frames come here */
    struct Vhost *vhost;        /* serves the queue in the kernel (vhost.h), or NULL */

    NetQueueFn *fn;             /* NULL: not started */
    void *opaque;
    LoopFd source;
    LoopMessage wake;           /* to the queue's own loop */
    bool wants_rx;              /* the device */
    bool wants_tx;
    struct NetThrottle *throttle;       /* NULL: there are no limits */
    struct NetWatch *watch;     /* NULL: nobody looks at the frames */
    struct NetWatch *next_watch;        /* main's */
    bool has_unread;            /* the backend has frames whatever the descriptor says */
    bool has_unsent;            /* it has taken frames that are not written yet */
} NetQueue;

/* A network device, embedded in it. */
typedef struct NetNic {
    NetSet *set;                /* NULL when not attached */
    const char *name;           /* of the device; lent, as are model and path */
    const char *model;          /* the device's driver */
    const char *path;
    NetBackend *backend;        /* NULL: has none */
    bool link_up;               /* atomic: that of the cable, set_link's */
    uint8_t mac[NET_MAC_SIZE];  /* the one that it was made with */
    unsigned n_pairs;           /* set by the device after net_nic_attach() */
    /* Main: the counters of a pair. */
    const NetCounters *(*counted)(const struct NetNic *nic, unsigned pair);
    /* Main: which frames the guest takes; the caller's.  Whether it is told again. */
    RxFilterInfo *(*query_filter)(struct NetNic *nic, bool tells_again);
    /* Main: tells the network where the guest is. */
    void (*announce)(struct NetNic *nic);
    /* Main: link_up is another. */
    void (*link_changed)(struct NetNic *nic);
    ListNode node;
} NetNic;

/* Main only. */

/*
 * Of a device whose names and functions are set: takes backend @id, or none when that
 * is NULL, and an address: @mac as text, or when that is NULL the first that is free.
 * False with @error that names the parameter.
 */
bool net_nic_attach(NetSet *set, NetNic *nic, const char *id, const char *mac,
                    GError **error);
/* Of a NIC that is not attached: no effect. */
void net_nic_detach(NetNic *nic);

/* Of a queue of the NIC's backend: the loop that all of the queue is done on. */
static inline void net_queue_set_loop(NetQueue *queue, Loop *loop)
{
    queue->loop = loop;
}

/*
 * The queues of the NIC's backend share @limit, NULL: none, with others; none of them has
 * started.  False with @error when the backend cannot.
 */
bool net_backend_set_limit(NetBackend *backend, NetLimit *limit, GError **error);

/* Any thread, while the NIC is attached. */

unsigned net_backend_n_queues(const NetBackend *backend);
NetQueue *net_backend_queue(NetBackend *backend, unsigned index);
/*
 * Whether the kernel moves frames between the guest's rings and the host (vhost-net), all
 * queues or none: nothing here sees, counts or delays them.
 */
bool net_backend_is_in_kernel(const NetBackend *backend);
/* NetOffload: what the backend can take, and what it could leave to the device. */
unsigned net_backend_offloads(const NetBackend *backend);
/* What may be left to the device from now on; none at the start. */
void net_backend_set_offloads(NetBackend *backend, unsigned offloads);
/* Frames come to the first @n queues; 1 at the start.  False: the host refused. */
bool net_backend_set_active(NetBackend *backend, unsigned n);

/* The queue's loop. */

/* @fn is called when what net_queue_wait() said may be done, or for nothing. */
bool net_queue_start(NetQueue *queue, NetQueueFn *fn, void *opaque, GError **error);
/* No effect on one that is not started. */
void net_queue_stop(NetQueue *queue);
/* The device waits to receive, and to send; for nothing at the start. */
void net_queue_wait(NetQueue *queue, bool rx, bool tx);

/* Whether the last frame was refused because of the limits. */
bool net_queue_is_held(const NetQueue *queue, NetDirection direction);

/* Hot paths: a negative errno and no text. */

/*
 * Sends a frame.  0; -EAGAIN when none can be sent until the device is called back;
 * another when this one cannot be sent at all.  @iov begins with the header, and may be
 * changed meanwhile.
 */
int net_queue_send(NetQueue *queue, struct iovec *iov, unsigned n);
/*
 * Receives a frame: the bytes with the header; -EAGAIN when there is none until the
 * device is called back; another when something else is wrong.  What does not fit is
 * lost.
 */
ssize_t net_queue_receive(NetQueue *queue, struct iovec *iov, unsigned n);

/* "52:54:00:12:34:56" to bytes.  False with @error, which names @parameter. */
bool net_mac_parse(const char *text, const char *parameter, uint8_t *ret_mac,
                   GError **error);
