/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The VLANs of a bridge's ports: requests of the family AF_BRIDGE, in which a VLAN, or
 * the first and the last of some that are alike, is an attribute.
 */
#include <linux/if_bridge.h>
#include <linux/if_link.h>
#include <string.h>

#include "berth/error.h"

#include "netlink-message.h"

#define FIRST 1u
#define LAST (NETLINK_VLANS - 2)

typedef struct Reading {
    int index;
    NetlinkVlans *vlans;
} Reading;

static bool has(const uint8_t *set, unsigned id)
{
    return set[id / 8] >> id % 8 & 1;
}

void netlink_vlan_add(NetlinkVlans *vlans, unsigned id, bool untagged)
{
    g_assert(id < NETLINK_VLANS);
    vlans->members[id / 8] |= (uint8_t)(1u << id % 8);
    if (untagged)
        vlans->untagged[id / 8] |= (uint8_t)(1u << id % 8);
}

bool netlink_vlan_has(const NetlinkVlans *vlans, unsigned id)
{
    return has(vlans->members, id);
}

static void read_vlans(void *opaque, struct nlmsghdr *header)
{
    const struct ifinfomsg *link = nlmsg_data(header);
    const Reading *reading = opaque;
    struct nlattr *list, *at;
    int left;

    if (link->ifi_family != AF_BRIDGE || link->ifi_index != reading->index)
        return;
    list = nlmsg_find_attr(header, sizeof(*link), IFLA_AF_SPEC);
    if (!list)
        return;
    nla_for_each_nested(at, list, left) {
        struct bridge_vlan_info info;

        if (nla_type(at) != IFLA_BRIDGE_VLAN_INFO || nla_len(at) < (int)sizeof(info))
            continue;
        memcpy(&info, nla_data(at), sizeof(info));
        if (info.vid >= NETLINK_VLANS)
            continue;
        netlink_vlan_add(reading->vlans, info.vid,
                          info.flags & BRIDGE_VLAN_INFO_UNTAGGED);
        if (info.flags & BRIDGE_VLAN_INFO_PVID)
            reading->vlans->pvid = info.vid;
    }
}

bool netlink_vlan_get(Netlink *netlink, int index, NetlinkVlans *ret_vlans,
                       GError **error)
{
    const struct ifinfomsg link = { .ifi_family = AF_BRIDGE };
    Reading reading = { .index = index, .vlans = ret_vlans };
    struct nl_msg *message = netlink_request(RTM_GETLINK, NLM_F_DUMP, &link);
    int code;

    *ret_vlans = (NetlinkVlans) { 0 };
    if (message && nla_put_u32(message, IFLA_EXT_MASK, RTEXT_FILTER_BRVLAN) < 0)
        g_clear_pointer(&message, nlmsg_free);
    code = netlink_ask(netlink, message, read_vlans, &reading);
    if (code >= 0)
        return true;
    netlink_set_error(error, code, "cannot ask for its VLANs");
    return false;
}

static int put_info(struct nl_msg *message, unsigned flags, unsigned id)
{
    const struct bridge_vlan_info info = {
        .flags = (uint16_t)flags, .vid = (uint16_t)id,
    };

    return nla_put(message, IFLA_BRIDGE_VLAN_INFO, sizeof(info), &info);
}

/* VLANs @first to @last become, or cease to be, port @index's. */
static int change(Netlink *netlink, int index, int type, unsigned flags,
                  const unsigned range[2])
{
    const struct ifinfomsg link = { .ifi_family = AF_BRIDGE, .ifi_index = index };
    struct nl_msg *message = netlink_request(type, NLM_F_ACK, &link);
    struct nlattr *list = message ? nla_nest_start(message, IFLA_AF_SPEC) : NULL;
    bool is_one = range[0] == range[1];
    bool is_made = list &&
        put_info(message, flags | (is_one ? 0 : BRIDGE_VLAN_INFO_RANGE_BEGIN),
                 range[0]) == 0 &&
        (is_one || put_info(message, flags | BRIDGE_VLAN_INFO_RANGE_END, range[1]) == 0);

    if (is_made)
        nla_nest_end(message, list);
    else if (message)
        g_clear_pointer(&message, nlmsg_free);
    return netlink_run(netlink, message);
}

static unsigned flags_of(const NetlinkVlans *vlans, unsigned id)
{
    return (has(vlans->untagged, id) ? BRIDGE_VLAN_INFO_UNTAGGED : 0) |
        (vlans->pvid == id ? BRIDGE_VLAN_INFO_PVID : 0);
}

/* The last of those from @first on that are alike: there is one PVID at most. */
static unsigned end_of_run(const NetlinkVlans *vlans, unsigned first)
{
    unsigned last = first;

    while (vlans->pvid != first && last < LAST && has(vlans->members, last + 1) &&
           flags_of(vlans, last + 1) == flags_of(vlans, first))
        last++;
    return last;
}

bool netlink_vlan_set(Netlink *netlink, int index, const NetlinkVlans *vlans,
                       GError **error)
{
    static const unsigned all[2] = { FIRST, LAST };
    int code = change(netlink, index, RTM_DELLINK, 0, all);

    for (unsigned first = FIRST; first <= LAST && code >= 0; first++) {
        unsigned range[2] = { first, first };

        if (!has(vlans->members, first))
            continue;
        range[1] = end_of_run(vlans, first);
        code = change(netlink, index, RTM_SETLINK, flags_of(vlans, first), range);
        first = range[1];
    }
    if (code >= 0)
        return true;
    netlink_set_error(error, code, "cannot set its VLANs");
    return false;
}
