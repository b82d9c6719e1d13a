/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's side of a vhost device with two rings, for a program whose own ioctl()
 * hands it what was meant for one descriptor.
 */
#pragma once

#include <linux/vhost.h>
#include <linux/virtio_ring.h>

#include "berth/base.h"

#define VHOST_STUB_RINGS 2u

typedef struct VhostStubRing {
    uint32_t size;
    uint16_t base;
    struct vhost_vring_addr addr;
    int kick, call, error;      /* -1: none */
    int backend;                /* of vhost-net; -1: none */
    uint32_t poll_us;
} VhostStubRing;

typedef struct VhostStub {
    int fd;
    uint64_t features, driver_features;
    bool owned;
    bool running;               /* of vhost-vsock */
    uint64_t cid;
    int fail_after;             /* so many calls succeed, the next fails; -1: never */
    int errno_of_failure;
    unsigned n_calls;
    VhostStubRing rings[VHOST_STUB_RINGS];
    struct vhost_memory_region regions[8];
    unsigned n_regions;
} VhostStub;

/* One whose descriptor is a file. */
void vhost_stub_make(VhostStub *stub, uint64_t features);
/* As ioctl(). */
int vhost_stub_ioctl(VhostStub *stub, unsigned long request, void *arg);
/* The kernel's worker: what the doorbell of ring 1 told of comes back in ring 0. */
void vhost_stub_echo(VhostStub *stub);
/* The driver's stop left nothing with the kernel. */
void vhost_stub_assert_stopped(const VhostStub *stub);
