/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done with each request to run control, and in which order.
 */
#include <stdlib.h>

#include "berth/error.h"
#include "berth/log.h"

#include "qapi-events.h"

#include "runstate-private.h"

static bool cause_is_guest(ShutdownCause cause)
{
    return cause >= SHUTDOWN_CAUSE_GUEST_SHUTDOWN && cause <= SHUTDOWN_CAUSE_GUEST_PANIC;
}

static void end(RunControl *run)
{
    run->ending = true;
    loop_quit(run->loop);
}

static void shut_down(RunControl *run, ShutdownCause cause)
{
    ShutdownEvent event = { .guest = cause_is_guest(cause), .reason = cause };

    qapi_event_shutdown(run->events, &event);
    if (run->shutdown_action == SHUTDOWN_ACTION_PAUSE) {
        runstate_stop(run, RUN_STATE_SHUTDOWN);
        return;
    }
    if (cause == SHUTDOWN_CAUSE_GUEST_PANIC &&
        run->panic_action == PANIC_ACTION_EXIT_FAILURE)
        run->exit_status = EXIT_FAILURE;
    end(run);
}

static ShutdownCause take_cause(int *slot)
{
    return __atomic_exchange_n(slot, SHUTDOWN_CAUSE_NONE, __ATOMIC_RELAXED);
}

static void reset(RunControl *run, ShutdownCause cause)
{
    ResetEvent event = { .guest = cause_is_guest(cause), .reason = cause };
    g_autoptr(GError) error = NULL;
    bool was_running = runstate_is_running(run);

    run->ops->pause_vcpus(run->opaque);
    /* What other vCPUs asked for until they were paused is done by this one, too. */
    runstate_take(run, RUN_REQUESTS_RESET);
    take_cause(&run->reset_cause);
    run->suspended = false;
    run->needs_reset = !run->ops->reset(run->opaque, &error);
    if (run->needs_reset) {
        log_error("cannot reset the machine: %s", error->message);
        runstate_stop(run, RUN_STATE_INTERNAL_ERROR);
        return;
    }
    qapi_event_reset(run->events, &event);
    if (was_running)
        run->ops->resume_vcpus(run->opaque);
    else
        runstate_enter(run, RUN_STATE_PRELAUNCH);
}

static GuestPanicInformation *take_info(RunControl *run, GuestPanicInformation **slot)
{
    GuestPanicInformation *info;

    lock_take(&run->lock);
    info = g_steal_pointer(slot);
    lock_drop(&run->lock);
    return info;
}

static void log_panic(RunControl *run, const char *what,
                      const GuestPanicInformation *info)
{
    const GuestPanicInformationHyperV *hv = info ? &info->u.hyper_v : NULL;

    if (!log_limit_pass(&run->panic_log, NULL))
        return;
    if (!hv)
        log_warn("%s", what);
    else
        log_warn("%s: 0x%" PRIx64 " 0x%" PRIx64 " 0x%" PRIx64 " 0x%" PRIx64
                 " 0x%" PRIx64, what, hv->arg1, hv->arg2, hv->arg3, hv->arg4, hv->arg5);
}

static void serve_crashloaded(RunControl *run)
{
    g_autoptr(GuestPanicInformation) info = take_info(run, &run->crashload_info);
    const GuestCrashloadedEvent event = { GUEST_PANIC_ACTION_RUN, info };

    log_panic(run, "the guest panicked and saves its memory", info);
    qapi_event_guest_crashloaded(run->events, &event);
}

/* An operator who wants the process kept after a power-off wants it after a panic. */
static PanicAction panic_action(const RunControl *run)
{
    if (run->panic_action == PANIC_ACTION_SHUTDOWN &&
        run->shutdown_action == SHUTDOWN_ACTION_PAUSE)
        return PANIC_ACTION_PAUSE;
    return run->panic_action;
}

static void serve_panic(RunControl *run)
{
    static const GuestPanicAction told[PANIC_ACTION__MAX] = {
        [PANIC_ACTION_PAUSE] = GUEST_PANIC_ACTION_PAUSE,
        [PANIC_ACTION_SHUTDOWN] = GUEST_PANIC_ACTION_POWEROFF,
        [PANIC_ACTION_EXIT_FAILURE] = GUEST_PANIC_ACTION_POWEROFF,
        [PANIC_ACTION_NONE] = GUEST_PANIC_ACTION_RUN,
    };
    g_autoptr(GuestPanicInformation) info = take_info(run, &run->panic_info);
    PanicAction action = panic_action(run);
    const GuestPanickedEvent event = { told[action], info };

    log_panic(run, "the guest panicked", info);
    qapi_event_guest_panicked(run->events, &event);
    switch (action) {
    case PANIC_ACTION_PAUSE:
        runstate_stop(run, RUN_STATE_GUEST_PANICKED);
        break;
    case PANIC_ACTION_SHUTDOWN:
    case PANIC_ACTION_EXIT_FAILURE:
        shut_down(run, SHUTDOWN_CAUSE_GUEST_PANIC);
        break;
    case PANIC_ACTION_NONE:
        /* Its vCPUs were asked to leave the guest. */
        if (runstate_is_running(run))
            run->ops->resume_vcpus(run->opaque);
        break;
    }
}

