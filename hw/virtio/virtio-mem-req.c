/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests of a virtio-mem driver (virtio 1.3, section 5.15.6).
 *
 * One is under way at a time; the others stay in the ring:
 *
 *     loop     copies and checks it, marks the blocks
 *     main     shows and hides sections of memory: slots are main's to change
 *     worker   takes pages from the host, or gives them back
 *     loop     answers
 *
 * What is unplugged is hidden before it goes back to the host, so that no vCPU brings it
 * back, and a section that is hidden goes back whole.  A device that works on such a
 * buffer at that moment may bring a page back; the host has it again when the section is
 * next hidden, or the machine reset.
 */
#include <linux/virtio_mem.h>
#include <string.h>

#include "berth/error.h"
#include "berth/trace.h"

#include "virtio-mem-private.h"

typedef struct virtio_mem_req Request;
typedef struct virtio_mem_resp Response;

/* What the kernel frees in a millisecond or two. */
#define SLOW_BYTES (16 * MIB)

/* A request as it was copied. */
typedef struct Asked {
    uint16_t type;
    uint64_t first;             /* blocks, of a range that is valid */
    uint64_t n;
    bool is_valid;
} Asked;

/*
 * Whole blocks below the usable size; dev->lock is held.  Without overflow, since the
 * driver says what it likes.
 */
static void check_range(const VirtioMem *mem, uint64_t addr, uint16_t n, Asked *asked)
{
    uint64_t offset = addr - mem->memory.gpa;
    uint64_t size = n * mem->block_size;

    asked->is_valid = addr >= mem->memory.gpa && offset % mem->block_size == 0 && n > 0 &&
        offset < mem->usable_size && size <= mem->usable_size - offset;
    asked->first = offset / mem->block_size;
    asked->n = n;
}

static void push(VirtioMem *mem, VirtqueueReq *req, uint16_t type, uint16_t state)
{
    Response response = { .type = GUINT16_TO_LE(type) };

    response.u.state.state = GUINT16_TO_LE(state);
    TRACE(virtio_mem_response, "%s: %u", device_name(mem->vdev.dev), type);
    virtqueue_push(req->vq, req,
                   (uint32_t)virtqueue_req_write(req, 0, &response, sizeof(response)));
}

static uint16_t state_of(const VirtioMem *mem, const Asked *asked)
{
    uint64_t n = mem_blocks_count(&mem->blocks, asked->first, asked->n);

    if (n == 0)
        return VIRTIO_MEM_STATE_UNPLUGGED;
    return n == asked->n ? VIRTIO_MEM_STATE_PLUGGED : VIRTIO_MEM_STATE_MIXED;
}

/* The functions below mark what they can; else they say why not. */

static uint16_t plug(VirtioMem *mem, const Asked *asked)
{
    uint64_t plugged = virtio_mem_plugged(mem);

    if (state_of(mem, asked) != VIRTIO_MEM_STATE_UNPLUGGED)
        return VIRTIO_MEM_RESP_ERROR;
    if (plugged > mem->requested_size ||
        asked->n * mem->block_size > mem->requested_size - plugged)
        return VIRTIO_MEM_RESP_NACK;
    mem_blocks_set(&mem->blocks, asked->first, asked->n, true);
    mem->task.work = mem->prealloc ? MEM_WORK_POPULATE : MEM_WORK_NONE;
    return VIRTIO_MEM_RESP_ACK;
}

static uint16_t unplug(VirtioMem *mem, const Asked *asked)
{
    if (state_of(mem, asked) != VIRTIO_MEM_STATE_PLUGGED)
        return VIRTIO_MEM_RESP_ERROR;
    mem_blocks_set(&mem->blocks, asked->first, asked->n, false);
    mem->task.work = MEM_WORK_DISCARD;
    return VIRTIO_MEM_RESP_ACK;
}

/* Also of what is not plugged: nothing of the region is the guest's afterwards. */
static uint16_t unplug_all(VirtioMem *mem, Asked *asked)
{
    mem_blocks_set(&mem->blocks, 0, mem->blocks.n, false);
    virtio_mem_resize_usable(mem, true);
    asked->first = 0;
    asked->n = mem->blocks.n;
    mem->task.work = MEM_WORK_DISCARD;
    return VIRTIO_MEM_RESP_ACK;
}

static uint16_t mark(VirtioMem *mem, Asked *asked, uint16_t *ret_state)
{
    if (asked->type != VIRTIO_MEM_REQ_UNPLUG_ALL && !asked->is_valid)
        return VIRTIO_MEM_RESP_ERROR;
    switch (asked->type) {
    case VIRTIO_MEM_REQ_PLUG:
        mem->counts.requests++;
        return plug(mem, asked);
    case VIRTIO_MEM_REQ_UNPLUG:
        mem->counts.requests++;
        return unplug(mem, asked);
    case VIRTIO_MEM_REQ_UNPLUG_ALL:
        mem->counts.requests++;
        return unplug_all(mem, asked);
    case VIRTIO_MEM_REQ_STATE:
        *ret_state = state_of(mem, asked);
        return VIRTIO_MEM_RESP_ACK;
    }
    return VIRTIO_MEM_RESP_ERROR;
}

static void begin_task(VirtioMem *mem, VirtqueueReq *req, const Asked *asked)
{
    MemTask *task = &mem->task;

    task->req = req;
    task->first = asked->first;
    task->n = asked->n;
    task->plugs = asked->type == VIRTIO_MEM_REQ_PLUG;
    task->is_refused = false;
    task->response = VIRTIO_MEM_RESP_ACK;
    task->err = 0;
    loop_post(mem->vdev.dev->board->loop, &mem->show);
}

