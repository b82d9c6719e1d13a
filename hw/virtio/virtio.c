/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio devices: status, features, start and stop (virtio 1.3, sections 2.1, 2.2, 3.1).
 *
 *     status 0 --ACKNOWLEDGE, DRIVER--> negotiating --FEATURES_OK--> fixed features
 *        ^                                                              |
 *        |                                                          DRIVER_OK
 *        |                                                              v
 *        +------------- 0 (also from NEEDS_RESET) -------------- running (queues)
 *
 * What the registers say and what the queues do meet in one place, virtio_settle(): it
 * compares what is asked for (DRIVER_OK, no NEEDS_RESET, not paused, bus master, no reset
 * pending) with what is, and starts or stops until they agree.
 *
 * Waiting.  Queues run on an iothread's loop, so a vCPU may wait for a start or a stop to
 * happen there, and main too; but not with dev->lock held, which a queue takes to report
 * that it is broken.  So the lock is dropped around the call, and `settling` keeps a
 * second thread from doing the same: it leaves its wish in the registers, and the first
 * one finds it when it takes the lock again.
 *
 * Nobody waits for a request, which may take as long as the storage behind it likes.  A
 * device that is to stop gives no more requests, and is `draining` while some are in
 * flight.  When the last has ended main settles it again.  A reset is then done later
 * than the write that asked for it; the driver sees it by the status, which reads 0 only
 * then.
 */
#include <errno.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <sys/eventfd.h>

#include "berth/error.h"
#include "berth/thread.h"
#include "berth/trace.h"
#include "berth/virtio-transport.h"

#define STATUS_DRIVER                                                                    \
    (VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |                              \
     VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FAILED)

typedef struct LoopCall {
    VirtioDevice *vdev;
    Loop *loop;                 /* where it is called */
    bool class_too;
    bool failed;
} LoopCall;

uint32_t virtio_get_offered(const VirtioDevice *vdev, uint32_t select)
{
    return select < 2 ? vdev->offered >> 32 * select : 0;
}

uint32_t virtio_get_features(const VirtioDevice *vdev, uint32_t select)
{
    return select < 2 ? vdev->features >> 32 * select : 0;
}

void virtio_set_features(VirtioDevice *vdev, uint32_t select, uint32_t value)
{
    uint64_t mask = UINT64_C(0xffffffff) << 32 * (select & 1);

    if (vdev->status & VIRTIO_CONFIG_S_FEATURES_OK) {
        device_guest_error(vdev->dev, "features changed after FEATURES_OK");
        return;
    }
    if (select < 2)
        vdev->features = (vdev->features & ~mask) | (uint64_t)value << 32 * select;
}

static bool features_are_valid(const VirtioDevice *vdev, uint64_t features)
{
    return !(features & ~vdev->offered) && !(vdev->required & ~features) &&
           features >> VIRTIO_F_VERSION_1 & 1;
}

void virtio_set_status(VirtioDevice *vdev, uint8_t value)
{
    uint8_t added = value & STATUS_DRIVER & ~vdev->status;

    TRACE(virtio_set_status, "%s 0x%02x -> 0x%02x", device_name(vdev->dev), vdev->status,
          value);
    if (value == 0) {
        vdev->reset_pending = true;
        return;
    }
    if (vdev->reset_pending || vdev->status & STATUS_DRIVER & ~value) {
        device_guest_error(vdev->dev, "status 0x%02x written at 0x%02x", value,
                           vdev->status);
        return;
    }
    if (added & VIRTIO_CONFIG_S_FEATURES_OK &&
        !features_are_valid(vdev, vdev->features)) {
        device_guest_error(vdev->dev, "features 0x%" PRIx64 " are not accepted",
                           vdev->features);
        added &= ~VIRTIO_CONFIG_S_FEATURES_OK;
    }
    vdev->status |= added & ~VIRTIO_CONFIG_S_DRIVER_OK;
    if (added & VIRTIO_CONFIG_S_DRIVER_OK) {
        if (vdev->status & VIRTIO_CONFIG_S_FEATURES_OK)
            vdev->status |= VIRTIO_CONFIG_S_DRIVER_OK;
        else
            device_guest_error(vdev->dev, "DRIVER_OK without FEATURES_OK");
    }
}

bool virtio_queue_is_open(const Virtqueue *vq)
{
    return !vq->enabled && !(vq->vdev->status & VIRTIO_CONFIG_S_DRIVER_OK);
}

