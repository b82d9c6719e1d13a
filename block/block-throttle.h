/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of a drive: what its channels submit waits for them before it enters the graph.
 * A drive without limits has nothing of this.
 */
#pragma once

#include "throttle-group.h"

#include "block-drive-private.h"

struct BlockThrottle {
    ThrottleGroup *group;       /* owned */
    ThrottleMember member;
};

/* The channel's loop. */

void block_throttle_enter(void *channel);
void block_throttle_leave(void *channel);
/* False: it waits, and is submitted later. */
bool block_throttle_admit(BlockChannel *channel, BlockReq *req);
/* Takes back what waits; false: it does not. */
bool block_throttle_cancel(BlockChannel *channel, BlockReq *req);
void block_throttle_hurry(BlockChannel *channel, bool on);

/* Main. */

/*
 * Gives the drive the limits of @config, in the group @name (NULL: the one it is in, or
 * one named @otherwise); without limits it leaves its group.  False with @error and
 * nothing changed.
 */
bool block_throttle_set(BlockDrive *drive, const char *name, const char *otherwise,
                        const ThrottleConfig *config, GError **error);
/* The machine ends: the drive's requests go on. */
void block_throttle_let_go(BlockDrive *drive);
/* The drive goes, and its channels have gone. */
void block_throttle_free(BlockDrive *drive);
