/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A driver of virtio-net with one pair of queues and a control queue; the network is the
 * far end of a pair of datagram sockets, which knows no header.
 */
#pragma once

#include <linux/virtio_net.h>

#include "kit-virtio.h"

#define KIT_NET_BUFFERS 64u
#define KIT_NET_BUFFER 2048u
#define KIT_NET_HEADER 12u

typedef struct KitNet {
    KitBoard *kit;
    Device *dev;
    KitVirtio *v;
    KitQueue rx;
    KitQueue tx;
    KitQueue ctrl;
    int wire;                   /* the far end, non-blocking; -1: none */
} KitNet;

/* Adds backend "wire" and a device "nic" with @props (", 'mq': true") to a new board. */
KitNet *kit_net_new(const char *props);
/* The same with an object ("{'qom-type': ...}") before. */
KitNet *kit_net_new_with(const char *object, const char *props);
/* The same with @netdev ("{'type': ..., 'id': 'wire'}"); @wire, taken, is its far end. */
KitNet *kit_net_new_on(int wire, const char *object, const char *netdev,
                       const char *props);
void kit_net_free(KitNet *net);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(KitNet, kit_net_free)

/* Resets the device and starts it with @features; no buffers are there for frames. */
void kit_net_start(KitNet *net, uint64_t features);
/* Offers @n receive buffers of @size bytes, and rings. */
void kit_net_offer(KitNet *net, unsigned n, uint32_t size);
/* The guest's memory of receive buffer or frame @n. */
uint8_t *kit_net_buffer(KitNet *net, const KitQueue *q, unsigned n);
/* Sends a frame of @size bytes with a header of zeros, as buffers of @part bytes. */
void kit_net_send(KitNet *net, const void *frame, uint32_t size, uint32_t part);
/* Puts @n frames of @size bytes, zeros, into the ring, and does not ring. */
void kit_net_queue(KitNet *net, unsigned n, uint32_t size);
/*
 * The next frame that the guest got, its header in front: bytes, or -1.  *@ret_buffers
 * (may be NULL) is how many buffers it has.
 */
int kit_net_take(KitNet *net, uint8_t *bytes, uint32_t size, unsigned *ret_buffers);
/* Has the loop sleep @n times, if it will; how often it served the queue meanwhile. */
uint64_t kit_net_sleep(KitNet *net, unsigned n, const Virtqueue *vq);
/* A command of the control queue; returns its status. */
uint8_t kit_net_command(KitNet *net, uint8_t class, uint8_t cmd, const void *data,
                        uint32_t size);
/* At the far end. */
void kit_net_wire_send(KitNet *net, const void *frame, uint32_t size);
int kit_net_wire_take(KitNet *net, uint8_t *bytes, uint32_t size);
