/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Signals as calls on a loop.  Main only.
 */
#pragma once

#include <signal.h>

#include "berth/loop.h"

typedef struct SignalWatch {
    LoopFd source;
    void (*fn)(void *opaque, int signal_number, int sender_pid);
    void *opaque;
} SignalWatch;

/*
 * Blocks the signals of @set (lent) in the calling thread and those that it starts, and
 * has @fn called for each on @loop.
 */
bool signal_watch_init(SignalWatch *watch, Loop *loop, const sigset_t *set,
                       void (*fn)(void *opaque, int signal_number, int sender_pid),
                       void *opaque, GError **error);
/* Polls readable while a signal waits to be served. */
int signal_watch_fd(const SignalWatch *watch);
void signal_watch_done(SignalWatch *watch);