void virtio_queue_set_size(Virtqueue *vq, uint16_t size)
{
    if (!virtio_queue_is_open(vq) || size == 0 || size > vq->max_size ||
        (size & (size - 1)))
        device_guest_error(vq->vdev->dev, "queue %u: size %u is not accepted", vq->index,
                           size);
    else
        vq->size = size;
}

void virtio_queue_enable(Virtqueue *vq)
{
    if (virtio_queue_is_open(vq) && vq->vdev->status & VIRTIO_CONFIG_S_FEATURES_OK)
        vq->enabled = true;
    else
        device_guest_error(vq->vdev->dev, "queue %u enabled at status 0x%02x", vq->index,
                           vq->vdev->status);
}

void virtio_queue_kick(Virtqueue *vq)
{
    uint64_t one = 1;

    if (vq->kick_fd >= 0 && write(vq->kick_fd, &one, sizeof(one)) < 0)
        g_assert(errno == EAGAIN);
}

void virtio_read_config(VirtioDevice *vdev, uint64_t offset, void *data, size_t size)
{
    size_t config_size = vdev->class->config_size;
    g_autofree uint8_t *config = g_malloc0(config_size);
    size_t n = offset < config_size ? MIN(size, config_size - offset) : 0;

    if (vdev->class->read_config)
        vdev->class->read_config(vdev, config);
    memset(data, 0xff, size);
    if (n)
        memcpy(data, config + offset, n);
}

void virtio_write_config(VirtioDevice *vdev, uint64_t offset, const void *data,
                         size_t size)
{
    size_t config_size = vdev->class->config_size;

    if (vdev->class->write_config && offset <= config_size &&
        size <= config_size - offset)
        vdev->class->write_config(vdev, offset, data, size);
}

void virtio_break(VirtioDevice *vdev)
{
    bool tells;

    __atomic_store_n(&vdev->broken, true, __ATOMIC_RELAXED);
    lock_take(&vdev->dev->lock);
    tells = vdev->status & VIRTIO_CONFIG_S_DRIVER_OK &&
        !(vdev->status & VIRTIO_CONFIG_S_NEEDS_RESET);
    vdev->status |= VIRTIO_CONFIG_S_NEEDS_RESET;
    lock_drop(&vdev->dev->lock);
    if (tells)
        vdev->transport->notify_config(vdev);
}

void virtio_config_changed(VirtioDevice *vdev)
{
    bool tells;

    lock_take(&vdev->dev->lock);
    vdev->generation++;
    tells = vdev->status & VIRTIO_CONFIG_S_DRIVER_OK;
    lock_drop(&vdev->dev->lock);
    if (tells)
        vdev->transport->notify_config(vdev);
}

/* Calls @fn on each loop that has a queue, and on the device's own first. */
static void call_loops(VirtioDevice *vdev, LoopFn *fn, LoopCall *call)
{
    call->loop = vdev->loop;
    loop_call_sync(vdev->loop, fn, call);
    for (uint32_t i = 0; i < vdev->n_queues; i++) {
        bool is_first = vdev->queues[i].loop != vdev->loop;

        for (uint32_t earlier = 0; is_first && earlier < i; earlier++)
            is_first = vdev->queues[earlier].loop != vdev->queues[i].loop;
        if (!is_first)
            continue;
        call->loop = vdev->queues[i].loop;
        loop_call_sync(call->loop, fn, call);
    }
}

static void stop_queues(void *opaque)
{
    LoopCall *call = opaque;
    VirtioDevice *vdev = call->vdev;

    if (call->loop == vdev->loop && vdev->class->stop && call->class_too)
        vdev->class->stop(vdev);
    if (vdev->class->stop_loop)
        vdev->class->stop_loop(vdev, call->loop);
    for (uint32_t i = 0; i < vdev->n_queues; i++) {
        Virtqueue *vq = &vdev->queues[i];

        if (vq->loop == call->loop && !virtqueue_stop(vq))
            __atomic_add_fetch(&vdev->n_draining, 1, __ATOMIC_ACQ_REL);
    }
}

void virtio_queue_stopped(Virtqueue *vq)
{
    VirtioDevice *vdev = vq->vdev;

    if (__atomic_sub_fetch(&vdev->n_draining, 1, __ATOMIC_ACQ_REL) == 0)
        loop_post(vdev->dev->board->loop, &vdev->drained);
}

bool virtio_queue_is_external(const VirtioDevice *vdev, uint32_t index)
{
    return vdev->class->is_external && vdev->class->is_external(vdev, index);
}

