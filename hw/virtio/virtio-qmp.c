/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a debugger wants to know of virtio devices.  Registers are read under the device's
 * lock; where a queue is, its loop says.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/qmp.h"
#include "berth/virtio.h"

#include "qmp-commands.h"
#include "virtio-names.h"

/* What clients know as the device itself, below what carries it. */
#define BACKEND "/virtio-backend"

/* Of what its driver writes, a used ring's address (virtio 1.3, 2.7). */
#define USED_ALIGN 4u

VirtioInfoList *qmp_x_query_virtio(QmpContext *ctx, GError **error)
{
    VirtioInfoList *list = VirtioInfoList_new();

    if (!ctx->tree)
        return list;
    LIST_FOREACH(node, &ctx->tree->devices) {
        Device *dev = CONTAINER_OF(node, Device, tree_node);
        VirtioInfo *info;

        if (dev->class != &virtio_pci_class)
            continue;
        info = g_new0(VirtioInfo, 1);
        info->path = g_strconcat(dev->path, BACKEND, NULL);
        info->name = g_strdup(virtio_pci_device(dev)->class->name);
        VirtioInfoList_append(list, info);
    }
    return list;
}

static VirtioDevice *find(QmpContext *ctx, const char *path, GError **error)
{
    size_t size = strlen(path);
    g_autofree char *place = NULL;
    Device *dev;

    if (g_str_has_suffix(path, BACKEND))
        size -= strlen(BACKEND);
    place = g_strndup(path, size);
    dev = ctx->tree ? device_find(ctx->tree, place) : NULL;
    if (dev && dev->class == &virtio_pci_class)
        return virtio_pci_device(dev);
    error_set_class(error, BERTH_ERROR_DEVICE_NOT_FOUND,
                    "Path %.128s is not a virtio device", path);
    return NULL;
}

static bool has_external(const VirtioDevice *vdev)
{
    for (uint32_t i = 0; i < vdev->n_queues; i++) {
        if (virtio_queue_is_external(vdev, i))
            return true;
    }
    return false;
}

VirtioStatus *qmp_x_query_virtio_status(QmpContext *ctx,
                                        const XQueryVirtioStatusArgs *args,
                                        GError **error)
{
    VirtioDevice *vdev = find(ctx, args->path, error);
    VirtioStatus *info;

    if (!vdev)
        return NULL;
    info = g_new0(VirtioStatus, 1);
    info->name = g_strdup(vdev->class->name);
    info->device_id = vdev->class->id;
    info->device_endian = g_strdup("little");
    info->num_vqs = vdev->n_queues;
    info->vm_running = vdev->dev->tree->running;
    info->broken = __atomic_load_n(&vdev->broken, __ATOMIC_RELAXED);
    info->use_started = true;
    info->bus_name = g_strdup("virtio-bus");
    info->backend_features = virtio_names_features(vdev->class->id, 0);
    lock_take(&vdev->dev->lock);
    info->started = vdev->started;
    info->vhost_started = vdev->started && has_external(vdev);
    info->guest_features = virtio_names_features(vdev->class->id, vdev->features);
    info->host_features = virtio_names_features(vdev->class->id, vdev->offered);
    info->status = virtio_names_status(vdev->status);
    virtio_pci_registers_locked(vdev, &info->isr, &info->queue_sel);
    lock_drop(&vdev->dev->lock);
    return info;
}

typedef struct QueueCall {
    const Virtqueue *vq;
    VirtQueueStatus *info;
} QueueCall;

/* On the queue's loop. */
static void look(void *opaque)
{
    const QueueCall *call = opaque;
    const Virtqueue *vq = call->vq;
    VirtQueueStatus *info = call->info;

    info->inuse = vq->in_flight;
    info->last_avail_idx = vq->last_avail;
    info->shadow_avail_idx = vq->avail_idx;
    info->used_idx = vq->used_idx;
    info->signalled_used = vq->published_idx;
    info->signalled_used_valid = vq->running;
}

/* On the loop, too, of a queue of which the ring alone tells. */
static void look_at_ring(void *opaque)
{
    const QueueCall *call = opaque;
    const uint16_t *used = call->vq->rings.used;

    if (used)
        call->info->used_idx = GUINT16_FROM_LE(__atomic_load_n(&used[1],
                                                               __ATOMIC_RELAXED));
}

VirtQueueStatus *qmp_x_query_virtio_queue_status(QmpContext *ctx,
                                                 const XQueryVirtioQueueStatusArgs *args,
                                                 GError **error)
{
    VirtioDevice *vdev = find(ctx, args->path, error);
    const Virtqueue *vq;
    QueueCall call;

    if (!vdev)
        return NULL;
    if (args->queue >= vdev->n_queues) {
        error_set(error, "Invalid virtqueue number %u", args->queue);
        return NULL;
    }
    vq = &vdev->queues[args->queue];
    call = (QueueCall) { .vq = vq, .info = g_new0(VirtQueueStatus, 1) };
    call.info->name = g_strdup(vdev->class->name);
    call.info->queue_index = args->queue;
    call.info->vring_num_default = vq->max_size;
    call.info->vring_align = USED_ALIGN;
    lock_take(&vdev->dev->lock);
    call.info->vring_num = vq->size;
    call.info->vring_desc = vq->desc_gpa;
    call.info->vring_avail = vq->avail_gpa;
    call.info->vring_used = vq->used_gpa;
    lock_drop(&vdev->dev->lock);
    call.info->has_last_avail_idx = !virtio_queue_is_external(vdev, args->queue);
    call.info->has_shadow_avail_idx = call.info->has_last_avail_idx;
    loop_call_sync(vq->loop, call.info->has_last_avail_idx ? look : look_at_ring, &call);
    return call.info;
}
