/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Split virtqueues (virtio 1.3, section 2.7).
 *
 * The guest writes the descriptor table, the available ring and indirect tables at any
 * time, also while we read them.  So every descriptor is copied once, and only the copy
 * is checked and used.  Invariants:
 *
 *  1. A request has its slot by the index of its first descriptor; a slot that is busy is
 *     not given out again, so at most `size` requests are in flight.
 *  2. A chain has at most chain_max() descriptors, whatever `next` says.
 *  3. A buffer is in guest RAM with all its bytes.
 *  4. used_idx - published_idx is what was pushed in this turn.
 *
 * Three orders of accesses matter; each is marked with the driver's side of it.
 */
#include <linux/virtio_ring.h>
#include <string.h>

#include "berth/error.h"
#include "berth/iov.h"
#include "berth/trace.h"
#include "berth/virtio.h"
#include "berth/virtqueue.h"

#define RING_FLAGS 0            /* in units of 16 bits, of both rings */
#define RING_IDX 1
#define RING_ENTRIES 2
#define DESC_ALIGN 16u
#define AVAIL_ALIGN 2u
#define USED_ALIGN 4u
#define REQ_ALIGN 16u
#define HELD_SIZE 2u

typedef struct Desc {
    uint64_t addr;
    uint32_t len;
    uint16_t flags;
    uint16_t next;
} Desc;

typedef struct Chain {
    const uint8_t *table;
    uint32_t n;                 /* descriptors of the table */
    bool is_indirect;
    uint32_t n_seen;
    uint64_t total;
} Chain;

G_STATIC_ASSERT(sizeof(Desc) == sizeof(struct vring_desc));
G_STATIC_ASSERT(sizeof(VirtqueueReq) % REQ_ALIGN == 0);

const CounterDesc virtqueue_counters[] = {
    COUNTER(VirtqueueCounters, kicks),
    COUNTER(VirtqueueCounters, rounds),
    COUNTER(VirtqueueCounters, requests),
    COUNTER(VirtqueueCounters, batches),
    COUNTER(VirtqueueCounters, interrupts),
    COUNTER(VirtqueueCounters, out_bytes),
    COUNTER(VirtqueueCounters, in_bytes),
    COUNTERS_END
};

static uint16_t load16(const uint16_t *at)
{
    return GUINT16_FROM_LE(__atomic_load_n(at, __ATOMIC_RELAXED));
}

static void store16(uint16_t *at, uint16_t value)
{
    __atomic_store_n(at, GUINT16_TO_LE(value), __ATOMIC_RELAXED);
}

/* Sequentially consistent: a store is seen before a later load is done. */
static uint16_t load16_ordered(const uint16_t *at)
{
    return GUINT16_FROM_LE(__atomic_load_n(at, __ATOMIC_SEQ_CST));
}

static void store16_ordered(uint16_t *at, uint16_t value)
{
    __atomic_store_n(at, GUINT16_TO_LE(value), __ATOMIC_SEQ_CST);
}

static VirtqueueReq *slot_of(const Virtqueue *vq, uint16_t head)
{
    return (VirtqueueReq *)(vq->slots + vq->slot_size * head);
}

/* max_segments of them, of each slot or shared by all. */
static struct iovec *iovs_of(const Virtqueue *vq, uint16_t head)
{
    return &vq->iovs[vq->vdev->class->one_by_one ? 0 : head * vq->max_segments];
}

void virtqueue_error(Virtqueue *vq, const char *format, ...)
{
    g_autofree char *text = NULL;
    va_list args;

    va_start(args, format);
    text = g_strdup_vprintf(format, args);
    va_end(args);
    device_guest_error(vq->vdev->dev, "queue %u: %s", vq->index, text);
    virtio_break(vq->vdev);
}

static void *map(Virtqueue *vq, uint64_t gpa, uint64_t size, bool for_write)
{
    return address_space_map_near(vq->vdev->dev->board->memory, &vq->hint, gpa, size,
                                  for_write);
}

