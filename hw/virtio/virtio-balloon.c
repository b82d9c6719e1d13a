/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory balloon (virtio 1.3, section 5.5): queues of page numbers that the guest
 * gives and takes, one of its statistics, one of free pages that it tells of.
 *
 * What the guest gives goes back to the host at once.  Requests are gathered into a batch
 * (balloon-batch.h), which the loop hands to the kernel in slices, one a turn, so that
 * the devices on it do not wait for as much as a guest likes to give.  Where a call may
 * block (files) or take long, a worker makes it.  One batch is under way at a time;
 * meanwhile requests stay in the ring.
 *
 * A page that the guest takes back needs nothing done, but where the host has memory in
 * larger pages: those go whole or not at all, so it is noted which parts are given
 * (balloon-pages.h), and the driver is bound to tell before it uses a page again.
 *
 * The hint of free pages is for migration: the device offers the queue and never asks for
 * hints, and takes what comes all the same.
 */
#include <linux/virtio_balloon.h>
#include <string.h>

#include "berth/error.h"
#include "berth/trace.h"

#include "virtio-balloon.h"

#define QUEUE_SIZE 32
/* Pieces of requests that the guest takes pages back with, in a turn. */
#define TAKE_MAX 64u
/* Calls to the kernel in a turn. */
#define SLICE_RUNS 32u

typedef struct virtio_balloon_config Config;

G_STATIC_ASSERT(offsetof(VirtioBalloonProps, notify_on_empty) ==
                offsetof(VirtioPciProps, notify_on_empty));
G_STATIC_ASSERT(QUEUE_SIZE <= BALLOON_BATCH_BUFFERS);

static bool has_role(uint64_t features, BalloonRole role)
{
    static const uint64_t needed[BALLOON_N_ROLES] = {
        [BALLOON_STATS] = UINT64_C(1) << VIRTIO_BALLOON_F_STATS_VQ,
        [BALLOON_HINT] = UINT64_C(1) << VIRTIO_BALLOON_F_FREE_PAGE_HINT,
        [BALLOON_REPORT] = UINT64_C(1) << VIRTIO_BALLOON_F_REPORTING,
    };

    return (features & needed[role]) == needed[role];
}

/* A queue of a feature that is not there has no number: those after it move up. */
static BalloonRole role_of(uint64_t features, unsigned index)
{
    for (int role = BALLOON_INFLATE; role < BALLOON_N_ROLES; role++) {
        if (has_role(features, (BalloonRole)role) && index-- == 0)
            return (BalloonRole)role;
    }
    return BALLOON_N_ROLES;
}

static Virtqueue *queue_of(VirtioBalloon *balloon, BalloonRole role)
{
    VirtioDevice *vdev = &balloon->vdev;

    for (uint32_t i = 0; i < vdev->n_queues; i++) {
        if (role_of(vdev->features, i) == role)
            return vdev->queues[i].running ? &vdev->queues[i] : NULL;
    }
    return NULL;
}

static void fill_from_inflate(VirtioBalloon *balloon, Virtqueue *vq)
{
    BalloonBatch *batch = &balloon->batch;

    while (batch->n_pfns < BALLOON_BATCH_PFNS && balloon->n_reqs < BALLOON_MAX_REQS) {
        if (!balloon->req) {
            balloon->req = virtqueue_pop(vq);
            balloon->req_offset = 0;
        }
        if (!balloon->req)
            break;
        if (!balloon_batch_read(batch, balloon->req, &balloon->req_offset))
            break;
        balloon->reqs[balloon->n_reqs++] = g_steal_pointer(&balloon->req);
    }
    balloon_batch_give(batch);
}

/* A page that comes back must be as the guest left it, and zeros are all we have. */
static bool may_report(VirtioBalloon *balloon, bool *ret_zeros)
{
    *ret_zeros = virtio_has_feature(&balloon->vdev, VIRTIO_BALLOON_F_PAGE_POISON);
    return !*ret_zeros ||
        __atomic_load_n(&balloon->poison_val, __ATOMIC_RELAXED) == 0;
}

static void fill_from_report(VirtioBalloon *balloon, Virtqueue *vq)
{
    VirtqueueReq *req;
    bool zeros;

    while (balloon->n_reqs < BALLOON_MAX_REQS &&
           balloon_batch_has_room(&balloon->batch) && (req = virtqueue_pop(vq))) {
        if (may_report(balloon, &zeros))
            balloon_batch_report(&balloon->batch, req->in, req->n_in, zeros);
        balloon->reqs[balloon->n_reqs++] = req;
    }
}

