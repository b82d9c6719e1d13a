/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest says of its memory (virtio 1.3, section 5.5.6.3).
 *
 * The driver's one buffer is held.  To ask is to give it back; the driver fills it and
 * makes it available again.  The timer is set by an answer, so a guest that does not
 * answer is not asked twice, and one whose statistics nobody wants is never woken.
 */
#include <linux/virtio_balloon.h>

#include "virtio-balloon.h"

/* More entries than that are not looked at. */
#define MAX_ENTRIES 256u

static const char *const names[BALLOON_N_STATS] = {
    "stat-swap-in", "stat-swap-out", "stat-major-faults", "stat-minor-faults",
    "stat-free-memory", "stat-total-memory", "stat-available-memory", "stat-disk-caches",
    "stat-htlb-pgalloc", "stat-htlb-pgfail", "stat-oom-kills", "stat-alloc-stalls",
    "stat-async-scans", "stat-direct-scans", "stat-async-reclaims",
    "stat-direct-reclaims",
};

static void forget(uint64_t stats[BALLOON_N_STATS])
{
    for (unsigned i = 0; i < BALLOON_N_STATS; i++)
        stats[i] = UINT64_MAX;
}

static void read_stats(VirtioBalloon *balloon, const VirtqueueReq *req)
{
    struct virtio_balloon_stat entries[MAX_ENTRIES];
    size_t n = virtqueue_req_read(req, 0, entries, sizeof(entries)) / sizeof(entries[0]);

    lock_take(&balloon->vdev.dev->lock);
    forget(balloon->stats);
    for (size_t i = 0; i < n; i++) {
        uint16_t tag = GUINT16_FROM_LE(entries[i].tag);

        if (tag < BALLOON_N_STATS)
            balloon->stats[tag] = GUINT64_FROM_LE(entries[i].val);
    }
    balloon->last_update = g_get_real_time() / G_USEC_PER_SEC;
    balloon->n_answers++;
    balloon->told_actual = balloon->actual;
    lock_drop(&balloon->vdev.dev->lock);
}

static void give_back(VirtioBalloon *balloon)
{
    VirtqueueReq *req = g_steal_pointer(&balloon->stats_req);

    if (!req)
        return;
    virtqueue_unhold(req->vq, req);
    virtqueue_push(req->vq, req, 0);
}

static void set_timer(VirtioBalloon *balloon)
{
    if (balloon->interval > 0 && balloon->stats_req)
        timer_set(&balloon->poll,
                  loop_clock_ns() + (int64_t)balloon->interval * NS_PER_SEC);
}

static void on_poll(void *opaque)
{
    give_back(opaque);
}

void balloon_stats_handle(VirtioBalloon *balloon, Virtqueue *vq)
{
    VirtqueueReq *req;

    while ((req = virtqueue_pop(vq))) {
        give_back(balloon);
        /* The one that was held while the machine stood still says nothing new. */
        if (!balloon->stats_are_known)
            read_stats(balloon, req);
        balloon->stats_are_known = false;
        virtqueue_hold(vq, req);
        balloon->stats_req = req;
        set_timer(balloon);
    }
}

void balloon_stats_start(VirtioBalloon *balloon)
{
    timer_init(&balloon->poll, balloon->vdev.loop, on_poll, balloon);
}

void balloon_stats_stop(VirtioBalloon *balloon)
{
    timer_cancel(&balloon->poll);
    balloon->stats_are_known = balloon->stats_req != NULL;
    balloon->stats_req = NULL;
}

void balloon_stats_reset(VirtioBalloon *balloon)
{
    lock_take(&balloon->vdev.dev->lock);
    forget(balloon->stats);
    balloon->last_update = 0;
    lock_drop(&balloon->vdev.dev->lock);
    balloon->stats_are_known = false;
}

JsonValue *balloon_stats_query(VirtioBalloon *balloon)
{
    Device *dev = balloon->vdev.dev;
    JsonValue *stats = json_new_object();
    JsonValue *all = json_new_object();

    lock_take(&dev->lock);
    for (unsigned i = 0; i < BALLOON_N_STATS; i++)
        json_set(stats, names[i], json_new_uint(balloon->stats[i]));
    json_set(all, "stats", stats);
    json_set(all, "last-update", json_new_int(balloon->last_update));
    lock_drop(&dev->lock);
    return all;
}

typedef struct IntervalCall {
    VirtioBalloon *balloon;
    uint32_t seconds;
} IntervalCall;

static void change_interval(void *opaque)
{
    const IntervalCall *call = opaque;
    VirtioBalloon *balloon = call->balloon;

    balloon->interval = call->seconds;
    if (!balloon->running)
        return;
    timer_cancel(&balloon->poll);
    set_timer(balloon);
}

/* The more frequent of what the operator and the object want. */
static void update_interval(VirtioBalloon *balloon)
{
    const VirtioBalloonProps *props = &balloon->vdev.dev->args->u.virtio_balloon_pci;
    uint32_t seconds = props->guest_stats_polling_interval;
    IntervalCall call = { balloon, seconds };

    if (balloon->wanted && (!seconds || balloon->wanted < seconds))
        call.seconds = balloon->wanted;
    loop_call_sync(balloon->vdev.loop, change_interval, &call);
}

void balloon_stats_set_interval(VirtioBalloon *balloon, uint32_t seconds)
{
    assert_main();
    balloon->vdev.dev->args->u.virtio_balloon_pci.guest_stats_polling_interval = seconds;
    update_interval(balloon);
}

void balloon_stats_want(VirtioBalloon *balloon, uint32_t seconds)
{
    assert_main();
    if (balloon->wanted == seconds)
        return;
    balloon->wanted = seconds;
    update_interval(balloon);
}
