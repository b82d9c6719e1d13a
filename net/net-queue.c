/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue of a backend in use: when its device may send and receive.
 *
 * The device says what it waits for, and is called back.  What the descriptor polls for
 * follows from that, and from what the backend itself has to do: frames that it has taken
 * and not written yet, frames that it has read and not given yet.
 */
#include "berth/net-driver.h"

static void update_events(NetQueue *queue)
{
    uint32_t events = (queue->wants_rx ? EPOLLIN : 0u) |
        (queue->wants_tx || queue->has_unsent ? EPOLLOUT : 0u);

    if (queue->source.loop && events != queue->source.events)
        loop_fd_set_events(&queue->source, events);
}

static void on_source(void *opaque, uint32_t events)
{
    NetQueue *queue = opaque;
    bool may_send = events & (EPOLLOUT | EPOLLERR | EPOLLHUP);

    if (may_send && queue->has_unsent)
        queue->backend->driver->flush(queue);
    queue->fn(queue->opaque, may_send);
    update_events(queue);
}

static void on_wake(void *opaque)
{
    NetQueue *queue = opaque;

    if (queue->fn)
        queue->fn(queue->opaque, true);
}

static bool poll_fd(NetQueue *queue, GError **error)
{
    if (queue->fd < 0)
        return true;
    loop_fd_init(&queue->source, queue->fd, on_source, queue);
    return loop_fd_add(queue->loop, &queue->source, 0, error);
}

bool net_queue_start(NetQueue *queue, NetQueueFn *fn, void *opaque, GError **error)
{
    const NetDriver *driver = queue->backend->driver;

    queue->fn = fn;
    queue->opaque = opaque;
    queue->wants_rx = queue->wants_tx = false;
    if (!poll_fd(queue, error)) {
        queue->fn = NULL;
        return false;
    }
    if (driver->start)
        driver->start(queue);
    update_events(queue);
    return true;
}

void net_queue_stop(NetQueue *queue)
{
    const NetDriver *driver = queue->backend->driver;

    if (!queue->fn)
        return;
    if (driver->stop)
        driver->stop(queue);
    loop_fd_remove(&queue->source);
    loop_message_cancel(queue->loop, &queue->wake);
    queue->fn = NULL;
}

void net_queue_wait(NetQueue *queue, bool rx, bool tx)
{
    queue->wants_rx = rx;
    queue->wants_tx = tx;
    if (rx && queue->has_unread)
        net_queue_wake(queue);
    update_events(queue);
}

void net_queue_init(NetQueue *queue, NetBackend *backend, unsigned index)
{
    *queue = (NetQueue) { .backend = backend, .index = index, .fd = -1, .enabled = true };
    loop_message_init(&queue->wake, on_wake, queue);
}

void net_queue_set_fd(NetQueue *queue, int fd)
{
    queue->has_unsent = false;
    loop_fd_remove(&queue->source);
    queue->fd = fd;
    if (!queue->fn)
        return;
    /* Sockets can be polled. */
    poll_fd(queue, NULL);
    update_events(queue);
    net_queue_wake(queue);
}

void net_queue_set_unsent(NetQueue *queue, bool on)
{
    queue->has_unsent = on;
    update_events(queue);
}

void net_queue_wake(NetQueue *queue)
{
    if (queue->fn)
        loop_post(queue->loop, &queue->wake);
}

void net_queue_call(NetQueue *queue, LoopFn *fn)
{
    if (queue->loop)
        loop_call_sync(queue->loop, fn, queue);
    else
        fn(queue);
}

int net_queue_send(NetQueue *queue, struct iovec *iov, unsigned n)
{
    return queue->backend->driver->send(queue, iov, n);
}

ssize_t net_queue_receive(NetQueue *queue, struct iovec *iov, unsigned n)
{
    return queue->backend->driver->receive(queue, iov, n);
}
