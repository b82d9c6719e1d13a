/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmcoreinfo: where a guest says that its VMCOREINFO note is, which debuggers of a dump
 * need (see vmcoreinfo.c).  Main only.
 */
#pragma once

#include "berth/device.h"

extern const DeviceClass vmcoreinfo_class;

/* The machine's vmcoreinfo; NULL when it has none. */
Device *vmcoreinfo_find(DeviceTree *tree);

/* What the board gives to the guest as fw_cfg's etc/vmcoreinfo; lives with the device. */
void *vmcoreinfo_data(Device *dev, size_t *ret_size);

/*
 * What the guest, which is paused, has told: an ELF note of *@ret_size bytes at
 * *@ret_gpa. Both are the guest's word.  False when it has told nothing of the kind.
 */
bool vmcoreinfo_note(Device *dev, uint64_t *ret_gpa, uint32_t *ret_size);
