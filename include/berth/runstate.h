/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the machine runs, and what makes it stop, suspend, reset or end.
 *
 * Requests come from any thread and are kept as bits until the main loop serves them, in
 * a fixed order; what they do to the parts is told through RunOps.
 */
#pragma once

#include "berth/board.h"
#include "berth/log.h"
#include "berth/loop.h"

typedef struct QmpEvents QmpEvents;

/* What run control does to the machine; all on main. */
typedef struct RunOps {
    void (*pause_vcpus)(void *opaque);          /* returns when none is in the guest */
    void (*resume_vcpus)(void *opaque);         /* has no effect on those that run */
    /*
     * Whether devices have no host I/O under way any more, with the vCPUs paused; when
     * that becomes true runstate_quiet() is called.  NULL: they never have.
     */
    bool (*is_quiet)(void *opaque);
    /* The vCPUs are paused for these, and nothing is under way for reset(). */
    bool (*reset)(void *opaque, GError **error);
    void (*suspend)(void *opaque);              /* devices lose power, RAM is kept */
    void (*resume_suspended)(void *opaque);     /* what may wake the machine works */
    /* Leaves it for resume_vcpus() to run the guest; false: only a reset helps. */
    bool (*wake)(void *opaque, BoardWakeReason reason, GError **error);

    void (*power_button)(void *opaque);
    void (*inject_nmi)(void *opaque);
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
    bool suspended;             /* to RAM, though it may be stopped besides */
    bool needs_reset;           /* before it may go on, whatever the state */
    const char *held;           /* why it has to stay stopped, or NULL */
    LogLimit panic_log;

    /* any thread */
    LoopMessage message;
    int requests;               /* atomic: RunRequest bits */
    int reset_cause;            /* atomic: ShutdownCause of the first asked for */
    int shutdown_cause;         /* atomic: likewise */
    int wake_reason;            /* atomic: BoardWakeReason of the last */
    GMutex lock;                /* a leaf */
    GuestPanicInformation *panic_info;      /* under the lock; NULL for none */
    GuestPanicInformation *crashload_info;  /* under the lock; NULL for none */
} RunControl;

/* Main only. */

void runstate_init(RunControl *run, Loop *loop, QmpEvents *events, const RunOps *ops,
                   void *opaque);
void runstate_done(RunControl *run);

bool runstate_is_running(const RunControl *run);
/* Whether it runs, or is suspended and may wake up. */
bool runstate_is_live(const RunControl *run);

/*
 * Lets the vCPUs run and tells RESUME; an error when a reset must come before.  No effect
 * on a machine that runs or is suspended; one that was stopped while it was suspended is
 * suspended again.
 */
bool runstate_start(RunControl *run, GError **error);
/*
 * Stops the vCPUs, tells STOP, enters @state; no effect on a machine that neither runs
 * nor is suspended.
 */
void runstate_stop(RunControl *run, RunState state);
/*
 * The machine is not what it was: it stops with "internal-error", and one that is
 * stopped already does not go on, until it was reset.
 */
void runstate_require_reset(RunControl *run);
/*
 * A stopped machine stays as it is until it is released: runstate_start() is an error
 * with @reason (lent), resets and all else that would change the guest wait.  It may end.
 */
void runstate_hold(RunControl *run, const char *reason);
void runstate_release(RunControl *run);

/* Sets what is given, keeps the rest. */
void runstate_set_action(RunControl *run, const ActionOptions *actions);

/*
 * Ends the process with success when the loop comes to it, whatever the shutdown
 * action.
 */
void runstate_request_quit(RunControl *run, ShutdownCause cause);

/* Devices that had host I/O under way have none any more. */
void runstate_quiet(RunControl *run);

/* Any thread; return at once. */

void runstate_request_reset(RunControl *run, ShutdownCause cause);
void runstate_request_shutdown(RunControl *run, ShutdownCause cause);
void runstate_request_powerdown(RunControl *run);
/* The guest suspends to RAM. */
void runstate_request_suspend(RunControl *run);
/* The guest powers off and says that it will be resumed from its disk. */
void runstate_request_suspend_disk(RunControl *run);
/* Has no effect on a machine that is not suspended when the loop comes to it. */
void runstate_request_wakeup(RunControl *run, BoardWakeReason reason);
/* @info is lent, NULL for none; of several that wait the first is told. */
void runstate_request_panic(RunControl *run, const GuestPanicInformation *info);
void runstate_request_crashloaded(RunControl *run, const GuestPanicInformation *info);
/* The guest told by pvpanic that it is about to power off. */
void runstate_request_pvshutdown(RunControl *run);
void runstate_request_watchdog(RunControl *run);
void runstate_request_nmi(RunControl *run);
/* A vCPU cannot go on. */
void runstate_request_internal_error(RunControl *run);
/* Ends the process with @status at once (isa-debug-exit). */
void runstate_request_exit(RunControl *run, int status);
