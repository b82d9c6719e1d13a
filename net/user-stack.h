/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A user network at work: libslirp, on main's loop.  Main only.
 */
#pragma once

#include "berth/loop.h"

#include "berth/user-forward.h"
#include "berth/user-options.h"

typedef struct UserStack UserStack;

/*
 * @fd, lent, is a datagram socket whose far end is the guest.  @may_load: see
 * user_library_load().  NULL with @error.
 */
UserStack *user_stack_new(Loop *loop, int fd, const UserNetwork *network, bool may_load,
                          GError **error);
/* Closes all connections.  Accepts NULL. */
void user_stack_free(UserStack *stack);

/* False with @error when the host does not let it listen there. */
bool user_stack_add_forward(UserStack *stack, const UserForward *forward, GError **error);
/* By the host's end; false when there is none there.  Connections go on. */
bool user_stack_remove_forward(UserStack *stack, const UserForward *forward);
/* The table of connections and forwards, for people; the caller frees. */
char *user_stack_describe(UserStack *stack);
/* How many frames were lost: the guest took none, or had too many connections. */
uint64_t user_stack_n_lost(const UserStack *stack);
