/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands about network backends.
 */
#include "berth/net-set.h"
#include "berth/qmp.h"

#include "qmp-commands.h"

/* A client has its descriptors by name: numbers would reach any of the process. */
static int take_named_fd(void *opaque, const char *name, GError **error)
{
    return qmp_session_take_named_fd(opaque, name, error);
}

bool qmp_netdev_add(QmpContext *ctx, const Netdev *args, GError **error)
{
    bool is_added;

    net_set_named_fd_hook(ctx->nets, take_named_fd, ctx->session);
    is_added = net_set_add(ctx->nets, args, error);
    net_set_named_fd_hook(ctx->nets, NULL, NULL);
    return is_added;
}

bool qmp_netdev_del(QmpContext *ctx, const NetdevDelArgs *args, GError **error)
{
    return net_set_remove(ctx->nets, args->id, error);
}

bool qmp_set_link(QmpContext *ctx, const SetLinkArgs *args, GError **error)
{
    return net_set_link(ctx->nets, args->name, args->up, error);
}
