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

/*
 * What -qmp of a machine would be sent, {"execute": ...}, in one text; the name in it is
 * lent from @ret_request.  False with @error.
 */
static bool read_request(const char *text, JsonValue **ret_request,
                         JsonValue **ret_arguments, GError **error)
{
    JsonValue *request = json_parse_text(text, strlen(text), error);
    JsonValue *arguments;

    if (!request)
        return false;
    arguments = json_member(request, "arguments");
    if (json_kind(request) != JSON_OBJECT || !json_member(request, "execute") ||
        json_kind(json_member(request, "execute")) != JSON_STRING ||
        json_length(request) != (arguments ? 2 : 1)) {
        error_set(error, "expected COMMAND [KEY=VALUE...], or {\"execute\": COMMAND, "
                  "\"arguments\": {...}}");
        json_unref(request);
        return false;
    }
    *ret_request = request;
    *ret_arguments = arguments ? json_ref(arguments) : json_new_object();
    return true;
}

int ctl_qmp_run(const CtlOptions *options, int argc, char **argv, GError **error)
{
    g_autoptr(CtlConn) conn = ctl_conn_find(options, argv[0]);
    g_autoptr(JsonValue) request = NULL;
    JsonValue *arguments = NULL;
    const char *command = argv[1];
    const JsonValue *value;

    if (*command == '{' && argc == 2) {
        if (!read_request(command, &request, &arguments, error))
            return 1;
        command = json_as_string(json_member(request, "execute"));
    } else {
        arguments = ctl_args_of_command(command, argv + 2, argc - 2, error);
    }
    if (!arguments)
        return 1;
    value = ctl_conn_ask(conn, options, command, arguments, error);
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
