/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be said of a driver's devices beside its own properties.
 */
#pragma once

#include "berth/base.h"
#include "qapi-types.h"

/* The members of DeviceAddBase that it takes, for qmp_introspect_branch(). */
const char *const *device_qmp_base_members(DeviceDriver driver);

/* A line for each driver, "name "X", bus Y, alias "Z", desc "..."", as QEMU has them. */
void device_qmp_describe_drivers(GString *out);
