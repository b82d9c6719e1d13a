/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The signals that ask the process to end.  Main only.
 */
#pragma once

#include "berth/loop.h"

/* SIGTERM, SIGINT and SIGHUP as calls on @loop; SIGPIPE is ignored. */
typedef struct SignalWatch {
    LoopFd source;
    void (*fn)(void *opaque, int signal_number, int sender_pid);
    void *opaque;
} SignalWatch;

bool signal_watch_init(SignalWatch *watch, Loop *loop,
                       void (*fn)(void *opaque, int signal_number, int sender_pid),
                       void *opaque, GError **error);
void signal_watch_done(SignalWatch *watch);