static Desc copy_desc(const Chain *chain, uint32_t index)
{
    Desc desc;

    memcpy(&desc, chain->table + index * sizeof(desc), sizeof(desc));
    /* The compiler must not read the guest's bytes a second time. */
    __asm__ volatile("" ::: "memory");
    desc.addr = GUINT64_FROM_LE(desc.addr);
    desc.len = GUINT32_FROM_LE(desc.len);
    desc.flags = GUINT16_FROM_LE(desc.flags);
    desc.next = GUINT16_FROM_LE(desc.next);
    return desc;
}

/*
 * The most descriptors of a chain.  A class may take more than the ring has, which come
 * in an indirect table: drivers that carry a user's buffers make such, against the rules.
 */
static uint32_t chain_max(const Virtqueue *vq)
{
    return MAX(vq->size, vq->max_segments);
}

/* Continues the chain in the table that @desc describes. */
static bool enter_indirect(Virtqueue *vq, Chain *chain, const Desc *desc)
{
    uint32_t n = desc->len / sizeof(Desc);

    if (!vq->indirect || chain->is_indirect || desc->flags & VRING_DESC_F_NEXT) {
        virtqueue_error(vq, "indirect descriptor where none may be");
        return false;
    }
    if (n == 0 || n > chain_max(vq) || desc->len % sizeof(Desc)) {
        virtqueue_error(vq, "indirect table of %u bytes", desc->len);
        return false;
    }
    chain->table = map(vq, desc->addr, desc->len, false);
    if (!chain->table) {
        virtqueue_error(vq, "indirect table 0x%" PRIx64 " is not in RAM", desc->addr);
        return false;
    }
    chain->n = n;
    chain->is_indirect = true;
    return true;
}

static bool add_buffer(Virtqueue *vq, Chain *chain, VirtqueueReq *req, const Desc *desc)
{
    bool writes = desc->flags & VRING_DESC_F_WRITE;
    uint32_t n = req->n_out + req->n_in;
    struct iovec *iov = &req->out[n];

    if (desc->len == 0 || (!writes && req->n_in) || n == vq->max_segments) {
        virtqueue_error(vq, desc->len == 0 ? "buffer of 0 bytes"
                            : n == vq->max_segments ? "too many buffers"
                            : "buffer to read after one to write");
        return false;
    }
    chain->total += desc->len;
    iov->iov_base = map(vq, desc->addr, desc->len, writes);
    iov->iov_len = desc->len;
    if (!iov->iov_base || chain->total > UINT32_MAX) {
        virtqueue_error(vq, "buffer of 0x%x bytes at 0x%" PRIx64 " is not in RAM, or the "
                        "chain is too long", desc->len, desc->addr);
        return false;
    }
    if (writes) {
        req->n_in++;
        req->in_size += desc->len;
    } else {
        req->n_out++;
        req->out_size += desc->len;
    }
    return true;
}

static bool walk_chain(Virtqueue *vq, VirtqueueReq *req)
{
    Chain chain = { .table = vq->rings.desc, .n = vq->size };
    uint32_t index = req->head;

    for (;;) {
        Desc desc;

        if (index >= chain.n) {
            virtqueue_error(vq, "descriptor %u of %u", index, chain.n);
            return false;
        }
        desc = copy_desc(&chain, index);
        if (desc.flags & VRING_DESC_F_INDIRECT) {
            if (!enter_indirect(vq, &chain, &desc))
                return false;
            index = 0;
            continue;
        }
        if (++chain.n_seen > chain_max(vq)) {
            virtqueue_error(vq, "chain of more than %u descriptors", chain_max(vq));
            return false;
        }
        if (!add_buffer(vq, &chain, req, &desc))
            return false;
        if (!(desc.flags & VRING_DESC_F_NEXT))
            break;
        index = desc.next;
    }
    req->in = req->out + req->n_out;
    return true;
}

/* Asks the driver for doorbells, or not to ring. */
static void set_kicks(Virtqueue *vq, bool on)
{
    uint16_t *used = vq->rings.used;

    vq->kicks_on = on;
    if (!vq->event_idx)
        store16_ordered(&used[RING_FLAGS], on ? 0 : VRING_USED_F_NO_NOTIFY);
    else if (on)
        store16_ordered(&used[RING_ENTRIES + 4 * vq->size], vq->last_avail);
}

/*
 * Whether there is an entry to pop.  A device that has seen the end of the ring waits for
 * the driver; one that has not waits for something else, and no doorbell would help it.
 */
