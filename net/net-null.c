/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A backend that is a sink: it takes every frame at once, with any offload, and gives
 * none.  What a device costs by itself is measured with it.
 */
#include <errno.h>

#include "berth/net-driver.h"

static bool null_open(NetBackend *backend, const Netdev *options, GError **error)
{
    net_backend_make_queues(backend, options->u.null.queues);
    backend->offloads = NET_OFFLOAD_CSUM | NET_OFFLOAD_TSO4 | NET_OFFLOAD_TSO6 |
                        NET_OFFLOAD_ECN;
    return true;
}

static int null_send(NetQueue *queue, struct iovec *iov, unsigned n)
{
    return 0;
}

static ssize_t null_receive(NetQueue *queue, struct iovec *iov, unsigned n)
{
    return -EAGAIN;
}

const NetDriver net_null_driver = {
    .instance_size = sizeof(NetBackend),
    .open = null_open,
    .send = null_send,
    .receive = null_receive,
};
