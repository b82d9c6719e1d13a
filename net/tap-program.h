/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs that set interfaces up.  Main only, which waits for them.
 */
#pragma once

#include "berth/base.h"

/* Runs @script with the name of the interface.  False with @error, also when it fails. */
bool tap_program_run(const char *script, const char *ifname, GError **error);
/*
 * Has @helper open a tap that is in @bridge, as qemu-bridge-helper does; the descriptor,
 * close-on-exec and the caller's, or -1 with @error.
 */
int tap_program_open(const char *helper, const char *bridge, GError **error);
