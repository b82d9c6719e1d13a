/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Two queues that the kernel serves; vhost-pair.h says how.
 */
#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "berth/error.h"
#include "berth/thread.h"

#include "vhost-pair.h"

static bool read_eventfd(int fd)
{
    uint64_t count;

    return read(fd, &count, sizeof(count)) == sizeof(count);
}

static void on_own_call(void *opaque, uint32_t events)
{
    VhostPairRing *ring = opaque;
    VirtioDevice *vdev = ring->pair->vdev;

    if (read_eventfd(ring->own_fd))
        vdev->transport->notify_queue(vdev, ring->vq);
}

static void on_error(void *opaque, uint32_t events)
{
    VhostPair *pair = opaque;

    if (!read_eventfd(pair->error_fd))
        return;
    device_guest_error(pair->vdev->dev, "the host's kernel found a fault in a ring");
    virtio_break(pair->vdev);
}

bool vhost_pair_init(VhostPair *pair, VirtioDevice *vdev, Vhost *vhost, uint32_t first,
                     GError **error)
{
    int *fds[] = { &pair->rings[0].own_fd, &pair->rings[1].own_fd, &pair->error_fd };

    *pair = (VhostPair) { .vdev = vdev, .vhost = vhost, .first = first };
    for (size_t i = 0; i < G_N_ELEMENTS(fds); i++)
        *fds[i] = -1;
    for (size_t i = 0; i < G_N_ELEMENTS(fds); i++) {
        *fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (*fds[i] < 0) {
            error_set_errno(error, errno, "cannot make an eventfd");
            return false;
        }
    }
    for (unsigned i = 0; i < VHOST_PAIR_RINGS; i++) {
        VhostPairRing *ring = &pair->rings[i];

        ring->pair = pair;
        loop_fd_init(&ring->own, ring->own_fd, on_own_call, ring);
    }
    loop_fd_init(&pair->error, pair->error_fd, on_error, pair);
    return true;
}

void vhost_pair_done(VhostPair *pair)
{
    if (!pair->vdev)
        return;
    for (unsigned i = 0; i < VHOST_PAIR_RINGS; i++)
        base_close_fd(&pair->rings[i].own_fd);
    base_close_fd(&pair->error_fd);
    pair->vdev = NULL;
}

void vhost_pair_irqfd_changed(VhostPair *pair)
{
    VirtioDevice *vdev = pair->vdev;

    for (unsigned i = 0; i < VHOST_PAIR_RINGS && pair->running; i++) {
        VhostPairRing *ring = &pair->rings[i];
        g_autoptr(GError) error = NULL;
        int fd;

        if (!ring->started)
            continue;
        fd = vdev->transport->queue_irqfd(vdev, ring->vq);
        if (fd < 0)
            fd = ring->own_fd;
        if (fd == ring->call_fd)
            continue;
        if (vhost_set_call_fd(pair->vhost, i, fd, &error))
            ring->call_fd = fd;
        else
            device_host_error(vdev->dev, "%s", error->message);
    }
}

static bool start_ring(VhostPair *pair, unsigned index, GError **error)
{
    VhostPairRing *ring = &pair->rings[index];
    const Virtqueue *vq = ring->vq;
    const VhostRing given = {
        .size = vq->size,
        .base = vq->last_avail,
        .desc = vq->rings.desc,
        .avail = vq->rings.avail,
        .used = vq->rings.used,
        .kick_fd = vq->kick_fd,
        .call_fd = ring->own_fd,
        .error_fd = pair->error_fd,
    };

    /* From here on there is something to take back. */
    ring->started = true;
    ring->call_fd = ring->own_fd;
    return vhost_start_ring(pair->vhost, index, &given, error) &&
        loop_fd_add(pair->vdev->loop, &ring->own, EPOLLIN, error);
}

static bool set_memory(VhostPair *pair, GError **error)
{
    g_autofree RamRange *ranges = NULL;
    size_t n;

    ranges = address_space_ram(pair->vdev->dev->board->memory, &n);
    return vhost_set_memory(pair->vhost, ranges, n, error);
}

bool vhost_pair_memory_added(VhostPair *pair, GError **error)
{
    return !pair->running || set_memory(pair, error);
}

static bool start_rings(VhostPair *pair, GError **error)
{
    VirtioDevice *vdev = pair->vdev;

    if (!vhost_set_features(pair->vhost, vdev->features, error) ||
        !set_memory(pair, error))
        return false;
    for (unsigned i = 0; i < VHOST_PAIR_RINGS; i++) {
        VhostPairRing *ring = &pair->rings[i];

        ring->vq = &vdev->queues[pair->first + i];
        if (ring->vq->rings.desc && !ring->vq->running && !start_ring(pair, i, error))
            return false;
    }
    return loop_fd_add(vdev->loop, &pair->error, EPOLLIN, error);
}

bool vhost_pair_start(VhostPair *pair, GError **error)
{
    if (start_rings(pair, error))
        return true;
    vhost_pair_stop(pair);
    return false;
}

void vhost_pair_run(VhostPair *pair)
{
    lock_take(&pair->vdev->dev->lock);
    pair->running = true;
    vhost_pair_irqfd_changed(pair);
    /* What was made available before. */
    for (unsigned i = 0; i < VHOST_PAIR_RINGS; i++) {
        if (pair->rings[i].started)
            virtio_queue_kick(pair->rings[i].vq);
    }
    lock_drop(&pair->vdev->dev->lock);
}

bool vhost_pair_pause(VhostPair *pair)
{
    bool ran = pair->running;

    lock_take(&pair->vdev->dev->lock);
    pair->running = false;
    lock_drop(&pair->vdev->dev->lock);
    return ran;
}

static void stop_ring(VhostPair *pair, unsigned index)
{
    VhostPairRing *ring = &pair->rings[index];
    Virtqueue *vq = ring->vq;
    uint16_t base;

    /* The kernel has nothing in flight: the next entry to take is the next to give. */
    if (!vhost_stop_ring(pair->vhost, index, &base))
        base = GUINT16_FROM_LE(__atomic_load_n(&vq->rings.used[1], __ATOMIC_SEQ_CST));
    vq->last_avail = vq->used_idx = base;
    ring->started = false;
    loop_fd_remove(&ring->own);
    /* The last interrupt may not have been seen. */
    on_own_call(ring, 0);
}

void vhost_pair_stop(VhostPair *pair)
{
    for (unsigned i = 0; i < VHOST_PAIR_RINGS; i++) {
        if (pair->rings[i].started)
            stop_ring(pair, i);
    }
    loop_fd_remove(&pair->error);
}
