/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who the machine is: its name and UUID, and the SMBIOS structures that tell a guest.
 * Main only.
 */
#pragma once

#include "berth/fw-cfg.h"
#include "berth/machine.h"

/* Takes -name, -uuid and -smbios of the command line. */
bool machine_identity_init(Machine *machine, GError **error);
void machine_identity_done(Machine *machine);

/* Makes the structures of the machine, with all its devices, and their fw_cfg files. */
bool machine_identity_describe(Machine *machine, FwCfg *fw_cfg, GError **error);

/*
 * Without firmware: writes structures and entry point to the top of the BIOS area, at
 * each power-on.  *@ret_start is where they begin.
 */
bool machine_identity_load(Machine *machine, uint64_t *ret_start, GError **error);