/* The guest's and the host's faults of a batch; each is told of seldom. */
static void tell_faults(VirtioBalloon *balloon)
{
    const BalloonBatch *batch = &balloon->batch;

    if (batch->n_bad > 0)
        device_guest_error(balloon->vdev.dev, "%u pages are no RAM, one is 0x%x",
                           batch->n_bad, batch->bad_pfn);
    if (batch->err)
        device_host_error(balloon->vdev.dev, "the host does not take pages back: %s",
                          error_text(batch->err));
}

static void end_batch(VirtioBalloon *balloon)
{
    TRACE(virtio_balloon_batch, "%u requests, %u runs", balloon->n_reqs,
          balloon->batch.n_runs);
    tell_faults(balloon);
    balloon_batch_reset(&balloon->batch);
    for (unsigned i = 0; i < balloon->n_reqs; i++)
        virtqueue_push(balloon->reqs[i]->vq, balloon->reqs[i], 0);
    balloon->n_reqs = 0;
}

/* True when the batch has ended; else on_done() comes. */
static bool begin_batch(VirtioBalloon *balloon)
{
    BalloonBatch *batch = &balloon->batch;
    bool is_slow = balloon_batch_is_slow(batch);

    /* Where the host has no thread for it, the loop does it all the same. */
    balloon->busy =
        is_slow && worker_submit(worker_pool_of(balloon->vdev.loop), &balloon->job, NULL);
    if (!balloon->busy && !balloon_batch_discard(batch, SLICE_RUNS)) {
        balloon->busy = true;
        loop_post(balloon->vdev.loop, &balloon->slice);
    }
    if (!balloon->busy)
        end_batch(balloon);
    return !balloon->busy;
}

/* The queues that batches are filled from have another turn. */
static void schedule_givers(VirtioBalloon *balloon)
{
    static const BalloonRole givers[] = { BALLOON_INFLATE, BALLOON_REPORT };

    for (size_t i = 0; i < G_N_ELEMENTS(givers); i++) {
        Virtqueue *vq = queue_of(balloon, givers[i]);

        if (vq)
            virtqueue_schedule(vq);
    }
}

/* One batch; what is left in the rings comes in a later turn. */
static void give(VirtioBalloon *balloon)
{
    Virtqueue *inflate = queue_of(balloon, BALLOON_INFLATE);
    Virtqueue *report = queue_of(balloon, BALLOON_REPORT);

    if (balloon->busy)
        return;
    if (inflate)
        fill_from_inflate(balloon, inflate);
    if (report)
        fill_from_report(balloon, report);
    if (balloon->n_reqs == 0 && balloon->batch.n_runs == 0 && !balloon->req)
        return;
    if (begin_batch(balloon))
        schedule_givers(balloon);
}

/* Ends a request of which a part was read, if there is one. */
static void push_rest(VirtqueueReq **req)
{
    VirtqueueReq *rest = g_steal_pointer(req);

    if (rest)
        virtqueue_push(rest->vq, rest, 0);
}

static void on_work(void *opaque)
{
    balloon_batch_discard(&((VirtioBalloon *)opaque)->batch, BALLOON_BATCH_RUNS);
}

static void on_done(void *opaque)
{
    VirtioBalloon *balloon = opaque;

    balloon->busy = false;
    if (!balloon->running)
        push_rest(&balloon->req);
    end_batch(balloon);
    if (balloon->running)
        schedule_givers(balloon);
}

static void on_slice(void *opaque)
{
    VirtioBalloon *balloon = opaque;

    if (balloon_batch_discard(&balloon->batch, SLICE_RUNS))
        on_done(balloon);
    else
        loop_post(balloon->vdev.loop, &balloon->slice);
}

/* A bounded part of what the ring has; the rest in the next turn. */
static void take(VirtioBalloon *balloon, Virtqueue *vq)
{
    for (unsigned i = 0; i < TAKE_MAX; i++) {
        bool ended = true;

        if (!balloon->taken) {
            balloon->taken = virtqueue_pop(vq);
            balloon->taken_offset = 0;
        }
        if (!balloon->taken)
            return;
        if (balloon->batch.pages) {
            ended = balloon_batch_read(&balloon->batch, balloon->taken,
                                       &balloon->taken_offset);
            balloon_batch_take(&balloon->batch);
        }
        if (ended)
            push_rest(&balloon->taken);
    }
    virtqueue_schedule(vq);
}

