/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A group of those that share limits, on several loops.
 *
 * A member is a disk or a node; it has a lane on each loop, and those workers that do its
 * requests.  Without limits a lane takes no lock.  What waits has a timer of its lane's
 * loop; what none waits for has none.
 */
#pragma once

#include "berth/loop.h"
#include "berth/throttle.h"
#include "berth/timer.h"

#include "berth/throttle-state.h"

/* A request that waited goes on; the lane's loop. */
typedef void ThrottleGoFn(void *request);

typedef struct ThrottleLane {
    ThrottleGroup *group;
    ThrottleMember *member;
    Loop *loop;
    ThrottleGoFn *go;
    Timer timer;
    LoopMessage look;           /* somebody made ours ready, or changed the limits */

    /* Under the group's lock. */
    ListNode node;              /* in ThrottleGroup.lanes */
    ListNode ready;             /* of ThrottleTicket */
    unsigned n_waiting;
} ThrottleLane;

/* Beside a request; the lane's from admit() until go(). */
typedef struct ThrottleTicket {
    ThrottleWait wait;
    ThrottleLane *lane;         /* NULL: a worker waits */
    void *request;
    bool is_ready;              /* under the group's lock */
} ThrottleTicket;

/* Any thread. */

/* The group of that name, for the caller to unref; NULL with @error. */
ThrottleGroup *throttle_group_get(BlockGraph *graph, const char *name, GError **error);
const char *throttle_group_name(const ThrottleGroup *group);
/* The graph goes before its groups do. */
void throttle_group_forget_graph(BlockGraph *graph);
ThrottleConfig throttle_group_config(ThrottleGroup *group);

void throttle_group_join(ThrottleGroup *group, ThrottleMember *member);
/* Its lanes are gone. */
void throttle_group_leave(ThrottleGroup *group, ThrottleMember *member);
/*
 * While somebody waits until the member's requests have ended, they go at once, and
 * count.  Calls with true and false come in pairs.
 */
void throttle_group_hurry(ThrottleGroup *group, ThrottleMember *member, bool on);
/* Counts @io, and waits for its turn; threads that are no workers do not wait. */
void throttle_group_wait(ThrottleGroup *group, ThrottleMember *member, const BlockIo *io);

/* Main.  The watch is told. */
void throttle_group_configure(ThrottleGroup *group, const ThrottleConfig *config);

/* The lane's loop. */

void throttle_group_add_lane(ThrottleGroup *group, ThrottleMember *member,
                             ThrottleLane *lane, Loop *loop, ThrottleGoFn *go);
/* What waits on it goes on. */
void throttle_group_remove_lane(ThrottleLane *lane);
/* True: @io goes now.  False: go(@request) will be called. */
bool throttle_group_admit(ThrottleLane *lane, ThrottleTicket *ticket, const BlockIo *io,
                          void *request);
/*
 * Takes back what waits: go() will not be called.  False: it does not wait.  What is at
 * @ticket need not be a ticket any more.
 */
bool throttle_group_cancel(ThrottleLane *lane, ThrottleTicket *ticket);
