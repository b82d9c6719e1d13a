/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "qmp" and "events".
 */
#include <stdio.h>
#include <string.h>

#include "ctl-args.h"
#include "ctl-conn.h"

static void print_pretty(const JsonValue *value)
{
    g_autoptr(GString) text = g_string_new(NULL);
    JsonWriter writer;

    json_writer_init(&writer, text, true);
    json_writer_value(&writer, value);
    printf("%s\n", text->str);
}

int ctl_qmp_run(const CtlOptions *options, int argc, char **argv, GError **error)
{
    g_autoptr(CtlConn) conn = ctl_conn_find(options, argv[0]);
    JsonValue *arguments = ctl_args_of_command(argv[1], argv + 2, argc - 2, error);
    const JsonValue *value;

    if (!arguments)
        return 1;
    value = ctl_conn_ask(conn, options, argv[1], arguments, error);
    if (value)
        print_pretty(value);
    return value ? 0 : 1;
}

static bool is_wanted(const JsonValue *event, int n, char **names)
{
    const char *name = json_as_string(json_member(event, "event"));

    for (int i = 0; i < n; i++) {
        if (g_strcmp0(names[i], name) == 0)
            return true;
    }
    return n == 0;
}

int ctl_qmp_events(const CtlOptions *options, int argc, char **argv, GError **error)
{
    g_autoptr(CtlConn) conn = ctl_conn_find(options, argv[0]);
    JsonValue *event;

    if (!ctl_conn_ask(conn, options, "query-status", NULL, error))
        return 1;
    /* The end of the machine is the end of its events. */
    while ((event = ctl_conn_event(conn, INT64_MAX, NULL))) {
        g_autofree char *text = json_to_text(event);

        if (is_wanted(event, argc - 1, argv + 1)) {
            printf("%s\n", text);
            fflush(stdout);
        }
        json_unref(event);
    }
    return 0;
}
