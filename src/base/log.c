/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lines for the operator.
 *
 * The reader of stderr may be stopped or slow (a pipe to a log daemon), and a vCPU may
 * be the one that writes.  So the descriptor is polled first: a pipe that polls
 * writable has room for PIPE_BUF bytes, which a line never exceeds.
 */
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "berth/log.h"

#define WINDOW_NS (10 * NS_PER_SEC)
#define WINDOW_LINES 10
#define LAST_BYTES ((size_t)1024)

typedef struct Line {
    size_t size;
    char text[LOG_LINE_MAX];
} Line;

/* Where lines go. */
typedef struct Sink {
    atomic_int fd;
    atomic_uint n_lost;
    bool owned;                 /* main only */
} Sink;

static struct {
    _Atomic LogLevel level;
    atomic_bool timestamps;
    const char *_Atomic guest_name;
    Sink lines;
    Sink traces;                /* fd -1: with the other lines */
    LogLimit library;           /* of what a guest can make a library say */
} log_state = {
    .level = LOG_LEVEL_WARN, .lines.fd = STDERR_FILENO, .traces.fd = -1
};

void log_set_level(LogLevel level)
{
    atomic_store_explicit(&log_state.level, level, memory_order_relaxed);
}

void log_set_timestamps(bool on)
{
    atomic_store_explicit(&log_state.timestamps, on, memory_order_relaxed);
}

void log_set_guest_name(const char *name)
{
    atomic_store_explicit(&log_state.guest_name, name, memory_order_relaxed);
}

void log_set_fd(int fd)
{
    log_state.lines.owned = false;
    atomic_store_explicit(&log_state.lines.fd, fd, memory_order_relaxed);
}

/*
 * Other threads may be about to write to the number of the old file, so that number
 * becomes the new file's.
 */
static void sink_take_fd(Sink *sink, int fd)
{
    int old = atomic_load_explicit(&sink->fd, memory_order_relaxed);

    if (sink->owned && dup3(fd, old, O_CLOEXEC) >= 0) {
        close(fd);
        return;
    }
    sink->owned = true;
    atomic_store_explicit(&sink->fd, fd, memory_order_relaxed);
}

int log_fd(void)
{
    return atomic_load_explicit(&log_state.lines.fd, memory_order_relaxed);
}

void log_take_fd(int fd)
{
    sink_take_fd(&log_state.lines, fd);
}

void log_take_trace_fd(int fd)
{
    sink_take_fd(&log_state.traces, fd);
}

/* Puts the end of a text that is too long where its middle was: there is the reason. */
static G_GNUC_PRINTF(3, 0) void cut_middle(char *text, size_t size, const char *format,
                                           va_list args)
{
    g_autofree char *all = g_strdup_vprintf(format, args);
    size_t n_last = MIN(size / 2, LAST_BYTES);

    memcpy(text + size - n_last, all + strlen(all) - n_last, n_last);
    memcpy(text + size - n_last - 3, "...", 3);
}

/* Leaves room for a byte behind it, which is to be a line feed. */
static G_GNUC_PRINTF(2, 0) void line_add_valist(Line *line, const char *format,
                                                va_list args)
{
    size_t room = sizeof(line->text) - line->size;
    char *text = line->text + line->size;
    va_list again;
    int wanted;

    va_copy(again, args);
    wanted = vsnprintf(text, room, format, args);
    if (wanted >= 0 && (size_t)wanted >= room) {
        wanted = (int)room - 1;
        if (room > 8)
            cut_middle(text, room - 1, format, again);
    }
    if (wanted > 0)
        line->size += wanted;
    va_end(again);
}

static G_GNUC_PRINTF(2, 3) void line_add(Line *line, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    line_add_valist(line, format, args);
    va_end(args);
}

static void line_add_head(Line *line)
{
    const char *name = atomic_load_explicit(&log_state.guest_name, memory_order_relaxed);
    struct timespec now;
    struct tm utc;

    if (atomic_load_explicit(&log_state.timestamps, memory_order_relaxed)) {
        clock_gettime(CLOCK_REALTIME, &now);
        gmtime_r(&now.tv_sec, &utc);
        line_add(line, "%04d-%02d-%02dT%02d:%02d:%02d.%06ldZ ", utc.tm_year + 1900,
                 utc.tm_mon + 1, utc.tm_mday, utc.tm_hour, utc.tm_min, utc.tm_sec,
                 now.tv_nsec / 1000);
    }
    if (name)
        line_add(line, "%.256s ", name);
    line_add(line, "berth: ");
}

