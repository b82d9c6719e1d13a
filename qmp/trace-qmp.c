/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QMP handlers of trace points.  All are built in, so that none is ever unavailable.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/qmp.h"
#include "berth/trace.h"

#include "qapi-parse.h"
#include "qmp-commands.h"

/* A name must be there; a pattern may match nothing. */
static bool check_name(const char *name, size_t n_matching, GError **error)
{
    if (n_matching > 0 || strpbrk(name, "*?"))
        return true;
    error_set(error, "unknown event \"%.*s\"", QAPI_ECHO_MAX, name);
    return false;
}

TraceEventInfoList *qmp_trace_event_get_state(QmpContext *ctx,
                                              const TraceEventGetStateArgs *args,
                                              GError **error)
{
    g_autoptr(GArray) states = trace_list(args->name);
    TraceEventInfoList *list;

    if (!check_name(args->name, states->len, error))
        return NULL;
    list = TraceEventInfoList_new();
    for (guint i = 0; i < states->len; i++) {
        const TraceState *state = &g_array_index(states, TraceState, i);
        TraceEventInfo *info = g_new0(TraceEventInfo, 1);

        info->name = g_strdup(state->name);
        info->state =
            state->on ? TRACE_EVENT_STATE_ENABLED : TRACE_EVENT_STATE_DISABLED;
        TraceEventInfoList_append(list, info);
    }
    return list;
}

bool qmp_trace_event_set_state(QmpContext *ctx, const TraceEventSetStateArgs *args,
                               GError **error)
{
    return check_name(args->name, trace_set(args->name, args->enable), error);
}
