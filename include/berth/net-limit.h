/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of network devices: bytes and packets a second, in each direction, that the
 * queues of one device or of several have together, and share fairly.
 *
 * A queue asks before a frame and tells its size after it.  One that may not go is held:
 * it is told when to ask again, or is called when it is its turn.
 */
#pragma once

#include "berth/list.h"

typedef enum NetDirection {
    NET_RX,                     /* to the guest */
    NET_TX,
    NET_DIRECTION__MAX,
} NetDirection;

typedef struct NetRate {
    uint64_t rate;              /* a second; 0: no limit */
    uint64_t max;               /* the rate of a burst; 0: no bursts */
    uint64_t length;            /* of a burst, in seconds */
} NetRate;

typedef struct NetLimitConfig {
    NetRate bytes[NET_DIRECTION__MAX];
    NetRate packets[NET_DIRECTION__MAX];
} NetLimitConfig;

typedef struct NetLimit NetLimit;

/* One direction of a queue.  Of the queue's thread, but for what says otherwise. */
typedef struct NetLimitMember {
    NetLimit *limit;
    NetDirection direction;
    /*
     * Any thread, the limit's lock held: it is the member's turn, ask again.  It posts a
     * message and does no more.
     */
    void (*wake)(void *opaque);
    void *opaque;
    ListNode line;              /* the limit's lock */
    double quantum;             /* the same: seconds of the limits that are left to it */
} NetLimitMember;

/* Main. */

/* No limits. */
NetLimit *net_limit_new(int64_t now_ns);
/* It has no members.  Accepts NULL. */
void net_limit_free(NetLimit *limit);
/* False with @error, which names the parameter as in "rx-bps", and nothing changed. */
bool net_limit_configure(NetLimit *limit, const NetLimitConfig *config, int64_t now_ns,
                         GError **error);

/* The queue's thread. */

void net_limit_join(NetLimitMember *member, NetLimit *limit, NetDirection direction);
/*
 * Whether a frame may go now.  False: not before *@ret_at_ns, or when that is -1 not
 * before wake().
 */
bool net_limit_admit(NetLimitMember *member, int64_t now_ns, int64_t *ret_at_ns);
/* A frame of @bytes went. */
void net_limit_charge(NetLimitMember *member, uint64_t bytes);
/* It has no more frames for now: others need not wait for it. */
void net_limit_leave(NetLimitMember *member);
