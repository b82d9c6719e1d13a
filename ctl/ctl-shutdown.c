/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "shutdown": presses the power button and waits for the end; with force, ends the
 * machine when the guest has not ended by then.
 */
#include <string.h>

#include "ctl-conn.h"

/* Whether the machine is over: it said so, or its session ended. */
static bool wait_for_end(CtlConn *conn, int64_t end_ns)
{
    bool over = false;

    while (!over) {
        JsonValue *event = ctl_conn_event(conn, end_ns, NULL);

        if (!event)
            return conn->error != NULL;
        over = g_strcmp0(json_as_string(json_member(event, "event")), "SHUTDOWN") == 0;
        json_unref(event);
    }
    return true;
}

int ctl_shutdown_run(const CtlOptions *options, int argc, char **argv, GError **error)
{
    g_autoptr(CtlConn) conn = ctl_conn_find(options, argv[0]);

    if (!ctl_conn_ask(conn, options, "system_powerdown", NULL, error))
        return 1;
    if (wait_for_end(conn, ctl_conn_clock_ns() + options->wait_ns))
        return 0;
    if (!options->force) {
        error_set(error, "machine '%s': the guest has not switched off; it may still (-w "
                  "SECONDS waits longer, -f ends the machine)", conn->name);
        return 1;
    }
    if (!ctl_conn_ask(conn, options, "quit", NULL, error))
        return 1;
    return wait_for_end(conn, ctl_conn_clock_ns() + options->timeout_ns) ? 0 : 1;
}
