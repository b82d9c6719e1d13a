/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A datagram socket whose datagrams are frames: to another machine, or to a program that
 * has a network of its own.
 *
 * The socket is connected, so that it takes frames of the far end alone, and frames go by
 * readv(2) and writev(2) as those of a tap do.  While nobody is at the far end frames are
 * lost, as on a cable.
 */
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "berth/error.h"
#include "berth/loop.h"
#include "berth/net-driver.h"

#include "net-address.h"

#define RETRY_NS (100 * NS_PER_MS)

typedef struct Dgram {
    NetBackend backend;
    char *path;                 /* of our file, which is removed at the end */
    NetAddress remote;          /* of size 0: somebody else connected the socket */
    LoopMessage lonely;         /* to main: nobody is at the far end */
    int64_t tried_ns;           /* the queue's loop: when that was sent the last time */
} Dgram;

static Dgram *dgram_of(NetBackend *backend)
{
    return CONTAINER_OF(backend, Dgram, backend);
}

/* A socket of our own at @local. */
static bool make_socket(Dgram *dgram, const NetdevDgramOptions *options, GError **error)
{
    int *fd = &dgram->backend.queues[0].fd;
    NetAddress local;

    if (!options->remote) {
        error_set(error, "parameter 'remote' is missing");
        return false;
    }
    if (!net_address_find(options->local, "local", SOCK_DGRAM, true, &local, error) ||
        !net_address_find(options->remote, "remote", SOCK_DGRAM, false, &dgram->remote,
                          error))
        return false;
    if (local.storage.ss_family != dgram->remote.storage.ss_family) {
        error_set(error, "parameters 'local' and 'remote' expect addresses of one kind");
        return false;
    }
    *fd = socket(local.storage.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0) {
        error_set_errno(error, errno, "cannot make a socket");
        return false;
    }
    net_address_remove_stale(&local);
    if (bind(*fd, (const struct sockaddr *)&local.storage, local.size) < 0) {
        error_set_errno(error, errno, "parameter 'local': cannot bind the socket");
        return false;
    }
    dgram->path = net_address_file(&local);
    return true;
}

static bool take_socket(Dgram *dgram, const NetdevDgramOptions *options, GError **error)
{
    int *fd = &dgram->backend.queues[0].fd;
    NetAddress peer;

    *fd = net_backend_take_fd(&dgram->backend, "local", options->local->u.fd.str, error);
    if (*fd < 0)
        return false;
    if (!net_address_is_socket(*fd, SOCK_DGRAM)) {
        error_set(error, "parameter 'local': the descriptor is no datagram socket");
        return false;
    }
    if (options->remote)
        return net_address_find(options->remote, "remote", SOCK_DGRAM, false,
                                &dgram->remote, error);
    if (net_address_of_peer(*fd, &peer))
        return true;
    error_set(error, "parameter 'remote' is missing: the descriptor is not connected");
    return false;
}

/* The far end may come later, and come again. */
static void reconnect(void *opaque)
{
    Dgram *dgram = opaque;

    if (dgram->remote.size > 0)
        (void)!connect(dgram->backend.queues[0].fd,
                       (struct sockaddr *)&dgram->remote.storage, dgram->remote.size);
}

static bool dgram_open(NetBackend *backend, const Netdev *netdev, GError **error)
{
    const NetdevDgramOptions *options = &netdev->u.dgram;
    Dgram *dgram = dgram_of(backend);

    loop_message_init(&dgram->lonely, reconnect, dgram);
    net_backend_make_queues(backend, 1);
    if (!options->local) {
        error_set(error, "parameter 'local' is missing");
        return false;
    }
    if (!(options->local->type == SOCKET_ADDRESS_TYPE_FD
          ? take_socket(dgram, options, error) : make_socket(dgram, options, error)))
        return false;
    reconnect(dgram);
    return true;
}

static void dgram_close(NetBackend *backend)
{
    Dgram *dgram = dgram_of(backend);

    loop_message_cancel(net_backend_main(backend), &dgram->lonely);
    if (dgram->path)
        unlink(dgram->path);
    free(dgram->path);
}

/* Nobody is there (any more). */
static bool is_alone(int code)
{
    return code == -ECONNREFUSED || code == -ENOTCONN || code == -EDESTADDRREQ ||
        code == -ENOENT || code == -ECONNRESET;
}

/* Main connects again when there is something to send, but not for every frame. */
static int dgram_send(NetQueue *queue, struct iovec *iov, unsigned n)
{
    Dgram *dgram = dgram_of(queue->backend);
    int code = net_bare_send(queue, iov, n);
    int64_t now_ns;

    if (!is_alone(code))
        return code;
    now_ns = loop_clock_ns();
    if (now_ns - dgram->tried_ns >= RETRY_NS) {
        dgram->tried_ns = now_ns;
        loop_post(net_backend_main(queue->backend), &dgram->lonely);
    }
    return code;
}

/* An error is of a frame that was sent, and is told once. */
static ssize_t dgram_receive(NetQueue *queue, struct iovec *iov, unsigned n)
{
    ssize_t got = net_bare_receive(queue, iov, n);

    return got < 0 && is_alone((int)got) ? net_bare_receive(queue, iov, n) : got;
}

const NetDriver net_dgram_driver = {
    .instance_size = sizeof(Dgram),
    .open = dgram_open,
    .close = dgram_close,
    .send = dgram_send,
    .receive = dgram_receive,
};
