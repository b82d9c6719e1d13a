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
#include <netdb.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "berth/error.h"
#include "berth/loop.h"
#include "berth/net-driver.h"

#define RETRY_NS (100 * NS_PER_MS)

typedef struct Dgram {
    NetBackend backend;
    char *path;                 /* of our file, which is removed at the end */
    struct sockaddr_storage remote;
    socklen_t remote_size;      /* 0: somebody else connected the socket */
    LoopMessage lonely;         /* to main: nobody is at the far end */
    int64_t tried_ns;           /* the queue's loop: when that was sent the last time */
} Dgram;

static Dgram *dgram_of(NetBackend *backend)
{
    return CONTAINER_OF(backend, Dgram, backend);
}

static bool find_unix(const UnixSocketAddress *address, const char *parameter,
                      struct sockaddr_storage *storage, socklen_t *ret_size,
                      GError **error)
{
    struct sockaddr_un *un = (struct sockaddr_un *)storage;
    size_t length = strlen(address->path);

    if (length + 1 > sizeof(un->sun_path)) {
        error_set(error, "parameter '%s.path' expects up to %zu bytes", parameter,
                  sizeof(un->sun_path) - 1);
        return false;
    }
    un->sun_family = AF_UNIX;
    memcpy(un->sun_path + address->abstract, address->path, length);
    *ret_size = (socklen_t)(address->abstract && !address->tight
        ? sizeof(*un) : offsetof(struct sockaddr_un, sun_path) + length + 1);
    return true;
}

/* Numbers only: a name would be looked up while the machine stands still. */
static bool find_inet(const InetSocketAddress *address, const char *parameter,
                      struct sockaddr_storage *storage, socklen_t *ret_size,
                      GError **error)
{
    const struct addrinfo hints = {
        .ai_family = AF_UNSPEC, .ai_socktype = SOCK_DGRAM,
        .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV,
    };
    struct addrinfo *found;
    int code = getaddrinfo(address->host, address->port, &hints, &found);

    if (code != 0) {
        error_set(error, "parameter '%s' expects numbers of a host and a port, not '%s' "
                  "and '%s'", parameter, address->host, address->port);
        return false;
    }
    memcpy(storage, found->ai_addr, found->ai_addrlen);
    *ret_size = found->ai_addrlen;
    freeaddrinfo(found);
    return true;
}

static bool find_address(const SocketAddress *address, const char *parameter,
                         struct sockaddr_storage *storage, socklen_t *ret_size,
                         GError **error)
{
    memset(storage, 0, sizeof(*storage));
    if (address->type == SOCKET_ADDRESS_TYPE_UNIX)
        return find_unix(&address->u.q_unix, parameter, storage, ret_size, error);
    if (address->type == SOCKET_ADDRESS_TYPE_INET)
        return find_inet(&address->u.inet, parameter, storage, ret_size, error);
    error_set(error, "parameter '%s.type': '%s' cannot be used here", parameter,
              SocketAddressType_str(address->type));
    return false;
}

/* Whether @fd is a datagram socket, which fstat(2) would not tell. */
static bool check_socket(int fd, GError **error)
{
    int type = 0;
    socklen_t size = sizeof(type);

    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_DGRAM)
        return true;
    error_set(error, "parameter 'local': the descriptor is no datagram socket");
    return false;
}

static bool is_connected(int fd)
{
    struct sockaddr_storage peer;
    socklen_t size = sizeof(peer);

    return getpeername(fd, (struct sockaddr *)&peer, &size) == 0;
}

static bool bind_local(Dgram *dgram, int fd, const SocketAddress *local,
                       const struct sockaddr_storage *address, socklen_t size,
                       GError **error)
{
    if (bind(fd, (const struct sockaddr *)address, size) < 0) {
        error_set_errno(error, errno, "parameter 'local': cannot bind the socket");
        return false;
    }
    if (local->type == SOCKET_ADDRESS_TYPE_UNIX && !local->u.q_unix.abstract)
        dgram->path = g_strdup(local->u.q_unix.path);
    return true;
}

/* A socket of our own at @local. */
static bool make_socket(Dgram *dgram, const NetdevDgramOptions *options, GError **error)
{
    struct sockaddr_storage address;
    int *fd = &dgram->backend.queues[0].fd;
    socklen_t size;

    if (!options->remote) {
        error_set(error, "parameter 'remote' is missing");
        return false;
    }
    if (!find_address(options->local, "local", &address, &size, error) ||
        !find_address(options->remote, "remote", &dgram->remote, &dgram->remote_size,
                      error))
        return false;
    if (address.ss_family != dgram->remote.ss_family) {
        error_set(error, "parameters 'local' and 'remote' expect addresses of one kind");
        return false;
    }
    *fd = socket(address.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*fd < 0) {
        error_set_errno(error, errno, "cannot make a socket");
        return false;
    }
    return bind_local(dgram, *fd, options->local, &address, size, error);
}

static bool take_socket(Dgram *dgram, const NetdevDgramOptions *options, GError **error)
{
    int *fd = &dgram->backend.queues[0].fd;

    *fd = net_backend_take_fd(&dgram->backend, "local", options->local->u.fd.str, error);
    if (*fd < 0 || !check_socket(*fd, error))
        return false;
    if (options->remote)
        return find_address(options->remote, "remote", &dgram->remote,
                            &dgram->remote_size, error);
    if (is_connected(*fd))
        return true;
    error_set(error, "parameter 'remote' is missing: the descriptor is not connected");
    return false;
}

/* The far end may come later, and come again. */
static void reconnect(void *opaque)
{
    Dgram *dgram = opaque;

    if (dgram->remote_size > 0)
        (void)!connect(dgram->backend.queues[0].fd, (struct sockaddr *)&dgram->remote,
                       dgram->remote_size);
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
    g_free(dgram->path);
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
