/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network device whose pairs the host's kernel serves (vhost-net): frames go from the
 * guest's rings to the backend's descriptor and back without this process, and the
 * kernel is told to begin and to end by that descriptor.
 *
 * While the cable is out the queues are served here, as those of any other device: what
 * the guest sends is dropped.  That is another start of the device, so that the two never
 * serve one ring at once.
 */
#include <linux/virtio_ring.h>

#include "berth/error.h"

#include "virtio-net.h"

bool virtio_net_kernel_init(VirtioNet *net, GError **error)
{
    const uint64_t of_kernel = 1ull << VIRTIO_RING_F_EVENT_IDX |
        1ull << VIRTIO_RING_F_INDIRECT_DESC | 1ull << VIRTIO_NET_F_MRG_RXBUF;

    if (!net->nic.backend || !net_backend_is_in_kernel(net->nic.backend))
        return true;
    net->kernel = g_new0(VhostPair, net->n_pairs);
    for (uint32_t i = 0; i < net->n_pairs; i++) {
        Vhost *vhost = net->pairs[i].queue->vhost;

        if (!vhost_pair_init(&net->kernel[i], &net->vdev, vhost, 2 * i, error))
            return false;
        net->vdev.offered &= ~of_kernel | vhost_features(vhost);
    }
    return true;
}

void virtio_net_kernel_done(VirtioNet *net)
{
    for (uint32_t i = 0; net->kernel && i < net->n_pairs; i++)
        vhost_pair_done(&net->kernel[i]);
    g_clear_pointer(&net->kernel, g_free);
}

bool virtio_net_kernel_is_external(const VirtioDevice *vdev, uint32_t index)
{
    const VirtioNet *net = CONTAINER_OF(vdev, const VirtioNet, vdev);

    return net->kernel && index / 2 < net->n_pairs && virtio_net_link_is_up(net) &&
        !virtio_net_is_ctrl(net, index);
}

void virtio_net_kernel_irqfd_changed(VirtioDevice *vdev)
{
    VirtioNet *net = virtio_net_of(vdev);

    for (uint32_t i = 0; net->kernel && i < net->n_pairs; i++)
        vhost_pair_irqfd_changed(&net->kernel[i]);
}

bool virtio_net_kernel_memory_added(VirtioDevice *vdev, GError **error)
{
    VirtioNet *net = virtio_net_of(vdev);

    for (uint32_t i = 0; net->kernel && i < net->n_pairs; i++) {
        if (!vhost_pair_memory_added(&net->kernel[i], error))
            return false;
    }
    return true;
}

static bool set_backend(VhostPair *pair, unsigned index, int fd, GError **error)
{
    return !pair->rings[index].started ||
        vhost_net_set_backend(pair->vhost, index, fd, error);
}

static void stop_pair(VhostPair *pair)
{
    vhost_pair_pause(pair);
    for (unsigned i = 0; i < VHOST_PAIR_RINGS; i++) {
        g_autoptr(GError) error = NULL;

        if (!set_backend(pair, i, -1, &error))
            device_host_error(pair->vdev->dev, "does not stop: %s", error->message);
    }
    vhost_pair_stop(pair);
}

void virtio_net_kernel_stop(VirtioDevice *vdev)
{
    VirtioNet *net = virtio_net_of(vdev);

    for (uint32_t i = 0; net->kernel && i < net->n_pairs; i++) {
        if (net->kernel[i].running)
            stop_pair(&net->kernel[i]);
    }
}

static bool start_pair(VirtioNet *net, uint32_t i, GError **error)
{
    VhostPair *pair = &net->kernel[i];

    if (!vhost_pair_start(pair, error))
        return false;
    for (unsigned ring = 0; ring < VHOST_PAIR_RINGS; ring++) {
        if (!set_backend(pair, ring, net->pairs[i].queue->fd, error)) {
            stop_pair(pair);
            return false;
        }
    }
    vhost_pair_run(pair);
    return true;
}

bool virtio_net_kernel_start(VirtioNet *net, GError **error)
{
    for (uint32_t i = 0; net->kernel && i < net->n_pairs; i++) {
        if (!start_pair(net, i, error)) {
            virtio_net_kernel_stop(&net->vdev);
            return false;
        }
    }
    return true;
}
