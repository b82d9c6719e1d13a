/* SPDX-License-Identifier: Apache-2.0 */
/* A host controller of USB, on which nothing is ever plugged. */
#pragma once

#include "berth/device.h"

extern const DeviceClass xhci_class;