static bool find_avail(Virtqueue *vq)
{
    if (vq->avail_idx != vq->last_avail) {
        vq->stalled = true;
        return true;
    }
    /* The driver: stores the entry and its descriptors, write barrier, stores idx. */
    vq->avail_idx = load16_ordered(&vq->rings.avail[RING_IDX]);
    vq->stalled = vq->avail_idx != vq->last_avail;
    if (!vq->stalled) {
        /* So that arm() is called before the loop sleeps, wherever this was asked. */
        poller_activate(&vq->poller);
        return false;
    }
    if ((uint16_t)(vq->avail_idx - vq->last_avail) > vq->size) {
        virtqueue_error(vq, "available index %u is %u ahead", vq->avail_idx,
                        (uint16_t)(vq->avail_idx - vq->last_avail));
        return false;
    }
    return true;
}

/* The head of the next request; what was held comes first. */
static bool next_head(Virtqueue *vq, uint16_t *ret_head)
{
    if (vq->held_at < vq->held_size) {
        *ret_head = vq->held[vq->held_at] | (uint16_t)vq->held[vq->held_at + 1] << 8;
        vq->held_at += HELD_SIZE;
        return true;
    }
    if (!find_avail(vq))
        return false;
    if (vq->budget == 0) {
        vq->again = true;
        return false;
    }
    *ret_head = load16(&vq->rings.avail[RING_ENTRIES + vq->last_avail % vq->size]);
    vq->last_avail++;
    vq->budget--;
    return true;
}

/* The request whose chain begins at @head, checked; NULL: the device is broken. */
static VirtqueueReq *open_request(Virtqueue *vq, uint16_t head)
{
    VirtqueueReq *req;

    if (head >= vq->size || slot_of(vq, head)->busy) {
        virtqueue_error(vq, "head %u is %s", head,
                        head >= vq->size ? "out of range" : "in use");
        return NULL;
    }
    req = slot_of(vq, head);
    req->vq = vq;
    req->head = head;
    /* The device may have moved its pointers. */
    req->out = req->in = iovs_of(vq, head);
    req->n_out = req->n_in = 0;
    req->out_size = req->in_size = 0;
    return walk_chain(vq, req) ? req : NULL;
}

VirtqueueReq *virtqueue_pop(Virtqueue *vq)
{
    uint16_t last_avail = vq->last_avail;
    uint32_t held_at = vq->held_at;
    VirtqueueReq *req;
    uint16_t head;

    g_assert(vq->running && (vq->in_flight == 0 || !vq->vdev->class->one_by_one));
    if (__atomic_load_n(&vq->vdev->broken, __ATOMIC_RELAXED) || vq->stopping ||
        !next_head(vq, &head))
        return NULL;
    req = open_request(vq, head);
    if (!req) {
        vq->last_avail = last_avail;
        vq->held_at = held_at;
        return NULL;
    }
    req->busy = true;
    vq->in_flight++;
    counter_add(&vq->counters.requests, 1);
    counter_add(&vq->counters.out_bytes, req->out_size);
    return req;
}

void virtqueue_hold(Virtqueue *vq, VirtqueueReq *req)
{
    g_assert(req->busy && !req->held && vq->running);
    req->held = true;
    vq->n_holding++;
    vq->in_flight--;
}

void virtqueue_unhold(Virtqueue *vq, VirtqueueReq *req)
{
    g_assert(req->busy && req->held && vq->running);
    req->held = false;
    vq->n_holding--;
    vq->in_flight++;
}

void virtqueue_drop(Virtqueue *vq, VirtqueueReq *req)
{
    g_assert(req->busy && !req->held && vq->running);
    req->busy = false;
    vq->in_flight--;
}

void virtqueue_unpop(Virtqueue *vq, VirtqueueReq *req)
{
    g_assert(req->busy && !req->held && vq->running);
    req->busy = false;
    vq->last_avail--;
    vq->in_flight--;
    counter_add(&vq->counters.requests, -1);
    counter_add(&vq->counters.out_bytes, -(uint64_t)req->out_size);
}

