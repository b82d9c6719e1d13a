/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run control: the states, and one table of the transitions between them.
 *
 *     prelaunch --cont--> running <--stop, cont--> paused
 *     running --vCPU failure--> internal-error --reset--> prelaunch
 *     running --power-off, action pause--> shutdown --reset--> prelaunch
 *     running --panic--> guest-panicked <--cont--> running, likewise watchdog
 *     running --sleeps--> suspended --wakes--> running
 *     suspended <--stop, cont--> paused
 *     running --reset--> running;  any other --reset--> prelaunch
 *
 * Requests are bits set by any thread; a posted message has the main loop serve them
 * (runstate-serve.c).  The first cause of a kind that is not yet served wins.  States,
 * causes and event order are those of QEMU's machine protocol (RunState, ShutdownCause).
 *
 * A guest that asks to be suspended waits for nothing else, so what it asked for until
 * its vCPUs were paused is done even when they were paused for another reason
 * (runstate_stop()); a reset makes it void.
 */
#include "berth/error.h"
#include "berth/log.h"
#include "berth/trace.h"

#include "qapi-events.h"

#include "runstate-private.h"

#define STATE(name) (1u << RUN_STATE_##name)
/* What stops a machine that runs or is suspended. */
#define STOPPED                                                                          \
    (STATE(PAUSED) | STATE(SHUTDOWN) | STATE(INTERNAL_ERROR) | STATE(IO_ERROR) |         \
     STATE(WATCHDOG) | STATE(GUEST_PANICKED) | STATE(DEBUG) | STATE(FINISH_MIGRATE) |    \
     STATE(RESTORE_VM) | STATE(SAVE_VM))
#define LIVE (STATE(RUNNING) | STATE(SUSPENDED))

static const uint32_t transitions[RUN_STATE__MAX] = {
    [RUN_STATE_PRELAUNCH] = LIVE | STATE(INMIGRATE) | STATE(FINISH_MIGRATE),
    [RUN_STATE_RUNNING] = STOPPED | STATE(SUSPENDED),
    [RUN_STATE_SUSPENDED] = STOPPED | STATE(RUNNING) | STATE(PRELAUNCH),
    [RUN_STATE_PAUSED] =
        LIVE | STATE(PRELAUNCH) | STATE(FINISH_MIGRATE) | STATE(POSTMIGRATE),
    [RUN_STATE_SHUTDOWN] = STATE(PAUSED) | STATE(PRELAUNCH) | STATE(FINISH_MIGRATE),
    [RUN_STATE_INTERNAL_ERROR] = STATE(PAUSED) | STATE(PRELAUNCH) | STATE(FINISH_MIGRATE),
    [RUN_STATE_IO_ERROR] = LIVE | STATE(PRELAUNCH) | STATE(FINISH_MIGRATE),
    [RUN_STATE_WATCHDOG] = LIVE | STATE(PRELAUNCH) | STATE(FINISH_MIGRATE),
    [RUN_STATE_GUEST_PANICKED] = LIVE | STATE(PRELAUNCH) | STATE(FINISH_MIGRATE),
    [RUN_STATE_DEBUG] = LIVE | STATE(PRELAUNCH) | STATE(FINISH_MIGRATE),
    [RUN_STATE_INMIGRATE] = LIVE | STOPPED | STATE(PRELAUNCH) | STATE(POSTMIGRATE),
    [RUN_STATE_FINISH_MIGRATE] = LIVE | STOPPED | STATE(PRELAUNCH) | STATE(POSTMIGRATE),
    [RUN_STATE_POSTMIGRATE] = LIVE | STATE(FINISH_MIGRATE) | STATE(PRELAUNCH),
    [RUN_STATE_RESTORE_VM] = LIVE | STATE(PRELAUNCH),
    [RUN_STATE_SAVE_VM] = LIVE | STATE(PRELAUNCH),
};

