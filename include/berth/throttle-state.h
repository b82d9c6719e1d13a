/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which request may go at what time: limits, and who waits for them.  It knows neither
 * threads nor clocks; the caller serialises all, and tells the time, which never goes
 * back.
 */
#pragma once

#include "berth/list.h"

#include "berth/throttle-config.h"

typedef struct ThrottleBucket {
    double level;               /* units that went, and have not drained at the rate */
    double burst;               /* at the rate of a burst */
} ThrottleBucket;

typedef struct ThrottleState {
    ThrottleConfig config;
    bool is_limited;
    ThrottleBucket buckets[THROTTLE_KIND__MAX];
    int64_t drained_ns;
    double served[2];           /* the accounts of those that were last served */
    bool last_was_write;
    ListNode members;           /* of ThrottleMember that wait */
    unsigned n_waiting[2];      /* reads, writes */
    uint64_t n_waited;          /* requests that went after they had waited */
    uint64_t waited_ns;         /* how long all of those did */
} ThrottleState;

/* One of those that share the limits. */
typedef struct ThrottleMember {
    ListNode node;
    ListNode waiting[2];        /* of ThrottleWait, in order */
    double served[2];           /* its accounts, see throttle-state.c: seconds */
    unsigned n_hurried;         /* not 0: its requests count, and do not wait */
} ThrottleMember;

typedef struct ThrottleWait {
    ListNode node;
    ThrottleMember *member;
    uint64_t bytes;
    int64_t since_ns;           /* in line */
    bool is_write;
} ThrottleWait;

void throttle_state_init(ThrottleState *state, int64_t now_ns);
/* Those that wait go on waiting. */
void throttle_state_configure(ThrottleState *state, const ThrottleConfig *config,
                              int64_t now_ns);
void throttle_state_init_member(ThrottleMember *member);

/* True: @wait, with @bytes and @is_write set, goes now.  False: it was put in line. */
bool throttle_state_admit(ThrottleState *state, ThrottleMember *member,
                          ThrottleWait *wait, int64_t now_ns);
/*
 * The next that goes now, off the line; NULL: none, and *@ret_delay_ns is how long it
 * will be, or -1 when none waits.
 */
ThrottleWait *throttle_state_next(ThrottleState *state, int64_t now_ns,
                                  int64_t *ret_delay_ns);
/* Takes @wait out of the line, without counting it. */
void throttle_state_remove(ThrottleState *state, ThrottleWait *wait);