void virtqueue_push(Virtqueue *vq, VirtqueueReq *req, uint32_t written)
{
    uint16_t *entry = &vq->rings.used[RING_ENTRIES + 4 * (vq->used_idx % vq->size)];

    g_assert(req->busy && !req->held && vq->running);
    store16(&entry[0], req->head);
    store16(&entry[1], 0);
    store16(&entry[2], written & UINT16_MAX);
    store16(&entry[3], written >> 16);
    req->busy = false;
    vq->used_idx++;
    vq->in_flight--;
    counter_add(&vq->counters.in_bytes, written);
}

static bool wants_interrupt(const Virtqueue *vq, uint16_t before)
{
    const uint16_t *avail = vq->rings.avail;
    uint16_t event;

    if (!vq->event_idx)
        return !(load16_ordered(&avail[RING_FLAGS]) & VRING_AVAIL_F_NO_INTERRUPT);
    event = load16_ordered(&avail[RING_ENTRIES + vq->size]);
    return (uint16_t)(vq->published_idx - event - 1) <
        (uint16_t)(vq->published_idx - before);
}

static void publish(Virtqueue *vq)
{
    uint16_t before = vq->published_idx;

    if (before == vq->used_idx)
        return;
    vq->published_idx = vq->used_idx;
    /*
     * The driver: reads idx, read barrier, reads the entries and the buffers; and it
     * stores flags or event, full barrier, reads idx.
     */
    store16_ordered(&vq->rings.used[RING_IDX], vq->published_idx);
    counter_add(&vq->counters.batches, 1);
    if (!wants_interrupt(vq, before))
        return;
    counter_add(&vq->counters.interrupts, 1);
    TRACE(virtqueue_interrupt, "%s queue %u", device_name(vq->vdev->dev), vq->index);
    vq->vdev->transport->notify_queue(vq->vdev, vq);
}

void virtqueue_run(Virtqueue *vq)
{
    VirtioDevice *vdev = vq->vdev;

    if (!vq->running || !vq->serving || vq->stopping)
        return;
    poller_activate(&vq->poller);
    if (vq->kicks_on)
        set_kicks(vq, false);
    counter_add(&vq->counters.rounds, 1);
    vq->budget = vq->size;
    vq->again = false;
    vq->stalled = true;
    vdev->class->handle_queue(vdev, vq);
    if (vq->again && !__atomic_load_n(&vdev->broken, __ATOMIC_RELAXED))
        loop_post(vq->loop, &vq->next_round);
}

static bool is_ready(void *opaque)
{
    const Virtqueue *vq = opaque;

    return vq->serving && !vq->stalled && !vq->again && !vq->stopping &&
        load16(&vq->rings.avail[RING_IDX]) != vq->last_avail &&
        !__atomic_load_n(&vq->vdev->broken, __ATOMIC_RELAXED);
}

static void on_ready(void *opaque)
{
    virtqueue_run(opaque);
}

static bool arm(void *opaque)
{
    Virtqueue *vq = opaque;

    if (vq->stopping || __atomic_load_n(&vq->vdev->broken, __ATOMIC_RELAXED))
        return false;
    if (vq->stalled)
        return false;
    /* The driver: stores idx, full barrier, reads whether to ring. */
    set_kicks(vq, true);
    return load16_ordered(&vq->rings.avail[RING_IDX]) != vq->last_avail;
}

void virtqueue_schedule(Virtqueue *vq)
{
    if (vq->running && !vq->stopping)
        loop_post(vq->loop, &vq->next_round);
}

static void virtqueue_on_round(void *opaque)
{
    virtqueue_run(opaque);
}

static void virtqueue_on_kick(void *opaque, uint32_t events)
{
    Virtqueue *vq = opaque;

    counter_add(&vq->counters.kicks, 1);
    TRACE(virtqueue_kick, "%s queue %u", device_name(vq->vdev->dev), vq->index);
    virtqueue_run(vq);
}

struct iovec *virtqueue_req_list_end(const VirtqueueReq *req)
{
    return iovs_of(req->vq, req->head) + req->vq->max_segments;
}

size_t virtqueue_req_read(const VirtqueueReq *req, size_t offset, void *data,
                          size_t size)
{
    return iov_read(req->out, req->n_out, offset, data, size);
}

size_t virtqueue_req_write(const VirtqueueReq *req, size_t offset, const void *data,
                           size_t size)
{
    return iov_write(req->in, req->n_in, offset, data, size);
}

