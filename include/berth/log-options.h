/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "-d", "-D", "-trace" and "-msg": what is written to stderr, and how.  Main only.
 */
#pragma once

#include "berth/cmdline.h"

/* Applies them; false with @error that names the option. */
bool log_options_apply(const Cmdline *cmdline, GError **error);
