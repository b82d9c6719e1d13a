/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket device (virtio 1.3, section 5.10), served by the host's kernel: AF_VSOCK
 * connections between the guest, CID guest-cid, and the host, CID 2.
 *
 * The kernel serves the receive and the transmit queue between start and stop.  It
 * interrupts by an eventfd: while the queue's vector is unmasked, that vector's own, so
 * that no thread of ours is in the way; else one that the loop reads, which leaves the
 * interrupt to the transport (the pin, or the bit "pending").  Which of them it is may
 * change at any access of the guest, under dev->lock, where `call_fds` are set, too.
 *
 * The event queue is ours.  It has one event: after the state was loaded the connections
 * are gone, of which the driver is told as soon as it has a buffer for that.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_ring.h>
#include <linux/virtio_vsock.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "berth/error.h"
#include "berth/thread.h"
#include "berth/vhost.h"
#include "berth/virtio.h"

#define QUEUE_SIZE 128
#define N_EXTERNAL 2u           /* receive, transmit */
#define EVENT_QUEUE 2u
#define N_QUEUES 3
#define F_SEQPACKET 1           /* the host has SOCK_SEQPACKET, too */

typedef struct VhostVsock VhostVsock;

typedef struct ExternalQueue {
    VhostVsock *vsock;
    Virtqueue *vq;
    int own_fd;                 /* for interrupts that the transport makes */
    LoopFd own;
    int call_fd;                /* what the kernel has; dev->lock */
} ExternalQueue;

struct VhostVsock {
    VirtioDevice vdev;
    Vhost *vhost;
    uint32_t cid;
    ExternalQueue queues[N_EXTERNAL];
    int error_fd;
    LoopFd error;
    bool running;               /* dev->lock for others than the loop */
    bool must_tell_of_reset;
};

G_STATIC_ASSERT(offsetof(VhostVsockProps, packed) == offsetof(VirtioPciProps, packed));

static VhostVsock *to_vsock(const VirtioDevice *vdev)
{
    return CONTAINER_OF(vdev, VhostVsock, vdev);
}

static bool vsock_is_external(const VirtioDevice *vdev, uint32_t index)
{
    return index < N_EXTERNAL;
}

static bool read_eventfd(int fd)
{
    uint64_t count;

    return read(fd, &count, sizeof(count)) == sizeof(count);
}

static void on_own_call(void *opaque, uint32_t events)
{
    ExternalQueue *queue = opaque;
    VirtioDevice *vdev = &queue->vsock->vdev;

    if (read_eventfd(queue->own_fd))
        vdev->transport->notify_queue(vdev, queue->vq);
}

static void on_ring_error(void *opaque, uint32_t events)
{
    VhostVsock *vsock = opaque;

    if (!read_eventfd(vsock->error_fd))
        return;
    device_guest_error(vsock->vdev.dev, "the host's kernel found a fault in a ring");
    virtio_break(&vsock->vdev);
}

static void update_call_fds(VhostVsock *vsock)
{
    VirtioDevice *vdev = &vsock->vdev;

    for (unsigned i = 0; i < N_EXTERNAL; i++) {
        ExternalQueue *queue = &vsock->queues[i];
        int fd = vdev->transport->queue_irqfd(vdev, queue->vq);
        g_autoptr(GError) error = NULL;

        if (fd < 0)
            fd = queue->own_fd;
        if (fd == queue->call_fd)
            continue;
        if (vhost_set_call_fd(vsock->vhost, i, fd, &error))
            queue->call_fd = fd;
        else
            device_host_error(vdev->dev, "%s", error->message);
    }
}

static void vsock_irqfd_changed(VirtioDevice *vdev)
{
    VhostVsock *vsock = to_vsock(vdev);

    if (vsock->running)
        update_call_fds(vsock);
}

static bool start_ring(VhostVsock *vsock, unsigned index, GError **error)
{
    ExternalQueue *queue = &vsock->queues[index];
    const Virtqueue *vq = queue->vq;
    const VhostRing ring = {
        .size = vq->size,
        .base = vq->last_avail,
        .desc = vq->rings.desc,
        .avail = vq->rings.avail,
        .used = vq->rings.used,
        .kick_fd = vq->kick_fd,
        .call_fd = queue->own_fd,
        .error_fd = vsock->error_fd,
    };

    queue->call_fd = queue->own_fd;
    return vhost_start_ring(vsock->vhost, index, &ring, error);
}

