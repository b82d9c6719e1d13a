/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two cascaded interrupt controllers of a PC, in user space.
 */
#pragma once

#include "berth/device.h"

/* Main only. */

/*
 * Adds "/machine/i8259" with ports 0x20, 0xa0 and 0x4d0 and connects it to the board's
 * Vm, which is one with chips in user space.
 */
Device *i8259_add(DeviceTree *tree, GError **error);
