/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "balloon": shows it, or sets it and waits until the guest has come there.
 */
#include <stdio.h>

#include "ctl-args.h"
#include "ctl-conn.h"

/* Between two looks: its event comes once a second at most. */
#define LOOK_NS (NS_PER_SEC / 2)

#define PAGE_SIZE 4096u         /* of the balloon */

static bool read_actual(CtlConn *conn, const CtlOptions *options, uint64_t *ret_actual,
                        GError **error)
{
    const JsonValue *info = ctl_conn_ask(conn, options, "query-balloon", NULL, error);
    const JsonValue *actual = info ? json_member(info, "actual") : NULL;

    if (!info)
        return false;
    if (actual && json_as_uint(actual, ret_actual))
        return true;
    error_set(error, "machine '%s': its answer is none", conn->name);
    return false;
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

/* What "actual" is when the guest has done all that it can: whole pages of its memory. */
static bool find_target(CtlConn *conn, const CtlOptions *options, uint64_t bytes,
                        uint64_t *ret_target, GError **error)
{
    const JsonValue *size = ctl_conn_ask(conn, options, "query-memory-size-summary", NULL,
                                         error);
    uint64_t memory =
        ctl_conn_number(size, "base-memory") + ctl_conn_number(size, "plugged-memory");

    *ret_target = ALIGN_UP(MIN(bytes, memory), PAGE_SIZE);
    return size != NULL;
}

int ctl_balloon_run(const CtlOptions *options, int argc, char **argv, GError **error)
{
    g_autoptr(CtlConn) conn = ctl_conn_find(options, argv[0]);
    JsonValue *arguments;
    uint64_t bytes, target;

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
    return find_target(conn, options, bytes, &target, error)
               ? wait_for(conn, options, target, error) : 1;
}
