/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Firmware of the PC: a ROM at the end of 4 GiB, where a processor begins, and what it
 * reads from fw_cfg.  Main only.
 */
#pragma once

#include "berth/fw-cfg.h"
#include "berth/machine.h"

/*
 * Reads the ROM that "-bios" names, or without -kernel and flash memory the default one
 * if it is there, and maps it; guest memory is there.
 */
bool firmware_open(Machine *machine, GError **error);
/* No effect on a machine without firmware. */
void firmware_done(Machine *machine);

/* Where the file @name of a package with firmware is, the caller's; NULL for nowhere. */
char *firmware_find_installed(const char *name);

/* The items of "-kernel", "-initrd" and "-append", if firmware is to start the kernel. */
bool firmware_kernel_describe(const Machine *machine, FwCfg *fw_cfg, GError **error);
/* How the list of what to boot names that kernel; NULL for none. */
const char *firmware_kernel_boot_path(const Machine *machine);

/* What firmware cannot find out from the devices; @pci64 is where 64-bit BARs may go. */
bool firmware_describe(Machine *machine, FwCfg *fw_cfg, uint64_t pci64, GError **error);