/* Why a machine in that state cannot go on as it is. */
static const char *const cont_errors[RUN_STATE__MAX] = {
    [RUN_STATE_SHUTDOWN] = "Resetting the Virtual Machine is required",
    [RUN_STATE_INTERNAL_ERROR] = "Resetting the Virtual Machine is required",
    [RUN_STATE_FINISH_MIGRATE] = "Migration is not finalized yet",
};

void runstate_enter(RunControl *run, RunState state)
{
    if (run->state == state)
        return;
    g_assert(transitions[run->state] & (1u << state));
    log_debug("run state %s -> %s", RunState_str(run->state), RunState_str(state));
    TRACE(runstate_set, "%s -> %s", RunState_str(run->state), RunState_str(state));
    run->state = state;
}

bool runstate_is_running(const RunControl *run)
{
    return run->state == RUN_STATE_RUNNING;
}

bool runstate_is_live(const RunControl *run)
{
    return (1u << run->state) & LIVE;
}

/* Why it cannot go on, NULL when it can. */
static const char *why_not_start(const RunControl *run)
{
    if (run->held)
        return run->held;
    return cont_errors[run->needs_reset ? RUN_STATE_INTERNAL_ERROR : run->state];
}

bool runstate_start(RunControl *run, GError **error)
{
    const char *reason = why_not_start(run);

    assert_main();

    if (runstate_is_live(run))
        return true;
    if (reason) {
        error_set(error, "%s", reason);
        return false;
    }
    runstate_enter(run, run->suspended ? RUN_STATE_SUSPENDED : RUN_STATE_RUNNING);
    qapi_event_resume(run->events);
    if (run->suspended)
        run->ops->resume_suspended(run->opaque);
    else
        run->ops->resume_vcpus(run->opaque);
    return true;
}

bool runstate_has(const RunControl *run, int requests)
{
    return __atomic_load_n(&run->requests, __ATOMIC_RELAXED) & requests;
}

bool runstate_take(RunControl *run, int requests)
{
    return __atomic_fetch_and(&run->requests, ~requests, __ATOMIC_ACQUIRE) & requests;
}

void runstate_suspend(RunControl *run)
{
    run->ops->suspend(run->opaque);
    run->suspended = true;
    qapi_event_suspend(run->events);
}

void runstate_stop(RunControl *run, RunState state)
{
    assert_main();

    if (!runstate_is_live(run))
        return;
    run->ops->pause_vcpus(run->opaque);
    if (runstate_take(run, RUN_REQUEST_SUSPEND) && !run->suspended)
        runstate_suspend(run);
    runstate_enter(run, state);
    qapi_event_stop(run->events);
}

void runstate_require_reset(RunControl *run)
{
    runstate_stop(run, RUN_STATE_INTERNAL_ERROR);
    run->needs_reset = true;
}

void runstate_hold(RunControl *run, const char *reason)
{
    assert_main();
    g_assert(!run->held && !runstate_is_live(run));
    run->held = reason;
}

void runstate_release(RunControl *run)
{
    assert_main();
    run->held = NULL;
    loop_post(run->loop, &run->message);
}

void runstate_set_action(RunControl *run, const ActionOptions *actions)
{
    assert_main();

    if (actions->has_reboot)
        run->reboot_action = actions->reboot;
    if (actions->has_shutdown)
        run->shutdown_action = actions->shutdown;
    if (actions->has_panic)
        run->panic_action = actions->panic;
    if (actions->has_watchdog)
        run->watchdog_action = actions->watchdog;
}

static void request(RunControl *run, RunRequest bit)
{
    TRACE(runstate_request, "bit 0x%x", bit);
    __atomic_fetch_or(&run->requests, bit, __ATOMIC_RELEASE);
    loop_post(run->loop, &run->message);
}

static void set_cause(int *slot, ShutdownCause cause)
{
    int none = SHUTDOWN_CAUSE_NONE;

    __atomic_compare_exchange_n(slot, &none, cause, false, __ATOMIC_RELAXED,
                                __ATOMIC_RELAXED);
}

