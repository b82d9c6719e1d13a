/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Run control: one table of transitions, one place that serves requests.
 *
 *     prelaunch --cont--> running <--stop, cont--> paused
 *     running --vCPU failure--> internal-error --reset--> prelaunch
 *     running --power-off, action pause--> shutdown --reset--> prelaunch
 *     running --reset--> running;  any other --reset--> prelaunch
 *
 * Requests are bits set by any thread; a posted message has the main loop serve them:
 * exit, shutdown, reset, power button, vCPU failure, in this order, as QEMU does.  The
 * first cause of a kind that is not yet served wins.  States, causes and event order are
 * those of QEMU's machine protocol (RunState, ShutdownCause).
 */
#include "berth/error.h"
#include "berth/log.h"

#include "qapi-events.h"

#include "berth/runstate.h"

typedef enum RunRequest {
    RUN_REQUEST_EXIT = 1 << 0,
    RUN_REQUEST_SHUTDOWN = 1 << 1,
    RUN_REQUEST_RESET = 1 << 2,
    RUN_REQUEST_POWERDOWN = 1 << 3,
    RUN_REQUEST_INTERNAL_ERROR = 1 << 4,
} RunRequest;

#define STATE(name) (1u << RUN_STATE_##name)

static const uint32_t transitions[RUN_STATE__MAX] = {
    [RUN_STATE_PRELAUNCH] =
        STATE(RUNNING) | STATE(INMIGRATE) | STATE(FINISH_MIGRATE) | STATE(SUSPENDED),
    [RUN_STATE_RUNNING] = STATE(PAUSED) | STATE(SHUTDOWN) | STATE(INTERNAL_ERROR) |
                          STATE(IO_ERROR) | STATE(WATCHDOG) | STATE(GUEST_PANICKED) |
                          STATE(DEBUG) | STATE(SUSPENDED) | STATE(FINISH_MIGRATE) |
                          STATE(RESTORE_VM) | STATE(SAVE_VM),
    [RUN_STATE_PAUSED] = STATE(RUNNING) | STATE(PRELAUNCH) | STATE(SUSPENDED) |
                         STATE(FINISH_MIGRATE) | STATE(POSTMIGRATE),
    [RUN_STATE_SHUTDOWN] = STATE(PAUSED) | STATE(PRELAUNCH) | STATE(FINISH_MIGRATE),
    [RUN_STATE_INTERNAL_ERROR] = STATE(PAUSED) | STATE(PRELAUNCH) | STATE(FINISH_MIGRATE),
    [RUN_STATE_IO_ERROR] = STATE(RUNNING) | STATE(PRELAUNCH) | STATE(FINISH_MIGRATE),
    [RUN_STATE_WATCHDOG] = STATE(RUNNING) | STATE(PRELAUNCH) | STATE(FINISH_MIGRATE),
    [RUN_STATE_GUEST_PANICKED] =
        STATE(RUNNING) | STATE(PRELAUNCH) | STATE(FINISH_MIGRATE),
    [RUN_STATE_DEBUG] = STATE(RUNNING) | STATE(PRELAUNCH) | STATE(FINISH_MIGRATE),
    [RUN_STATE_SUSPENDED] = STATE(RUNNING) | STATE(PAUSED) | STATE(PRELAUNCH) |
                            STATE(SHUTDOWN) | STATE(FINISH_MIGRATE),
    [RUN_STATE_INMIGRATE] = STATE(RUNNING) | STATE(PAUSED) | STATE(PRELAUNCH) |
                            STATE(INTERNAL_ERROR) | STATE(SHUTDOWN),
    [RUN_STATE_FINISH_MIGRATE] =
        STATE(RUNNING) | STATE(PAUSED) | STATE(POSTMIGRATE) | STATE(PRELAUNCH),
    [RUN_STATE_POSTMIGRATE] = STATE(RUNNING) | STATE(FINISH_MIGRATE) | STATE(PRELAUNCH),
    [RUN_STATE_RESTORE_VM] = STATE(RUNNING) | STATE(PRELAUNCH),
    [RUN_STATE_SAVE_VM] = STATE(RUNNING) | STATE(PRELAUNCH),
};

