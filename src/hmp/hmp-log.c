/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log and trace points.
 */
#include <string.h>

#include "berth/log-options.h"

#include "qmp-commands.h"

#include "hmp-call.h"

void hmp_log(HmpCall *call)
{
    const char *items = hmp_text(call, "items");
    GError *error = NULL;

    if (strcmp(items, "help") == 0 || strcmp(items, "?") == 0) {
        log_options_help(call->out);
    } else if (!log_options_set_items(items, &error)) {
        hmp_fail(call, error);
        log_options_help(call->out);
    }
}

void hmp_logfile(HmpCall *call)
{
    GError *error = NULL;

    if (!log_options_set_file(hmp_text(call, "filename"), &error))
        hmp_fail(call, error);
}

void hmp_info_trace_events(HmpCall *call)
{
    const char *name = hmp_text(call, "name");
    g_autofree char *pattern = g_strdup(name ? name : "*");
    const TraceEventGetStateArgs args = { .name = pattern };
    GError *error = NULL;
    g_autoptr(TraceEventInfoList) list =
        qmp_trace_event_get_state(call->ctx, &args, &error);

    if (!list) {
        hmp_fail(call, error);
        return;
    }
    for (size_t i = 0; i < list->n; i++)
        hmp_printf(call, "%s : state %d\n", list->items[i]->name,
                   list->items[i]->state == TRACE_EVENT_STATE_ENABLED);
}
