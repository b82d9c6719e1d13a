/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rings that the kernel serves (vhost): the device in the kernel behind a descriptor such
 * as /dev/vhost-vsock.  The caller has checked and mapped the rings, and says where guest
 * memory is.
 *
 *     vhost_new()                        once: the descriptor becomes this process's
 *     vhost_set_features(), vhost_set_memory(), vhost_start_ring() each, run
 *     stop, vhost_stop_ring() each       and again from the second line
 *
 * One thread at a time; nothing here takes a lock.  The kernel may wait for its own
 * worker in vhost_stop_ring() and when it is told to stop.
 */
#pragma once

#include "berth/ram.h"

typedef struct Vhost Vhost;

/* A ring as the kernel gets it.  Descriptors are lent until the ring is stopped. */
typedef struct VhostRing {
    uint32_t size;
    uint16_t base;              /* the next available entry */
    const void *desc;
    const void *avail;
    void *used;
    int kick_fd;                /* the driver's doorbell */
    int call_fd;                /* signalled for an interrupt */
    int error_fd;               /* signalled when the ring cannot be gone on with */
} VhostRing;

/*
 * The device behind @path, a character device of kernel module @module; or behind @fd,
 * which is taken, when that is not -1.  NULL with @error that says what is missing.
 */
Vhost *vhost_new(const char *path, const char *module, int fd, GError **error);
/* The rings are stopped before.  Accepts NULL. */
void vhost_free(Vhost *vhost);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Vhost, vhost_free)

/* What the kernel can do, as bits of virtio's features. */
uint64_t vhost_features(const Vhost *vhost);

/* Between stop and start.  False with @error. */

/* What the driver accepted; bits that are not the kernel's business are left out. */
bool vhost_set_features(Vhost *vhost, uint64_t features, GError **error);
bool vhost_start_ring(Vhost *vhost, unsigned index, const VhostRing *ring,
                      GError **error);
/* The next available entry is in *@ret_base; false when the kernel does not tell. */
bool vhost_stop_ring(Vhost *vhost, unsigned index, uint16_t *ret_base);

/* At any time; on failure the kernel has what it had. */
bool vhost_set_memory(Vhost *vhost, const RamRange *ranges, size_t n, GError **error);
/* At any time after the ring was started. */
bool vhost_set_call_fd(Vhost *vhost, unsigned index, int fd, GError **error);

/*
 * Of vhost-net alone, main: the header that precedes each frame is the kernel's to make
 * and to take off, for a tap that has none; how long it polls a ring before it sleeps.
 */
void vhost_net_have_header(Vhost *vhost);
bool vhost_net_set_poll(Vhost *vhost, unsigned index, uint32_t us, GError **error);
/* Frames of ring @index go to and come from tap @fd from now on; -1: none does. */
bool vhost_net_set_backend(Vhost *vhost, unsigned index, int fd, GError **error);

/* Of vhost-vsock alone.  The error of the first tells when the CID is another guest's. */
bool vhost_vsock_set_cid(Vhost *vhost, uint64_t cid, GError **error);
bool vhost_vsock_run(Vhost *vhost, bool on, GError **error);
