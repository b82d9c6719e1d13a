/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that come and go while the machine is there.
 *
 *     hotplug_add            the place is checked, then device_add(): whole or not at all
 *     hotplug_remove         asks the guest, if there is one to ask
 *         ASKED  --the guest lets go, or is reset-->  LEAVING
 *           |    --it says no-->  KEPT      BoardOps.device_kept
 *           |    --it is silent-->  SILENT  BoardOps.device_silent
 *           hotplug_remove() of a device in any of the three asks again, and a guest that
 *           has not looked at what it was asked is reminded
 *     hotplug_eject          LEAVING: out of the guest's sight, until the last request of
 *                            it has ended; then it is freed: BoardOps.device_deleted
 *
 * Nobody waits for the guest or for a disk.  A request that is open when the machine is
 * reset is carried out then, and one that was turned down is over: who said so is gone.
 * The time of a silent guest counts while it runs.
 *
 * Main only.
 */
#pragma once

#include "berth/device.h"

/* Like device_add(); without "bus" the first that takes the device now. */
Device *hotplug_add(DeviceTree *tree, const DeviceAddArgs *args, GError **error);

/* False with @error when it cannot be asked for; the device is as before. */
bool hotplug_remove(Device *dev, GError **error);
/* Takes it out without asking: a surprise for the guest. */
bool hotplug_force(Device *dev, GError **error);

/* For buses: the guest let @dev go, or says that it keeps it, for @reason or NULL. */
void hotplug_eject(Device *dev);
void hotplug_kept(Device *dev, const char *reason);

/* Whether the guest was asked to let @dev go and has not answered. */
bool hotplug_is_asked(const Device *dev);
/* What to do where no bus of that kind takes a device. */
const char *hotplug_hint(BusKind kind);
/* Whether devices come to and go from @bus, which may be NULL. */
bool hotplug_bus_takes(Bus *bus);

/* The machine is reset: what the guest was asked for goes, what it said is forgotten. */
void hotplug_reset(DeviceTree *tree);
/* For the tree, when it frees @dev. */
void hotplug_forget(Device *dev);

/* One entry for each device that is asked for or leaving. */
UnplugInfoList *hotplug_query(DeviceTree *tree);
