/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "shutdown": presses the power button and waits for the end; with force, ends the
 * machine when the guest has not ended by then.  It returns when the process has gone,
 * so that the machine may be started again at once.
 */
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

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

/* The process may stay, as with -no-shutdown: the machine is over all the same. */
static int gone(CtlConn *conn, const CtlOptions *options, int pidfd)
{
    ctl_conn_wait_exit(conn, pidfd, ctl_conn_clock_ns() + options->timeout_ns);
    return 0;
}

/* -1: no such process, or the kernel has no such descriptors. */
static int open_process(int pid)
{
    return pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
}

int ctl_shutdown_run(const CtlOptions *options, int argc, char **argv, GError **error)
{
    g_autoptr(CtlConn) conn = ctl_conn_find(options, argv[0]);
    g_autofd int pidfd = -1;

    if (!ctl_conn_ask(conn, options, "system_powerdown", NULL, error))
        return 1;
    pidfd = open_process(ctl_conn_pid(conn));
    if (wait_for_end(conn, ctl_conn_clock_ns() + options->wait_ns))
        return gone(conn, options, pidfd);
    if (!options->force) {
        error_set(error, "machine '%s': the guest has not switched off; it may still (-w "
                  "SECONDS waits longer, -f ends the machine)", conn->name);
        return 1;
    }
    if (!ctl_conn_ask(conn, options, "quit", NULL, error))
        return 1;
    if (wait_for_end(conn, ctl_conn_clock_ns() + options->timeout_ns))
        return gone(conn, options, pidfd);
    error_set(error, "machine '%s': it has not ended in time; it may still (-t SECONDS "
              "waits longer)", conn->name);
    return 1;
}
