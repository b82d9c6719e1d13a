/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Going into the background.  Main only.
 */
#pragma once

#include "berth/base.h"

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
 * Lets the parent end; makes "/" the directory and points the standard streams to
 * /dev/null.  Takes @ready_fd.
 */
bool process_ready(int ready_fd, GError **error);
