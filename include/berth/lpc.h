/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The LPC bridge of the ICH9, with the ACPI power management block.
 */
#pragma once

#include "berth/device.h"

/* Main only. */

/*
 * Adds "/machine/lpc" as function 00:1f.0.  With @preset a reset leaves PMBASE at
 * X86_PM_BASE and the block enabled, as firmware would: for machines that have none.
 */
Device *lpc_add(DeviceTree *tree, bool preset, GError **error);

/* What an edge of raises general-purpose event @n, up to BOARD_GPES; for the board. */
IrqLine *lpc_gpe(Device *dev, unsigned n);

/* A press of the power button; an SCI when the guest has enabled it. */
void lpc_power_button(Device *dev);

/* The wake status, for a guest that is woken from S3. */
void lpc_wake(Device *dev);
