/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The TCO watchdog of the ICH9 (data sheet, 13.9), at 0x60 in the power management block.
 *
 *     00  TCO_RLD        04  TCO1_STS     08  TCO1_CNT     0c  TCO_MESSAGE1, 2
 *     02  TCO_DAT_IN     06  TCO2_STS     0a  TCO2_CNT     0e  TCO_WDCNT
 *     03  TCO_DAT_OUT                     12  TCO_TMR      10  SW_IRQ_GEN
 *
 * It counts ticks of 0.6 s.  The first end sets TIMEOUT and begins another round; the
 * second one sets SECOND_TO_STS and, unless NO_REBOOT keeps it from that, is told to the
 * board.  Then the timer rests until it is reloaded.  A write of TCO_RLD reloads it, and
 * makes the next end a first one.
 *
 * Firmware leaves the timer halted, and so does a reset here.  What would
 * be an SMI is a status bit and nothing else: firmware for virtual machines takes none.
 */
#include <string.h>

#include "berth/error.h"

#include "tco.h"

#define TCO_RLD 0x00
#define TCO_DAT_IN 0x02
#define TCO_DAT_OUT 0x03
#define TCO1_STS 0x04
#define TCO2_STS 0x06
#define TCO1_CNT 0x08
#define TCO2_CNT 0x0a
#define TCO_MESSAGE1 0x0c
#define TCO_WDCNT 0x0e
#define SW_IRQ_GEN 0x10
#define TCO_TMR 0x12

#define STS1_SW_SMI (1u << 1)
#define STS1_INT (1u << 2)
#define STS1_TIMEOUT (1u << 3)
#define STS2_SECOND_TO (1u << 1)
#define CNT1_HALT (1u << 11)
#define CNT1_LOCK (1u << 12)
#define CNT1_BITS (CNT1_HALT | CNT1_LOCK | 1u << 9)     /* NMI2SMI_EN */
#define CNT2_BITS 0x003eu
#define CNT2_POWER_ON 0x0008u
#define SW_IRQ_GEN_BITS 0x03u
#define TMR_BITS 0x03ffu
#define TMR_POWER_ON 4u
#define TMR_MIN 2u                      /* smaller values are ignored */

#define TICK_NS (600 * NS_PER_MS)

static bool counts(const Tco *tco)
{
    return !(tco->cnt1 & CNT1_HALT) && !tco->stopped;
}

static void begin(Tco *tco, uint16_t ticks)
{
    device_timer_set(&tco->timer, device_clock_ns(tco->clock) + ticks * TICK_NS);
}

/* Ticks that are left of this round. */
static uint16_t ticks_left(const Tco *tco)
{
    int64_t ns;

    if (!counts(tco) || tco->timer.deadline_ns == DEVICE_TIMER_NEVER)
        return tco->left;
    ns = MAX(tco->timer.deadline_ns - device_clock_ns(tco->clock), 0);
    return (uint16_t)((ns + TICK_NS - 1) / TICK_NS);
}

/* On main, under the lock. */
static void on_timer(void *opaque)
{
    Tco *tco = opaque;
    Board *board = tco->dev->board;

    tco->sts1 |= STS1_TIMEOUT;
    tco->left = tco->tmr;
    if (!tco->once) {
        tco->once = true;
        begin(tco, tco->tmr);
        return;
    }
    tco->sts2 |= STS2_SECOND_TO;
    if (tco->no_reboot) {
        begin(tco, tco->tmr);
        return;
    }
    tco->stopped = true;
    tco->left = 0;
    board->ops->watchdog_expired(board->opaque);
}

static void reload(Tco *tco)
{
    tco->once = false;
    tco->stopped = false;
    tco->left = tco->tmr;
    if (counts(tco))
        begin(tco, tco->tmr);
}

static uint16_t with_byte(uint16_t value, unsigned offset, uint8_t byte)
{
    unsigned shift = 8 * (offset & 1);

    return (uint16_t)((value & ~(0xff << shift)) | byte << shift);
}

static void write_control(Tco *tco, unsigned offset, uint8_t byte)
{
    uint16_t lock = tco->cnt1 & CNT1_LOCK;
    uint16_t left = ticks_left(tco);
    bool counted = counts(tco);

    tco->cnt1 = (with_byte(tco->cnt1, offset, byte) & CNT1_BITS) | lock;
    if (counted && !counts(tco)) {
        tco->left = left;
        device_timer_cancel(&tco->timer);
    } else if (!counted && counts(tco)) {
        begin(tco, MAX(tco->left, 1));
    }
}

