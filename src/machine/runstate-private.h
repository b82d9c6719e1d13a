/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run control: what the states and the service of requests share.  Main only.
 */
#pragma once

#include "berth/runstate.h"

typedef enum RunRequest {
    RUN_REQUEST_EXIT = 1 << 0,
    RUN_REQUEST_CRASHLOADED = 1 << 1,
    RUN_REQUEST_PANIC = 1 << 2,
    RUN_REQUEST_WATCHDOG = 1 << 3,
    RUN_REQUEST_SUSPEND = 1 << 4,
    RUN_REQUEST_SUSPEND_DISK = 1 << 5,
    RUN_REQUEST_PVSHUTDOWN = 1 << 6,
    RUN_REQUEST_SHUTDOWN = 1 << 7,
    RUN_REQUEST_RESET = 1 << 8,
    RUN_REQUEST_WAKEUP = 1 << 9,
    RUN_REQUEST_POWERDOWN = 1 << 10,
    RUN_REQUEST_NMI = 1 << 11,
    RUN_REQUEST_INTERNAL_ERROR = 1 << 12,
} RunRequest;

/* What a reset makes void. */
#define RUN_REQUESTS_RESET (RUN_REQUEST_RESET | RUN_REQUEST_SUSPEND | RUN_REQUEST_WAKEUP)

/* Takes requests back; true when there was one of them. */
bool runstate_take(RunControl *run, int requests);
/* Whether there is one of them. */
bool runstate_has(const RunControl *run, int requests);
/* A transition of the table. */
void runstate_enter(RunControl *run, RunState state);
/* Suspends a machine whose vCPUs are paused to RAM, and tells SUSPEND. */
void runstate_suspend(RunControl *run);

/* Serves what waits: the function of the loop's message. */
void runstate_serve(void *opaque);
