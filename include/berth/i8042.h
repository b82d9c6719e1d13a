/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keyboard controller of a PC, with nothing plugged in.  Guests use it to reset.
 */
#pragma once

#include "berth/device.h"

/* Main only.  Adds "/machine/kbc" with ports 0x60, 0x64, 0x92 and interrupt 1. */
Device *i8042_add(DeviceTree *tree, GError **error);