static bool cause_is_guest(ShutdownCause cause)
{
    return cause >= SHUTDOWN_CAUSE_GUEST_SHUTDOWN && cause <= SHUTDOWN_CAUSE_GUEST_PANIC;
}

static void set_state(RunControl *run, RunState state)
{
    if (run->state == state)
        return;
    g_assert(transitions[run->state] & (1u << state));
    log_debug("run state %s -> %s", RunState_str(run->state), RunState_str(state));
    run->state = state;
}

bool runstate_is_running(const RunControl *run)
{
    return run->state == RUN_STATE_RUNNING;
}

bool runstate_start(RunControl *run, GError **error)
{
    assert_main();

    if (runstate_is_running(run))
        return true;
    if (run->reset_failed || run->state == RUN_STATE_SHUTDOWN ||
        run->state == RUN_STATE_INTERNAL_ERROR) {
        error_set(error, "Resetting the Virtual Machine is required");
        return false;
    }
    set_state(run, RUN_STATE_RUNNING);
    qapi_event_resume(run->events);
    run->ops->resume_vcpus(run->opaque);
    return true;
}

void runstate_stop(RunControl *run, RunState state)
{
    assert_main();

    if (!runstate_is_running(run))
        return;
    run->ops->pause_vcpus(run->opaque);
    set_state(run, state);
    qapi_event_stop(run->events);
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

static void end(RunControl *run)
{
    run->ending = true;
    loop_quit(run->loop);
}

static void serve_shutdown(RunControl *run, ShutdownCause cause)
{
    ShutdownEvent event = { .guest = cause_is_guest(cause), .reason = cause };

    qapi_event_shutdown(run->events, &event);
    if (run->shutdown_action == SHUTDOWN_ACTION_PAUSE)
        runstate_stop(run, RUN_STATE_SHUTDOWN);
    else
        end(run);
}

static void serve_reset(RunControl *run, ShutdownCause cause)
{
    ResetEvent event = { .guest = cause_is_guest(cause), .reason = cause };
    g_autoptr(GError) error = NULL;
    bool was_running = runstate_is_running(run);

    run->ops->pause_vcpus(run->opaque);
    /* What other vCPUs asked for until they were paused is done by this one, too. */
    __atomic_fetch_and(&run->requests, ~RUN_REQUEST_RESET, __ATOMIC_RELAXED);
    __atomic_store_n(&run->reset_cause, SHUTDOWN_CAUSE_NONE, __ATOMIC_RELAXED);
    run->reset_failed = !run->ops->reset(run->opaque, &error);
    if (run->reset_failed) {
        log_error("cannot reset the machine: %s", error->message);
        runstate_stop(run, RUN_STATE_INTERNAL_ERROR);
        return;
    }
    qapi_event_reset(run->events, &event);
    if (was_running)
        run->ops->resume_vcpus(run->opaque);
    else
        set_state(run, RUN_STATE_PRELAUNCH);
}

static void on_request(void *opaque)
{
    RunControl *run = opaque;
    int requests = __atomic_exchange_n(&run->requests, 0, __ATOMIC_ACQUIRE);

    if (run->ending)
        return;
    if (requests & RUN_REQUEST_EXIT) {
        end(run);
        return;
    }
    if (requests & RUN_REQUEST_SHUTDOWN) {
        serve_shutdown(run, __atomic_exchange_n(&run->shutdown_cause, SHUTDOWN_CAUSE_NONE,
                                                __ATOMIC_RELAXED));
        if (run->ending)
            return;
    }
    if (requests & RUN_REQUEST_RESET)
        serve_reset(run, __atomic_exchange_n(&run->reset_cause, SHUTDOWN_CAUSE_NONE,
                                             __ATOMIC_RELAXED));
    if (requests & RUN_REQUEST_POWERDOWN) {
        qapi_event_powerdown(run->events);
        run->ops->power_button(run->opaque);
    }
    if (requests & RUN_REQUEST_INTERNAL_ERROR)
        runstate_stop(run, RUN_STATE_INTERNAL_ERROR);
}

static void request(RunControl *run, RunRequest bit)
{
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
    loop_message_init(&run->message, on_request, run);
}

void runstate_done(RunControl *run)
{
    if (run->loop)
        loop_message_cancel(run->loop, &run->message);
}