static void start_queues(void *opaque)
{
    LoopCall *call = opaque;
    VirtioDevice *vdev = call->vdev;

    for (uint32_t i = 0; i < vdev->n_queues; i++) {
        Virtqueue *vq = &vdev->queues[i];

        if (vq->loop != call->loop || vq->kick_fd < 0 || call->failed)
            continue;
        call->failed = !(virtio_queue_is_external(vdev, i) ? virtqueue_map(vq)
                                                           : virtqueue_start(vq));
    }
}

static bool start_class(VirtioDevice *vdev)
{
    g_autoptr(GError) error = NULL;

    if (!vdev->class->start || vdev->class->start(vdev, &error))
        return true;
    device_host_error(vdev->dev, "does not start: %s", error->message);
    return false;
}

static void on_start_class(void *opaque)
{
    LoopCall *call = opaque;

    call->failed = !start_class(call->vdev);
}

/* What was made available before, with or without a doorbell. */
static void serve_queues(void *opaque)
{
    const LoopCall *call = opaque;
    VirtioDevice *vdev = call->vdev;

    for (uint32_t i = 0; i < vdev->n_queues; i++) {
        if (vdev->queues[i].loop == call->loop)
            virtqueue_serve(&vdev->queues[i]);
    }
}

static void set_kick_fd(Virtqueue *vq, int fd)
{
    lock_take(&vq->vdev->dev->lock);
    vq->kick_fd = fd;
    lock_drop(&vq->vdev->dev->lock);
}

static void close_doorbells(VirtioDevice *vdev)
{
    for (uint32_t i = 0; i < vdev->n_queues; i++) {
        Virtqueue *vq = &vdev->queues[i];
        int fd = vq->kick_fd;

        if (fd < 0)
            continue;
        vdev->transport->remove_doorbell(vdev, vq);
        set_kick_fd(vq, -1);
        close(fd);
    }
}

static bool is_served(const VirtioDevice *vdev, uint32_t index)
{
    const VirtioClass *class = vdev->class;

    return vdev->queues[index].enabled &&
        (!class->has_queue || class->has_queue(vdev, index));
}

static bool open_doorbells(VirtioDevice *vdev)
{
    for (uint32_t i = 0; i < vdev->n_queues; i++) {
        Virtqueue *vq = &vdev->queues[i];
        int fd;

        if (!is_served(vdev, i))
            continue;
        fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (fd < 0) {
            device_host_error(vdev->dev, "queue %u does not start: %s", i,
                              error_text(errno));
            return false;
        }
        set_kick_fd(vq, fd);
        vdev->transport->add_doorbell(vdev, vq);
    }
    return true;
}

/*
 * No lock is held; `settling` makes the caller the only one.  On false some queues may
 * run, and have requests in flight.
 */
static bool start(VirtioDevice *vdev)
{
    LoopCall call = { .vdev = vdev };

    TRACE(virtio_start, "%s features 0x%" PRIx64, device_name(vdev->dev), vdev->features);
    call.failed = !open_doorbells(vdev);
    if (!call.failed)
        call_loops(vdev, start_queues, &call);
    if (!call.failed)
        loop_call_sync(vdev->loop, on_start_class, &call);
    if (call.failed) {
        virtio_break(vdev);
        return false;
    }
    call_loops(vdev, serve_queues, &call);
    return true;
}

/* Returns whether the device has stopped; else on_drained() will come. */
static bool stop(VirtioDevice *vdev, bool class_too)
{
    LoopCall call = { .vdev = vdev, .class_too = class_too };

    TRACE(virtio_stop, "%s", device_name(vdev->dev));
    /* One more than there are queues, so that none but this thread ends the count. */
    __atomic_store_n(&vdev->n_draining, 1, __ATOMIC_RELEASE);
    call_loops(vdev, stop_queues, &call);
    if (__atomic_sub_fetch(&vdev->n_draining, 1, __ATOMIC_ACQ_REL) > 0)
        return false;
    close_doorbells(vdev);
    return true;
}

static void on_reset(void *opaque)
{
    VirtioDevice *vdev = opaque;

    vdev->class->reset(vdev);
}

/* Drops dev->lock meanwhile; reset_pending keeps the status as it is. */
static void reset_class(VirtioDevice *vdev)
{
    if (!vdev->class->reset)
        return;
    lock_drop(&vdev->dev->lock);
    loop_call_sync(vdev->loop, on_reset, vdev);
    lock_take(&vdev->dev->lock);
}

