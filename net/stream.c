/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream socket that frames go through, each behind its length (framing.h): to a
 * program that has a network (passt), or to another machine.
 *
 * Both directions go in batches: one call reads as many frames as there are, and what the
 * device sends in a turn of the loop is written at its end.  What the far end does not
 * take stays in a buffer of fixed size; when that is full the device waits.
 *
 * Main has the connection (stream-link.c) and lends its descriptor to the queue's loop:
 * it takes it back by a call into that loop before it closes it.  While there is none,
 * frames of the guest are lost, as on a cable.
 */
#include <errno.h>

#include "berth/error.h"
#include "berth/iov.h"

#include "stream.h"

/* The far end has gone, or is no far end of ours: main sees to it. */
static void lose(NetQueue *queue)
{
    Stream *stream = stream_of(queue->backend);

    net_queue_set_fd(queue, -1);
    framing_clear(&stream->tx);
    loop_post(net_backend_main(queue->backend), &stream->ended);
}

/* Reads what there is, once.  False: nothing came. */
static bool fill(NetQueue *queue)
{
    Stream *stream = stream_of(queue->backend);
    struct iovec room = framing_room(&stream->rx);
    ssize_t got;

    if (queue->fd < 0 || room.iov_len == 0)
        return false;
    got = recv(queue->fd, room.iov_base, room.iov_len, MSG_DONTWAIT);
    if (got > 0) {
        stream->rx.end += (uint32_t)got;
        return true;
    }
    if (got == 0 || (errno != EAGAIN && errno != EINTR))
        lose(queue);
    return false;
}

static bool has_frame(const Stream *stream)
{
    const uint8_t *frame;

    return framing_next(&stream->rx, &frame) != -EAGAIN;
}

static ssize_t stream_receive(NetQueue *queue, struct iovec *iov, unsigned n)
{
    Stream *stream = stream_of(queue->backend);
    const uint8_t *frame = NULL;
    int size = framing_next(&stream->rx, &frame);
    size_t got;

    if (size == -EAGAIN && fill(queue))
        size = framing_next(&stream->rx, &frame);
    if (size == -EPROTO) {
        framing_clear(&stream->rx);
        lose(queue);
    }
    if (size < 0) {
        queue->has_unread = false;
        return -EAGAIN;
    }
    iov_zero(iov, n, 0, NET_HEADER_SIZE);
    got = iov_write(iov, n, NET_HEADER_SIZE, frame, (size_t)size);
    framing_take(&stream->rx, (uint32_t)size);
    queue->has_unread = has_frame(stream);
    return (ssize_t)got + NET_HEADER_SIZE;
}

static void stream_flush(NetQueue *queue)
{
    Stream *stream = stream_of(queue->backend);
    Framing *tx = &stream->tx;

    while (queue->fd >= 0 && framing_used(tx) > 0) {
        ssize_t sent = send(queue->fd, tx->bytes + tx->begin, framing_used(tx),
                            MSG_DONTWAIT | MSG_NOSIGNAL);

        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0 && errno != EAGAIN) {
            lose(queue);
            return;
        }
        if (sent < 0)
            break;
        tx->begin += (uint32_t)sent;
    }
    if (framing_used(tx) == 0)
        framing_clear(tx);
    net_queue_set_unsent(queue, framing_used(tx) > 0);
}

static int stream_send(NetQueue *queue, struct iovec *iov, unsigned n)
{
    Stream *stream = stream_of(queue->backend);
    uint64_t size = iov_size(iov, n);
    bool is_put;

    if (size <= NET_HEADER_SIZE || size > NET_FRAME_MAX)
        return -EINVAL;
    if (queue->fd < 0)
        return -ENOTCONN;
    size -= NET_HEADER_SIZE;
    is_put = framing_put(&stream->tx, iov, n, NET_HEADER_SIZE, (uint32_t)size);
    if (!is_put) {
        stream_flush(queue);
        is_put = framing_put(&stream->tx, iov, n, NET_HEADER_SIZE, (uint32_t)size);
    }
    /* Of a device that has not started (it announces itself) no turn ends. */
    if (is_put && !stream->hook.loop)
        stream_flush(queue);
    return is_put ? 0 : queue->fd < 0 ? -ENOTCONN : -EAGAIN;
}

