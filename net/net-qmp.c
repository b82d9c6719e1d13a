/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Commands about network backends.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/net-set.h"
#include "berth/qmp.h"

#include "qmp-commands.h"

static int take_fd(void *opaque, const char *name, GError **error)
{
    return qmp_session_take_fd(opaque, name, error);
}

bool qmp_netdev_add(QmpContext *ctx, const Netdev *args, GError **error)
{
    bool is_added;

    net_set_named_fd_hook(ctx->nets, take_fd, ctx->session);
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

RxFilterInfoList *qmp_query_rx_filter(QmpContext *ctx, const QueryRxFilterArgs *args,
                                      GError **error)
{
    g_autoptr(RxFilterInfoList) list = RxFilterInfoList_new();
    /* Who may only ask does not have the others told again. */
    bool tells_again = !ctx->session || !ctx->session->readonly;

    for (NetNic *nic = net_set_next_nic(ctx->nets, NULL); nic;
         nic = net_set_next_nic(ctx->nets, nic)) {
        if (!args->name || strcmp(args->name, nic->name) == 0)
            RxFilterInfoList_append(list, nic->query_filter(nic, tells_again));
    }
    if (list->n > 0 || !args->name)
        return g_steal_pointer(&list);
    error_set(error, "there is no network device '%s'", args->name);
    return NULL;
}

bool qmp_announce_self(QmpContext *ctx, const AnnounceParameters *args, GError **error)
{
    net_set_announce(ctx->nets, args);
    return true;
}
