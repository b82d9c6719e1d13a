/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a tap needs done to its interface on the host, and undone.  Main only.
 */
#pragma once

#include "berth/netlink.h"

typedef struct TapLink {
    bool is_kept;               /* the interface was there before, and stays */
    unsigned changes;           /* NetlinkChange: what was done to it */
    NetlinkState before;        /* of an interface that stays */
    NetlinkVlans *vlans_before; /* of one that was in a bridge */
} TapLink;

/* Whether @options could be done, before an interface is made. */
bool tap_link_check(TapLink *link, const NetdevTapOptions *options, GError **error);
/* Sets interface @name, which is there now, up as @options say. */
bool tap_link_set_up(TapLink *link, const NetdevTapOptions *options, const char *name,
                     GError **error);
/* An interface that stays is as it was before; nothing of @link is left. */
void tap_link_undo(TapLink *link);
