/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Interfaces of the host through rtnetlink.  Main only.
 */
#pragma once

#include "berth/net.h"

/* What there is to an interface that a tap changes. */
typedef struct NetlinkState {
    int index;
    bool up;
    uint32_t mtu;
    uint8_t mac[NET_MAC_SIZE];
    int master;                 /* the index of its bridge, 0 for none */
    bool is_bridge;
} NetlinkState;

/* What netlink_change() sets. */
typedef enum NetlinkChange {
    NETLINK_MTU = 1 << 0,
    NETLINK_MAC = 1 << 1,
    NETLINK_MASTER = 1 << 2,
    NETLINK_UP = 1 << 3,
} NetlinkChange;

typedef struct Netlink Netlink;

/* A connection to the kernel; NULL with @error. */
Netlink *netlink_open(GError **error);
/* Accepts NULL. */
void netlink_close(Netlink *netlink);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Netlink, netlink_close)

/* 1 with the state, 0 when there is no such interface, -1 with @error. */
int netlink_find(Netlink *netlink, const char *name, NetlinkState *ret_state,
                 GError **error);
/*
 * Sets what @changes (NetlinkChange) says of interface @state->index to what @state has;
 * the error says what could not be set.
 */
bool netlink_change(Netlink *netlink, const NetlinkState *state, unsigned changes,
                    GError **error);