static bool watch(VhostVsock *vsock, GError **error)
{
    Loop *loop = vsock->vdev.loop;

    for (unsigned i = 0; i < N_EXTERNAL; i++) {
        if (!loop_fd_add(loop, &vsock->queues[i].own, EPOLLIN, error))
            return false;
    }
    return loop_fd_add(loop, &vsock->error, EPOLLIN, error);
}

static void stop_ring(VhostVsock *vsock, unsigned index)
{
    Virtqueue *vq = vsock->queues[index].vq;
    uint16_t base;

    /* The kernel has nothing in flight: the next entry to take is the next to give. */
    if (!vhost_stop_ring(vsock->vhost, index, &base))
        base = GUINT16_FROM_LE(__atomic_load_n(&vq->rings.used[1], __ATOMIC_SEQ_CST));
    vq->last_avail = vq->used_idx = base;
}

static void set_running(VhostVsock *vsock, bool running)
{
    lock_take(&vsock->vdev.dev->lock);
    vsock->running = running;
    if (running)
        update_call_fds(vsock);
    lock_drop(&vsock->vdev.dev->lock);
}

static void vsock_stop(VirtioDevice *vdev)
{
    VhostVsock *vsock = to_vsock(vdev);
    g_autoptr(GError) error = NULL;

    if (!vsock->running)
        return;
    set_running(vsock, false);
    if (!vhost_vsock_run(vsock->vhost, false, &error))
        device_host_error(vdev->dev, "does not stop: %s", error->message);
    for (unsigned i = 0; i < N_EXTERNAL; i++) {
        stop_ring(vsock, i);
        loop_fd_remove(&vsock->queues[i].own);
        /* The last interrupt may not have been seen. */
        on_own_call(&vsock->queues[i], 0);
    }
    loop_fd_remove(&vsock->error);
}

static bool start_rings(VhostVsock *vsock, GError **error)
{
    g_autofree RamRange *ranges = NULL;
    size_t n;

    ranges = address_space_ram(vsock->vdev.dev->board->memory, &n);
    if (!vhost_set_features(vsock->vhost, vsock->vdev.features, error) ||
        !vhost_set_memory(vsock->vhost, ranges, n, error))
        return false;
    for (unsigned i = 0; i < N_EXTERNAL; i++) {
        if (!start_ring(vsock, i, error))
            return false;
    }
    return watch(vsock, error);
}

static bool vsock_start(VirtioDevice *vdev, GError **error)
{
    VhostVsock *vsock = to_vsock(vdev);

    for (unsigned i = 0; i < N_EXTERNAL; i++) {
        vsock->queues[i].vq = &vdev->queues[i];
        /* Without both there is nothing for the kernel to do. */
        if (vdev->queues[i].kick_fd < 0)
            return true;
    }
    if (!start_rings(vsock, error)) {
        vsock->running = true;
        vsock_stop(vdev);
        return false;
    }
    set_running(vsock, true);
    if (!vhost_vsock_run(vsock->vhost, true, error)) {
        vsock_stop(vdev);
        return false;
    }
    /* What was made available before. */
    lock_take(&vdev->dev->lock);
    for (unsigned i = 0; i < N_EXTERNAL; i++)
        virtio_queue_kick(&vdev->queues[i]);
    lock_drop(&vdev->dev->lock);
    return true;
}

static void vsock_handle_queue(VirtioDevice *vdev, Virtqueue *vq)
{
    const struct virtio_vsock_event event = {
        .id = GUINT32_TO_LE(VIRTIO_VSOCK_EVENT_TRANSPORT_RESET),
    };
    VhostVsock *vsock = to_vsock(vdev);
    VirtqueueReq *req;

    while (vsock->must_tell_of_reset && (req = virtqueue_pop(vq))) {
        size_t n = virtqueue_req_write(req, 0, &event, sizeof(event));

        vsock->must_tell_of_reset = n < sizeof(event);
        virtqueue_push(vq, req, n);
    }
}

static void vsock_reset(VirtioDevice *vdev)
{
    to_vsock(vdev)->must_tell_of_reset = false;
}

static void vsock_read_config(VirtioDevice *vdev, void *config)
{
    struct virtio_vsock_config *to = config;

    to->guest_cid = GUINT64_TO_LE(to_vsock(vdev)->cid);
}

static bool take_vhostfd(const char *text, int *ret_fd, GError **error)
{
    guint64 number;

    *ret_fd = -1;
    if (!text)
        return true;
    if (!g_ascii_string_to_unsigned(text, 10, 0, INT_MAX, &number, NULL) ||
        fcntl(number, F_SETFD, FD_CLOEXEC) < 0) {
        error_set(error, "parameter 'vhostfd' expects the number of an open descriptor, "
                  "not '%s'", text);
        return false;
    }
    *ret_fd = number;
    return true;
}

