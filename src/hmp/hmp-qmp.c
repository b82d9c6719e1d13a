/* SPDX-License-Identifier: Apache-2.0 */
/*
 * human-monitor-command: a session of one line.
 */
#include "berth/error.h"
#include "berth/machine.h"

#include "qmp-commands.h"

#include "hmp-call.h"

static void on_done(void *opaque, const HmpCall *call)
{
    GString *text = g_string_new(NULL);

    hmp_append_lines(text, call->out);
    qmp_return_human_monitor_command(opaque, g_string_free(text, false));
}

void qmp_human_monitor_command(QmpContext *ctx, const HumanMonitorCommandArgs *args,
                               QmpReply *reply)
{
    const Machine *machine = ctx->machine;
    GError *error = NULL;
    HmpState state;

    /* 0 is also what is meant where there are no vCPUs. */
    if (args->cpu_index != 0 && (!machine || !machine_vcpu(machine, args->cpu_index))) {
        error_set(&error, "Parameter 'cpu-index' expects a CPU number");
        qmp_reply_fail(reply, error);
        return;
    }
    hmp_state_init(&state);
    state.cpu = (unsigned)args->cpu_index;
    hmp_call_line(ctx->session, &state, args->command_line, on_done, reply);
}
