/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages of rtnetlink, for those who make and read them.
 */
#pragma once

#include <netlink/attr.h>
#include <netlink/errno.h>
#include <netlink/msg.h>
#include <netlink/netlink.h>

#include "berth/netlink.h"

/* An interface that the kernel tells of; what is behind it are attributes. */
typedef void NetlinkLinkFn(void *opaque, struct nlmsghdr *header);

struct Netlink {
    struct nl_sock *sock;
    NetlinkLinkFn *on_link;     /* while an answer is read */
    void *opaque;
};

/* A request of @type about interface @link; NULL: no memory. */
struct nl_msg *netlink_request(int type, int flags, const struct ifinfomsg *link);
/*
 * Sends @message, which is freed and may be NULL, and reads the answer; 0 or a negative
 * code of libnl.  With NLM_F_ACK that is what became of it, else interfaces.
 */
int netlink_run(Netlink *netlink, struct nl_msg *message);
/* The same, and calls @on_link for each interface of the answer. */
int netlink_ask(Netlink *netlink, struct nl_msg *message, NetlinkLinkFn *on_link,
                void *opaque);
/* @error says @what, and what the kernel had against it. */
void netlink_set_error(GError **error, int code, const char *what);
