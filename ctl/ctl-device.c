/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "plug" and "unplug".  A device is plugged when the machine says so; it is unplugged
 * when the guest has let it go, which it tells by events.
 */
#include <stdio.h>
#include <string.h>

#include "ctl-args.h"
#include "ctl-conn.h"

int ctl_device_plug(const CtlOptions *options, int argc, char **argv, GError **error)
{
    g_autoptr(CtlConn) conn = ctl_conn_find(options, argv[0]);
    JsonValue *arguments = ctl_args_of_device(argv[1], error);

    if (!arguments)
        return 1;
    return ctl_conn_ask(conn, options, "device_add", arguments, error) ? 0 : 1;
}

typedef enum Verdict {
    VERDICT_NONE,
    VERDICT_GONE,
    VERDICT_KEPT,               /* *@error says why */
} Verdict;

static Verdict judge(const CtlConn *conn, const JsonValue *event, const char *id,
                     GError **error)
{
    const char *name = json_as_string(json_member(event, "event"));
    const JsonValue *data = json_member(event, "data");
    const JsonValue *device = data ? json_member(data, "device") : NULL;
    const JsonValue *reason = data ? json_member(data, "x-reason") : NULL;

    if (!device || g_strcmp0(json_as_string(device), id) != 0)
        return VERDICT_NONE;
    if (strcmp(name, "DEVICE_DELETED") == 0)
        return VERDICT_GONE;
    if (strcmp(name, "DEVICE_UNPLUG_GUEST_ERROR") == 0)
        error_set(error, "machine '%s': the guest keeps '%s': %s", conn->name, id,
                  reason ? json_as_string(reason) : "it gives no reason");
    else if (strcmp(name, "X_DEVICE_UNPLUG_SILENT") == 0)
        error_set(error, "machine '%s': the guest does not answer whether it lets '%s' "
                  "go; it may do so later, and -f does not ask it", conn->name, id);
    else
        return VERDICT_NONE;
    return VERDICT_KEPT;
}

int ctl_device_unplug(const CtlOptions *options, int argc, char **argv, GError **error)
{
    g_autoptr(CtlConn) conn = ctl_conn_find(options, argv[0]);
    int64_t end_ns = ctl_conn_clock_ns() + options->wait_ns;
    const char *command = options->force ? "x-device-del-force" : "device_del";
    JsonValue *arguments = json_new_object();
    Verdict verdict = VERDICT_NONE;

    json_set(arguments, "id", json_new_string(argv[1]));
    if (!ctl_conn_ask(conn, options, command, arguments, error))
        return 1;
    while (verdict == VERDICT_NONE) {
        JsonValue *event = ctl_conn_event(conn, end_ns, error);

        if (!event)
            break;
        verdict = judge(conn, event, argv[1], error);
        json_unref(event);
    }
    if (verdict == VERDICT_NONE && error && !*error)
        error_set(error, "machine '%s': the guest has not let '%s' go yet; it may do so "
                  "later (-w SECONDS waits longer, -f does not ask it)", conn->name,
                  argv[1]);
    return verdict == VERDICT_GONE ? 0 : 1;
}