static void reset_locked(VirtioDevice *vdev)
{
    vdev->reset_pending = false;
    vdev->status = 0;
    vdev->features = 0;
    vdev->generation = 0;
    __atomic_store_n(&vdev->broken, false, __ATOMIC_RELAXED);
    for (uint32_t i = 0; i < vdev->n_queues; i++)
        virtqueue_reset(&vdev->queues[i]);
}

static bool wants_to_run(const VirtioDevice *vdev)
{
    return vdev->status & VIRTIO_CONFIG_S_DRIVER_OK &&
        !(vdev->status & VIRTIO_CONFIG_S_NEEDS_RESET) && !vdev->reset_pending &&
        !vdev->restart_pending && vdev->dev->tree->running &&
        vdev->dev->state != DEVICE_STATE_LEAVING &&
        vdev->transport->may_run(vdev);
}

/* One step towards what is wanted, with the lock dropped meanwhile. */
static void change(VirtioDevice *vdev, bool wanted)
{
    bool started, draining = false;

    lock_drop(&vdev->dev->lock);
    started = wanted && start(vdev);
    if (!started) {
        draining = !stop(vdev, !wanted);
        started = draining;
    }
    lock_take(&vdev->dev->lock);
    vdev->started = started;
    vdev->draining = draining;
}

static void settle_locked(VirtioDevice *vdev)
{
    for (;;) {
        bool wanted = wants_to_run(vdev);

        if (vdev->draining || (vdev->started == wanted && !vdev->reset_pending &&
                               !vdev->restart_pending))
            break;
        /* Dropped to wait for the loops; registers may change meanwhile. */
        if (vdev->started != wanted)
            change(vdev, wanted);
        if (vdev->started)
            continue;
        vdev->restart_pending = false;
        if (vdev->reset_pending) {
            reset_class(vdev);
            reset_locked(vdev);
        }
    }
}

void virtio_settle(VirtioDevice *vdev)
{
    GMutex *lock = &vdev->dev->lock;

    lock_take(lock);
    if (!vdev->settling) {
        vdev->settling = true;
        settle_locked(vdev);
        vdev->settling = false;
    }
    lock_drop(lock);
}

/* Main: the last request has ended. */
static void on_drained(void *opaque)
{
    VirtioDevice *vdev = opaque;
    Board *board = vdev->dev->board;

    close_doorbells(vdev);
    lock_take(&vdev->dev->lock);
    vdev->draining = false;
    vdev->started = false;
    lock_drop(&vdev->dev->lock);
    virtio_settle(vdev);
    if (board->ops && board->ops->device_drained)
        board->ops->device_drained(board->opaque);
}

bool virtio_is_draining(VirtioDevice *vdev)
{
    bool draining;

    lock_take(&vdev->dev->lock);
    draining = vdev->draining;
    lock_drop(&vdev->dev->lock);
    return draining;
}

void virtio_reset(VirtioDevice *vdev)
{
    lock_take(&vdev->dev->lock);
    vdev->reset_pending = true;
    lock_drop(&vdev->dev->lock);
    virtio_settle(vdev);
}

void virtio_restart(VirtioDevice *vdev)
{
    lock_take(&vdev->dev->lock);
    vdev->restart_pending = true;
    lock_drop(&vdev->dev->lock);
    virtio_settle(vdev);
}

bool virtio_is_restarting(VirtioDevice *vdev)
{
    bool restarting;

    lock_take(&vdev->dev->lock);
    restarting = vdev->restart_pending || vdev->draining;
    lock_drop(&vdev->dev->lock);
    return restarting;
}

typedef struct MemoryCall {
    VirtioDevice *vdev;
    bool good;
    GError **error;
} MemoryCall;

static void on_memory_added(void *opaque)
{
    MemoryCall *call = opaque;

    call->good = call->vdev->class->memory_added(call->vdev, call->error);
}

bool virtio_memory_added(VirtioDevice *vdev, GError **error)
{
    MemoryCall call = { .vdev = vdev, .good = true, .error = error };

    if (vdev->class->memory_added)
        loop_call_sync(vdev->loop, on_memory_added, &call);
    return call.good;
}

static void free_parts(VirtioDevice *vdev)
{
    for (uint32_t i = 0; vdev->queues && i < vdev->n_queues; i++)
        virtqueue_done(&vdev->queues[i]);
    g_free(vdev->queues);
    g_free(vdev);
}

static void unrealize(VirtioDevice *vdev)
{
    if (vdev->class->unrealize)
        vdev->class->unrealize(vdev);
    free_parts(vdev);
}

