/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the target of a balloon should be: a function of what the host and the guest say,
 * without a clock, a system call or memory of its own, so that tests can run days of it.
 *
 * What comes from the guest may be any number.
 */
#pragma once

#include "berth/host-memory.h"
#include "qapi-types.h"

/* What a guest has not told. */
#define BALLOON_AUTO_UNKNOWN UINT64_MAX

typedef struct BalloonAutoConfig {
    uint64_t min;               /* bytes that the guest has at least */
    uint64_t max;               /* and at most; not below min */
    uint64_t headroom;          /* bytes that it shall have available */
    uint32_t aggressiveness;    /* percent of what it can spare that a step takes */
    uint32_t interval;          /* seconds from one sample to the next */
} BalloonAutoConfig;

/* What the guest said, as it said it; bytes and counts. */
typedef struct BalloonAutoGuest {
    uint64_t n_answers;         /* 0: never */
    uint64_t actual;            /* what it had left when it answered */
    uint64_t available;
    uint64_t free;
    uint64_t swap_in;
    uint64_t major_faults;
    uint64_t oom_kills;
} BalloonAutoGuest;

typedef struct BalloonAutoSample {
    bool has_device;
    bool has_driver;            /* of the guest, that runs */
    bool runs;                  /* the machine does */
    uint64_t ram;               /* bytes of the guest without a balloon */
    uint64_t target;            /* what it is asked to have left */
    uint64_t actual;            /* what it says it has left */
    BalloonAutoGuest guest;
    HostMemorySample host;
} BalloonAutoSample;

/* What is kept between two decisions; begins as zeros. */
typedef struct BalloonAutoState {
    AutoballoonPressure pressure;
    uint64_t n_answers;         /* with the last decision */
    uint64_t actual;            /* the same */
    bool has_counters;
    uint64_t swap_in;
    uint64_t major_faults;
    uint64_t oom_kills;
    uint64_t usual_faults;      /* pages in an interval, times 8 */
    uint32_t silent;            /* intervals without statistics */
    uint32_t low;               /* the same with too little available */
    uint32_t lag;               /* the same in which the guest gave nothing */
    uint32_t rest;              /* intervals for which nothing is taken */
    uint32_t next_rest;         /* how many there will be the next time */
    uint32_t calm;              /* intervals since the guest needed memory */
    bool took;                  /* memory was taken since then */
} BalloonAutoState;

typedef struct BalloonAutoDecision {
    uint64_t target;            /* whole pages, within bounds that are whole pages */
    AutoballoonReason reason;
    BalloonAutoState state;
} BalloonAutoDecision;

/*
 * Once an interval.  A target that is not the sample's is to be set; if the sample of the
 * next call has another one then somebody else has set it, which is respected.
 */
BalloonAutoDecision balloon_auto_decide(const BalloonAutoConfig *config,
                                        const BalloonAutoSample *sample,
                                        const BalloonAutoState *state);