static void serve(VirtioMem *mem, VirtqueueReq *req)
{
    Device *dev = mem->vdev.dev;
    Asked asked = { 0 };
    Request request;
    uint16_t state = 0;
    uint16_t type;

    virtqueue_req_read(req, 0, &request, sizeof(request));
    asked.type = GUINT16_FROM_LE(request.type);
    lock_take(&dev->lock);
    /* The three that have a range have it at the same place. */
    check_range(mem, GUINT64_FROM_LE(request.u.plug.addr),
                GUINT16_FROM_LE(request.u.plug.nb_blocks), &asked);
    type = mark(mem, &asked, &state);
    lock_drop(&dev->lock);
    TRACE(virtio_mem_request, "%s: %u, %" PRIu64 " blocks from %" PRIu64,
          device_name(dev), asked.type, asked.n, asked.first);
    if (type == VIRTIO_MEM_RESP_ERROR)
        device_guest_error(dev, "request %u of %" PRIu64 " blocks from 0x%" PRIx64
                           " is not accepted", asked.type, asked.n,
                           GUINT64_FROM_LE(request.u.plug.addr));
    if (type == VIRTIO_MEM_RESP_ACK && asked.type != VIRTIO_MEM_REQ_STATE)
        begin_task(mem, req, &asked);
    else
        push(mem, req, type, state);
}

void virtio_mem_req_handle(VirtioDevice *vdev, Virtqueue *vq)
{
    VirtioMem *mem = virtio_mem_of(vdev);
    VirtqueueReq *req;

    while (!mem->task.req && (req = virtqueue_pop(vq))) {
        if (req->out_size < sizeof(Request) || req->in_size < sizeof(Response)) {
            virtqueue_error(vq, "request of %u bytes with room for %u", req->out_size,
                            req->in_size);
            virtqueue_drop(vq, req);
            return;
        }
        serve(mem, req);
    }
}

/* To the hypervisor and to devices, of which vhost's may have no room for more ranges. */
static void show(VirtioMem *mem, uint64_t wanted)
{
    g_autoptr(GError) error = NULL;

    if (!mem_window_show(&mem->window, wanted) ||
        memory_device_changed(&mem->memory, &error))
        return;
    device_host_error(mem->vdev.dev, "%s", error->message);
    mem->task.is_refused = true;
}

static void on_show(void *opaque)
{
    VirtioMem *mem = opaque;
    GMutex *lock = &mem->vdev.dev->lock;
    uint64_t wanted;

    lock_take(lock);
    wanted = mem_window_wanted(&mem->window, &mem->blocks);
    lock_drop(lock);
    show(mem, wanted);
    if (mem->task.work == MEM_WORK_DISCARD)
        mem_window_widen(&mem->window, wanted, &mem->task.first, &mem->task.n);
    loop_post(mem->vdev.loop, &mem->shown);
}

static void on_work(void *opaque)
{
    VirtioMem *mem = opaque;
    MemTask *task = &mem->task;
    uint64_t offset = task->first * mem->block_size;
    uint64_t size = task->n * mem->block_size;

    task->err = task->work == MEM_WORK_POPULATE
        ? ram_populate_pages(mem->ram, offset, size)
        : ram_discard_pages(mem->ram, offset, size);
}

/* What the host could not give the guest has not. */
static void undo_plug(VirtioMem *mem)
{
    MemTask *task = &mem->task;
    GMutex *lock = &mem->vdev.dev->lock;

    lock_take(lock);
    mem_blocks_set(&mem->blocks, task->first, task->n, false);
    mem->counts.refusals++;
    lock_drop(lock);
    task->response = VIRTIO_MEM_RESP_BUSY;
    task->plugs = false;
    task->work = MEM_WORK_DISCARD;
    loop_post(mem->vdev.dev->board->loop, &mem->show);
}

static void on_done(void *opaque)
{
    VirtioMem *mem = opaque;
    MemTask *task = &mem->task;
    VirtqueueReq *req = task->req;
    Virtqueue *vq = req->vq;

    if (task->err)
        device_host_error(mem->vdev.dev, "the host %s: %s",
                          task->work == MEM_WORK_POPULATE ? "has no memory to plug"
                                                          : "does not take memory back",
                          error_text(-task->err));
    if (task->plugs && (task->err || task->is_refused)) {
        undo_plug(mem);
        return;
    }
    task->req = NULL;
    push(mem, req, task->response, 0);
    loop_post(mem->vdev.dev->board->loop, &mem->changed);
    /* Of a queue that has stopped with the request nothing comes. */
    virtqueue_schedule(vq);
}

static bool is_slow(const VirtioMem *mem)
{
    const MemTask *task = &mem->task;

    return task->work == MEM_WORK_POPULATE || mem->ram->has_contents ||
        task->n * mem->block_size > SLOW_BYTES;
}

static void on_shown(void *opaque)
{
    VirtioMem *mem = opaque;

    if (mem->task.work != MEM_WORK_NONE && !(mem->task.plugs && mem->task.is_refused)) {
        /* Where the host has no thread for it, the loop does it all the same. */
        if (is_slow(mem) &&
            worker_submit(worker_pool_of(mem->vdev.loop), &mem->job, NULL))
            return;
        on_work(mem);
    }
    on_done(mem);
}

void virtio_mem_req_init(VirtioMem *mem)
{
    loop_message_init(&mem->show, on_show, mem);
    loop_message_init(&mem->shown, on_shown, mem);
    worker_job_init(&mem->job, on_work, on_done, mem);
}

void virtio_mem_req_done(VirtioMem *mem)
{
    g_assert(!mem->task.req);
    loop_message_cancel(mem->vdev.dev->board->loop, &mem->show);
}