/* The end of a turn: all that the device sent in it. */
static void on_hook(void *opaque)
{
    NetQueue *queue = opaque;
    Stream *stream = stream_of(queue->backend);

    if (framing_used(&stream->tx) > 0 && !queue->has_unsent)
        stream_flush(queue);
}

static void stream_start(NetQueue *queue)
{
    loop_hook_add(queue->loop, &stream_of(queue->backend)->hook, on_hook, queue);
}

static void stream_stop(NetQueue *queue)
{
    stream_flush(queue);
    loop_hook_remove(&stream_of(queue->backend)->hook);
}

void stream_attach(void *opaque)
{
    NetQueue *queue = opaque;
    Stream *stream = stream_of(queue->backend);

    framing_clear(&stream->rx);
    framing_clear(&stream->tx);
    queue->has_unread = false;
    net_queue_set_fd(queue, stream->fd);
}

/* Whole frames that came before the end are the guest's. */
void stream_detach(void *opaque)
{
    NetQueue *queue = opaque;
    Stream *stream = stream_of(queue->backend);

    while (fill(queue))
        continue;
    queue->has_unread = has_frame(stream);
    framing_clear(&stream->tx);
    net_queue_set_fd(queue, -1);
}

bool stream_open(Stream *stream, const StreamPlan *plan, GError **error)
{
    net_backend_make_queues(&stream->backend, 1);
    framing_init(&stream->rx);
    framing_init(&stream->tx);
    return stream_link_open(stream, plan, error);
}

static const char *refusal_of(const NetdevStreamOptions *options)
{
    bool again = options->has_reconnect || options->has_reconnect_ms;

    if (again && options->server)
        return "parameters 'reconnect' and 'reconnect-ms' are only for server=off";
    if (options->has_reconnect && options->has_reconnect_ms)
        return "parameters 'reconnect' and 'reconnect-ms' are the same";
    if (again && options->addr->type == SOCKET_ADDRESS_TYPE_FD)
        return "parameters 'reconnect' and 'reconnect-ms' are not for 'fd'";
    return NULL;
}

static bool open_options(NetBackend *backend, const Netdev *netdev, GError **error)
{
    const NetdevStreamOptions *options = &netdev->u.stream;
    const char *wrong = refusal_of(options);
    bool is_fd = options->addr->type == SOCKET_ADDRESS_TYPE_FD;
    StreamPlan plan = {
        .parameter = "addr", .fd = -1, .is_server = options->server,
        .keep_alive = options->addr->type == SOCKET_ADDRESS_TYPE_INET &&
            options->addr->u.inet.keep_alive,
        .reconnect_ns = options->has_reconnect_ms
            ? (int64_t)options->reconnect_ms * NS_PER_MS
            : (int64_t)options->reconnect * NS_PER_SEC,
    };

    stream_link_init(stream_of(backend));
    if (wrong) {
        error_set(error, "%s", wrong);
        return false;
    }
    if (is_fd)
        plan.fd = net_backend_take_fd(backend, "addr", options->addr->u.fd.str, error);
    if (is_fd ? plan.fd < 0
              : !net_address_find(options->addr, "addr", SOCK_STREAM, options->server,
                                  &plan.address, error))
        return false;
    return stream_open(stream_of(backend), &plan, error);
}

static void stream_close(NetBackend *backend)
{
    Stream *stream = stream_of(backend);

    stream_link_close(stream);
    framing_done(&stream->rx);
    framing_done(&stream->tx);
}

static char *stream_describe(const NetBackend *backend)
{
    return stream_link_describe(CONTAINER_OF(backend, const Stream, backend));
}

const NetDriver net_stream_driver = {
    .instance_size = sizeof(Stream),
    .open = open_options,
    .close = stream_close,
    .describe = stream_describe,
    .start = stream_start,
    .stop = stream_stop,
    .flush = stream_flush,
    .send = stream_send,
    .receive = stream_receive,
};
