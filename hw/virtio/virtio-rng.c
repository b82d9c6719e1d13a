/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The entropy device (virtio 1.3, section 5.4): one queue of buffers to fill.
 *
 * Entropy is read straight into the guest's buffer.  A request gets what the source gives
 * at once, at least a byte; when it gives nothing the request goes back to the ring, and
 * the source's reader says when to look again.  So nothing is ever in flight.
 *
 * A quota of max-bytes a period is kept by a timer that runs only after entropy was used,
 * so an idle guest wakes nobody.
 */
#include <linux/virtio_ids.h>

#include "berth/error.h"
#include "berth/rng.h"
#include "berth/trace.h"
#include "berth/virtio.h"

#define QUEUE_SIZE 8

typedef struct VirtioRng {
    VirtioDevice vdev;
    RngReader reader;
    uint64_t max_bytes;         /* in a period, UINT64_MAX for no limit */
    int64_t period_ns;
    uint64_t quota;             /* left of max_bytes */
    Timer period;
} VirtioRng;

G_STATIC_ASSERT(offsetof(VirtioRngProps, notify_on_empty) ==
                offsetof(VirtioPciProps, notify_on_empty));

static VirtioRng *to_rng(VirtioDevice *vdev)
{
    return CONTAINER_OF(vdev, VirtioRng, vdev);
}

static uint32_t rng_fill(VirtioRng *rng, const VirtqueueReq *req)
{
    uint64_t limit = MIN(rng->quota, req->in_size);
    uint32_t filled = 0;

    for (unsigned i = 0; i < req->n_in && filled < limit; i++) {
        const struct iovec *iov = &req->in[i];
        size_t wanted = MIN(iov->iov_len, limit - filled);
        size_t n = rng_reader_read(&rng->reader, iov->iov_base, wanted);

        filled += n;
        if (n < wanted)
            break;
    }
    return filled;
}

static void use_quota(VirtioRng *rng, uint32_t n)
{
    if (rng->max_bytes == UINT64_MAX)
        return;
    rng->quota -= n;
    if (!timer_is_set(&rng->period))
        timer_set(&rng->period, loop_clock_ns() + rng->period_ns);
}

static void rng_handle_queue(VirtioDevice *vdev, Virtqueue *vq)
{
    VirtioRng *rng = to_rng(vdev);
    VirtqueueReq *req;

    while (rng->quota > 0 && (req = virtqueue_pop(vq))) {
        uint32_t n;

        if (req->in_size == 0) {
            virtqueue_push(vq, req, 0);
            continue;
        }
        n = rng_fill(rng, req);
        TRACE(virtio_rng_fill, "head %u: %u of %u", req->head, n, req->in_size);
        if (n == 0) {
            virtqueue_unpop(vq, req);
            return;
        }
        use_quota(rng, n);
        virtqueue_push(vq, req, n);
    }
}

static void rng_on_entropy(void *opaque)
{
    VirtioRng *rng = opaque;

    virtqueue_schedule(&rng->vdev.queues[0]);
}

static void rng_on_period(void *opaque)
{
    VirtioRng *rng = opaque;

    rng->quota = rng->max_bytes;
    virtqueue_schedule(&rng->vdev.queues[0]);
}

static bool rng_start(VirtioDevice *vdev, GError **error)
{
    VirtioRng *rng = to_rng(vdev);

    rng_reader_start(&rng->reader, vdev->loop, rng_on_entropy, rng);
    timer_init(&rng->period, vdev->loop, rng_on_period, rng);
    if (rng->quota < rng->max_bytes)
        timer_set(&rng->period, loop_clock_ns() + rng->period_ns);
    return true;
}

static void rng_stop(VirtioDevice *vdev)
{
    VirtioRng *rng = to_rng(vdev);

    rng_reader_stop(&rng->reader);
    timer_cancel(&rng->period);
}

static bool rng_realize(VirtioDevice *vdev, const DeviceAddArgs *args, GError **error)
{
    VirtioRng *rng = to_rng(vdev);
    const VirtioRngProps *props = &args->u.virtio_rng_pci;

    if (!rng_reader_init(&rng->reader, vdev->dev->board->objects, props->rng, error))
        return false;
    rng->max_bytes = props->has_max_bytes ? props->max_bytes : UINT64_MAX;
    rng->period_ns = props->period * NS_PER_MS;
    rng->quota = rng->max_bytes;
    return true;
}

static void rng_unrealize(VirtioDevice *vdev)
{
    rng_reader_done(&to_rng(vdev)->reader);
}

static bool rng_post_load(void *opaque, GError **error)
{
    VirtioRng *rng = opaque;

    if (rng->quota > rng->max_bytes)
        error_set(error, "field 'quota' is %" PRIu64 ", more than max-bytes", rng->quota);
    return rng->quota <= rng->max_bytes;
}

static const VMStateField rng_fields[] = {
    VMSTATE_U64(VirtioRng, quota),
    VMSTATE_END
};

static const VMStateDesc rng_vmstate = {
    .name = "virtio-rng", .version = 1, .min_version = 1, .fields = rng_fields,
    .post_load = rng_post_load,
};

const VirtioClass virtio_rng_class = {
    .name = "virtio-rng",
    .description = "source of entropy",
    .id = VIRTIO_ID_RNG,
    .n_queues = 1,
    .queue_size = QUEUE_SIZE,
    .instance_size = sizeof(VirtioRng),
    .pci_class = 0x00ff00,
    .vmstate = &rng_vmstate,
    .realize = rng_realize,
    .unrealize = rng_unrealize,
    .start = rng_start,
    .stop = rng_stop,
    .handle_queue = rng_handle_queue,
};
