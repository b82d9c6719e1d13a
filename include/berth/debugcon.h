/* SPDX-License-Identifier: Apache-2.0 */
/*
 * isa-debugcon: a port whose written bytes go to a character device.
 */
#pragma once

#include "berth/device.h"

extern const DeviceClass debugcon_class;
