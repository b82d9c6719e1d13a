/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vhost device without a kernel; vhost-stub.h says what for.
 */
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "vhost-stub.h"

void vhost_stub_make(VhostStub *stub, uint64_t features)
{
    *stub = (VhostStub) {
        .features = features, .fail_after = -1, .errno_of_failure = EIO,
    };
    for (unsigned i = 0; i < VHOST_STUB_RINGS; i++)
        stub->rings[i] = (VhostStubRing) {
            .kick = -1, .call = -1, .error = -1, .backend = -1,
        };
    stub->fd = memfd_create("vhost", 0);
}

static bool is_running(const VhostStub *stub)
{
    return stub->running || stub->rings[0].backend >= 0 || stub->rings[1].backend >= 0;
}

static int set_memory(VhostStub *stub, const struct vhost_memory *memory)
{
    g_assert_cmpuint(memory->nregions, <=, G_N_ELEMENTS(stub->regions));
    stub->n_regions = memory->nregions;
    memcpy(stub->regions, memory->regions, stub->n_regions * sizeof(stub->regions[0]));
    return 0;
}

static int *fd_of_ring(unsigned long request, VhostStubRing *ring)
{
    return request == VHOST_SET_VRING_KICK ? &ring->kick :
        request == VHOST_SET_VRING_CALL ? &ring->call : &ring->error;
}

static int serve_ring(VhostStub *stub, unsigned long request, void *arg)
{
    struct vhost_vring_state *state = arg;
    VhostStubRing *ring = &stub->rings[state->index];

    g_assert_cmpuint(state->index, <, VHOST_STUB_RINGS);
    switch (request) {
    case VHOST_SET_VRING_NUM:
        ring->size = state->num;
        break;
    case VHOST_SET_VRING_BASE:
        g_assert_false(is_running(stub));
        ring->base = state->num;
        break;
    case VHOST_GET_VRING_BASE:
        state->num = ring->base;
        break;
    case VHOST_SET_VRING_BUSYLOOP_TIMEOUT:
        ring->poll_us = state->num;
        break;
    case VHOST_NET_SET_BACKEND:
        ring->backend = ((struct vhost_vring_file *)arg)->fd;
        break;
    case VHOST_SET_VRING_ADDR:
        ring->addr = *(struct vhost_vring_addr *)arg;
        break;
    default:
        *fd_of_ring(request, ring) = ((struct vhost_vring_file *)arg)->fd;
    }
    return 0;
}

int vhost_stub_ioctl(VhostStub *stub, unsigned long request, void *arg)
{
    stub->n_calls++;
    if (stub->fail_after >= 0 && stub->fail_after-- == 0) {
        errno = stub->errno_of_failure;
        return -1;
    }
    g_assert_true(stub->owned || request == VHOST_SET_OWNER);
    switch (request) {
    case VHOST_SET_OWNER:
        stub->owned = true;
        return 0;
    case VHOST_GET_FEATURES:
        *(uint64_t *)arg = stub->features;
        return 0;
    case VHOST_SET_FEATURES:
        stub->driver_features = *(uint64_t *)arg;
        g_assert_false(stub->driver_features & ~stub->features);
        return 0;
    case VHOST_SET_MEM_TABLE:
        return set_memory(stub, arg);
    case VHOST_VSOCK_SET_GUEST_CID:
        stub->cid = *(uint64_t *)arg;
        return 0;
    case VHOST_VSOCK_SET_RUNNING:
        stub->running = *(int *)arg;
        return 0;
    default:
        return serve_ring(stub, request, arg);
    }
}

static void *at_gpa(const VhostStub *stub, uint64_t gpa, uint64_t size)
{
    for (unsigned i = 0; i < stub->n_regions; i++) {
        const struct vhost_memory_region *region = &stub->regions[i];

        if (gpa >= region->guest_phys_addr &&
            gpa + size <= region->guest_phys_addr + region->memory_size)
            return (uint8_t *)(uintptr_t)region->userspace_addr + gpa -
                region->guest_phys_addr;
    }
    g_assert_not_reached();
}

/* The next buffer of the ring, NULL when there is none. */
static const struct vring_desc *take(VhostStubRing *ring)
{
    const uint16_t *avail = (void *)(uintptr_t)ring->addr.avail_user_addr;
    const struct vring_desc *descs = (void *)(uintptr_t)ring->addr.desc_user_addr;

    if (avail[1] == ring->base)
        return NULL;
    return &descs[avail[2 + ring->base % ring->size]];
}

static void give(VhostStubRing *ring, const struct vring_desc *desc, uint32_t len)
{
    const struct vring_desc *descs = (void *)(uintptr_t)ring->addr.desc_user_addr;
    struct vring_used *used = (void *)(uintptr_t)ring->addr.used_user_addr;
    uint64_t one = 1;

    used->ring[ring->base % ring->size] =
        (struct vring_used_elem) { .id = desc - descs, .len = len };
    ring->base++;
    used->idx = ring->base;
    g_assert_cmpint(write(ring->call, &one, sizeof(one)), ==, sizeof(one));
}

void vhost_stub_echo(VhostStub *stub)
{
    VhostStubRing *receive = &stub->rings[0], *transmit = &stub->rings[1];
    const struct vring_desc *from, *to;
    uint64_t count;

    if (!is_running(stub) || read(transmit->kick, &count, sizeof(count)) < 0)
        return;
    while ((from = take(transmit)) && (to = take(receive))) {
        uint32_t len = MIN(from->len, to->len);

        memcpy(at_gpa(stub, to->addr, len), at_gpa(stub, from->addr, len), len);
        give(receive, to, len);
        give(transmit, from, 0);
    }
}

void vhost_stub_assert_stopped(const VhostStub *stub)
{
    g_assert_false(is_running(stub));
    for (unsigned i = 0; i < VHOST_STUB_RINGS; i++) {
        g_assert_cmpint(stub->rings[i].kick, ==, -1);
        g_assert_cmpint(stub->rings[i].call, ==, -1);
        g_assert_cmpint(stub->rings[i].error, ==, -1);
    }
}
