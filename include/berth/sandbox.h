/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The sandbox: from the end of the set-up on, each thread may make the system calls of
 * its role (sandbox-table.h) and no other.
 *
 * A call that is none of them ends the process by SIGSYS, after one line in the log that
 * names the call and the thread.
 */
#pragma once

#include "qapi-types.h"

/*
 * Whether -sandbox (NULL: not given) asks for it; without a word it is on.  False with
 * @error when it is asked for and this build cannot.
 */
bool sandbox_is_wanted(const SandboxOptions *options, bool *ret_wanted, GError **error);

/* Whether main may start programs with that -sandbox, also before it is entered. */
bool sandbox_allows_programs(const SandboxOptions *options);

/*
 * Main only.  Confines this thread and all others at once to what main may do, and each
 * of the others to its own role with the next thing that it does; threads that are
 * started later, too.  There is no way back.  @options may be NULL.
 */
bool sandbox_enter(const SandboxOptions *options, GError **error);
