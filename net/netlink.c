/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtnetlink(7) by libnl: one request for each thing that is changed, so that an error
 * says what it was, and what came before it can be undone.
 *
 * The state of an interface is asked of the kernel when it is needed: others change it,
 * too.
 */
#include <errno.h>
#include <net/if.h>
#include <netlink/errno.h>
#include <netlink/route/link.h>
#include <string.h>

#include "berth/error.h"

#include "netlink.h"

struct Netlink {
    struct nl_sock *sock;
};

/* libnl has errors of its own; these stand for what the kernel said. */
static int errno_of(int code)
{
    static const struct {
        int code;
        int errnum;
    } codes[] = {
        { NLE_PERM, EPERM },         { NLE_NOACCESS, EACCES },
        { NLE_NODEV, ENODEV },       { NLE_OBJ_NOTFOUND, ENODEV },
        { NLE_BUSY, EBUSY },         { NLE_EXIST, EEXIST },
        { NLE_INVAL, EINVAL },       { NLE_NOMEM, ENOMEM },
        { NLE_OPNOTSUPP, EOPNOTSUPP }, { NLE_RANGE, ERANGE },
        { NLE_NOADDR, EADDRNOTAVAIL }, { NLE_AF_NOSUPPORT, EAFNOSUPPORT },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(codes); i++) {
        if (codes[i].code == -code)
            return codes[i].errnum;
    }
    return EIO;
}

static void set_error(GError **error, int code, const char *what)
{
    error_set_errno(error, errno_of(code), "%s", what);
}

Netlink *netlink_open(GError **error)
{
    g_autoptr(Netlink) netlink = g_new0(Netlink, 1);
    int code;

    netlink->sock = nl_socket_alloc();
    if (!netlink->sock) {
        error_set_errno(error, ENOMEM, "cannot make a socket of netlink");
        return NULL;
    }
    code = nl_connect(netlink->sock, NETLINK_ROUTE);
    if (code < 0) {
        set_error(error, code, "cannot connect to the kernel by netlink");
        return NULL;
    }
    return g_steal_pointer(&netlink);
}

void netlink_close(Netlink *netlink)
{
    if (!netlink)
        return;
    if (netlink->sock)
        nl_socket_free(netlink->sock);
    g_free(netlink);
}

static void read_state(struct rtnl_link *link, NetlinkState *state)
{
    struct nl_addr *address = rtnl_link_get_addr(link);
    const char *type = rtnl_link_get_type(link);

    *state = (NetlinkState) {
        .index = rtnl_link_get_ifindex(link),
        .up = rtnl_link_get_flags(link) & IFF_UP,
        .mtu = rtnl_link_get_mtu(link),
        .master = rtnl_link_get_master(link),
        .is_bridge = type && strcmp(type, "bridge") == 0,
    };
    if (address && nl_addr_get_len(address) == NET_MAC_SIZE)
        memcpy(state->mac, nl_addr_get_binary_addr(address), NET_MAC_SIZE);
}

int netlink_find(Netlink *netlink, const char *name, NetlinkState *ret_state,
                 GError **error)
{
    struct rtnl_link *link;
    int code = rtnl_link_get_kernel(netlink->sock, 0, name, &link);

    if (code == -NLE_NODEV || code == -NLE_OBJ_NOTFOUND)
        return 0;
    if (code < 0) {
        set_error(error, code, "cannot look for the interface");
        return -1;
    }
    read_state(link, ret_state);
    rtnl_link_put(link);
    return 1;
}

static void set_mac(struct rtnl_link *link, const uint8_t *mac)
{
    struct nl_addr *address = nl_addr_build(AF_LLC, mac, NET_MAC_SIZE);

    if (!address)
        return;
    rtnl_link_set_addr(link, address);
    nl_addr_put(address);
}

static void fill(struct rtnl_link *link, const NetlinkState *state, NetlinkChange change)
{
    switch (change) {
    case NETLINK_MTU:
        rtnl_link_set_mtu(link, state->mtu);
        break;
    case NETLINK_MAC:
        set_mac(link, state->mac);
        break;
    case NETLINK_MASTER:
        rtnl_link_set_master(link, state->master);
        break;
    case NETLINK_UP:
        if (state->up)
            rtnl_link_set_flags(link, IFF_UP);
        else
            rtnl_link_unset_flags(link, IFF_UP);
        break;
    }
}

/* One thing of interface @index. */
static int change_one(Netlink *netlink, const NetlinkState *state, NetlinkChange change)
{
    struct rtnl_link *old = rtnl_link_alloc(), *new = rtnl_link_alloc();
    int code = -NLE_NOMEM;

    if (old && new) {
        rtnl_link_set_ifindex(old, state->index);
        rtnl_link_set_family(new, AF_UNSPEC);
        fill(new, state, change);
        code = rtnl_link_change(netlink->sock, old, new, 0);
    }
    if (old)
        rtnl_link_put(old);
    if (new)
        rtnl_link_put(new);
    return code;
}

bool netlink_change(Netlink *netlink, const NetlinkState *state, unsigned changes,
                    GError **error)
{
    static const struct {
        NetlinkChange change;
        const char *what;
    } steps[] = {
        { NETLINK_MTU, "cannot set the MTU" },
        { NETLINK_MAC, "cannot set the address" },
        { NETLINK_MASTER, "cannot join or leave a bridge" },
        { NETLINK_UP, "cannot set the interface up or down" },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(steps); i++) {
        int code = changes & steps[i].change
            ? change_one(netlink, state, steps[i].change) : 0;

        if (code < 0) {
            set_error(error, code, steps[i].what);
            return false;
        }
    }
    return true;
}
