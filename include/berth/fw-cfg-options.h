/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "-fw_cfg": files for the guest.  Main only.
 */
#pragma once

#include "berth/fw-cfg.h"

/* Adds what @options (of FwCfgOption) say; false with @error that names the option. */
bool fw_cfg_options_add(FwCfg *fw_cfg, const GPtrArray *options, GError **error);
