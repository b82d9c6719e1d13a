/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The list of devices to boot from, by their bootindex.  Main only.
 */
#pragma once

#include "berth/device.h"

/* False with @error when two devices have one bootindex. */
bool boot_devices_check(DeviceTree *tree, GError **error);
/* The same of one that is to come to them. */
bool boot_devices_check_new(DeviceTree *tree, const DeviceAddArgs *args, GError **error);

/*
 * The list as firmware reads it: paths of Open Firmware in lines, the first to boot from
 * first, then a zero; with @strict it ends with "HALT", so that nothing else is tried.
 * @first, unless NULL, comes before all devices. Empty when there is nothing to tell.
 */
GBytes *boot_devices_list(DeviceTree *tree, const char *first, bool strict);
