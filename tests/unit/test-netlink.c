/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel is told of a port's VLANs, byte by byte: this program's sendmsg() keeps
 * requests to bridges and has the kernel answer another, which asks for nothing.
 */
#include <linux/if_bridge.h>
#include <linux/rtnetlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "berth/netlink.h"

#define PORT 7

static GString *heard;

static void hear_vlans(const struct nlmsghdr *header, const uint8_t *bytes)
{
    const size_t at = NLMSG_HDRLEN + NLMSG_ALIGN(sizeof(struct ifinfomsg));
    const struct nlattr *list = (const void *)(bytes + at);
    size_t size = at + NLA_HDRLEN;

    g_assert_cmpuint(list->nla_type & NLA_TYPE_MASK, ==, IFLA_AF_SPEC);
    g_assert_cmpuint(at + list->nla_len, ==, header->nlmsg_len);
    for (; size < header->nlmsg_len; size += NLA_HDRLEN + 4) {
        const struct nlattr *one = (const void *)(bytes + size);
        const struct bridge_vlan_info *info = (const void *)(bytes + size + NLA_HDRLEN);

        g_assert_cmpuint(one->nla_type, ==, IFLA_BRIDGE_VLAN_INFO);
        g_assert_cmpuint(one->nla_len, ==, NLA_HDRLEN + sizeof(*info));
        g_string_append_printf(
            heard, " %u%s%s%s%s", info->vid,
            info->flags & BRIDGE_VLAN_INFO_PVID ? "p" : "",
            info->flags & BRIDGE_VLAN_INFO_UNTAGGED ? "u" : "",
            info->flags & BRIDGE_VLAN_INFO_RANGE_BEGIN ? "<" : "",
            info->flags & BRIDGE_VLAN_INFO_RANGE_END ? ">" : "");
    }
}

/* Instead of the C library's. */
ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
    struct nlmsghdr *header = message->msg_iov[0].iov_base;
    const struct ifinfomsg *link = NLMSG_DATA(header);

    if (heard && link->ifi_family == AF_BRIDGE) {
        g_assert_cmpuint(message->msg_iovlen, ==, 1);
        g_assert_cmpint(link->ifi_index, ==, PORT);
        g_assert_cmphex(header->nlmsg_flags, ==, NLM_F_REQUEST | NLM_F_ACK);
        g_string_append(heard, header->nlmsg_type == RTM_DELLINK ? " del"
                        : header->nlmsg_type == RTM_SETLINK ? " set" : " ?");
        hear_vlans(header, message->msg_iov[0].iov_base);
        header->nlmsg_type = NLMSG_NOOP;
    }
    return syscall(SYS_sendmsg, fd, message, flags);
}

static void check(const NetlinkVlans *vlans, const char *expected)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Netlink) netlink = netlink_open(&error);

    g_assert_no_error(error);
    heard = g_string_new(NULL);
    netlink_vlan_set(netlink, PORT, vlans, &error);
    g_assert_no_error(error);
    g_assert_cmpstr(heard->str, ==, expected);
    g_string_free(g_steal_pointer(&heard), TRUE);
}

static void test_vlans(void)
{
    NetlinkVlans vlans = { 0 };

    check(&vlans, " del 1< 4094>");
    netlink_vlan_add(&vlans, 10, true);
    vlans.pvid = 10;
    check(&vlans, " del 1< 4094> set 10pu");
    for (unsigned id = 8; id < 13; id++) {
        if (id != 10)
            netlink_vlan_add(&vlans, id, false);
    }
    netlink_vlan_add(&vlans, 4094, false);
    check(&vlans, " del 1< 4094> set 8< 9> set 10pu set 11< 12> set 4094");
    netlink_vlan_add(&vlans, 1, true);
    netlink_vlan_add(&vlans, 2, true);
    check(&vlans, " del 1< 4094> set 1u< 2u> set 8< 9> set 10pu set 11< 12> set 4094");
}

static void test_no_vlans_are_no_error(void)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(Netlink) netlink = netlink_open(&error);
    NetlinkVlans vlans;
    NetlinkState state;

    g_assert_no_error(error);
    g_assert_cmpint(netlink_find(netlink, "lo", &state, &error), ==, 1);
    g_assert_false(state.is_bridge || state.filters_vlans);
    g_assert_true(netlink_vlan_get(netlink, state.index, &vlans, &error));
    g_assert_no_error(error);
    for (unsigned id = 0; id < NETLINK_VLANS; id++)
        g_assert_false(netlink_vlan_has(&vlans, id));
    g_assert_cmpint(netlink_find(netlink, "nonexistent0", &state, &error), ==, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/netlink/vlans", test_vlans);
    g_test_add_func("/netlink/no-vlans-are-no-error", test_no_vlans_are_no_error);
    return g_test_run();
}
