/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Flash memory of the board: which drives and block nodes it is in.
 */
#pragma once

#include "berth/machine.h"

/* Whether what is asked for goes together. */
bool firmware_flash_check(const Cmdline *cmdline, GError **error);
bool firmware_flash_is_wanted(const Cmdline *cmdline);

/*
 * Main.  Adds what is wanted, before devices that ask for the board's firmware; no effect
 * when there is none.
 */
bool firmware_flash_add(Machine *machine, GError **error);
