/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue has the list of those who look at its frames, which its loop alone reads: main
 * makes a new one and has the loop put it in the place of the old one.
 *
 * A frame from the guest is copied before it is sent, since the guest's memory may change
 * and so may the array, and shown when it is gone: one that the backend does not take now
 * comes again.
 */
#include <string.h>

#include "berth/iov.h"
#include "berth/net-driver.h"

#include "net-watch.h"

struct NetWatch {
    uint8_t *frame;             /* NET_FRAME_MAX: the one that goes now, no header */
    uint32_t n;                 /* its bytes in there */
    unsigned n_dumps;
    NetDump *dumps[];
};

void net_watch_take(NetWatch *watch, const struct iovec *iov, unsigned n)
{
    watch->n = (uint32_t)iov_read(iov, n, NET_HEADER_SIZE, watch->frame, NET_FRAME_MAX);
}

void net_watch_show(NetWatch *watch, NetDirection direction, size_t size)
{
    size_t bytes = size > NET_HEADER_SIZE ? size - NET_HEADER_SIZE : 0;

    for (unsigned i = 0; i < watch->n_dumps; i++) {
        const NetDump *dump = watch->dumps[i];

        if (dump->sees[direction] && __atomic_load_n(&dump->is_on, __ATOMIC_RELAXED))
            pcap_put(dump->pcap, watch->frame, (uint32_t)MIN(bytes, watch->n),
                     (uint32_t)bytes);
    }
}

static void free_watch(NetWatch *watch)
{
    if (watch)
        g_free(watch->frame);
    g_free(watch);
}

static NetWatch *make_watch(const NetBackend *backend)
{
    NetWatch *watch;
    unsigned n = 0;

    LIST_FOREACH(node, &backend->dumps)
        n++;
    if (n == 0)
        return NULL;
    watch = g_malloc0(sizeof(*watch) + n * sizeof(watch->dumps[0]));
    watch->frame = g_malloc(NET_FRAME_MAX);
    LIST_FOREACH(node, &backend->dumps)
        watch->dumps[watch->n_dumps++] = CONTAINER_OF(node, NetDump, node);
    return watch;
}

/* On the queue's loop; main waits. */
static void swap_watch(void *opaque)
{
    NetQueue *queue = opaque;
    NetWatch *old = queue->watch;

    queue->watch = queue->next_watch;
    queue->next_watch = old;
}

void net_watch_publish(NetBackend *backend)
{
    for (unsigned i = 0; i < backend->n_queues; i++) {
        NetQueue *queue = &backend->queues[i];

        queue->next_watch = make_watch(backend);
        net_queue_call(queue, swap_watch);
        free_watch(g_steal_pointer(&queue->next_watch));
    }
}

void net_watch_end(NetBackend *backend)
{
    ListNode *node;

    while ((node = list_first(&backend->dumps))) {
        const NetDump *dump = CONTAINER_OF(node, NetDump, node);

        dump->gone(dump->opaque);
    }
}

void net_watch_describe(const NetBackend *backend, GString *out)
{
    LIST_FOREACH(node, &backend->dumps) {
        const NetDump *dump = CONTAINER_OF(node, NetDump, node);

        g_string_append_printf(out, "  - %s: type=filter-dump,queue=%s,status=%s\n",
                               dump->id, !dump->sees[NET_RX] ? "rx"
                               : !dump->sees[NET_TX] ? "tx" : "all",
                               dump->is_on ? "on" : "off");
    }
}
