/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parallel flash below 4 GiB, where firmware and its variables are.  Main only.
 */
#pragma once

#include "berth/device.h"

typedef struct PflashConfig {
    const char *drive;          /* a drive or a block node by name */
    uint64_t end;               /* the guest address behind its last byte */
    uint64_t max_size;          /* bytes */
    bool secure;                /* writes are those of system management mode only */
} PflashConfig;

/* Adds "/machine/system.flash@unit"; NULL with @error that says what is wrong with it. */
Device *pflash_add(DeviceTree *tree, unsigned unit, const PflashConfig *config,
                   GError **error);

/* What it holds, lent. */
RamBlock *pflash_memory(Device *dev);
