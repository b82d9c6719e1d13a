/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "balloon": shows it, or sets it and waits until the guest has come there.
 */
#include <stdio.h>

#include "ctl-args.h"
#include "ctl-conn.h"

/* Between two looks: its event comes once a second at most. */
#define LOOK_NS (NS_PER_SEC / 2)

static bool read_actual(CtlConn *conn, const CtlOptions *options, uint64_t *ret_actual,
                        GError **error)
{
    const JsonValue *info = ctl_conn_ask(conn, options, "query-balloon", NULL, error);

    return info && json_as_uint(json_member(info, "actual"), ret_actual);
}

static int wait_for(CtlConn *conn, const CtlOptions *options, uint64_t target,
                    GError **error)
{
    int64_t end_ns = ctl_conn_clock_ns() + options->wait_ns;
    uint64_t actual;

    for (;;) {
        JsonValue *event;

        if (!read_actual(conn, options, &actual, error))
            return 1;
        if (actual == target || ctl_conn_clock_ns() >= end_ns)
            break;
        event = ctl_conn_event(conn, MIN(end_ns, ctl_conn_clock_ns() + LOOK_NS), NULL);
        json_unref(event);
    }
    printf("%" PRIu64 "\n", actual);
    if (actual == target)
        return 0;
    error_set(error, "machine '%s': the guest has not come to %" PRIu64 " bytes; it may "
              "go on (-w SECONDS waits longer)", conn->name, target);
    return 1;
}

int ctl_balloon_run(const CtlOptions *options, int argc, char **argv, GError **error)
{
    g_autoptr(CtlConn) conn = ctl_conn_find(options, argv[0]);
    JsonValue *arguments;
    uint64_t bytes;

    if (argc == 1) {
        if (!read_actual(conn, options, &bytes, error))
            return 1;
        printf("%" PRIu64 "\n", bytes);
        return 0;
    }
    if (!ctl_args_size(argv[1], &bytes, error))
        return 1;
    arguments = json_new_object();
    json_set(arguments, "value", json_new_uint(bytes));
    if (!ctl_conn_ask(conn, options, "balloon", arguments, error))
        return 1;
    return wait_for(conn, options, bytes, error);
}
