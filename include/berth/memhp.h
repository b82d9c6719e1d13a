/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modules of memory that come and go: the slots, and the registers by which the guest's
 * ACPI is told.  Main only.
 */
#pragma once

#include "berth/memory-device.h"

/* A module, of DEVICE_DRIVER_PC_DIMM. */
extern const DeviceClass memhp_dimm_class;
unsigned memhp_dimm_slot(const Device *dev);
MemoryDevice *memhp_dimm_memory(Device *dev);

/* Adds "/machine/memhp" with the bus "memory.0" of @n_slots places. */
Device *memhp_add(DeviceTree *tree, unsigned n_slots, GError **error);
/* Of the bus. */
unsigned memhp_n_slots(const Bus *bus);
/* Appends what the guest told last of each slot. */
void memhp_query(Device *hp, ACPIOSTInfoList *list);
