/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interface of a tap on the host: MTU, address, bridge, up.
 *
 * One that the tap made goes with its descriptor, and the kernel undoes all: also when
 * the process is killed.  One that was there before gets back what it had.
 */
#include <net/if.h>
#include <string.h>

#include "berth/error.h"
#include "berth/log.h"

#include "tap-link.h"

static bool find_bridge(Netlink *netlink, const char *name, NetlinkState *ret_state,
                        GError **error)
{
    int found = netlink_find(netlink, name, ret_state, error);

    if (found > 0 && ret_state->is_bridge)
        return true;
    if (found >= 0)
        error_set(error, found ? "'%s' is no bridge" : "there is no bridge '%s'", name);
    g_prefix_error(error, "parameter 'br': ");
    return false;
}

bool tap_link_check(TapLink *link, const NetdevTapOptions *options, GError **error)
{
    g_autoptr(Netlink) netlink = netlink_open(error);
    NetlinkState bridge;
    int found;

    if (!netlink || (options->br && !find_bridge(netlink, options->br, &bridge, error)))
        return false;
    if (!options->ifname)
        return true;
    found = netlink_find(netlink, options->ifname, &link->before, error);
    link->is_kept = found > 0;
    return found >= 0;
}

/* What is asked for and not so yet. */
static unsigned find_changes(const NetlinkState *now, const NetlinkState *wanted,
                             const NetdevTapOptions *options)
{
    unsigned changes = 0;

    if (options->has_mtu && now->mtu != wanted->mtu)
        changes |= NETLINK_MTU;
    if (options->mac && memcmp(now->mac, wanted->mac, NET_MAC_SIZE) != 0)
        changes |= NETLINK_MAC;
    if (options->br && now->master != wanted->master)
        changes |= NETLINK_MASTER;
    if (!now->up)
        changes |= NETLINK_UP;
    return changes;
}

static bool find_wanted(Netlink *netlink, const NetdevTapOptions *options,
                        const NetlinkState *now, NetlinkState *wanted, GError **error)
{
    NetlinkState bridge;

    *wanted = *now;
    wanted->up = true;
    wanted->mtu = options->mtu;
    if (options->mac && !net_mac_parse(options->mac, "mac", wanted->mac, error))
        return false;
    if (!options->br)
        return true;
    if (!find_bridge(netlink, options->br, &bridge, error))
        return false;
    wanted->master = bridge.index;
    return true;
}

bool tap_link_set_up(TapLink *link, const NetdevTapOptions *options, const char *name,
                     GError **error)
{
    g_autoptr(Netlink) netlink = netlink_open(error);
    NetlinkState now, wanted;

    if (!netlink || netlink_find(netlink, name, &now, error) <= 0) {
        if (netlink && error && !*error)
            error_set(error, "interface '%s' is gone", name);
        return false;
    }
    if (!find_wanted(netlink, options, &now, &wanted, error))
        return false;
    link->changes = find_changes(&now, &wanted, options);
    if (netlink_change(netlink, &wanted, link->changes, error))
        return true;
    g_prefix_error(error, "interface '%s': ", name);
    return false;
}

void tap_link_undo(TapLink *link)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Netlink) netlink = NULL;

    if (!link->is_kept || !link->changes)
        return;
    netlink = netlink_open(&error);
    if (!netlink || !netlink_change(netlink, &link->before, link->changes, &error))
        log_warn("a tap's interface is not as it was before: %s", error->message);
    link->changes = 0;
}
