/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ACPI tables for firmware, which places them.  Main only.
 */
#pragma once

#include "berth/acpi.h"
#include "berth/fw-cfg.h"

/*
 * Adds the files etc/acpi/tables, etc/acpi/rsdp and etc/table-loader.  Tables that tell
 * of a vmgenid hold, as its address, the GUID's offset in file etc/vmgenid_guid.
 */
bool acpi_loader_add_files(const AcpiTables *tables, FwCfg *fw_cfg, GError **error);