static bool line_write(Line *line, Sink *sink)
{
    struct pollfd poll_fd = {
        .fd = atomic_load_explicit(&sink->fd, memory_order_relaxed),
        .events = POLLOUT,
    };

    for (size_t i = 0; i < line->size; i++) {
        unsigned char c = line->text[i];
        bool is_c1 = i > 0 && c >= 0x80 && c < 0xa0 && line->text[i - 1] == '\xc2';

        if (c < ' ' || c == 0x7f || is_c1)
            line->text[i] = '?';
    }
    line->text[line->size++] = '\n';
    return poll(&poll_fd, 1, 0) == 1 && (poll_fd.revents & POLLOUT) &&
           write(poll_fd.fd, line->text, line->size) > 0;
}

static bool tell_lost(unsigned n_lost, Sink *sink)
{
    Line line = { .size = 0 };

    line_add_head(&line);
    line_add(&line, "warning: %u lines were lost: nobody read them", n_lost);
    return line_write(&line, sink);
}

static G_GNUC_PRINTF(3, 0) void write_to(Sink *sink, const char *label,
                                         const char *format, va_list args)
{
    unsigned n_lost = atomic_exchange(&sink->n_lost, 0);
    Line line = { .size = 0 };

    if (n_lost > 0 && !tell_lost(n_lost, sink)) {
        atomic_fetch_add(&sink->n_lost, n_lost + 1);
        return;
    }
    line_add_head(&line);
    if (label)
        line_add(&line, "%s: ", label);
    line_add_valist(&line, format, args);
    if (!line_write(&line, sink))
        atomic_fetch_add(&sink->n_lost, 1);
}

void log_valist(const char *label, const char *format, va_list args)
{
    write_to(&log_state.lines, label, format, args);
}

void log_trace_valist(const char *label, const char *format, va_list args)
{
    bool is_apart =
        atomic_load_explicit(&log_state.traces.fd, memory_order_relaxed) >= 0;

    write_to(is_apart ? &log_state.traces : &log_state.lines, label, format, args);
}

/* GLib puts an assertion's message between lines of its own. */
static void on_library_text(const char *text)
{
    g_autofree char *line = g_strdup(text);

    g_strdelimit(line, "\n", ' ');
    log_error("%s", g_strstrip(line));
}

static GLogWriterOutput on_library_message(GLogLevelFlags level, const GLogField *fields,
                                           gsize n_fields, gpointer opaque)
{
    bool is_message = (level & G_LOG_LEVEL_MASK) <= G_LOG_LEVEL_MESSAGE;

    if (!(level & (G_LOG_LEVEL_ERROR | G_LOG_FLAG_FATAL)) &&
        !log_limit_pass(&log_state.library, NULL))
        return G_LOG_WRITER_HANDLED;
    for (gsize i = 0; i < n_fields; i++) {
        if (strcmp(fields[i].key, "MESSAGE") == 0 && is_message)
            log_error("%s", (const char *)fields[i].value);
    }
    return G_LOG_WRITER_HANDLED;
}

void log_take_library_messages(void)
{
    g_set_printerr_handler(on_library_text);
    g_log_set_writer_func(on_library_message, NULL, NULL);
}

static bool level_is_on(LogLevel level)
{
    return level <= atomic_load_explicit(&log_state.level, memory_order_relaxed);
}

void log_error(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    log_valist(NULL, format, args);
    va_end(args);
}

void log_warn(const char *format, ...)
{
    va_list args;

    if (!level_is_on(LOG_LEVEL_WARN))
        return;
    va_start(args, format);
    log_valist("warning", format, args);
    va_end(args);
}

void log_info(const char *format, ...)
{
    va_list args;

    if (!level_is_on(LOG_LEVEL_INFO))
        return;
    va_start(args, format);
    log_valist("info", format, args);
    va_end(args);
}

void log_debug(const char *format, ...)
{
    va_list args;

    if (!level_is_on(LOG_LEVEL_DEBUG))
        return;
    va_start(args, format);
    log_valist("debug", format, args);
    va_end(args);
}

bool log_limit_pass(LogLimit *limit, uint32_t *ret_dropped)
{
    struct timespec clock;
    int64_t now_ns, start_ns;
    uint32_t count;

    clock_gettime(CLOCK_MONOTONIC, &clock);
    now_ns = clock.tv_sec * NS_PER_SEC + clock.tv_nsec;
    start_ns = __atomic_load_n(&limit->window_start_ns, __ATOMIC_RELAXED);
    if (ret_dropped)
        *ret_dropped = 0;

    /* One thread wins the exchange and opens the next window. */
    if ((start_ns == 0 || now_ns - start_ns >= WINDOW_NS) &&
        __atomic_compare_exchange_n(&limit->window_start_ns, &start_ns, now_ns, false,
                                    __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
        count = __atomic_exchange_n(&limit->count, 1, __ATOMIC_RELAXED);
        if (ret_dropped && count > WINDOW_LINES)
            *ret_dropped = count - WINDOW_LINES;
        return true;
    }
    if (__atomic_load_n(&limit->count, __ATOMIC_RELAXED) == UINT32_MAX)
        return false;
    return __atomic_fetch_add(&limit->count, 1, __ATOMIC_RELAXED) < WINDOW_LINES;
}
