/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of a tap: which exclude each other, and lists of VLANs.
 */
#include <net/if.h>
#include <string.h>

#include "berth/error.h"

#include "tap-options.h"

#define VLAN_MAX (NETLINK_VLANS - 2)

static bool refuse(GError **error, const char *parameter, const char *why)
{
    error_set(error, "parameter '%s': %s", parameter, why);
    return false;
}

bool tap_options_is_program(const char *script)
{
    return script && *script && strcmp(script, "no") != 0;
}

const char *tap_options_vlan(const NetdevTapOptions *options)
{
    return options->has_vlan ? "vlan" : options->trunk ? "trunk" : NULL;
}

static bool read_id(const char *text, unsigned *ret_id)
{
    uint64_t number;

    if (!g_ascii_string_to_unsigned(text, 10, 1, VLAN_MAX, &number, NULL))
        return false;
    *ret_id = (unsigned)number;
    return true;
}

/* "20" or "20-30". */
static bool read_range(const char *text, unsigned *ret_first, unsigned *ret_last)
{
    g_auto(GStrv) ends = g_strsplit(text, "-", 2);

    return ends[0] && read_id(ends[0], ret_first) &&
        read_id(ends[1] ? ends[1] : ends[0], ret_last) && *ret_first <= *ret_last;
}

static bool read_trunk(const char *text, NetlinkVlans *vlans, GError **error)
{
    g_auto(GStrv) ranges = g_strsplit(text, ":", -1);

    if (!ranges[0])
        return refuse(error, "trunk", "expects VLANs as 10:20-30");
    for (unsigned i = 0; ranges[i]; i++) {
        unsigned first, last;

        if (!read_range(ranges[i], &first, &last)) {
            error_set(error, "parameter 'trunk' expects VLANs of 1 to %u as 10:20-30, "
                      "not '%s'", VLAN_MAX, ranges[i]);
            return false;
        }
        for (unsigned id = first; id <= last; id++) {
            if (netlink_vlan_has(vlans, id)) {
                error_set(error, "parameter 'trunk': VLAN %u is there twice", id);
                return false;
            }
            netlink_vlan_add(vlans, id, false);
        }
    }
    return true;
}

bool tap_options_read_vlans(const NetdevTapOptions *options, NetlinkVlans *ret_vlans,
                            GError **error)
{
    if (options->has_vlan) {
        netlink_vlan_add(ret_vlans, options->vlan, true);
        ret_vlans->pvid = options->vlan;
    }
    return !options->trunk || read_trunk(options->trunk, ret_vlans, error);
}

typedef struct Other {
    const char *name;
    bool is_given;
} Other;

/* Whoever opens the interface sets it up. */
static bool exclude(const NetdevTapOptions *options, const char *parameter,
                    GError **error)
{
    const Other others[] = {
        { "ifname", options->ifname },       { "queues", options->has_queues },
        { "mtu", options->has_mtu },         { "mac", options->mac },
        { "vlan", options->has_vlan },       { "trunk", options->trunk },
        { "vnet_hdr", options->has_vnet_hdr },
        { "script", tap_options_is_program(options->script) },
        { "downscript", tap_options_is_program(options->downscript) },
        { "br", options->br && strcmp(parameter, "helper") != 0 },
        { "helper", options->helper && strcmp(parameter, "helper") != 0 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(others); i++) {
        if (others[i].is_given) {
            error_set(error, "parameter '%s' excludes '%s': the interface is set up by "
                      "whoever opened it", others[i].name, parameter);
            return false;
        }
    }
    return true;
}

static bool check_values(const NetdevTapOptions *options, GError **error)
{
    g_autofree NetlinkVlans *vlans = g_new0(NetlinkVlans, 1);
    uint8_t mac[NET_MAC_SIZE];

    if (options->ifname && (!*options->ifname || strlen(options->ifname) >= IFNAMSIZ)) {
        error_set(error, "parameter 'ifname' expects 1 to %d bytes", IFNAMSIZ - 1);
        return false;
    }
    if (options->br && (!*options->br || strlen(options->br) >= IFNAMSIZ)) {
        error_set(error, "parameter 'br' expects 1 to %d bytes", IFNAMSIZ - 1);
        return false;
    }
    if (tap_options_vlan(options) && !options->br)
        return refuse(error, tap_options_vlan(options), "needs 'br'");
    return (!options->mac || net_mac_parse(options->mac, "mac", mac, error)) &&
        tap_options_read_vlans(options, vlans, error);
}

bool tap_options_check(const NetdevTapOptions *options, GError **error)
{
    if (options->fd && options->fds)
        return refuse(error, "fds", "excludes 'fd'");
    if (options->fd || options->fds)
        return exclude(options, options->fd ? "fd" : "fds", error);
    return (!options->helper || exclude(options, "helper", error)) &&
        check_values(options, error);
}
