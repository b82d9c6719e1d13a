/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network backends of a machine: how they are made, found and removed.  What a device
 * does with one is in net.h.  Main only.
 */
#pragma once

#include "berth/net.h"

/* The descriptor that a client named @name, now the caller's; -1 with @error. */
typedef int NetNamedFdFn(void *opaque, const char *name, GError **error);

/* What clients are told.  Arguments are lent. */
typedef struct NetSetOps {
    void (*stream_connected)(void *opaque, const char *id, const SocketAddress *peer);
    void (*stream_disconnected)(void *opaque, const char *id);
} NetSetOps;

NetSet *net_set_new(Loop *loop);
/* Closes all backends; their devices are gone before.  Accepts NULL. */
void net_set_free(NetSet *set);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(NetSet, net_set_free)

/* NULL, as at the start: nobody is told. */
void net_set_watch(NetSet *set, const NetSetOps *ops, void *opaque);

/*
 * Who knows the names in "fd="; by default, and again with NULL, there are only numbers:
 * that of a descriptor of the process, which the backend takes.
 */
void net_set_named_fd_hook(NetSet *set, NetNamedFdFn *fn, void *opaque);

/* Whether backends may start programs that their options name; not by default. */
void net_set_allow_programs(NetSet *set, bool allowed);

/* Makes the backend.  On false the host is as it was, and @error names the parameter. */
bool net_set_add(NetSet *set, const Netdev *options, GError **error);
/* NULL when there is none. */
NetBackend *net_set_find(const NetSet *set, const char *id);
/* Refused while a device uses it.  Those who look at its frames (net-dump.h) go, too. */
bool net_set_remove(NetSet *set, const char *id, GError **error);
/* The cable of device or backend @name. */
bool net_set_link(NetSet *set, const char *name, bool up, GError **error);
/* The device that was made after @nic, the first after NULL; NULL when there is none. */
NetNic *net_set_next_nic(const NetSet *set, const NetNic *nic);
/* Has devices announced as @params say, the first time now. */
void net_set_announce(NetSet *set, const AnnounceParameters *params);
/* A line for each device and its backend, or backend alone, for people. */
void net_set_describe(const NetSet *set, GString *out);