static void serve_watchdog(RunControl *run)
{
    const WatchdogEvent event = { run->watchdog_action };

    qapi_event_watchdog(run->events, &event);
    switch (run->watchdog_action) {
    case WATCHDOG_ACTION_RESET:
        runstate_request_reset(run, SHUTDOWN_CAUSE_GUEST_RESET);
        break;
    case WATCHDOG_ACTION_SHUTDOWN:
        runstate_request_powerdown(run);
        break;
    case WATCHDOG_ACTION_POWEROFF:
        runstate_request_quit(run, SHUTDOWN_CAUSE_GUEST_SHUTDOWN);
        break;
    case WATCHDOG_ACTION_PAUSE:
        runstate_stop(run, RUN_STATE_WATCHDOG);
        break;
    case WATCHDOG_ACTION_DEBUG:
        log_warn("the guest's watchdog has expired");
        break;
    case WATCHDOG_ACTION_INJECT_NMI:
        run->ops->inject_nmi(run->opaque);
        break;
    case WATCHDOG_ACTION_NONE:
        break;
    }
}

static void serve_suspend(RunControl *run)
{
    if (!runstate_is_running(run))
        return;
    run->ops->pause_vcpus(run->opaque);
    runstate_suspend(run);
    runstate_enter(run, RUN_STATE_SUSPENDED);
    run->ops->resume_suspended(run->opaque);
}

static void serve_suspend_disk(RunControl *run)
{
    qapi_event_suspend_disk(run->events);
    runstate_request_shutdown(run, SHUTDOWN_CAUSE_GUEST_SHUTDOWN);
}

static void serve_pvshutdown(RunControl *run)
{
    qapi_event_guest_pvshutdown(run->events);
    runstate_request_shutdown(run, SHUTDOWN_CAUSE_GUEST_SHUTDOWN);
}

static void serve_shutdown(RunControl *run)
{
    shut_down(run, take_cause(&run->shutdown_cause));
}

static void serve_reset(RunControl *run)
{
    reset(run, take_cause(&run->reset_cause));
}

static void serve_wakeup(RunControl *run)
{
    BoardWakeReason reason = __atomic_load_n(&run->wake_reason, __ATOMIC_RELAXED);
    g_autoptr(GError) error = NULL;

    if (run->state != RUN_STATE_SUSPENDED)
        return;
    run->ops->pause_vcpus(run->opaque);
    if (!run->ops->wake(run->opaque, reason, &error)) {
        log_warn("the guest cannot be woken, it is reset: %s", error->message);
        run->suspended = false;
        runstate_enter(run, RUN_STATE_RUNNING);
        runstate_request_reset(run, SHUTDOWN_CAUSE_GUEST_RESET);
        return;
    }
    run->suspended = false;
    runstate_enter(run, RUN_STATE_RUNNING);
    run->ops->resume_vcpus(run->opaque);
    qapi_event_wakeup(run->events);
}

static void serve_powerdown(RunControl *run)
{
    qapi_event_powerdown(run->events);
    run->ops->power_button(run->opaque);
}

static void serve_nmi(RunControl *run)
{
    run->ops->inject_nmi(run->opaque);
}

static void serve_internal_error(RunControl *run)
{
    runstate_stop(run, RUN_STATE_INTERNAL_ERROR);
}

/*
 * In this order, which is QEMU's; one may make a later one.  A reset waits, the vCPUs
 * paused, for disks with requests that are not answered yet; others are served meanwhile.
 */
static const struct {
    RunRequest request;
    void (*serve)(RunControl *run);
} servers[] = {
    { RUN_REQUEST_EXIT, end },
    { RUN_REQUEST_CRASHLOADED, serve_crashloaded },
    { RUN_REQUEST_PANIC, serve_panic },
    { RUN_REQUEST_WATCHDOG, serve_watchdog },
    { RUN_REQUEST_SUSPEND, serve_suspend },
    { RUN_REQUEST_SUSPEND_DISK, serve_suspend_disk },
    { RUN_REQUEST_PVSHUTDOWN, serve_pvshutdown },
    { RUN_REQUEST_SHUTDOWN, serve_shutdown },
    { RUN_REQUEST_RESET, serve_reset },
    { RUN_REQUEST_WAKEUP, serve_wakeup },
    { RUN_REQUEST_POWERDOWN, serve_powerdown },
    { RUN_REQUEST_NMI, serve_nmi },
    { RUN_REQUEST_INTERNAL_ERROR, serve_internal_error },
};

/* What ends the process, or is told only, is done while the machine is held. */
static bool must_wait(const RunControl *run, RunRequest request)
{
    switch (request) {
    case RUN_REQUEST_EXIT:
    case RUN_REQUEST_CRASHLOADED:
    case RUN_REQUEST_POWERDOWN:
        return false;
    case RUN_REQUEST_SHUTDOWN:
        return run->held && run->shutdown_action == SHUTDOWN_ACTION_PAUSE;
    case RUN_REQUEST_PANIC:
    case RUN_REQUEST_PVSHUTDOWN:
    case RUN_REQUEST_WATCHDOG:
    case RUN_REQUEST_SUSPEND:
    case RUN_REQUEST_SUSPEND_DISK:
    case RUN_REQUEST_RESET:
    case RUN_REQUEST_WAKEUP:
    case RUN_REQUEST_NMI:
    case RUN_REQUEST_INTERNAL_ERROR:
        return run->held != NULL;
    }
    return false;
}

/* Whether request @i can be served now. */
static bool is_due(RunControl *run, size_t i)
{
    if (!runstate_has(run, servers[i].request) || must_wait(run, servers[i].request))
        return false;
    if (servers[i].request != RUN_REQUEST_RESET || !run->ops->is_quiet)
        return true;
    run->ops->pause_vcpus(run->opaque);
    return run->ops->is_quiet(run->opaque);
}

void runstate_serve(void *opaque)
{
    RunControl *run = opaque;

    for (size_t i = 0; i < G_N_ELEMENTS(servers) && !run->ending; i++) {
        if (is_due(run, i) && runstate_take(run, servers[i].request))
            servers[i].serve(run);
    }
}
