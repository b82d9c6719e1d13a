/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The connection of a stream socket: one far end at a time.
 *
 *     client  CONNECTING --> CONNECTED --gone--> waits for "reconnect", or the end
 *     server  LISTENING  --> CONNECTED --gone--> LISTENING
 *
 * Main watches the connection for its end, so that it is seen while no device reads, too.
 * A server that has its client lets the next one wait in the backlog.
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include "berth/error.h"
#include "berth/log.h"

#include "stream.h"

#define BACKLOG 1
#define ACCEPT_RETRY_NS NS_PER_SEC

static NetQueue *queue_of(Stream *stream)
{
    return &stream->backend.queues[0];
}

static void connect_later(Stream *stream)
{
    timer_set(&stream->retry, loop_clock_ns() + stream->reconnect_ns);
}

static void disconnect(Stream *stream)
{
    if (stream->fd < 0)
        return;
    net_queue_call(queue_of(stream), stream_detach);
    loop_fd_remove(&stream->hangup);
    base_close_fd(&stream->fd);
    /* The queue's loop, which has no connection, does not post it any more. */
    loop_message_cancel(net_backend_main(&stream->backend), &stream->ended);
    net_backend_tell_disconnected(&stream->backend);
    if (stream->listening.loop)
        loop_fd_set_events(&stream->listening, EPOLLIN);
    if (stream->reconnect_ns > 0)
        connect_later(stream);
}

static void on_ended(void *opaque)
{
    disconnect(opaque);
}

static void on_hangup(void *opaque, uint32_t events)
{
    disconnect(opaque);
}

/* Takes @fd.  A socket that ends at once ends in the next turn of main's loop. */
static bool set_connected(Stream *stream, int fd, GError **error)
{
    g_autoptr(SocketAddress) told = NULL;
    NetAddress peer;
    int on = 1;

    loop_fd_init(&stream->hangup, fd, on_hangup, stream);
    if (!loop_fd_add(net_backend_main(&stream->backend), &stream->hangup, EPOLLRDHUP,
                     error)) {
        close(fd);
        return false;
    }
    if (stream->keep_alive)
        setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
    if (net_address_of_peer(fd, &peer) && peer.storage.ss_family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    stream->fd = fd;
    stream->complained = false;
    if (stream->listening.loop)
        loop_fd_set_events(&stream->listening, 0);
    net_queue_call(queue_of(stream), stream_attach);
    told = net_address_tell(&peer);
    net_backend_tell_connected(&stream->backend, told);
    return true;
}

/* On the loop: an attempt came to nothing. */
static void give_up(Stream *stream, int errnum)
{
    g_autofree char *name = net_address_name(&stream->address);
    bool again = stream->reconnect_ns > 0;

    if (!stream->complained)
        log_warn("netdev '%s': cannot connect to '%s': %s%s", stream->backend.id, name,
                 error_text(errnum), again ? "; it tries again" : "");
    stream->complained = true;
    if (again)
        connect_later(stream);
}

static void take_connected(Stream *stream, int fd)
{
    g_autoptr(GError) error = NULL;

    if (!set_connected(stream, fd, &error))
        give_up(stream, ENOMEM);
}

static void on_connecting(void *opaque, uint32_t events)
{
    Stream *stream = opaque;
    int fd = stream->connecting.fd, errnum = 0;
    socklen_t size = sizeof(errnum);

    loop_fd_remove(&stream->connecting);
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &errnum, &size) < 0)
        errnum = errno;
    if (errnum == 0) {
        take_connected(stream, fd);
        return;
    }
    close(fd);
    give_up(stream, errnum);
}