void runstate_request_shutdown(RunControl *run, ShutdownCause cause)
{
    set_cause(&run->shutdown_cause, cause);
    request(run, RUN_REQUEST_SHUTDOWN);
}

void runstate_request_reset(RunControl *run, ShutdownCause cause)
{
    if (__atomic_load_n(&run->reboot_action, __ATOMIC_RELAXED) ==
        REBOOT_ACTION_SHUTDOWN) {
        runstate_request_shutdown(run, cause);
        return;
    }
    set_cause(&run->reset_cause, cause);
    request(run, RUN_REQUEST_RESET);
}

void runstate_request_quit(RunControl *run, ShutdownCause cause)
{
    assert_main();

    run->shutdown_action = SHUTDOWN_ACTION_POWEROFF;
    runstate_request_shutdown(run, cause);
}

void runstate_request_powerdown(RunControl *run)
{
    request(run, RUN_REQUEST_POWERDOWN);
}

void runstate_request_suspend(RunControl *run)
{
    request(run, RUN_REQUEST_SUSPEND);
}

void runstate_request_suspend_disk(RunControl *run)
{
    request(run, RUN_REQUEST_SUSPEND_DISK);
}

void runstate_request_pvshutdown(RunControl *run)
{
    request(run, RUN_REQUEST_PVSHUTDOWN);
}

void runstate_request_wakeup(RunControl *run, BoardWakeReason reason)
{
    __atomic_store_n(&run->wake_reason, reason, __ATOMIC_RELAXED);
    request(run, RUN_REQUEST_WAKEUP);
}

static void set_info(RunControl *run, GuestPanicInformation **slot,
                     const GuestPanicInformation *info)
{
    lock_take(&run->lock);
    if (info && !*slot)
        *slot = qapi_clone_GuestPanicInformation(info);
    lock_drop(&run->lock);
}

void runstate_request_panic(RunControl *run, const GuestPanicInformation *info)
{
    set_info(run, &run->panic_info, info);
    request(run, RUN_REQUEST_PANIC);
}

void runstate_request_crashloaded(RunControl *run, const GuestPanicInformation *info)
{
    set_info(run, &run->crashload_info, info);
    request(run, RUN_REQUEST_CRASHLOADED);
}

void runstate_request_watchdog(RunControl *run)
{
    request(run, RUN_REQUEST_WATCHDOG);
}

void runstate_request_nmi(RunControl *run)
{
    request(run, RUN_REQUEST_NMI);
}

void runstate_request_internal_error(RunControl *run)
{
    request(run, RUN_REQUEST_INTERNAL_ERROR);
}

void runstate_request_exit(RunControl *run, int status)
{
    __atomic_store_n(&run->exit_status, status, __ATOMIC_RELAXED);
    request(run, RUN_REQUEST_EXIT);
}

void runstate_init(RunControl *run, Loop *loop, QmpEvents *events, const RunOps *ops,
                   void *opaque)
{
    *run = (RunControl) {
        .loop = loop,
        .events = events,
        .ops = ops,
        .opaque = opaque,
        .state = RUN_STATE_PRELAUNCH,
        .reboot_action = REBOOT_ACTION_RESET,
        .shutdown_action = SHUTDOWN_ACTION_POWEROFF,
        .panic_action = PANIC_ACTION_SHUTDOWN,
        .watchdog_action = WATCHDOG_ACTION_RESET,
    };
    g_mutex_init(&run->lock);
    loop_message_init(&run->message, runstate_serve, run);
}

void runstate_done(RunControl *run)
{
    if (!run->loop)
        return;
    loop_message_cancel(run->loop, &run->message);
    g_clear_pointer(&run->panic_info, qapi_free_GuestPanicInformation);
    g_clear_pointer(&run->crashload_info, qapi_free_GuestPanicInformation);
    g_mutex_clear(&run->lock);
}

void runstate_quiet(RunControl *run)
{
    assert_main();
    loop_post(run->loop, &run->message);
}
