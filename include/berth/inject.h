/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults on purpose: what a node of driver "inject" does to the requests for the node
 * below it, for operators who try out their error policies and for tests.
 *
 * A loop over all faults of an operation:
 *
 *     for (n = 1; ; n++) {
 *         inject_fail_nth(node, n, EIO);
 *         ok = operation();
 *         if (inject_n_acted(node) == 0)
 *             break;                          it has fewer than n steps
 *         ...                                 it failed, and all is as before
 *     }
 */
#pragma once

#include "berth/block.h"

bool inject_is(const BlockNode *node);

/* Any thread. */

/*
 * Sets the rules, which count from here; what waits by those before goes on.  False with
 * @error and nothing changed.
 */
bool inject_set_rules(BlockNode *node, const InjectRuleList *rules, GError **error);
/* In place of rules: the @n-th operation of any kind fails, once; 0 for none. */
void inject_fail_nth(BlockNode *node, uint64_t n, int errnum);
/* How often rules have acted since they were set. */
uint64_t inject_n_acted(BlockNode *node);
/* Operations since the node was made. */
uint64_t inject_count(const BlockNode *node, InjectOp op);
/* The caller frees. */
InjectInfo *inject_query(BlockNode *node);

/*
 * Sees what reaches the node below: the whole, or a part that a rule has left.  begin()
 * is called before, end() after it with what begin() returned, each on the thread that
 * does it.
 */
typedef struct InjectWatch {
    void *(*begin)(void *opaque, const BlockIo *io);
    void (*end)(void *opaque, void *begun, int ret);
    /* The node below has been resized. */
    void (*resized)(void *opaque, uint64_t size);
    void *opaque;
} InjectWatch;

/* While nothing is under way.  @watch is lent until the next call; NULL: none. */
void inject_set_watch(BlockNode *node, const InjectWatch *watch);
