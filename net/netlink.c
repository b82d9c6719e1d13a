/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rtnetlink(7): one request for each thing that is changed, so that an error says what it
 * was, and what came before it can be undone.
 *
 * The state of an interface is asked of the kernel when it is needed: others change it,
 * too.  libnl makes and takes apart the messages; its libnl-route is left alone, which
 * has a model of all interfaces and registers it in every process at start.
 */
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <string.h>

#include "berth/error.h"

#include "netlink-message.h"

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

void netlink_set_error(GError **error, int code, const char *what)
{
    error_set_errno(error, errno_of(code), "%s", what);
}

static void read_info(struct nlattr *info, NetlinkState *state)
{
    struct nlattr *kind = nla_find(nla_data(info), nla_len(info), IFLA_INFO_KIND);
    struct nlattr *data = nla_find(nla_data(info), nla_len(info), IFLA_INFO_DATA);
    struct nlattr *filtering;

    state->is_bridge = kind && nla_strcmp(kind, "bridge") == 0;
    if (!state->is_bridge || !data)
        return;
    filtering = nla_find(nla_data(data), nla_len(data), IFLA_BR_VLAN_FILTERING);
    state->filters_vlans = filtering && nla_get_u8(filtering);
}

static void read_state(void *opaque, struct nlmsghdr *header)
{
    const struct ifinfomsg *link = nlmsg_data(header);
    struct nlattr *attrs[IFLA_MAX + 1];
    NetlinkState *state = opaque;

    if (nlmsg_parse(header, sizeof(*link), attrs, IFLA_MAX, NULL) < 0)
        return;
    *state = (NetlinkState) {
        .index = link->ifi_index,
        .up = link->ifi_flags & IFF_UP,
        .mtu = attrs[IFLA_MTU] ? nla_get_u32(attrs[IFLA_MTU]) : 0,
        .master = attrs[IFLA_MASTER] ? (int)nla_get_u32(attrs[IFLA_MASTER]) : 0,
    };
    if (attrs[IFLA_LINKINFO])
        read_info(attrs[IFLA_LINKINFO], state);
    if (attrs[IFLA_ADDRESS] && nla_len(attrs[IFLA_ADDRESS]) == NET_MAC_SIZE)
        memcpy(state->mac, nla_data(attrs[IFLA_ADDRESS]), NET_MAC_SIZE);
}

static int on_message(struct nl_msg *message, void *opaque)
{
    struct nlmsghdr *header = nlmsg_hdr(message);
    Netlink *netlink = opaque;

    if (header->nlmsg_type == RTM_NEWLINK && netlink->on_link &&
        nlmsg_valid_hdr(header, sizeof(struct ifinfomsg)))
        netlink->on_link(netlink->opaque, header);
    return NL_OK;
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
    nl_socket_disable_auto_ack(netlink->sock);
    nl_socket_modify_cb(netlink->sock, NL_CB_VALID, NL_CB_CUSTOM, on_message,
                        netlink);
    code = nl_connect(netlink->sock, NETLINK_ROUTE);
    if (code < 0) {
        netlink_set_error(error, code, "cannot connect to the kernel by netlink");
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

struct nl_msg *netlink_request(int type, int flags, const struct ifinfomsg *link)
{
    struct nl_msg *message = nlmsg_alloc_simple(type, NLM_F_REQUEST | flags);

    if (message &&
        nlmsg_append(message, (void *)(uintptr_t)link, sizeof(*link), NLMSG_ALIGNTO) < 0)
        g_clear_pointer(&message, nlmsg_free);
    return message;
}

int netlink_run(Netlink *netlink, struct nl_msg *message)
{
    bool has_ack;
    int code;

    if (!message)
        return -NLE_NOMEM;
    has_ack = nlmsg_hdr(message)->nlmsg_flags & NLM_F_ACK;
    code = nl_send_auto(netlink->sock, message);
    nlmsg_free(message);
    if (code < 0)
        return code;
    code = has_ack ? nl_wait_for_ack(netlink->sock) : nl_recvmsgs_default(netlink->sock);
    return MIN(code, 0);
}

int netlink_ask(Netlink *netlink, struct nl_msg *message, NetlinkLinkFn *on_link,
                void *opaque)
{
    int code;

    netlink->on_link = on_link;
    netlink->opaque = opaque;
    code = netlink_run(netlink, message);
    netlink->on_link = NULL;
    return code;
}

int netlink_find(Netlink *netlink, const char *name, NetlinkState *ret_state,
                 GError **error)
{
    const struct ifinfomsg any = { .ifi_family = AF_UNSPEC };
    NetlinkState found = { 0 };
    struct nl_msg *message;
    int code;

    if (!*name || strlen(name) >= IFNAMSIZ)
        return 0;
    message = netlink_request(RTM_GETLINK, 0, &any);
    if (message && nla_put_string(message, IFLA_IFNAME, name) < 0)
        g_clear_pointer(&message, nlmsg_free);
    code = netlink_ask(netlink, message, read_state, &found);
    if (code == -NLE_NODEV || code == -NLE_OBJ_NOTFOUND)
        return 0;
    if (code < 0 || found.index == 0) {
        netlink_set_error(error, code, "cannot look for the interface");
        return -1;
    }
    *ret_state = found;
    return 1;
}

static int put(struct nl_msg *message, const NetlinkState *state, NetlinkChange change)
{
    switch (change) {
    case NETLINK_MTU:
        return nla_put_u32(message, IFLA_MTU, state->mtu);
    case NETLINK_MAC:
        return nla_put(message, IFLA_ADDRESS, NET_MAC_SIZE, state->mac);
    case NETLINK_MASTER:
        return nla_put_u32(message, IFLA_MASTER, (uint32_t)state->master);
    case NETLINK_UP:
    case NETLINK_VLANS_OF_PORT:
        break;
    }
    return 0;
}

/* One thing of interface state->index. */
static int change_one(Netlink *netlink, const NetlinkState *state, NetlinkChange change)
{
    const struct ifinfomsg link = {
        .ifi_family = AF_UNSPEC,
        .ifi_index = state->index,
        .ifi_flags = change == NETLINK_UP && state->up ? IFF_UP : 0,
        .ifi_change = change == NETLINK_UP ? IFF_UP : 0,
    };
    struct nl_msg *message = netlink_request(RTM_NEWLINK, NLM_F_ACK, &link);

    if (message && put(message, state, change) < 0)
        g_clear_pointer(&message, nlmsg_free);
    return netlink_run(netlink, message);
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
            netlink_set_error(error, code, steps[i].what);
            return false;
        }
    }
    return true;
}
