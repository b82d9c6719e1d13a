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
    bool filters_vlans;         /* of a bridge */
} NetlinkState;

#define NETLINK_VLANS 4096u     /* numbers; 0 and the last are none of a VLAN */

/* The VLANs of a bridge's port. */
typedef struct NetlinkVlans {
    uint16_t pvid;              /* of frames that come without a tag; 0: they are lost */
    uint8_t members[NETLINK_VLANS / 8];
    uint8_t untagged[NETLINK_VLANS / 8];    /* whose frames go out without a tag */
} NetlinkVlans;

/* What netlink_change() sets. */
typedef enum NetlinkChange {
    NETLINK_MTU = 1 << 0,
    NETLINK_MAC = 1 << 1,
    NETLINK_MASTER = 1 << 2,
    NETLINK_VLANS_OF_PORT = 1 << 3, /* by netlink_vlan_set() alone */
    NETLINK_UP = 1 << 4,
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

/* The VLANs of port @index; none where the kernel's bridges know no VLANs. */
bool netlink_vlan_get(Netlink *netlink, int index, NetlinkVlans *ret_vlans,
                       GError **error);
/* Has port @index in exactly those. */
bool netlink_vlan_set(Netlink *netlink, int index, const NetlinkVlans *vlans,
                       GError **error);
/* @id is a member, whose frames go out with a tag or without. */
void netlink_vlan_add(NetlinkVlans *vlans, unsigned id, bool untagged);
bool netlink_vlan_has(const NetlinkVlans *vlans, unsigned id);
