/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vCPUs that come and go: their places, and the registers by which the guest's ACPI is
 * told.  Main only.
 */
#pragma once

#include "berth/device.h"
#include "berth/smi-features.h"

/* A vCPU beyond those that the machine starts with; by DEVICE_DRIVER_VCPU. */
extern const DeviceClass cpuhp_cpu_class;
/* Its number. */
unsigned cpuhp_cpu_index(const Device *dev);

/*
 * Adds "/machine/cpuhp" with the bus "cpu.0", for a board with a topology.  @smi is what
 * firmware has agreed on, lent.  Without @registers vCPUs come only before the machine is
 * started.
 */
Device *cpuhp_add(DeviceTree *tree, const SmiFeatures *smi, bool registers,
                  GError **error);
/* Whether firmware takes a vCPU that comes to the bus now. */
bool cpuhp_check_plug(Bus *bus, GError **error);
/* The device that is vCPU @index, NULL for one of those that there are from the start. */
Device *cpuhp_find(Device *hp, unsigned index);
/* Appends what the guest told last of each place that is not one of those. */
void cpuhp_query(Device *hp, ACPIOSTInfoList *list);
