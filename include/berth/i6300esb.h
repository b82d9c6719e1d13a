/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The watchdog of the Intel 6300ESB.
 */
#pragma once

#include "berth/device.h"

extern const DeviceClass i6300esb_class;
