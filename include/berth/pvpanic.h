/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The register by which a guest tells that it panicked: a port (pvpanic) or a PCI
 * function (pvpanic-pci).
 */
#pragma once

#include "berth/device.h"

extern const DeviceClass pvpanic_class;
extern const DeviceClass pvpanic_pci_class;

/* Main only. */

/* The port of the tree's pvpanic, 0 when there is none. */
uint16_t pvpanic_port(DeviceTree *tree);
