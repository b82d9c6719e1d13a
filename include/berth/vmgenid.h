/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmgenid: tells a guest that it is no longer alone with its past (see vmgenid.c).
 * Main only.
 */
#pragma once

#include "berth/device.h"
#include "berth/uuid.h"

extern const DeviceClass vmgenid_class;

/* Where the page with the GUID has it. */
#define VMGENID_OFFSET 40u

/* The machine's vmgenid; NULL when it has none. */
Device *vmgenid_find(DeviceTree *tree);

/* The GUID that the operator gave, or that was made up for it. */
Uuid vmgenid_guid(Device *dev);

/* What the board gives to firmware in fw_cfg: the page with the GUID. */
GBytes *vmgenid_page(Device *dev);
/* And what firmware writes: the page's address, little-endian; lives with the device. */
uint64_t *vmgenid_address(Device *dev);

/*
 * For a machine without firmware, after a reset: the page with the GUID is at @gpa, and
 * the GUID is written into it.  False when there is no RAM.
 */
bool vmgenid_place(Device *dev, uint64_t gpa);
