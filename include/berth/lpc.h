/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The LPC bridge of the ICH9, with the ACPI power management block.
 */
#pragma once

#include "berth/device.h"
#include "berth/smi-features.h"

/* Main only. */

typedef struct LpcConfig {
    /*
     * A reset leaves PMBASE and RCBA at X86_PM_BASE and X86_RCBA_BASE, enabled, as
     * firmware would: for machines that have none.
     */
    bool preset;
    bool s3;                    /* the guest may suspend to RAM */
    bool s4;                    /* and to disk */
    bool no_reboot;             /* strapped: the TCO watchdog resets nothing */
    uint64_t smi_offered;       /* SMI_...; for a board with the mode */
} LpcConfig;

/* What an edge of raises general-purpose event @n, up to BOARD_GPES; for the board. */
IrqLine *lpc_gpe(Device *dev, unsigned n);

/* Adds "/machine/lpc" as function 00:1f.0. */
Device *lpc_add(DeviceTree *tree, const LpcConfig *config, GError **error);

/* What firmware agrees with the bridge by, about system management interrupts. */
typedef struct LpcSmiFiles {
    uint64_t supported;         /* little-endian, as what the guest writes */
    uint64_t *requested;        /* lent while the device lives */
    uint8_t *ok;
    void (*on_ok_selected)(void *opaque);       /* under the lock of the files */
    void *opaque;
} LpcSmiFiles;

LpcSmiFiles lpc_smi_files(Device *dev);
/* Lent while the device lives; for smi_features_agreed(). */
const SmiFeatures *lpc_smi_features(const Device *dev);

/*
 * PIRQ A (0) to H, for the board's lines of PCI: each ends where that line ended when the
 * bridge was added, and at the PIC as the guest routes it.
 */
IrqLine *lpc_pirq(Device *dev, unsigned n);

/* Where the RTC tells of its alarm, which may wake the machine; lent. */
IrqLine *lpc_alarm_line(Device *dev);

/*
 * A press of the power button: an SCI when the guest has enabled it, and the end of its
 * sleep.
 */
void lpc_power_button(Device *dev);

/* What a guest that is woken from S3 finds, as firmware leaves it. */
void lpc_wake(Device *dev, BoardWakeReason reason);
