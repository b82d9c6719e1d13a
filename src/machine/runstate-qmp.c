/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QMP handlers of run control.
 */
#include "berth/error.h"
#include "berth/machine.h"
#include "berth/qmp.h"

#include "qmp-commands.h"

StatusInfo *qmp_query_status(QmpContext *ctx, GError **error)
{
    StatusInfo *info = g_new0(StatusInfo, 1);

    info->running = runstate_is_running(&ctx->machine->run);
    info->status = ctx->machine->run.state;
    return info;
}

bool qmp_set_action(QmpContext *ctx, const ActionOptions *args, GError **error)
{
    runstate_set_action(&ctx->machine->run, args);
    return true;
}

bool qmp_watchdog_set_action(QmpContext *ctx, const WatchdogSetActionArgs *args,
                             GError **error)
{
    const ActionOptions actions = { .has_watchdog = true, .watchdog = args->action };

    runstate_set_action(&ctx->machine->run, &actions);
    return true;
}

bool qmp_inject_nmi(QmpContext *ctx, GError **error)
{
    runstate_request_nmi(&ctx->machine->run);
    return true;
}

bool qmp_x_exit_preconfig(QmpContext *ctx, GError **error)
{
    error_set(error, "The command is permitted only before machine initialization");
    return false;
}

bool qmp_stop(QmpContext *ctx, GError **error)
{
    if (ctx->machine->run.held) {
        error_set(error, "%s", ctx->machine->run.held);
        return false;
    }
    runstate_stop(&ctx->machine->run, RUN_STATE_PAUSED);
    return true;
}

bool qmp_cont(QmpContext *ctx, GError **error)
{
    return machine_cont(ctx->machine, error);
}

bool qmp_system_reset(QmpContext *ctx, GError **error)
{
    runstate_request_reset(&ctx->machine->run, SHUTDOWN_CAUSE_HOST_QMP_SYSTEM_RESET);
    return true;
}

bool qmp_system_powerdown(QmpContext *ctx, GError **error)
{
    runstate_request_powerdown(&ctx->machine->run);
    return true;
}

bool qmp_system_wakeup(QmpContext *ctx, GError **error)
{
    Machine *machine = ctx->machine;

    if (!machine_can_suspend(machine)) {
        error_set(error, "wake-up from suspend is not supported by this guest");
        return false;
    }
    if (machine->run.state != RUN_STATE_SUSPENDED) {
        error_set(error, "Unable to wake up: guest is not in suspended state");
        return false;
    }
    runstate_request_wakeup(&machine->run, BOARD_WAKE_OTHER);
    return true;
}

bool qmp_quit(QmpContext *ctx, GError **error)
{
    runstate_request_quit(&ctx->machine->run, SHUTDOWN_CAUSE_HOST_QMP_QUIT);
    return true;
}