void virtqueue_init(Virtqueue *vq, VirtioDevice *vdev, uint16_t index, uint16_t max_size)
{
    vq->vdev = vdev;
    vq->index = index;
    vq->max_size = max_size;
    vq->kick_fd = -1;
    loop_message_init(&vq->next_round, virtqueue_on_round, vq);
    virtqueue_reset(vq);
}

void virtqueue_reset(Virtqueue *vq)
{
    g_assert(!vq->running);
    vq->size = vq->max_size;
    vq->enabled = false;
    vq->desc_gpa = 0;
    vq->avail_gpa = 0;
    vq->used_gpa = 0;
    vq->last_avail = 0;
    vq->used_idx = 0;
    g_clear_pointer(&vq->held, g_free);
    vq->held_size = 0;
    __atomic_store_n(&vq->vector, UINT16_MAX, __ATOMIC_RELAXED);
}

static bool map_rings(Virtqueue *vq)
{
    uint32_t n = vq->size;

    if (vq->desc_gpa % DESC_ALIGN || vq->avail_gpa % AVAIL_ALIGN ||
        vq->used_gpa % USED_ALIGN) {
        virtqueue_error(vq, "rings are not aligned");
        return false;
    }
    vq->rings.desc = map(vq, vq->desc_gpa, sizeof(Desc) * n, false);
    vq->rings.avail = map(vq, vq->avail_gpa, 2 * (n + 3), false);
    vq->rings.used = map(vq, vq->used_gpa, 8 * n + 6, true);
    if (!vq->rings.desc || !vq->rings.avail || !vq->rings.used) {
        virtqueue_error(vq, "rings are not in RAM");
        return false;
    }
    return true;
}

static size_t slot_size_of(const VirtioClass *class)
{
    return ALIGN_UP(sizeof(VirtqueueReq) + class->req_size, (size_t)REQ_ALIGN);
}

static uint16_t segments_of(const VirtioClass *class, uint16_t size)
{
    return class->max_segments ? class->max_segments : size;
}

/* How many segments the slots of a queue of @size have in all. */
static size_t n_iovs(const VirtioClass *class, uint16_t size)
{
    size_t n_lists = class->one_by_one ? 1 : size;

    return n_lists * segments_of(class, size);
}

static uint64_t memory_of(const VirtioClass *class, uint16_t size)
{
    return size * slot_size_of(class) + n_iovs(class, size) * sizeof(struct iovec);
}

void virtqueue_memory(const Virtqueue *vq, uint64_t *ret_now, uint64_t *ret_most)
{
    VirtioDevice *vdev = vq->vdev;
    const VirtioClass *class = vdev->class;
    bool is_ours = !class->is_external || !class->is_external(vdev, vq->index);
    bool runs;

    lock_take(&vdev->dev->lock);
    runs = vdev->started && vq->enabled;
    *ret_now = is_ours && runs ? memory_of(class, vq->size) : 0;
    *ret_most = is_ours ? memory_of(class, vq->max_size) : 0;
    lock_drop(&vdev->dev->lock);
}

/* Pages of slots that are never used are never touched. */
static bool make_slots(Virtqueue *vq, GError **error)
{
    const VirtioClass *class = vq->vdev->class;

    vq->max_segments = segments_of(class, vq->size);
    vq->slot_size = slot_size_of(class);
    vq->slots = g_try_malloc0_n(vq->size, vq->slot_size);
    vq->iovs = g_try_malloc_n(n_iovs(class, vq->size), sizeof(struct iovec));
    if (!vq->slots || !vq->iovs) {
        error_set(error, "no memory for %u requests", vq->size);
        return false;
    }
    return true;
}

static void drop_slots(Virtqueue *vq)
{
    g_clear_pointer(&vq->slots, g_free);
    g_clear_pointer(&vq->iovs, g_free);
    vq->rings = (VirtqueueRings) { 0 };
}

static void stop(Virtqueue *vq);

static void virtqueue_flush(void *opaque)
{
    Virtqueue *vq = opaque;

    publish(vq);
    if (!vq->stopping || vq->in_flight > 0)
        return;
    stop(vq);
    virtio_queue_stopped(vq);
}