static void drop_all(Virtqueue *vq)
{
    VirtqueueReq *req;

    while ((req = virtqueue_pop(vq)))
        virtqueue_push(vq, req, 0);
}

static void balloon_handle_queue(VirtioDevice *vdev, Virtqueue *vq)
{
    VirtioBalloon *balloon = virtio_balloon_of(vdev);

    switch (role_of(vdev->features, vq->index)) {
    case BALLOON_INFLATE:
    case BALLOON_REPORT:
        give(balloon);
        break;
    case BALLOON_DEFLATE:
        take(balloon, vq);
        break;
    case BALLOON_STATS:
        balloon_stats_handle(balloon, vq);
        break;
    case BALLOON_HINT:
    case BALLOON_N_ROLES:
        drop_all(vq);
        break;
    }
}

static bool balloon_start(VirtioDevice *vdev, GError **error)
{
    VirtioBalloon *balloon = virtio_balloon_of(vdev);

    balloon->running = true;
    balloon_batch_start(&balloon->batch);
    balloon_stats_start(balloon);
    return true;
}

static void balloon_stop(VirtioDevice *vdev)
{
    VirtioBalloon *balloon = virtio_balloon_of(vdev);

    /* Also of a device that did not start. */
    if (!balloon->running)
        return;
    balloon->running = false;
    balloon_stats_stop(balloon);
    balloon_batch_stop(&balloon->batch);
    push_rest(&balloon->taken);
    if (!balloon->busy)
        push_rest(&balloon->req);
}

static void balloon_reset(VirtioDevice *vdev)
{
    VirtioBalloon *balloon = virtio_balloon_of(vdev);
    bool changed;

    lock_take(&vdev->dev->lock);
    changed = balloon->actual != 0;
    balloon->actual = 0;
    balloon->poison_val = 0;
    lock_drop(&vdev->dev->lock);
    balloon_batch_clear(&balloon->batch);
    balloon_stats_reset(balloon);
    if (changed)
        loop_post(vdev->dev->board->loop, &balloon->changed);
}

static void balloon_read_config(VirtioDevice *vdev, void *config)
{
    const VirtioBalloon *balloon = virtio_balloon_of(vdev);
    const Config words = {
        .num_pages = GUINT32_TO_LE(balloon->num_pages),
        .actual = GUINT32_TO_LE(balloon->actual),
        .free_page_hint_cmd_id = GUINT32_TO_LE(VIRTIO_BALLOON_CMD_ID_STOP),
        .poison_val = GUINT32_TO_LE(balloon->poison_val),
    };

    memcpy(config, &words, sizeof(words));
}

static void balloon_write_config(VirtioDevice *vdev, uint64_t offset, const void *data,
                                 size_t size)
{
    VirtioBalloon *balloon = virtio_balloon_of(vdev);
    uint32_t before = balloon->actual;
    Config words;

    balloon_read_config(vdev, &words);
    memcpy((uint8_t *)&words + offset, data, size);
    balloon->actual = GUINT32_FROM_LE(words.actual);
    if (virtio_has_feature(vdev, VIRTIO_BALLOON_F_PAGE_POISON))
        __atomic_store_n(&balloon->poison_val, GUINT32_FROM_LE(words.poison_val),
                         __ATOMIC_RELAXED);
    if (balloon->actual != before)
        loop_post(vdev->dev->board->loop, &balloon->changed);
}

uint64_t virtio_balloon_actual(VirtioBalloon *balloon)
{
    Device *dev = balloon->vdev.dev;
    uint64_t all = board_ram(dev->board);
    uint64_t given;

    lock_take(&dev->lock);
    given = (uint64_t)balloon->actual * BALLOON_PAGE;
    lock_drop(&dev->lock);
    return all - MIN(given, all);
}

static void on_changed(void *opaque)
{
    VirtioBalloon *balloon = opaque;
    Board *board = balloon->vdev.dev->board;

    if (board->ops->balloon_changed)
        board->ops->balloon_changed(board->opaque, virtio_balloon_actual(balloon));
}

bool virtio_balloon_is(const Device *dev)
{
    return dev->args && dev->args->driver == DEVICE_DRIVER_VIRTIO_BALLOON_PCI;
}

