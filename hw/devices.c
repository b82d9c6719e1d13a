/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kinds of device that berth offers: what each driver of the schema is made of.
 * Nothing registers itself.  A virtio driver is the PCI transport with the device it
 * carries.
 */
#include "berth/device.h"

const DeviceKind device_kinds[DEVICE_DRIVER__MAX] = {
};
