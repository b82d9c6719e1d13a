/* SPDX-License-Identifier: Apache-2.0 */
/*
 * isa-debug-exit: a port that ends berth with a status.
 */
#pragma once

#include "berth/device.h"

extern const DeviceClass debug_exit_class;
