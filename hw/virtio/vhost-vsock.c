/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The socket device (virtio 1.3, section 5.10), served by the host's kernel: AF_VSOCK
 * connections between the guest, CID guest-cid, and the host, CID 2.
 *
 * The kernel serves the receive and the transmit queue between start and stop
 * (vhost-pair.h).
 *
 * The event queue is ours.  It has one event: after the state was loaded the connections
 * are gone, of which the driver is told as soon as it has a buffer for that.
 */
#include <fcntl.h>
#include <linux/virtio_ring.h>
#include <linux/virtio_vsock.h>

#include "berth/error.h"

#include "vhost-pair.h"

#define QUEUE_SIZE 128
#define N_QUEUES 3
#define F_SEQPACKET 1           /* the host has SOCK_SEQPACKET, too */

typedef struct VhostVsock {
    VirtioDevice vdev;
    Vhost *vhost;
    uint32_t cid;
    VhostPair pair;
    bool must_tell_of_reset;
} VhostVsock;

G_STATIC_ASSERT(offsetof(VhostVsockProps, notify_on_empty) ==
                offsetof(VirtioPciProps, notify_on_empty));

static VhostVsock *to_vsock(const VirtioDevice *vdev)
{
    return CONTAINER_OF(vdev, VhostVsock, vdev);
}

static bool vsock_is_external(const VirtioDevice *vdev, uint32_t index)
{
    return index < VHOST_PAIR_RINGS;
}

static void vsock_irqfd_changed(VirtioDevice *vdev)
{
    vhost_pair_irqfd_changed(&to_vsock(vdev)->pair);
}

static bool vsock_memory_added(VirtioDevice *vdev, GError **error)
{
    return vhost_pair_memory_added(&to_vsock(vdev)->pair, error);
}

static void vsock_stop(VirtioDevice *vdev)
{
    VhostVsock *vsock = to_vsock(vdev);
    g_autoptr(GError) error = NULL;

    if (!vhost_pair_pause(&vsock->pair))
        return;
    if (!vhost_vsock_run(vsock->vhost, false, &error))
        device_host_error(vdev->dev, "does not stop: %s", error->message);
    vhost_pair_stop(&vsock->pair);
}

static bool vsock_start(VirtioDevice *vdev, GError **error)
{
    VhostVsock *vsock = to_vsock(vdev);

    /* Without both there is nothing for the kernel to do. */
    for (unsigned i = 0; i < VHOST_PAIR_RINGS; i++) {
        if (vdev->queues[i].kick_fd < 0)
            return true;
    }
    if (!vhost_pair_start(&vsock->pair, error))
        return false;
    if (!vhost_vsock_run(vsock->vhost, true, error)) {
        vhost_pair_stop(&vsock->pair);
        return false;
    }
    vhost_pair_run(&vsock->pair);
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

static void vsock_unrealize(VirtioDevice *vdev)
{
    VhostVsock *vsock = to_vsock(vdev);

    vhost_pair_done(&vsock->pair);
    g_clear_pointer(&vsock->vhost, vhost_free);
}

static bool vsock_realize(VirtioDevice *vdev, const DeviceAddArgs *args, GError **error)
{
    const VhostVsockProps *props = &args->u.vhost_vsock_pci;
    VhostVsock *vsock = to_vsock(vdev);
    int fd;

    vsock->cid = props->guest_cid;
    if (!take_vhostfd(props->vhostfd, &fd, error))
        return false;
    vsock->vhost = vhost_new("/dev/vhost-vsock", "vhost_vsock", fd, error);
    if (!vsock->vhost || !choose_features(vsock, props->seqpacket, error) ||
        !vhost_pair_init(&vsock->pair, vdev, vsock->vhost, 0, error)) {
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
    .memory_added = vsock_memory_added,
    .irqfd_changed = vsock_irqfd_changed,
    .read_config = vsock_read_config,
    .handle_queue = vsock_handle_queue,
};
