/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an operator reads on stderr.  Any thread.
 *
 * error: the VM or a request failed for a host reason.  warn: it works, but someone
 * should look.  info: once an act.  debug: off unless asked for.
 *
 * A line is "berth: text", "berth: warning: text" and so on, at most LOG_LINE_MAX bytes
 * ("..." is the middle of a longer one), with control characters shown as '?', written
 * with one write(2).  No thread ever waits for the reader: while the descriptor takes
 * nothing, lines are dropped, and the next one that is written is preceded by how many.
 */
#pragma once

#include "berth/base.h"

#define LOG_LINE_MAX 4096

typedef enum LogLevel {
    LOG_LEVEL_ERROR,
    LOG_LEVEL_WARN,
    LOG_LEVEL_INFO,
    LOG_LEVEL_DEBUG,
} LogLevel;

/* Lines above @level are dropped; the start value is LOG_LEVEL_WARN. */
void log_set_level(LogLevel level);
/* "-msg timestamp=on": each line begins with UTC time as QEMU prints it. */
void log_set_timestamps(bool on);
/* "-msg guest-name=on": each line has @name (lent, NULL for none) before "berth:". */
void log_set_guest_name(const char *name);
/* Sends the lines to @fd (kept open by the caller) in place of stderr. */
void log_set_fd(int fd);
/* The same, and @fd is the log's; the one that it had is closed.  Main. */
void log_take_fd(int fd);
/* The same for the lines of trace points, which go with the others before. */
void log_take_trace_fd(int fd);

/*
 * What GLib says (that an assertion fails, that memory is out) is a line as others, not
 * in the process's character set, for which GLib would open files.  Once, at the start.
 */
void log_take_library_messages(void);

/* Where the lines go now.  Also in a signal handler. */
int log_fd(void);

void log_error(const char *format, ...) G_GNUC_PRINTF(1, 2);
void log_warn(const char *format, ...) G_GNUC_PRINTF(1, 2);
void log_info(const char *format, ...) G_GNUC_PRINTF(1, 2);
void log_debug(const char *format, ...) G_GNUC_PRINTF(1, 2);

/* Writes a line at any level: "berth: @label: text". */
void log_valist(const char *label, const char *format, va_list args) G_GNUC_PRINTF(2, 0);
/* The same for trace points. */
void log_trace_valist(const char *label, const char *format, va_list args)
    G_GNUC_PRINTF(2, 0);

/*
 * A budget of lines for what a guest or a client can cause: at most 10 lines in 10
 * seconds, then one that says how many were left out.  Zero-initialised; any thread.
 */
typedef struct LogLimit {
    int64_t window_start_ns;
    uint32_t count;
} LogLimit;

/*
 * True when a line may be written now; *@ret_dropped (may be NULL) tells of earlier
 * silence.
 */
bool log_limit_pass(LogLimit *limit, uint32_t *ret_dropped);
