/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What firmware and the board agree on about system management interrupts, by three files
 * of fw_cfg (etc/smi/..., of QEMU's invention): what there is, what firmware wants, and
 * whether it has got that.  The board makes the files (lpc.h).
 */
#pragma once

#include "berth/vmstate.h"

#define SMI_BROADCAST (1ull << 0)       /* APM_CNT interrupts every processor */
#define SMI_CPU_HOTPLUG (1ull << 1)     /* one tells of processors that came */
#define SMI_CPU_HOT_UNPLUG (1ull << 2)  /* and of those that are to go */

typedef struct SmiFeatures {
    uint64_t offered;           /* SMI_... */
    /* Under the lock of whose files they are. */
    uint64_t requested;         /* little-endian */
    uint8_t ok;
    uint64_t agreed;            /* atomic */
} SmiFeatures;

extern const VMStateDesc smi_features_vmstate;

/* Firmware asks whether it has what it requested, @opaque's.  A vCPU. */
void smi_features_confirm(void *opaque);

/* Main only. */
/* Nothing is agreed.  The vCPUs are paused. */
void smi_features_reset(SmiFeatures *features);

/* Any thread. */
uint64_t smi_features_agreed(const SmiFeatures *features);
