/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TCO watchdog inside the power management block, whose lock guards it.
 */
#pragma once

#include "berth/device-timer.h"
#include "berth/vmstate.h"

#define TCO_SIZE 0x20u

typedef struct Tco {
    Device *dev;
    const DeviceClock *clock;
    DeviceTimer timer;          /* the end of this round, while it counts */

    /* Under dev->lock. */
    bool no_reboot;             /* GCS.NR: the second end is told to nobody */
    bool once;                  /* it has expired since it was reloaded */
    bool stopped;               /* after the second end, until it is reloaded */
    uint16_t left;              /* ticks, while it does not count */
    uint16_t tmr;               /* ticks of a round */
    uint16_t sts1;
    uint16_t sts2;
    uint16_t cnt1;
    uint16_t cnt2;
    uint8_t scratch[TCO_SIZE];  /* registers that keep what is written */
} Tco;

extern const VMStateDesc tco_vmstate;

/* Main only. */

void tco_init(Tco *tco, Device *dev, const DeviceClock *clock);
void tco_done(Tco *tco);

/* Under the lock. */

/* Main, at power-on; @no_reboot is what the board is strapped to. */
void tco_reset(Tco *tco, bool no_reboot);
/* Main, after the clock was started or stopped. */
void tco_rearm(Tco *tco);
/* Main: whether a loaded deadline can be one of the clock, which is loaded, too. */
bool tco_time_is_sane(const Tco *tco);
/* Any thread; @offset is below TCO_SIZE. */
uint8_t tco_read_byte(const Tco *tco, unsigned offset);
void tco_write_byte(Tco *tco, unsigned offset, uint8_t byte);
/* SMI_EN.TCO_EN cannot be changed. */
bool tco_is_locked(const Tco *tco);
