/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hot-plug of PCI slots by ACPI: the registers that the methods of the DSDT use.  Main
 * only.
 */
#pragma once

#include "berth/pci-slots.h"

/* The buses that one machine can have beside the root. */
#define PCIHP_MAX_BUSES 255u

/* Adds "/machine/pcihp". */
Device *pcihp_add(DeviceTree *tree, GError **error);
/* Whether it takes the slots of @bus, which is not the root. */
bool pcihp_has_slots(PciBus *bus);
/*
 * Takes the slots of the ports and bridges that the machine is started with.  In
 * @ret_buses (for PCIHP_MAX_BUSES) the buses below all ports and bridges, each after
 * that above it; returns their number, 0 when there is no slot.
 */
unsigned pcihp_take_slots(Device *dev, PciSlotsBus *ret_buses);
