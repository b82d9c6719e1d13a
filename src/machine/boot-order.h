/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "-boot": what firmware is told.  Main only.
 */
#pragma once

#include "berth/cmdline.h"
#include "berth/fw-cfg.h"

/* Adds what firmware reads from fw_cfg; NULL options are those of no "-boot". */
bool boot_order_add_items(const BootOptions *boot, FwCfg *fw_cfg, GError **error);

/*
 * Writes the order to the CMOS of @rtc, before the machine's start (@first) or after a
 * reset.
 */
void boot_order_write(const Cmdline *cmdline, Device *rtc, bool first);