static bool listen(Virtqueue *vq, GError **error)
{
    loop_fd_init(&vq->kick, vq->kick_fd, virtqueue_on_kick, vq);
    /* Edge-triggered: a doorbell ends one sleep, and its count is nobody's. */
    if (!loop_fd_add(vq->loop, &vq->kick, EPOLLIN | EPOLLET, error))
        return false;
    loop_hook_add(vq->loop, &vq->flush, virtqueue_flush, vq);
    vq->poller = (Poller) {
        .ready = is_ready, .run = on_ready, .arm = arm, .opaque = vq,
    };
    poller_add(vq->loop, &vq->poller);
    return true;
}

bool virtqueue_start(Virtqueue *vq)
{
    g_autoptr(GError) error = NULL;

    assert_loop(vq->loop);
    vq->event_idx = virtio_has_feature(vq->vdev, VIRTIO_RING_F_EVENT_IDX);
    vq->indirect = virtio_has_feature(vq->vdev, VIRTIO_RING_F_INDIRECT_DESC);
    if (!map_rings(vq) || !make_slots(vq, &error) || !listen(vq, &error)) {
        if (error)
            device_host_error(vq->vdev->dev, "queue %u does not start: %s", vq->index,
                              error->message);
        drop_slots(vq);
        virtio_break(vq->vdev);
        return false;
    }
    vq->avail_idx = vq->last_avail;
    vq->published_idx = vq->used_idx;
    vq->in_flight = 0;
    vq->n_holding = 0;
    vq->held_at = 0;
    vq->stopping = false;
    vq->stalled = false;
    vq->serving = false;
    vq->running = true;
    set_kicks(vq, true);
    return true;
}

void virtqueue_serve(Virtqueue *vq)
{
    assert_loop(vq->loop);
    vq->serving = true;
    virtqueue_run(vq);
}

bool virtqueue_map(Virtqueue *vq)
{
    assert_loop(vq->loop);
    return map_rings(vq);
}

/* What is held now, and what was held before and not popped again. */
static void keep_held(Virtqueue *vq)
{
    uint32_t rest = vq->held_size - vq->held_at;
    uint32_t size = rest + vq->n_holding * HELD_SIZE;
    uint8_t *held = size > 0 ? g_malloc(size) : NULL;
    uint32_t at = rest;

    if (rest > 0)
        memcpy(held, vq->held + vq->held_at, rest);
    for (uint32_t i = 0; i < vq->size && at < size; i++) {
        if (!slot_of(vq, (uint16_t)i)->held)
            continue;
        held[at++] = i & 0xff;
        held[at++] = i >> 8;
    }
    g_free(vq->held);
    vq->held = held;
    vq->held_size = size;
    vq->held_at = 0;
}

/* Nothing is in flight. */
static void stop(Virtqueue *vq)
{
    publish(vq);
    keep_held(vq);
    loop_hook_remove(&vq->flush);
    poller_remove(&vq->poller);
    loop_fd_remove(&vq->kick);
    loop_message_cancel(vq->loop, &vq->next_round);
    vq->running = false;
    drop_slots(vq);
}

bool virtqueue_stop(Virtqueue *vq)
{
    assert_loop(vq->loop);
    if (!vq->running) {
        vq->rings = (VirtqueueRings) { 0 };
        return true;
    }
    vq->stopping = true;
    if (vq->in_flight > 0)
        return false;
    stop(vq);
    return true;
}

void virtqueue_done(Virtqueue *vq)
{
    g_assert(!vq->running);
    g_free(vq->held);
}

static const VMStateField virtqueue_fields[] = {
    VMSTATE_U16(Virtqueue, size),
    VMSTATE_BOOL(Virtqueue, enabled),
    VMSTATE_U64(Virtqueue, desc_gpa),
    VMSTATE_U64(Virtqueue, avail_gpa),
    VMSTATE_U64(Virtqueue, used_gpa),
    VMSTATE_U16(Virtqueue, vector),
    VMSTATE_U16(Virtqueue, last_avail),
    VMSTATE_U16(Virtqueue, used_idx),
    VMSTATE_ABYTES(Virtqueue, held, held_size, VIRTQUEUE_SIZE_MAX * HELD_SIZE),
    VMSTATE_END
};

const VMStateDesc virtqueue_vmstate = {
    .name = "virtqueue", .version = 1, .min_version = 1, .fields = virtqueue_fields,
};
