/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What firmware in system management mode is offered beside the mode itself: by the
 * command line, and by the version of QEMU's board that it names.  Main only.
 */
#pragma once

#include "berth/fw-cfg.h"
#include "berth/machine.h"

/* SMI_... */
uint64_t machine_smi_offered(const Machine *machine);
/* Whether firmware may have what is at the default SMBASE. */
bool machine_smi_has_smram_at_smbase(const Machine *machine);
/* The files by which firmware agrees with @lpc, of a machine with the mode. */
bool machine_smi_add_files(FwCfg *fw_cfg, Device *lpc, GError **error);
