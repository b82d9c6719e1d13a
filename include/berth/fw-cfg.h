/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fw_cfg: items and named files that the VMM hands to firmware and guests.
 *
 * Items are added before the machine first runs; the file directory is sorted by name,
 * and the keys of files follow from it.
 */
#pragma once

#include "berth/device.h"

#define FW_CFG_NAME_MAX 55u             /* bytes of a file's name */

typedef struct FwCfg FwCfg;

/* Keys of items that have no name. */
typedef enum FwCfgKey {
    FW_CFG_UUID = 0x02,
    FW_CFG_RAM_SIZE = 0x03,
    FW_CFG_N_CPUS = 0x05,
    FW_CFG_BOOT_MENU = 0x0e,
    FW_CFG_MAX_CPUS = 0x0f,
} FwCfgKey;

/*
 * The guest wrote to the file (by DMA, wholly or in parts).  Called on the vCPU's thread
 * under the device's lock: it may read the file's bytes, and posts whatever else it
 * wants.
 */
typedef void FwCfgWrittenFn(void *opaque);

/* Main only. */

/* Adds "/machine/fw_cfg" with ports 0x510 to 0x51b. */
FwCfg *fw_cfg_add(DeviceTree *tree, GError **error);

/* Takes @bytes; they may be lent by g_bytes_new_static().  @key is not in use. */
void fw_cfg_add_bytes(FwCfg *fw_cfg, uint16_t key, GBytes *bytes);
/* A little-endian number of @size (2, 4 or 8) bytes. */
void fw_cfg_add_number(FwCfg *fw_cfg, uint16_t key, uint64_t value, unsigned size);
/* Another one in the place of that.  The vCPUs are paused. */
void fw_cfg_put_number(FwCfg *fw_cfg, uint16_t key, uint64_t value, unsigned size);

/* Takes @bytes.  False with @error when the name is taken or too long. */
bool fw_cfg_add_file(FwCfg *fw_cfg, const char *name, GBytes *bytes, GError **error);

/*
 * Takes @bytes, which replace those of file @name when there is one.  The keys of other
 * files may change, so the vCPUs are paused, and firmware has not read the directory.
 */
bool fw_cfg_put_file(FwCfg *fw_cfg, const char *name, GBytes *bytes, GError **error);

/* Shows each file of @tree's fw_cfg, if it has one, by name. */
typedef void FwCfgFileFn(void *opaque, const char *name, size_t size);
void fw_cfg_visit_files(DeviceTree *tree, FwCfgFileFn *fn, void *opaque);

/*
 * A file that the guest may write.  Its bytes are part of the migrated state of whoever
 * owns them.
 */
typedef struct FwCfgWritable {
    const char *name;           /* copied */
    void *data;                 /* lent while the device lives */
    size_t size;
    FwCfgWrittenFn *written;    /* may be NULL */
    void *opaque;
} FwCfgWritable;

/*
 * A file that the guest reads, whose bytes are made when it is selected, by @selected:
 * called as FwCfgWrittenFn is.
 */
typedef struct FwCfgLive {
    const char *name;           /* copied */
    void *data;                 /* lent while the device lives */
    size_t size;
    void (*selected)(void *opaque);
    void *opaque;
} FwCfgLive;

/* @live itself is lent for the call. */
bool fw_cfg_add_live_file(FwCfg *fw_cfg, const FwCfgLive *live, GError **error);
/* @writable itself is lent for the call. */
bool fw_cfg_add_writable_file(FwCfg *fw_cfg, const FwCfgWritable *writable,
                              GError **error);