/* 0: connected, or begun; else an errno. */
static int begin_connect(Stream *stream)
{
    const NetAddress *address = &stream->address;
    g_autofd int fd = socket(address->storage.ss_family,
                             SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return errno;
    if (connect(fd, (const struct sockaddr *)&address->storage, address->size) == 0)
        return set_connected(stream, autofd_steal(&fd), NULL) ? 0 : ENOMEM;
    if (errno != EINPROGRESS)
        return errno;
    loop_fd_init(&stream->connecting, fd, on_connecting, stream);
    if (!loop_fd_add(net_backend_main(&stream->backend), &stream->connecting, EPOLLOUT,
                     NULL))
        return ENOMEM;
    autofd_steal(&fd);
    return 0;
}

/* A host that has no descriptor for a client is asked again later. */
static void on_listening(void *opaque, uint32_t events)
{
    Stream *stream = opaque;
    int fd = accept4(stream->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

    if (fd >= 0) {
        set_connected(stream, fd, NULL);
    } else if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
               errno == ENOMEM) {
        if (!stream->complained)
            log_warn("netdev '%s': cannot accept a connection: %s", stream->backend.id,
                     error_text(errno));
        stream->complained = true;
        loop_fd_set_events(&stream->listening, 0);
        timer_set(&stream->retry, loop_clock_ns() + ACCEPT_RETRY_NS);
    }
}

static void on_retry(void *opaque)
{
    Stream *stream = opaque;
    int errnum;

    if (stream->fd >= 0)
        return;
    if (stream->listening.loop) {
        loop_fd_set_events(&stream->listening, EPOLLIN);
        return;
    }
    errnum = begin_connect(stream);
    if (errnum != 0)
        give_up(stream, errnum);
}

void stream_link_init(Stream *stream)
{
    stream->fd = stream->listen_fd = -1;
    loop_message_init(&stream->ended, on_ended, stream);
    timer_init(&stream->retry, net_backend_main(&stream->backend), on_retry, stream);
}

static bool make_listener(Stream *stream, GError **error)
{
    const NetAddress *address = &stream->address;
    g_autofree char *name = net_address_name(address);
    g_autofd int fd = socket(address->storage.ss_family,
                             SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    int on = 1;

    net_address_remove_stale(address);
    if (fd >= 0)
        setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address->storage,
                       address->size) < 0 ||
        listen(fd, BACKLOG) < 0) {
        error_set_errno(error, errno, "cannot listen on '%s'", name);
        return false;
    }
    stream->file = net_address_file(address);
    stream->listen_fd = autofd_steal(&fd);
    return true;
}

static bool open_server(Stream *stream, int fd, GError **error)
{
    int is_listening = 0;
    socklen_t size = sizeof(is_listening);

    stream->listen_fd = fd;
    if (fd >= 0 && (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &is_listening, &size) < 0 ||
                    !is_listening)) {
        error_set(error, "parameter 'server': the descriptor does not listen");
        return false;
    }
    if (fd < 0 && !make_listener(stream, error))
        return false;
    loop_fd_init(&stream->listening, stream->listen_fd, on_listening, stream);
    return loop_fd_add(net_backend_main(&stream->backend), &stream->listening, EPOLLIN,
                       error);
}

static bool open_client(Stream *stream, GError **error)
{
    g_autofree char *name = net_address_name(&stream->address);
    int errnum = begin_connect(stream);

    if (errnum == 0)
        return true;
    if (stream->reconnect_ns > 0)
        give_up(stream, errnum);
    else
        error_set_errno(error, errnum, "cannot connect to '%s'", name);
    return stream->reconnect_ns > 0;
}

bool stream_link_open(Stream *stream, const StreamPlan *plan, GError **error)
{
    g_autofd int fd = plan->fd;
    NetAddress peer;

    stream->address = plan->address;
    stream->is_server = plan->is_server;
    stream->keep_alive = plan->keep_alive;
    stream->reconnect_ns = plan->reconnect_ns;
    if (fd >= 0 && !net_address_is_socket(fd, SOCK_STREAM)) {
        error_set(error, "parameter '%s': the descriptor is no stream socket",
                  plan->parameter);
        return false;
    }
    if (plan->is_server)
        return open_server(stream, autofd_steal(&fd), error);
    if (fd < 0)
        return open_client(stream, error);
    if (!net_address_of_peer(fd, &peer)) {
        error_set(error, "parameter '%s': the descriptor is not connected",
                  plan->parameter);
        return false;
    }
    return set_connected(stream, autofd_steal(&fd), error);
}

void stream_link_close(Stream *stream)
{
    timer_cancel(&stream->retry);
    if (stream->connecting.loop) {
        loop_fd_remove(&stream->connecting);
        close(stream->connecting.fd);
    }
    loop_fd_remove(&stream->listening);
    base_close_fd(&stream->listen_fd);
    loop_fd_remove(&stream->hangup);
    base_close_fd(&stream->fd);
    loop_message_cancel(net_backend_main(&stream->backend), &stream->ended);
    if (stream->backend.n_queues > 0)
        stream->backend.queues[0].fd = -1;
    if (stream->file)
        unlink(stream->file);
    g_free(stream->file);
}

char *stream_link_describe(const Stream *stream)
{
    NetAddress peer;
    g_autofree char *name = stream->address.size > 0 ? net_address_name(&stream->address)
        : net_address_of_peer(stream->fd, &peer) ? net_address_name(&peer)
                                                 : g_strdup("fd");

    return g_strdup_printf("%s%s,%s", name, stream->is_server ? ",server=on" : "",
                           stream->fd >= 0 ? "connected" : "disconnected");
}
