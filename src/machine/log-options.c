/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Options of the log and of trace points.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "berth/error.h"
#include "berth/log.h"
#include "berth/trace.h"

#include "berth/log-options.h"

static bool enable_traces(const char *pattern, GError **error)
{
    if (trace_set(pattern, true) > 0)
        return true;
    error_set(error, "no trace point matches '%s' (-trace help lists them)", pattern);
    return false;
}

static bool apply_item(const char *item, GError **error)
{
    if (g_str_has_prefix(item, "trace:"))
        return enable_traces(item + strlen("trace:"), error);
    if (strcmp(item, "info") == 0) {
        log_set_level(LOG_LEVEL_INFO);
        return true;
    }
    if (strcmp(item, "debug") == 0) {
        log_set_level(LOG_LEVEL_DEBUG);
        return true;
    }
    /* What guests do wrong is written at any level. */
    if (strcmp(item, "guest_errors") == 0)
        return true;
    error_set(error, "there is no log item '%s' (-d help lists them)", item);
    return false;
}

static bool apply_items(const char *text, GError **error)
{
    g_auto(GStrv) items = g_strsplit(text, ",", -1);

    for (char **item = items; *item; item++) {
        if (!apply_item(*item, error)) {
            g_prefix_error(error, "-d %s: ", text);
            return false;
        }
    }
    return true;
}

static bool apply_trace(const char *text, GError **error)
{
    const char *pattern =
        g_str_has_prefix(text, "enable=") ? text + strlen("enable=") : text;

    if (enable_traces(pattern, error))
        return true;
    g_prefix_error(error, "-trace %s: ", text);
    return false;
}

bool log_options_apply(const Cmdline *cmdline, GError **error)
{
    if (cmdline->msg && cmdline->msg->has_timestamp)
        log_set_timestamps(cmdline->msg->timestamp);
    if (cmdline->msg && cmdline->msg->guest_name && cmdline->name)
        log_set_guest_name(cmdline->name->guest);
    if (cmdline->log_file) {
        int fd = open(cmdline->log_file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

        if (fd < 0) {
            error_set_errno(error, errno, "-D: cannot open '%s'", cmdline->log_file);
            return false;
        }
        log_set_fd(fd);
    }
    for (guint i = 0; i < cmdline->log_items->len; i++) {
        if (!apply_items(g_ptr_array_index(cmdline->log_items, i), error))
            return false;
    }
    for (guint i = 0; i < cmdline->traces->len; i++) {
        if (!apply_trace(g_ptr_array_index(cmdline->traces, i), error))
            return false;
    }
    return true;
}
