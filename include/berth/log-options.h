/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "-d", "-D", "-trace" and "-msg": what is written to stderr, and how.  Main only.
 */
#pragma once

#include "berth/cmdline.h"

/* The text of "-d help". */
void log_options_help(GString *out);

/* "ITEM,ITEM..." of -d are logged from now on; "none": as without -d. */
bool log_options_set_items(const char *text, GError **error);
/* The log goes to the end of this file from now on; "%d" in it is the process id. */
bool log_options_set_file(const char *path, GError **error);

/* Applies them; false with @error that names the option. */
bool log_options_apply(const Cmdline *cmdline, GError **error);
