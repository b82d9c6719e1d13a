/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the keys of a tap mean together.
 */
#pragma once

#include "berth/netlink.h"

/* Whether they go together, and each is right by itself. */
bool tap_options_check(const NetdevTapOptions *options, GError **error);
/* The key that asks for VLANs, or NULL. */
const char *tap_options_vlan(const NetdevTapOptions *options);
/* The VLANs that are asked for; @ret_vlans is all zero. */
bool tap_options_read_vlans(const NetdevTapOptions *options, NetlinkVlans *ret_vlans,
                            GError **error);
/* "no" and "" stand for no program. */
bool tap_options_is_program(const char *script);
