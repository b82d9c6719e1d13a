/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What can be said of a driver's devices beside its own properties.
 */
#pragma once

#include "qapi-types.h"

/* The members of DeviceAddBase that it takes, for qmp_introspect_branch(). */
const char *const *device_qmp_base_members(DeviceDriver driver);