uint8_t tco_read_byte(const Tco *tco, unsigned offset)
{
    uint16_t word;

    switch (offset & ~1u) {
    case TCO_RLD:
        word = ticks_left(tco);
        break;
    case TCO1_STS:
        word = tco->sts1;
        break;
    case TCO2_STS:
        word = tco->sts2;
        break;
    case TCO1_CNT:
        word = tco->cnt1;
        break;
    case TCO2_CNT:
        word = tco->cnt2;
        break;
    case TCO_TMR:
        word = tco->tmr;
        break;
    default:
        return tco->scratch[offset];
    }
    return (uint8_t)(word >> 8 * (offset & 1));
}

void tco_write_byte(Tco *tco, unsigned offset, uint8_t byte)
{
    uint16_t bits = with_byte(0, offset, byte);
    uint16_t ticks;

    switch (offset) {
    case TCO_RLD:
    case TCO_RLD + 1:
        reload(tco);
        break;
    case TCO_DAT_IN:
        tco->scratch[offset] = byte;
        tco->sts1 |= STS1_SW_SMI;
        break;
    case TCO_DAT_OUT:
        tco->scratch[offset] = byte;
        tco->sts1 |= STS1_INT;
        break;
    case TCO1_STS:
    case TCO1_STS + 1:
        tco->sts1 &= ~bits;
        break;
    case TCO2_STS:
    case TCO2_STS + 1:
        tco->sts2 &= ~bits;
        break;
    case TCO1_CNT:
    case TCO1_CNT + 1:
        write_control(tco, offset, byte);
        break;
    case TCO2_CNT:
    case TCO2_CNT + 1:
        tco->cnt2 = with_byte(tco->cnt2, offset, byte) & CNT2_BITS;
        break;
    case TCO_MESSAGE1:
    case TCO_MESSAGE1 + 1:
    case TCO_WDCNT:
        tco->scratch[offset] = byte;
        break;
    case SW_IRQ_GEN:
        tco->scratch[offset] = byte & SW_IRQ_GEN_BITS;
        break;
    case TCO_TMR:
    case TCO_TMR + 1:
        ticks = with_byte(tco->tmr, offset, byte) & TMR_BITS;
        if (ticks >= TMR_MIN)
            tco->tmr = ticks;
        break;
    }
}

bool tco_is_locked(const Tco *tco)
{
    return tco->cnt1 & CNT1_LOCK;
}

void tco_rearm(Tco *tco)
{
    device_timer_rearm(&tco->timer);
}

bool tco_time_is_sane(const Tco *tco)
{
    return device_timer_is_sane(&tco->timer, TMR_BITS * TICK_NS);
}

/* SECOND_TO_STS is kept, for the guest to see what reset it. */
void tco_reset(Tco *tco, bool no_reboot)
{
    tco->no_reboot = no_reboot;
    tco->once = false;
    tco->stopped = false;
    tco->left = TMR_POWER_ON;
    tco->tmr = TMR_POWER_ON;
    tco->sts1 = 0;
    tco->sts2 &= STS2_SECOND_TO;
    tco->cnt1 = CNT1_HALT;
    tco->cnt2 = CNT2_POWER_ON;
    memset(tco->scratch, 0, sizeof(tco->scratch));
    tco->scratch[SW_IRQ_GEN] = SW_IRQ_GEN_BITS;
    device_timer_cancel(&tco->timer);
}

void tco_init(Tco *tco, Device *dev, const DeviceClock *clock)
{
    tco->dev = dev;
    tco->clock = clock;
    device_timer_init(&tco->timer, dev, clock, on_timer, tco);
}

void tco_done(Tco *tco)
{
    device_timer_done(&tco->timer);
}

static bool tco_post_load(void *opaque, GError **error)
{
    Tco *tco = opaque;

    if (tco->tmr < TMR_MIN || tco->tmr > TMR_BITS || tco->left > TMR_BITS) {
        error_set(error, "field 'tmr' or 'left' is no number of ticks of the timer");
        return false;
    }
    tco->cnt1 &= CNT1_BITS;
    tco->cnt2 &= CNT2_BITS;
    return true;
}

static const VMStateField tco_fields[] = {
    VMSTATE_I64(Tco, timer.deadline_ns),
    VMSTATE_BOOL(Tco, no_reboot),
    VMSTATE_BOOL(Tco, once),
    VMSTATE_BOOL(Tco, stopped),
    VMSTATE_U16(Tco, left),
    VMSTATE_U16(Tco, tmr),
    VMSTATE_U16(Tco, sts1),
    VMSTATE_U16(Tco, sts2),
    VMSTATE_U16(Tco, cnt1),
    VMSTATE_U16(Tco, cnt2),
    VMSTATE_BYTES(Tco, scratch, TCO_SIZE),
    VMSTATE_END
};

const VMStateDesc tco_vmstate = {
    .name = "tco",
    .version = 1,
    .min_version = 1,
    .fields = tco_fields,
    .post_load = tco_post_load,
};