VirtioBalloon *virtio_balloon_find(DeviceTree *tree)
{
    LIST_FOREACH(node, &tree->devices) {
        Device *dev = CONTAINER_OF(node, Device, tree_node);

        if (virtio_balloon_is(dev) && dev->state == DEVICE_STATE_REALIZED)
            return virtio_balloon_of(virtio_pci_device(dev));
    }
    return NULL;
}

/* Whether any of the guest's memory is in larger pages than the guest gives. */
static bool has_large_pages(AddressSpace *memory)
{
    g_autoptr(RamMap) map = ram_map_new(memory);

    for (size_t i = 0; i < map->n; i++) {
        if (map->ranges[i].block->page_size > BALLOON_PAGE)
            return true;
    }
    return false;
}

static uint64_t offered(const VirtioDevice *vdev, const VirtioBalloonProps *props)
{
    const struct {
        bool is_on;
        unsigned bit;
    } features[] = {
        { true, VIRTIO_BALLOON_F_STATS_VQ },
        { has_large_pages(vdev->dev->board->memory), VIRTIO_BALLOON_F_MUST_TELL_HOST },
        { props->deflate_on_oom, VIRTIO_BALLOON_F_DEFLATE_ON_OOM },
        { props->free_page_hint, VIRTIO_BALLOON_F_FREE_PAGE_HINT },
        { props->page_poison, VIRTIO_BALLOON_F_PAGE_POISON },
        { props->free_page_reporting, VIRTIO_BALLOON_F_REPORTING },
    };
    uint64_t bits = 0;

    for (size_t i = 0; i < G_N_ELEMENTS(features); i++) {
        if (features[i].is_on)
            bits |= UINT64_C(1) << features[i].bit;
    }
    return bits;
}

static bool balloon_realize(VirtioDevice *vdev, const DeviceAddArgs *args, GError **error)
{
    VirtioBalloon *balloon = virtio_balloon_of(vdev);
    const VirtioBalloonProps *props = &args->u.virtio_balloon_pci;
    uint32_t n_queues = 0;

    if (virtio_balloon_find(vdev->dev->tree)) {
        error_set(error, "Only one balloon device is supported");
        return false;
    }
    vdev->offered |= offered(vdev, props);
    for (int role = BALLOON_INFLATE; role < BALLOON_N_ROLES; role++)
        n_queues += has_role(vdev->offered, (BalloonRole)role);
    virtio_make_queues(vdev, n_queues, QUEUE_SIZE);
    if (!virtio_loops_init(&balloon->loops, vdev, n_queues, props->iothread, NULL, error))
        return false;
    balloon_batch_init(&balloon->batch, vdev->dev->board->memory);
    worker_job_init(&balloon->job, on_work, on_done, balloon);
    loop_message_init(&balloon->slice, on_slice, balloon);
    loop_message_init(&balloon->changed, on_changed, balloon);
    balloon->interval = props->guest_stats_polling_interval;
    balloon_stats_reset(balloon);
    return true;
}

static void balloon_unrealize(VirtioDevice *vdev)
{
    VirtioBalloon *balloon = virtio_balloon_of(vdev);

    loop_message_cancel(vdev->dev->board->loop, &balloon->changed);
    balloon_batch_done(&balloon->batch);
    virtio_loops_done(&balloon->loops);
}

static const VMStateField balloon_fields[] = {
    VMSTATE_U32(VirtioBalloon, num_pages),
    VMSTATE_U32(VirtioBalloon, actual),
    VMSTATE_U32(VirtioBalloon, poison_val),
    VMSTATE_END
};

static const VMStateDesc balloon_vmstate = {
    .name = "virtio-balloon", .version = 1, .min_version = 1, .fields = balloon_fields,
};

const VirtioClass virtio_balloon_class = {
    .name = "virtio-balloon",
    .description = "memory that the guest gives back to the host",
    .id = VIRTIO_ID_BALLOON,
    .n_queues = BALLOON_N_ROLES,
    .queue_size = QUEUE_SIZE,
    .config_size = sizeof(Config),
    .instance_size = sizeof(VirtioBalloon),
    .pci_class = 0x00ff00,
    .vmstate = &balloon_vmstate,
    .realize = balloon_realize,
    .unrealize = balloon_unrealize,
    .start = balloon_start,
    .stop = balloon_stop,
    .reset = balloon_reset,
    .read_config = balloon_read_config,
    .write_config = balloon_write_config,
    .handle_queue = balloon_handle_queue,
};
