/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the process is to the host, and going into the background.  Main only.
 */
#pragma once

#include "berth/base.h"

/* First of all: the time zone, how libraries get memory, where what they say goes. */
void process_init(void);

/* What ps(1) and top(1) show; the kernel keeps 15 bytes of @name. */
void process_set_name(const char *name);

/*
 * Locks what the process has of memory and will have, so that it is never swapped out:
 * all at once, or each page with its first use (@on_fault).  After the last fork.
 */
bool process_lock_memory(bool on_fault, GError **error);

/* Which of the processes that process_daemonize() makes the caller is. */
typedef enum ProcessPart {
    PROCESS_FAILED,
    PROCESS_DAEMON,             /* goes on */
    PROCESS_PARENT,             /* ends with the status, without any tear-down */
} ProcessPart;

/*
 * Goes into the background: the daemon goes on in a session of its own; the parent comes
 * back when the daemon has called process_ready(), with status 0, or has ended before
 * that, with 1.  Before any thread is started.
 */
ProcessPart process_daemonize(int *ret_ready_fd, int *ret_status, GError **error);

/*
 * Of the daemon, while the files of the host can be reached: makes "/" the directory.
 * Returns /dev/null for process_ready(), or -1 with @error.
 */
int process_detach(GError **error);

/*
 * Points the standard streams to @null_fd (taken), and stderr to the log where that is a
 * file; then lets the parent end.  Takes @ready_fd.
 */
void process_ready(int ready_fd, int null_fd);

/* Has the process get SIGTERM when its parent ends.  After the user has changed. */
bool process_end_with_parent(GError **error);
