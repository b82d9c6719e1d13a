/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the command line asks for against what berth can give.  Main only.
 */
#pragma once

#include "berth/cmdline.h"

/* False with @error that names the first option that cannot be honoured. */
bool cmdline_check(const Cmdline *cmdline, GError **error);
