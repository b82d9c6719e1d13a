/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one berth process serves: the machine, its character devices, its monitors.
 * Main only.
 */
#pragma once

#include "berth/cmdline.h"
#include "berth/loop.h"

typedef struct Session Session;

/*
 * Makes everything that @cmdline (lent) describes; the machine does not run yet.  While
 * it waits for a client, it gives up with an error when @stop_fd polls readable.
 */
Session *session_new(const Cmdline *cmdline, Loop *loop, int stop_fd, GError **error);
/* Accepts NULL. */
void session_free(Session *session);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Session, session_free)

/* Loads the guest, and lets it run unless "-S" was given. */
bool session_start(Session *session, GError **error);

/* A signal asked the process to end: tells SHUTDOWN and ends the loop, with success. */
void session_terminate(Session *session);

/* After SIGCONT: a terminal gets its mode back, which a shell may have changed. */
void session_continued(Session *session);

/* What the process ends with after the loop ended. */
int session_exit_status(const Session *session);
