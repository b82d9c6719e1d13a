/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The table of the sandbox as a program of seccomp(2).  Any thread.
 */
#pragma once

#include <linux/filter.h>

#include "berth/sandbox-table.h"

/* What the filter is for. */
typedef struct SandboxFilterOptions {
    SandboxRoles role;
    bool may_spawn;             /* main: any program, so what any program does */
    uint32_t groups;            /* bits of SandboxGroup, 1 << SANDBOX_GROUP_... */
    uint32_t pid;               /* whose signals are its own */
} SandboxFilterOptions;

/*
 * An array of struct sock_filter: the verdict of each call of the table.  For main that
 * may spawn all is allowed but what is switched off in the table and what is in
 * sandbox_table_never.
 */
GArray *sandbox_filter_new(const SandboxFilterOptions *options);
