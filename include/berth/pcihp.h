/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hot-plug of PCI slots by ACPI: the registers that the methods of the DSDT use.  Main
 * only.
 */
#pragma once

#include "berth/pci.h"

/* The slots that one machine can have: functions of the root bus. */
#define PCIHP_MAX_SLOTS 256u

/* Adds "/machine/pcihp". */
Device *pcihp_add(DeviceTree *tree, GError **error);
/*
 * Takes the slots of the root ports that are there now.  Their number; in @ret_ports (for
 * PCIHP_MAX_SLOTS) the function of each port on the root bus, by the slot's number.
 */
unsigned pcihp_take_slots(Device *dev, uint8_t *ret_ports);
