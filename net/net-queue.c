/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue of a backend in use: when its device may send and receive.
 *
 * The device says what it waits for, and is called back.  What the descriptor polls for
 * follows from that, and from what the backend itself has to do: frames that it has taken
 * and not written yet, frames that it has read and not given yet.
 *
 * A direction that limits hold is not polled: frames stay where they are, in the host's
 * interface or in the guest's ring, until a timer or another queue of the same limits
 * says that they may go.
 */
#include <errno.h>

#include "berth/iov.h"
#include "berth/net-driver.h"

#include "net-watch.h"

typedef struct Hold {
    NetLimitMember member;
    Timer timer;
    bool is_held;
} Hold;

struct NetThrottle {
    Hold holds[NET_DIRECTION__MAX];
};

bool net_queue_is_held(const NetQueue *queue, NetDirection direction)
{
    return queue->throttle && queue->throttle->holds[direction].is_held;
}

static void update_events(NetQueue *queue)
{
    bool rx = queue->wants_rx && !net_queue_is_held(queue, NET_RX);
    bool tx = queue->wants_tx && !net_queue_is_held(queue, NET_TX);
    uint32_t events = (rx ? EPOLLIN : 0u) | (tx || queue->has_unsent ? EPOLLOUT : 0u);

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

/*
 * The device's turn.  It asks for each frame, so a direction that is not held afterwards
 * has no frame now.
 */
static void on_wake(void *opaque)
{
    NetQueue *queue = opaque;

    if (!queue->fn)
        return;
    for (unsigned i = 0; i < NET_DIRECTION__MAX && queue->throttle; i++)
        queue->throttle->holds[i].is_held = false;
    queue->fn(queue->opaque, true);
    for (unsigned i = 0; i < NET_DIRECTION__MAX && queue->throttle; i++) {
        if (!queue->throttle->holds[i].is_held)
            net_limit_leave(&queue->throttle->holds[i].member);
    }
    update_events(queue);
}

static void wake_held(void *opaque)
{
    NetQueue *queue = opaque;

    loop_post(queue->loop, &queue->wake);
}

static bool may_go(NetQueue *queue, NetDirection direction)
{
    Hold *hold = &queue->throttle->holds[direction];
    int64_t at_ns = -1;

    /* One that has not started has nobody to wake. */
    hold->is_held = queue->fn && !net_limit_admit(&hold->member, loop_clock_ns(), &at_ns);
    /* The timer of one that goes stays: it leaves the line then, if not before. */
    if (hold->is_held && at_ns >= 0)
        timer_set(&hold->timer, at_ns);
    return !hold->is_held;
}

static void stop_holds(NetQueue *queue)
{
    for (unsigned i = 0; i < NET_DIRECTION__MAX && queue->throttle; i++) {
        Hold *hold = &queue->throttle->holds[i];

        /* Afterwards nobody posts to it. */
        net_limit_leave(&hold->member);
        timer_cancel(&hold->timer);
        hold->is_held = false;
    }
}

void net_queue_set_limit(NetQueue *queue, NetLimit *limit)
{
    g_assert(!queue->fn);
    g_clear_pointer(&queue->throttle, g_free);
    if (!limit)
        return;
    queue->throttle = g_new0(struct NetThrottle, 1);
    for (unsigned i = 0; i < NET_DIRECTION__MAX; i++) {
        Hold *hold = &queue->throttle->holds[i];

        hold->member.wake = wake_held;
        hold->member.opaque = queue;
        net_limit_join(&hold->member, limit, (NetDirection)i);
        timer_init(&hold->timer, queue->loop, on_wake, queue);
    }
}

static bool poll_fd(NetQueue *queue, GError **error)
{
    if (queue->fd < 0)
        return true;
    loop_fd_init(&queue->source, queue->fd, on_source, queue);
    queue->source.is_watched = true;
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
    stop_holds(queue);
    loop_message_cancel(queue->loop, &queue->wake);
    queue->fn = NULL;
}

void net_queue_wait(NetQueue *queue, bool rx, bool tx)
{
    queue->wants_rx = rx;
    queue->wants_tx = tx;
    if (rx && queue->has_unread && !net_queue_is_held(queue, NET_RX))
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

/* Whether nobody has a word in what goes, or looks at it. */
static bool is_plain(const NetQueue *queue)
{
    return !queue->throttle && !queue->watch;
}

/* A frame of @size bytes with its header went. */
static void account(NetQueue *queue, NetDirection direction, size_t size)
{
    if (queue->throttle)
        net_limit_charge(&queue->throttle->holds[direction].member,
                         size - NET_HEADER_SIZE);
    if (queue->watch)
        net_watch_show(queue->watch, direction, size);
}

int net_queue_send(NetQueue *queue, struct iovec *iov, unsigned n)
{
    size_t size;
    int code;

    if (G_LIKELY(is_plain(queue)))
        return queue->backend->driver->send(queue, iov, n);
    if (queue->throttle && !may_go(queue, NET_TX))
        return -EAGAIN;
    size = iov_size(iov, n);
    if (queue->watch)
        net_watch_take(queue->watch, iov, n);
    code = queue->backend->driver->send(queue, iov, n);
    if (code == 0)
        account(queue, NET_TX, size);
    return code;
}

ssize_t net_queue_receive(NetQueue *queue, struct iovec *iov, unsigned n)
{
    ssize_t got;

    if (G_LIKELY(is_plain(queue)))
        return queue->backend->driver->receive(queue, iov, n);
    if (queue->throttle && !may_go(queue, NET_RX))
        return -EAGAIN;
    got = queue->backend->driver->receive(queue, iov, n);
    if (got <= (ssize_t)NET_HEADER_SIZE)
        return got;
    if (queue->watch)
        net_watch_take(queue->watch, iov, n);
    account(queue, NET_RX, (size_t)got);
    return got;
}