static bool choose_features(VhostVsock *vsock, OnOffAuto seqpacket, GError **error)
{
    const uint64_t of_kernel = 1ull << VIRTIO_RING_F_EVENT_IDX |
        1ull << VIRTIO_RING_F_INDIRECT_DESC | 1ull << VIRTIO_F_VERSION_1;
    uint64_t has = vhost_features(vsock->vhost);

    vsock->vdev.offered &= ~of_kernel | has;
    if (!(has >> VIRTIO_F_VERSION_1 & 1)) {
        error_set(error, "vhost: the host's kernel has no VIRTIO_F_VERSION_1");
        return false;
    }
    if (seqpacket == ON_OFF_AUTO_ON && !(has >> F_SEQPACKET & 1)) {
        error_set(error, "parameter 'seqpacket': the host's kernel does not have it");
        return false;
    }
    if (seqpacket != ON_OFF_AUTO_OFF)
        vsock->vdev.offered |= has & 1ull << F_SEQPACKET;
    return true;
}

static bool make_eventfds(VhostVsock *vsock, GError **error)
{
    int *fds[] = {
        &vsock->queues[0].own_fd, &vsock->queues[1].own_fd, &vsock->error_fd,
    };

    for (size_t i = 0; i < G_N_ELEMENTS(fds); i++) {
        *fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (*fds[i] < 0) {
            error_set_errno(error, errno, "cannot make an eventfd");
            return false;
        }
    }
    for (unsigned i = 0; i < N_EXTERNAL; i++) {
        ExternalQueue *queue = &vsock->queues[i];

        queue->vsock = vsock;
        loop_fd_init(&queue->own, queue->own_fd, on_own_call, queue);
    }
    loop_fd_init(&vsock->error, vsock->error_fd, on_ring_error, vsock);
    return true;
}

static void vsock_unrealize(VirtioDevice *vdev)
{
    VhostVsock *vsock = to_vsock(vdev);

    g_clear_pointer(&vsock->vhost, vhost_free);
    for (unsigned i = 0; i < N_EXTERNAL; i++)
        base_close_fd(&vsock->queues[i].own_fd);
    base_close_fd(&vsock->error_fd);
}

static bool vsock_realize(VirtioDevice *vdev, const DeviceAddArgs *args, GError **error)
{
    const VhostVsockProps *props = &args->u.vhost_vsock_pci;
    VhostVsock *vsock = to_vsock(vdev);
    int fd;

    vsock->cid = props->guest_cid;
    vsock->error_fd = vsock->queues[0].own_fd = vsock->queues[1].own_fd = -1;
    if (!take_vhostfd(props->vhostfd, &fd, error))
        return false;
    vsock->vhost = vhost_new("/dev/vhost-vsock", "vhost_vsock", fd, error);
    if (!vsock->vhost || !choose_features(vsock, props->seqpacket, error) ||
        !make_eventfds(vsock, error)) {
        vsock_unrealize(vdev);
        return false;
    }
    if (!vhost_vsock_set_cid(vsock->vhost, vsock->cid, error)) {
        g_prefix_error(error, "parameter 'guest-cid': ");
        vsock_unrealize(vdev);
        return false;
    }
    return true;
}

static bool vsock_post_load(void *opaque, GError **error)
{
    VhostVsock *vsock = opaque;

    vsock->must_tell_of_reset = true;
    return true;
}

static const VMStateField vsock_fields[] = {
    VMSTATE_END
};

static const VMStateDesc vsock_vmstate = {
    .name = "vhost-vsock", .version = 1, .min_version = 1, .fields = vsock_fields,
    .post_load = vsock_post_load,
};

const VirtioClass vhost_vsock_class = {
    .name = "vhost-vsock",
    .description = "sockets between host and guest, served by the host's kernel",
    .id = VIRTIO_ID_VSOCK,
    .n_queues = N_QUEUES,
    .queue_size = QUEUE_SIZE,
    .config_size = sizeof(struct virtio_vsock_config),
    .instance_size = sizeof(VhostVsock),
    .pci_class = 0x078000,
    .vmstate = &vsock_vmstate,
    .realize = vsock_realize,
    .unrealize = vsock_unrealize,
    .start = vsock_start,
    .stop = vsock_stop,
    .reset = vsock_reset,
    .is_external = vsock_is_external,
    .irqfd_changed = vsock_irqfd_changed,
    .read_config = vsock_read_config,
    .handle_queue = vsock_handle_queue,
};
