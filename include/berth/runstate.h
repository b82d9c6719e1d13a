/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the machine runs, and what makes it stop, reset or end.
 *
 * Requests come from any thread and are kept as bits until the main loop serves them, in
 * a fixed order; what they do to the parts is told through RunOps.
 */
#pragma once

#include "berth/loop.h"

#include "qapi-types.h"

typedef struct QmpEvents QmpEvents;

/* What run control does to the machine; all on main. */
typedef struct RunOps {
    void (*pause_vcpus)(void *opaque);          /* returns when none is in the guest */
    void (*resume_vcpus)(void *opaque);
    bool (*reset)(void *opaque, GError **error); /* vCPUs are paused */
    void (*power_button)(void *opaque);
} RunOps;

typedef struct RunControl {
    /* main */
    Loop *loop;
    QmpEvents *events;
    const RunOps *ops;
    void *opaque;
    RunState state;
    RebootAction reboot_action;
    ShutdownAction shutdown_action;
    PanicAction panic_action;
    WatchdogAction watchdog_action;
    int exit_status;
    bool ending;
    bool reset_failed;          /* the last: the machine waits for another */

    /* any thread */
    LoopMessage message;
    int requests;               /* atomic: RunRequest bits */
    int reset_cause;            /* atomic: ShutdownCause of the first asked for */
    int shutdown_cause;         /* atomic: likewise */
} RunControl;

/* Main only. */

void runstate_init(RunControl *run, Loop *loop, QmpEvents *events, const RunOps *ops,
                   void *opaque);
void runstate_done(RunControl *run);

bool runstate_is_running(const RunControl *run);

/* Lets the vCPUs run and tells RESUME; an error when a reset must come before. */
bool runstate_start(RunControl *run, GError **error);
/*
 * Stops the vCPUs, tells STOP, enters @state; no effect on a machine that does not run.
 */
void runstate_stop(RunControl *run, RunState state);
/* Sets what is given, keeps the rest. */
void runstate_set_action(RunControl *run, const ActionOptions *actions);

/*
 * Ends the process with success when the loop comes to it, whatever the shutdown
 * action.
 */
void runstate_request_quit(RunControl *run, ShutdownCause cause);

/* Any thread; return at once. */

void runstate_request_reset(RunControl *run, ShutdownCause cause);
void runstate_request_shutdown(RunControl *run, ShutdownCause cause);
void runstate_request_powerdown(RunControl *run);
/* A vCPU cannot go on. */
void runstate_request_internal_error(RunControl *run);
/* Ends the process with @status at once (isa-debug-exit). */
void runstate_request_exit(RunControl *run, int status);
