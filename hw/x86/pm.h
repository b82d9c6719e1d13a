/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ACPI power management block inside the LPC bridge, whose device lock guards it.
 */
#pragma once

#include "berth/device-clock.h"
#include "berth/device.h"
#include "berth/irq.h"
#include "berth/region.h"
#include "berth/smi-features.h"
#include "berth/timer.h"
#include "berth/vmstate.h"

#include "tco.h"

typedef struct Pm {
    Device *dev;                /* the bridge */
    bool s3;                    /* there is this sleep state */
    bool s4;
    Region block;               /* at PMBASE */
    Region smi;                 /* ports 0xb2, 0xb3 */
    IrqLine *sci;
    IrqLine gpes[BOARD_GPES];   /* the devices' ends: see on_gpe() */
    LoopMessage rearm;
    Timer timer;                /* main's: the next overflow of the PM timer */
    DeviceClock clock;          /* of the timers; read without the lock */
    Tco tco;

    /* Under dev->lock. */
    uint16_t pm1_sts;           /* without TMR_STS, which is computed */
    uint16_t pm1_en;
    uint16_t pm1_cnt;
    uint64_t gpe0_sts;
    uint64_t gpe0_en;
    uint32_t smi_en;
    uint32_t smi_sts;
    bool smi_locked;            /* GBL_SMI_EN stays as it is until a reset */
    SmiFeatures smi_features;
    uint8_t apm_cnt;
    uint8_t apm_sts;
    uint64_t overflows_seen;    /* of the PM timer, when TMR_STS was cleared */
    bool timer_wanted;
    bool sci_level;
} Pm;

extern const VMStateDesc pm_vmstate;

/* Main only. */

void pm_init(Pm *pm, Device *dev);
void pm_done(Pm *pm);
/* @no_reboot is what keeps the TCO watchdog from resetting. */
void pm_reset(Pm *pm, bool no_reboot);
/* Suspended to RAM: what has standby power is kept. */
void pm_suspend(Pm *pm, bool no_reboot);
void pm_pause(Pm *pm);
void pm_resume(Pm *pm);
void pm_power_button(Pm *pm);
void pm_wake(Pm *pm, BoardWakeReason reason);

/* Any thread, without the lock. */

/* The level of the RTC's alarm. */
void pm_set_alarm(Pm *pm, bool level);

/* Main or a vCPU, under dev->lock. */
/* SMI_LOCK is set, or was. */
void pm_lock_smi(Pm *pm, bool locked);
void pm_set_base(Pm *pm, bool enabled, uint16_t base);
