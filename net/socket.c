/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets by the older options, -netdev socket: each of them is a stream or a datagram
 * socket, and becomes that.
 */
#include "berth/error.h"

#include "dgram.h"
#include "stream.h"

typedef union SocketBackend {
    Stream stream;
    Dgram dgram;
} SocketBackend;

static bool become_stream(NetBackend *backend, const StreamPlan *plan, GError **error)
{
    backend->driver = &net_stream_driver;
    stream_link_init(stream_of(backend));
    return stream_open(stream_of(backend), plan, error);
}

static bool become_dgram(NetBackend *backend, const DgramPlan *plan, GError **error)
{
    backend->driver = &net_dgram_driver;
    dgram_init(dgram_of(backend));
    return dgram_open(dgram_of(backend), plan, error);
}

static bool open_fd(NetBackend *backend, const char *name, GError **error)
{
    StreamPlan stream = { .parameter = "fd" };
    DgramPlan dgram = { .local_parameter = "fd", .remote_parameter = "udp" };
    int fd = net_backend_take_fd(backend, "fd", name, error);

    stream.fd = dgram.fd = fd;
    if (fd < 0)
        return false;
    return net_address_is_socket(fd, SOCK_DGRAM) ? become_dgram(backend, &dgram, error)
                                                 : become_stream(backend, &stream, error);
}

static bool open_stream(NetBackend *backend, const NetdevSocketOptions *options,
                        GError **error)
{
    bool is_server = options->listen;
    StreamPlan plan = { .fd = -1, .is_server = is_server };

    return net_address_parse(is_server ? options->listen : options->connect,
                             is_server ? "listen" : "connect", SOCK_STREAM, is_server,
                             &plan.address, error) &&
        become_stream(backend, &plan, error);
}

static bool open_udp(NetBackend *backend, const NetdevSocketOptions *options,
                     GError **error)
{
    DgramPlan plan = {
        .local_parameter = "localaddr", .remote_parameter = "udp", .fd = -1,
    };

    if (!options->localaddr) {
        error_set(error, "parameter 'localaddr' is missing");
        return false;
    }
    return net_address_parse(options->udp, "udp", SOCK_DGRAM, false, &plan.remote,
                             error) &&
        net_address_parse(options->localaddr, "localaddr", SOCK_DGRAM, true, &plan.local,
                          error) &&
        become_dgram(backend, &plan, error);
}

static bool open_group(NetBackend *backend, const NetdevSocketOptions *options,
                       GError **error)
{
    DgramPlan plan = {
        .local_parameter = "localaddr", .remote_parameter = "mcast", .fd = -1,
    };
    /* An address of an interface, without a port. */
    g_autofree char *interface = options->localaddr
        ? g_strconcat(options->localaddr, ":0", NULL) : NULL;

    if (!net_address_parse(options->mcast, "mcast", SOCK_DGRAM, false, &plan.remote,
                           error))
        return false;
    if (!net_address_is_multicast(&plan.remote)) {
        error_set(error, "parameter 'mcast' expects the address of an IPv4 group, not "
                  "'%s'", options->mcast);
        return false;
    }
    if (interface && !net_address_parse(interface, "localaddr", SOCK_DGRAM, false,
                                        &plan.local, error))
        return false;
    return become_dgram(backend, &plan, error);
}

static bool open_socket(NetBackend *backend, const Netdev *netdev, GError **error)
{
    const NetdevSocketOptions *options = &netdev->u.socket;
    unsigned n_kinds = !!options->fd + !!options->listen + !!options->connect +
        !!options->mcast + !!options->udp;

    if (n_kinds != 1) {
        error_set(error, "expects exactly one of the parameters 'fd', 'listen', "
                  "'connect', 'mcast' and 'udp'");
        return false;
    }
    if (options->localaddr && !options->mcast && !options->udp) {
        error_set(error, "parameter 'localaddr' is only for 'mcast' and 'udp'");
        return false;
    }
    if (options->fd)
        return open_fd(backend, options->fd, error);
    if (options->udp)
        return open_udp(backend, options, error);
    if (options->mcast)
        return open_group(backend, options, error);
    return open_stream(backend, options, error);
}

const NetDriver net_socket_driver = {
    .instance_size = sizeof(SocketBackend),
    .open = open_socket,
};
