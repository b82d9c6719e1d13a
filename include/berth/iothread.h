/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A thread that runs a loop of its own, for queues and block requests.  Main only,
 * except where said.
 */
#pragma once

#include "berth/loop.h"

typedef struct Iothread Iothread;

/* Starts the thread, named "IO @id"; it has its thread id when this returns. */
Iothread *iothread_new(const char *id, GError **error);
/*
 * Ends the thread and frees its loop, to which nothing is added any more.  Accepts
 * NULL.
 */
void iothread_free(Iothread *iothread);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(Iothread, iothread_free)

/* Any thread.  The loop lives as long as @iothread; lent. */
Loop *iothread_loop(const Iothread *iothread);
/* Any thread.  The kernel's thread id, for affinity and cgroups. */
int iothread_thread_id(const Iothread *iothread);
