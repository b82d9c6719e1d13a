/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a published piece of memory that was replaced may be freed: after each thread
 * that could still read the old one has passed a quiescent point (quiescent-state-based
 * reclamation).
 *
 * A reader loads the published pointer (acquire) and uses what it points to until its
 * next quiescent point; it takes no lock and writes nothing.  A writer publishes the
 * new pointer (release), then hands the old memory to qsbr_defer().
 *
 * A thread is a reader from thread_set_role() to its end.  Around what may take long
 * and holds no such pointer (KVM_RUN, epoll_wait, a wait for another thread) it is
 * offline, so a sleeping thread delays nobody.  The domain is the process: how long a
 * pointer may be held is a property of threads, and two machines in one process only
 * wait a little longer.
 */
#pragma once

#include "berth/list.h"

/* Embedded in what is freed later. */
typedef struct QsbrNode {
    ListNode node;
    uint64_t epoch;
    void (*fn)(struct QsbrNode *node);
} QsbrNode;

/* Any thread; no effect on one that is not registered, except where said. */

/* Makes the calling thread an online reader; no effect on one that is. */
void qsbr_register(void);
void qsbr_unregister(void);

/* The caller holds no published pointer now. */
void qsbr_quiescent(void);

/* From here to qsbr_online() the caller holds none.  Pairs; they do not nest. */
void qsbr_offline(void);
void qsbr_online(void);
/* False of a thread that is offline, or not registered. */
bool qsbr_is_online(void);

/*
 * Calls @fn(@node) after every reader has passed a quiescent point since now.  @fn runs
 * on any thread, at one of its quiescent points or in this call, with no lock of this
 * file held; it frees and does nothing else.  The caller need not be registered.
 */
void qsbr_defer(QsbrNode *node, void (*fn)(QsbrNode *node));

/*
 * Returns after every other reader has passed a quiescent point since now.  The caller,
 * which is main, holds no published pointer and no lock.
 */
void qsbr_synchronize(void);
