/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interface of a tap on the host: MTU, address, bridge, VLANs, up.
 *
 * One that the tap made goes with its descriptor, and the kernel undoes all: also when
 * the process is killed.  One that was there before gets back what it had.
 *
 * It comes up last, and goes down first: no frame passes before its VLANs are right.
 */
#include <net/if.h>
#include <string.h>

#include "berth/error.h"
#include "berth/log.h"

#include "tap-link.h"
#include "tap-options.h"

static bool find_bridge(Netlink *netlink, const NetdevTapOptions *options,
                        NetlinkState *ret_state, GError **error)
{
    const char *name = options->br;
    int found = netlink_find(netlink, name, ret_state, error);

    if (found < 0) {
        g_prefix_error(error, "parameter 'br': ");
        return false;
    }
    if (!found)
        error_set(error, "parameter 'br': there is no bridge '%s'", name);
    else if (!ret_state->is_bridge)
        error_set(error, "parameter 'br': '%s' is no bridge", name);
    else if (tap_options_vlan(options) && !ret_state->filters_vlans)
        error_set(error, "parameter '%s': bridge '%s' does not filter VLANs "
                  "(ip link set %s type bridge vlan_filtering 1)",
                  tap_options_vlan(options), name, name);
    else
        return true;
    return false;
}

/* An interface that was there before; what it has is kept. */
static bool remember(TapLink *link, Netlink *netlink, GError **error)
{
    link->is_kept = true;
    if (link->before.master == 0)
        return true;
    link->vlans_before = g_new(NetlinkVlans, 1);
    return netlink_vlan_get(netlink, link->before.index, link->vlans_before, error);
}

bool tap_link_check(TapLink *link, const NetdevTapOptions *options, GError **error)
{
    g_autoptr(Netlink) netlink = netlink_open(error);
    NetlinkState bridge;
    int found;

    if (!netlink || (options->br && !find_bridge(netlink, options, &bridge, error)))
        return false;
    if (!options->ifname)
        return true;
    found = netlink_find(netlink, options->ifname, &link->before, error);
    return found >= 0 && (!found || remember(link, netlink, error));
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
    if (tap_options_vlan(options))
        changes |= NETLINK_VLANS_OF_PORT;
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
    if (!find_bridge(netlink, options, &bridge, error))
        return false;
    wanted->master = bridge.index;
    return true;
}

/* @vlans only with NETLINK_VLANS_OF_PORT. */
static bool apply(Netlink *netlink, const NetlinkState *state, unsigned changes,
                  const NetlinkVlans *vlans, GError **error)
{
    unsigned last = changes & NETLINK_UP && state->up ? NETLINK_UP : 0;

    return netlink_change(netlink, state, changes & ~last, error) &&
        (!(changes & NETLINK_VLANS_OF_PORT) ||
         netlink_vlan_set(netlink, state->index, vlans, error)) &&
        netlink_change(netlink, state, last, error);
}

bool tap_link_set_up(TapLink *link, const NetdevTapOptions *options, const char *name,
                     GError **error)
{
    g_autoptr(Netlink) netlink = netlink_open(error);
    g_autofree NetlinkVlans *vlans = NULL;
    NetlinkState now, wanted;
    int found;

    if (!netlink)
        return false;
    found = netlink_find(netlink, name, &now, error);
    if (found == 0)
        error_set(error, "interface '%s' is gone", name);
    if (found <= 0 || !find_wanted(netlink, options, &now, &wanted, error))
        return false;
    link->changes = find_changes(&now, &wanted, options);
    if (link->changes & NETLINK_VLANS_OF_PORT) {
        vlans = g_new0(NetlinkVlans, 1);
        if (!tap_options_read_vlans(options, vlans, error))
            return false;
    }
    if (apply(netlink, &wanted, link->changes, vlans, error))
        return true;
    g_prefix_error(error, "interface '%s': ", name);
    return false;
}

/* What cannot be undone keeps nothing else from it. */
static void undo_changes(TapLink *link)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Netlink) netlink = netlink_open(&error);

    for (unsigned bit = 1; bit <= link->changes && netlink; bit <<= 1) {
        g_autoptr(GError) one = NULL;

        if (!apply(netlink, &link->before, link->changes & bit, link->vlans_before, &one))
            log_warn("a tap's interface is not as it was before: %s", one->message);
    }
    if (!netlink)
        log_warn("a tap's interface is not as it was before: %s", error->message);
}

void tap_link_undo(TapLink *link)
{
    /* In another bridge it had other VLANs; out of any it has none. */
    if (!link->vlans_before)
        link->changes &= ~(unsigned)NETLINK_VLANS_OF_PORT;
    else if (link->changes & NETLINK_MASTER)
        link->changes |= NETLINK_VLANS_OF_PORT;
    if (link->is_kept && link->changes)
        undo_changes(link);
    link->changes = 0;
    g_clear_pointer(&link->vlans_before, g_free);
}
