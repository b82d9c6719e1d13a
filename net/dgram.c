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
#include <netinet/in.h>
#include <stdlib.h>
#include <unistd.h>

#include "berth/error.h"

#include "dgram.h"

#define RETRY_NS (100 * NS_PER_MS)

static bool make_fd(int family, int *ret_fd, GError **error)
{
    *ret_fd = socket(family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (*ret_fd < 0)
        error_set_errno(error, errno, "cannot make a socket");
    return *ret_fd >= 0;
}

/* A socket of our own at @plan->local. */
static bool make_socket(Dgram *dgram, const DgramPlan *plan, GError **error)
{
    const NetAddress *local = &plan->local;
    int *fd = &dgram->backend.queues[0].fd;

    if (local->storage.ss_family != plan->remote.storage.ss_family) {
        error_set(error, "parameters '%s' and '%s' expect addresses of one kind",
                  plan->local_parameter, plan->remote_parameter);
        return false;
    }
    if (!make_fd(local->storage.ss_family, fd, error))
        return false;
    net_address_remove_stale(local);
    if (bind(*fd, (const struct sockaddr *)&local->storage, local->size) < 0) {
        error_set_errno(error, errno, "parameter '%s': cannot bind the socket",
                        plan->local_parameter);
        return false;
    }
    dgram->path = net_address_file(local);
    return true;
}

static bool take_socket(Dgram *dgram, const DgramPlan *plan, GError **error)
{
    NetAddress peer;

    dgram->backend.queues[0].fd = plan->fd;
    if (!net_address_is_socket(plan->fd, SOCK_DGRAM)) {
        error_set(error, "parameter '%s': the descriptor is no datagram socket",
                  plan->local_parameter);
        return false;
    }
    if (plan->remote.size > 0 || net_address_of_peer(plan->fd, &peer))
        return true;
    error_set(error, "parameter '%s' is missing: the descriptor is not connected",
              plan->remote_parameter);
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

/*
 * A multicast group has one socket to receive by, at the group's address, and one to send
 * by, which has an address of its own: what comes from that is our own frame.
 */
static bool join_group(Dgram *dgram, const DgramPlan *plan, GError **error)
{
    const NetAddress *group = &plan->remote;
    const struct sockaddr *address = (const struct sockaddr *)&group->storage;
    const struct sockaddr_in *local = (const struct sockaddr_in *)&plan->local.storage;
    struct ip_mreq member = {
        .imr_multiaddr = ((const struct sockaddr_in *)address)->sin_addr,
    };
    int *fd = &dgram->backend.queues[0].fd;
    int on = 1;

    if (plan->local.size > 0)
        member.imr_interface = local->sin_addr;
    if (!make_fd(AF_INET, fd, error) || !make_fd(AF_INET, &dgram->group_fd, error))
        return false;
    setsockopt(*fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (bind(*fd, address, group->size) < 0 ||
        setsockopt(*fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, &member, sizeof(member)) < 0 ||
        (plan->local.size > 0 &&
         setsockopt(dgram->group_fd, IPPROTO_IP, IP_MULTICAST_IF, &member.imr_interface,
                    sizeof(member.imr_interface)) < 0) ||
        connect(dgram->group_fd, address, group->size) < 0) {
        error_set_errno(error, errno, "parameter '%s': cannot join the group",
                        plan->remote_parameter);
        return false;
    }
    dgram->group_source.size = sizeof(dgram->group_source.storage);
    (void)!getsockname(dgram->group_fd, (struct sockaddr *)&dgram->group_source.storage,
                       &dgram->group_source.size);
    return true;
}

void dgram_init(Dgram *dgram)
{
    dgram->group_fd = -1;
    loop_message_init(&dgram->lonely, reconnect, dgram);
    net_backend_make_queues(&dgram->backend, 1);
}

bool dgram_open(Dgram *dgram, const DgramPlan *plan, GError **error)
{
    if (plan->fd < 0 && net_address_is_multicast(&plan->remote))
        return join_group(dgram, plan, error);
    if (!(plan->fd >= 0 ? take_socket(dgram, plan, error)
                        : make_socket(dgram, plan, error)))
        return false;
    dgram->remote = plan->remote;
    reconnect(dgram);
    return true;
}

void dgram_close(NetBackend *backend)
{
    Dgram *dgram = dgram_of(backend);

    loop_message_cancel(net_backend_main(backend), &dgram->lonely);
    base_close_fd(&dgram->group_fd);
    if (dgram->path)
        unlink(dgram->path);
    free(dgram->path);
}

static bool needs(const void *option, const char *name, GError **error)
{
    if (!option)
        error_set(error, "parameter '%s' is missing", name);
    return option != NULL;
}

static bool open_options(NetBackend *backend, const Netdev *netdev, GError **error)
{
    const NetdevDgramOptions *options = &netdev->u.dgram;
    const SocketAddress *local = options->local;
    bool is_fd = local && local->type == SOCKET_ADDRESS_TYPE_FD;
    DgramPlan plan = {
        .local_parameter = "local", .remote_parameter = "remote", .fd = -1,
    };

    dgram_init(dgram_of(backend));
    if (options->remote && !net_address_find(options->remote, "remote", SOCK_DGRAM, false,
                                             &plan.remote, error))
        return false;
    /* A group needs no address of ours. */
    if (!net_address_is_multicast(&plan.remote) &&
        (!needs(local, "local", error) ||
         (!is_fd && !needs(options->remote, "remote", error))))
        return false;
    if (local && !is_fd &&
        !net_address_find(local, "local", SOCK_DGRAM, true, &plan.local, error))
        return false;
    if (is_fd) {
        plan.fd = net_backend_take_fd(backend, "local", local->u.fd.str, error);
        if (plan.fd < 0)
            return false;
    }
    return dgram_open(dgram_of(backend), &plan, error);
}

/* Nobody is there (any more). */
static bool is_alone(int code)
{
    return code == -ECONNREFUSED || code == -ENOTCONN || code == -EDESTADDRREQ ||
        code == -ENOENT || code == -ECONNRESET;
}

/*
 * What the host does not take is lost to a group: the descriptor that polls is another.
 */
static int send_to_group(const Dgram *dgram, NetQueue *queue, struct iovec *iov,
                         unsigned n)
{
    NetQueue sender = { .backend = queue->backend, .fd = dgram->group_fd };
    int code = net_bare_send(&sender, iov, n);

    return code == -EAGAIN ? -ENOBUFS : code;
}

/* Main connects again when there is something to send, but not for every frame. */
int dgram_send(NetQueue *queue, struct iovec *iov, unsigned n)
{
    Dgram *dgram = dgram_of(queue->backend);
    int64_t now_ns;
    int code;

    if (dgram->group_fd >= 0)
        return send_to_group(dgram, queue, iov, n);
    code = net_bare_send(queue, iov, n);
    if (!is_alone(code))
        return code;
    now_ns = loop_clock_ns();
    if (now_ns - dgram->tried_ns >= RETRY_NS) {
        dgram->tried_ns = now_ns;
        loop_post(net_backend_main(queue->backend), &dgram->lonely);
    }
    return code;
}

static bool is_own(const Dgram *dgram, const struct sockaddr_in *from)
{
    const struct sockaddr_in *own =
        (const struct sockaddr_in *)&dgram->group_source.storage;

    return from->sin_port == own->sin_port &&
        from->sin_addr.s_addr == own->sin_addr.s_addr;
}

/* The group's frames, without our own: the device would hear itself. */
static ssize_t receive_of_group(const Dgram *dgram, NetQueue *queue, struct iovec *iov,
                                unsigned n)
{
    struct sockaddr_in from = { 0 };
    ssize_t got = net_bare_receive_from(queue, iov, n, &from);

    /* The descriptor still polls when there are more. */
    return got >= 0 && is_own(dgram, &from) ? -EAGAIN : got;
}

/* An error is of a frame that was sent, and is told once. */
ssize_t dgram_receive(NetQueue *queue, struct iovec *iov, unsigned n)
{
    const Dgram *dgram = dgram_of(queue->backend);
    ssize_t got;

    if (dgram->group_fd >= 0)
        return receive_of_group(dgram, queue, iov, n);
    got = net_bare_receive(queue, iov, n);
    return got < 0 && is_alone((int)got) ? net_bare_receive(queue, iov, n) : got;
}

const NetDriver net_dgram_driver = {
    .instance_size = sizeof(Dgram),
    .open = open_options,
    .close = dgram_close,
    .send = dgram_send,
    .receive = dgram_receive,
};
