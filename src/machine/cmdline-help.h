/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the command line answers when it is asked for help.  Main only; the caller frees.
 */
#pragma once

#include "berth/base.h"

/* Tools find the level of the interface by QEMU's words, and by the first number. */
#define CMDLINE_VERSION_LINE \
    "berth, compatible with QEMU emulator version 10.0.0 (berth-" BERTH_VERSION ")\n"

/* "-help": every option of the schema. */
char *cmdline_help_text(void);

/* Whether an option whose argument is a text knows "help". */
bool cmdline_help_exists(const char *option);

/*
 * The answer to a request for help as @text, the argument of @option ("X,help",
 * "help").  NULL with @error when there is no X.
 */
char *cmdline_help_for(const char *option, const char *text, GError **error);
