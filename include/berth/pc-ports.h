/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ports of a PC that have no device of their own.
 */
#pragma once

#include "berth/device.h"

/* Main only.  Adds "/machine/pc-ports" with ports 0x61 and 0x80. */
Device *pc_ports_add(DeviceTree *tree, GError **error);
