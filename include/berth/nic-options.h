/* SPDX-License-Identifier: Apache-2.0 */
/*
 * -nic: a network backend and its device in one option.
 *
 * Reading one sorts its keys: those of the device, and those of a backend.  So the rest
 * of berth knows backends and devices only.  Main only.
 */
#pragma once

#include "berth/device-globals.h"

/* What an option says; both are the caller's. */
typedef struct NicOptions {
    Netdev *netdev;
    DeviceAddArgs *device;
} NicOptions;

/*
 * Of @text, "tap,br=br0,mac=52:54:00:12:34:56".  The backend is named as none of @netdevs
 * is (of Netdev).  False with @error.
 */
bool nic_options_parse(const char *text, const GPtrArray *netdevs,
                       const DeviceGlobals *globals, NicOptions *ret_options,
                       GError **error);