void virtio_make_queues(VirtioDevice *vdev, uint32_t n, uint16_t size)
{
    g_assert(n <= vdev->class->n_queues && size <= vdev->class->queue_size);
    vdev->n_queues = n;
    vdev->queues = g_new0(Virtqueue, n);
    for (uint32_t i = 0; i < n; i++)
        virtqueue_init(&vdev->queues[i], vdev, i, size);
}

VirtioDevice *virtio_device_new(const VirtioClass *class,
                                const VirtioTransport *transport, Device *dev,
                                uint64_t features, GError **error)
{
    VirtioDevice *vdev = g_malloc0(class->instance_size);

    vdev->class = class;
    vdev->transport = transport;
    vdev->dev = dev;
    vdev->offered = features | class->features | 1ull << VIRTIO_F_VERSION_1;
    vdev->n_queues = class->n_queues;
    loop_message_init(&vdev->drained, on_drained, vdev);
    if (!class->realize(vdev, dev->args, error)) {
        free_parts(vdev);
        return NULL;
    }
    if (!vdev->queues)
        virtio_make_queues(vdev, vdev->n_queues, class->queue_size);
    /* The last step, as the tree keeps the loop that it may make for it. */
    if (!vdev->loop)
        vdev->loop = device_tree_queue_loop(dev->tree, error);
    if (!vdev->loop) {
        unrealize(vdev);
        return NULL;
    }
    for (uint32_t i = 0; i < vdev->n_queues; i++)
        vdev->queues[i].loop =
            class->queue_loop ? class->queue_loop(vdev, i) : vdev->loop;
    return vdev;
}

void virtio_device_free(VirtioDevice *vdev)
{
    if (!vdev)
        return;
    virtio_reset(vdev);
    g_assert(!vdev->started);
    loop_message_cancel(vdev->dev->board->loop, &vdev->drained);
    unrealize(vdev);
}

static void *class_via(void *opaque, const VMStateDesc **ret_desc)
{
    VirtioDevice *vdev = opaque;

    *ret_desc = vdev->class->vmstate;
    return vdev->class->vmstate ? vdev : NULL;
}

static bool check_queue(const Virtqueue *vq, GError **error)
{
    const char *field = NULL;

    if (vq->size == 0 || vq->size > vq->max_size || (vq->size & (vq->size - 1)))
        field = "size";
    else if (vq->enabled && !(vq->vdev->status & VIRTIO_CONFIG_S_FEATURES_OK))
        field = "enabled";
    else if (vq->held_size % 2 || vq->held_size / 2 > vq->size)
        field = "held";
    else if ((uint16_t)(vq->last_avail - vq->used_idx) != vq->held_size / 2 &&
             !(vq->vdev->status & VIRTIO_CONFIG_S_NEEDS_RESET))
        field = "last_avail";
    if (field)
        error_set(error, "queue %u: field '%s' has an impossible value", vq->index,
                  field);
    return !field;
}

/* What no device can be in: H3 of the list of hostile inputs. */
static bool virtio_post_load(void *opaque, GError **error)
{
    VirtioDevice *vdev = opaque;
    const uint8_t known = STATUS_DRIVER | VIRTIO_CONFIG_S_NEEDS_RESET;
    bool fixed = vdev->status & VIRTIO_CONFIG_S_FEATURES_OK;

    if (vdev->status & ~known || (vdev->status & VIRTIO_CONFIG_S_DRIVER_OK && !fixed)) {
        error_set(error, "field 'status' is 0x%02x", vdev->status);
        return false;
    }
    if (fixed && !features_are_valid(vdev, vdev->features)) {
        error_set(error, "field 'features' is 0x%" PRIx64 ", offered are 0x%" PRIx64,
                  vdev->features, vdev->offered);
        return false;
    }
    for (uint32_t i = 0; i < vdev->n_queues; i++) {
        if (!check_queue(&vdev->queues[i], error))
            return false;
    }
    __atomic_store_n(&vdev->broken, vdev->status & VIRTIO_CONFIG_S_NEEDS_RESET,
                     __ATOMIC_RELAXED);
    return true;
}

static const VMStateField virtio_fields[] = {
    VMSTATE_U64(VirtioDevice, features),
    VMSTATE_U8(VirtioDevice, status),
    VMSTATE_U8(VirtioDevice, generation),
    VMSTATE_STRUCT_POINTER(VirtioDevice, queues, n_queues, virtqueue_vmstate),
    VMSTATE_VIA("device", class_via),
    VMSTATE_END
};

const VMStateDesc virtio_vmstate = {
    .name = "virtio", .version = 1, .min_version = 1, .fields = virtio_fields,
    .post_load = virtio_post_load,
};
