/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is logged, and where.
 *
 * An item of -d is a level, or a name for trace points that belong together; so -d
 * unimp and -trace 'unimp_*' are the same.  What is asked for and not there is an error:
 * a log that stays empty for a wrong name would be taken for an answer.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "berth/error.h"
#include "berth/file-read.h"
#include "berth/log.h"
#include "berth/trace.h"

#include "berth/log-options.h"

#define EVENTS_FILE_MAX MIB

typedef enum LogItemKind {
    LOG_ITEM_ALWAYS,            /* is written anyhow */
    LOG_ITEM_LEVEL,
    LOG_ITEM_POINTS,
} LogItemKind;

typedef struct LogItem {
    const char *name;
    LogItemKind kind;
    LogLevel level;
    const char *points;         /* a pattern */
    const char *help;
} LogItem;

static const LogItem log_items[] = {
    { "guest_errors", LOG_ITEM_ALWAYS, 0, NULL,
      "what the guest did wrong (always, 10 lines in 10 s of each device)" },
    { "unimp", LOG_ITEM_POINTS, 0, "unimp_*",
      "what the guest touches and devices do not have" },
    { "invalid_mem", LOG_ITEM_POINTS, 0, "unassigned_*", "accesses that nobody answers" },
    { "int", LOG_ITEM_POINTS, 0, "irq_*", "interrupts of devices, pins and messages" },
    { "cpu_reset", LOG_ITEM_POINTS, 0, "cpu_reset", "registers of vCPUs before a reset" },
    { "info", LOG_ITEM_LEVEL, LOG_LEVEL_INFO, NULL, "acts such as start and reset" },
    { "debug", LOG_ITEM_LEVEL, LOG_LEVEL_DEBUG, NULL, "everything but trace points" },
};

void log_options_help(GString *out)
{
    g_string_append(out, "Log items (comma separated):\n");
    for (size_t i = 0; i < G_N_ELEMENTS(log_items); i++)
        g_string_append_printf(out, "%-15s %s\n", log_items[i].name, log_items[i].help);
    g_string_append_printf(out, "%-15s %s\n", "trace:PATTERN",
                           "the trace points that match (-trace help lists them)");
}

static bool set_points(const char *pattern, GError **error)
{
    bool on = *pattern != '-';

    if (!on)
        pattern++;
    if (trace_set(pattern, on) > 0)
        return true;
    error_set(error, "no trace point matches '%s' (-trace help lists them)", pattern);
    return false;
}

static const LogItem *find_item(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(log_items); i++) {
        if (strcmp(log_items[i].name, name) == 0)
            return &log_items[i];
    }
    return NULL;
}

static bool set_item(const char *name, GError **error)
{
    const LogItem *item = find_item(name);

    if (g_str_has_prefix(name, "trace:"))
        return set_points(name + strlen("trace:"), error);
    if (!item) {
        error_set(error, "there is no log item '%s' (-d help lists them)", name);
        return false;
    }
    switch (item->kind) {
    case LOG_ITEM_ALWAYS:
        break;
    case LOG_ITEM_LEVEL:
        log_set_level(item->level);
        break;
    case LOG_ITEM_POINTS:
        trace_set(item->points, true);
        break;
    }
    return true;
}

bool log_options_set_items(const char *text, GError **error)
{
    g_auto(GStrv) names = g_strsplit(text, ",", -1);

    if (strcmp(text, "none") == 0) {
        log_set_level(LOG_LEVEL_WARN);
        trace_set("*", false);
        return true;
    }
    /* Of an empty text there are none, where a name was expected. */
    if (!*names)
        return set_item("", error);
    for (char **name = names; *name; name++) {
        if (!set_item(*name, error))
            return false;
    }
    return true;
}

/* "%d" is the process id. */
static char *expand_path(const char *path, GError **error)
{
    const char *mark = strchr(path, '%');

    if (!mark)
        return g_strdup(path);
    if (mark[1] != 'd' || strchr(mark + 1, '%')) {
        error_set(error, "'%s': there can be one '%%d', for the process id", path);
        return NULL;
    }
    return g_strdup_printf("%.*s%d%s", (int)(mark - path), path, (int)getpid(), mark + 2);
}

static int open_log(const char *path, GError **error)
{
    g_autofree char *name = expand_path(path, error);
    int fd;

    if (!name)
        return -1;
    fd = open(name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0644);
    if (fd < 0)
        error_set_errno(error, errno, "cannot open '%s'", name);
    return fd;
}

bool log_options_set_file(const char *path, GError **error)
{
    int fd = open_log(path, error);

    if (fd < 0)
        return false;
    log_take_fd(fd);
    return true;
}

static bool set_points_of_file(const char *path, GError **error)
{
    size_t size;
    g_autofree char *text = (char *)file_read(path, EVENTS_FILE_MAX, &size, error);
    g_auto(GStrv) lines = text ? g_strsplit(text, "\n", -1) : NULL;

    for (unsigned i = 0; lines && lines[i]; i++) {
        const char *pattern = g_strstrip(lines[i]);

        if (*pattern && *pattern != '#' && !set_points(pattern, error)) {
            g_prefix_error(error, "'%s', line %u: ", path, i + 1);
            return false;
        }
    }
    return lines != NULL;
}

static bool apply_trace(const TraceOptions *options, GError **error)
{
    int fd;

    if ((options->enable && !set_points(options->enable, error)) ||
        (options->events && !set_points_of_file(options->events, error)))
        return false;
    if (!options->file)
        return true;
    fd = open_log(options->file, error);
    if (fd < 0)
        return false;
    log_take_trace_fd(fd);
    return true;
}

static bool apply_traces(const GPtrArray *traces, GError **error)
{
    for (guint i = 0; i < traces->len; i++) {
        if (!apply_trace(g_ptr_array_index(traces, i), error)) {
            g_prefix_error(error, "-trace: ");
            return false;
        }
    }
    return true;
}

bool log_options_apply(const Cmdline *cmdline, GError **error)
{
    if (cmdline->msg && cmdline->msg->has_timestamp)
        log_set_timestamps(cmdline->msg->timestamp);
    if (cmdline->msg && cmdline->msg->guest_name && cmdline->name)
        log_set_guest_name(cmdline->name->guest);
    if (cmdline->log_file && !log_options_set_file(cmdline->log_file, error)) {
        g_prefix_error(error, "-D: ");
        return false;
    }
    for (guint i = 0; i < cmdline->log_items->len; i++) {
        const char *text = g_ptr_array_index(cmdline->log_items, i);

        if (!log_options_set_items(text, error)) {
            g_prefix_error(error, "-d %s: ", text);
            return false;
        }
    }
    return apply_traces(cmdline->traces, error);
}
