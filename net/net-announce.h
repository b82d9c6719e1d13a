/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Announcements of devices, some rounds of them.  Main only.
 */
#pragma once

#include "berth/net.h"

typedef struct NetAnnounce NetAnnounce;

/* Of the devices of @set (lent), by timers of @loop (lent). */
NetAnnounce *net_announce_new(NetSet *set, Loop *loop);
/* Ends all.  Accepts NULL. */
void net_announce_free(NetAnnounce *announce);
/* As net_set_announce(). */
void net_announce_begin(NetAnnounce *announce, const AnnounceParameters *params);
