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
    VERDICT_KEPT,
    VERDICT_SILENT,
} Verdict;

/* Of _OST, as ACPI (6.3.5) has them. */
#define OST_SOURCE_EJECT 3
#define OST_DONE 0
#define OST_UNDER_WAY 132

/* Devices are named by their ids, or by their paths. */
static bool is_about(const JsonValue *data, const char *name)
{
    return g_strcmp0(ctl_conn_text(data, "device"), name) == 0 ||
           g_strcmp0(ctl_conn_text(data, "path"), name) == 0;
}

/* A guest's word on a vCPU or memory. */
static Verdict judge_ost(const JsonValue *info)
{
    uint64_t status = ctl_conn_number(info, "status");

    if (ctl_conn_number(info, "source") != OST_SOURCE_EJECT)
        return VERDICT_NONE;
    return status == OST_DONE || status == OST_UNDER_WAY ? VERDICT_NONE : VERDICT_KEPT;
}

static Verdict judge(const JsonValue *event, const char *device)
{
    const char *name = ctl_conn_text(event, "event");
    const JsonValue *data = json_member(event, "data");
    const JsonValue *info = data ? json_member(data, "info") : NULL;

    if (info && g_strcmp0(name, "ACPI_DEVICE_OST") == 0)
        return is_about(info, device) ? judge_ost(info) : VERDICT_NONE;
    if (!data || !is_about(data, device))
        return VERDICT_NONE;
    if (g_strcmp0(name, "DEVICE_DELETED") == 0)
        return VERDICT_GONE;
    if (g_strcmp0(name, "DEVICE_UNPLUG_GUEST_ERROR") == 0)
        return VERDICT_KEPT;
    return g_strcmp0(name, "X_DEVICE_UNPLUG_SILENT") == 0 ? VERDICT_SILENT : VERDICT_NONE;
}

/* Why the guest keeps it, lent; the machine may have more to say than its event. */
static const char *find_reason(CtlConn *conn, const CtlOptions *options,
                               const char *device)
{
    const JsonValue *list = ctl_conn_ask(conn, options, "x-query-unplug", NULL, NULL);

    for (size_t i = 0; i < ctl_conn_length(list); i++) {
        const char *reason = ctl_conn_text(json_at(list, i), "reason");

        if (reason && is_about(json_at(list, i), device))
            return reason;
    }
    return "it gives no reason";
}

static int tell_failure(CtlConn *conn, const CtlOptions *options, Verdict verdict,
                        const char *device, GError **error)
{
    if (verdict == VERDICT_KEPT)
        error_set(error, "machine '%s': the guest keeps '%s': %s", conn->name, device,
                  find_reason(conn, options, device));
    else if (verdict == VERDICT_SILENT)
        error_set(error, "machine '%s': the guest does not answer whether it lets '%s' "
                  "go; it may do so later, and -f does not ask it", conn->name, device);
    else
        error_set(error, "machine '%s': the guest has not let '%s' go yet; it may do so "
                  "later (-w SECONDS waits longer, -f does not ask it)", conn->name,
                  device);
    return 1;
}

/* Events that come before @end_ns until one is a verdict. */
static Verdict wait_verdict(CtlConn *conn, const char *device, int64_t end_ns,
                            GError **error)
{
    Verdict verdict = VERDICT_NONE;

    while (verdict == VERDICT_NONE) {
        JsonValue *event = ctl_conn_event(conn, end_ns, error);

        if (!event)
            break;
        verdict = judge(event, device);
        json_unref(event);
    }
    return verdict;
}

int ctl_device_unplug(const CtlOptions *options, int argc, char **argv, GError **error)
{
    g_autoptr(CtlConn) conn = ctl_conn_find(options, argv[0]);
    int64_t end_ns = ctl_conn_clock_ns() + options->wait_ns;
    const char *command = options->force ? "x-device-del-force" : "device_del";
    JsonValue *arguments = json_new_object();
    Verdict verdict;

    json_set(arguments, "id", json_new_string(argv[1]));
    if (!ctl_conn_ask(conn, options, command, arguments, error))
        return 1;
    verdict = wait_verdict(conn, argv[1], end_ns, error);
    if (verdict == VERDICT_GONE)
        return 0;
    return conn->error ? 1 : tell_failure(conn, options, verdict, argv[1], error);
}
