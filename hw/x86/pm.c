/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI fixed hardware (ACPI 6.3, 4.8) at the offsets of the ICH9 (data sheet, 13.8.3).
 *
 *     00  PM1_STS, PM1_EN      04  PM1_CNT      08  PM_TMR
 *     20  GPE0_STS (8 bytes)   28  GPE0_EN      30  SMI_EN, SMI_STS
 *     60  TCO (tco.c)
 *
 * Registers are made of bytes that act on their own, so an access of any width is right.
 *
 * The PM timer counts 24 bits at 3.579545 MHz.  It is computed from the host's clock,
 * without a lock, and stands still while the machine is paused.  TMR_STS tells that its
 * top bit changed since the flag was cleared.  A timer of the loop is set only while
 * TMR_EN asks for that interrupt.
 *
 * SMI_CMD (APM_CNT): the two values of the FADT switch SCI_EN, with and without system
 * management mode.  Any other is an SMI where there is that mode and SMI_EN allows it: to
 * the processor that wrote, or to all when firmware has agreed on that.  Where there is
 * no such mode SMI_EN looks as if somebody had set it up, so that firmware does not try.
 *
 * Sleep (data sheet, 5.13.6 and the power wells of 13.8.3).  While the machine is
 * suspended to RAM the registers in the resume and RTC wells keep their values, the rest
 * is as after a reset.  The power button and, if it is enabled, the RTC's alarm wake the
 * machine; one whose status is set and enabled when it falls asleep does so at once.
 */
#include "berth/error.h"
#include "berth/irq.h"
#include "berth/thread.h"
#include "berth/trace.h"
#include "berth/vm.h"
#include "berth/x86-layout.h"

#include "pm.h"

#define STS_TMR (1u << 0)
#define STS_PWRBTN (1u << 8)
#define STS_RTC (1u << 10)
#define STS_WAK (1u << 15)
#define STS_CLEARABLE 0x8d31u           /* WAK, PRBTNOR, RTC, PWRBTN, GBL, BM, TMR */
#define EN_BITS 0x0521u                 /* RTC, PWRBTN, GBL, TMR */
#define KEPT_BITS 0xff00u               /* of PM1_STS, PM1_EN and PM1_CNT, in sleep */
#define CNT_SCI_EN (1u << 0)
#define CNT_SLP_TYP_SHIFT 10
#define CNT_SLP_EN (1u << 13)
#define CNT_BITS 0x1c03u                /* SLP_TYP, BM_RLD, SCI_EN; what can be read */

/* The guest cannot hide other ports behind the block. */
#define BELOW_ALL_ELSE (-1)

#define SMI_TCO_EN (1u << 13)
#define SMI_APMC_EN (1u << 5)           /* firmware takes it for: SMM is set up */
#define SMI_APM_STS (1u << 5)
#define SMI_GBL_EN (1u << 0)

#define TMR_HZ 3579545
#define TMR_MASK 0xffffffu
#define TMR_HALF 23                     /* the bit whose change counts */

static uint64_t timer_ticks(const Pm *pm)
{
    uint64_t ns = (uint64_t)device_clock_ns(&pm->clock);

    return ns / NS_PER_SEC * TMR_HZ + ns % NS_PER_SEC * TMR_HZ / NS_PER_SEC;
}

static uint64_t timer_overflows(const Pm *pm)
{
    return timer_ticks(pm) >> TMR_HALF;
}

static uint16_t pm1_status(const Pm *pm)
{
    bool overflow = timer_overflows(pm) != pm->overflows_seen;

    return pm->pm1_sts | (overflow ? STS_TMR : 0);
}

static bool wanted_level(const Pm *pm)
{
    bool pending = (pm1_status(pm) & pm->pm1_en) || (pm->gpe0_sts & pm->gpe0_en);

    return pending && (pm->pm1_cnt & CNT_SCI_EN);
}

static void drive_sci(Pm *pm)
{
    pm->sci_level = wanted_level(pm);
    irq_set(pm->sci, pm->sci_level);
}

static void update_sci(Pm *pm)
{
    if (wanted_level(pm) != pm->sci_level)
        drive_sci(pm);
}

/* On main, under the lock. */
static void set_timer(Pm *pm)
{
    uint64_t ticks;

    if (!pm->timer_wanted) {
        timer_cancel(&pm->timer);
        return;
    }
    ticks = (timer_overflows(pm) + 1) << TMR_HALF;
    timer_set(&pm->timer,
              device_clock_deadline(&pm->clock, (int64_t)(ticks / TMR_HZ) * NS_PER_SEC +
                                    (int64_t)(ticks % TMR_HZ + 1) * NS_PER_SEC / TMR_HZ));
}

static bool needs_timer(const Pm *pm)
{
    return pm->clock.runs && (pm->pm1_en & STS_TMR) && !(pm1_status(pm) & STS_TMR);
}

/* After a change of registers, on any thread. */
static void registers_changed(Pm *pm)
{
    bool wanted = needs_timer(pm);

    update_sci(pm);
    if (wanted == pm->timer_wanted)
        return;
    pm->timer_wanted = wanted;
    loop_post(pm->dev->board->loop, &pm->rearm);
}

static void pm_on_rearm(void *opaque)
{
    Pm *pm = opaque;

    lock_take(&pm->dev->lock);
    set_timer(pm);
    lock_drop(&pm->dev->lock);
}

static void pm_on_timer(void *opaque)
{
    Pm *pm = opaque;

    lock_take(&pm->dev->lock);
    pm->timer_wanted = needs_timer(pm);
    update_sci(pm);
    set_timer(pm);
    lock_drop(&pm->dev->lock);
}

static void enter_sleep(Pm *pm)
{
    Board *board = pm->dev->board;
    unsigned type = pm->pm1_cnt >> CNT_SLP_TYP_SHIFT & 7;

    TRACE(acpi_sleep, "type %u", type);
    if (type == X86_SLP_TYP_S5)
        board->ops->request_shutdown(board->opaque);
    else if (type == X86_SLP_TYP_S3 && pm->s3)
        board->ops->request_suspend(board->opaque);
    else if (type == X86_SLP_TYP_S4 && pm->s4)
        board->ops->request_suspend_disk(board->opaque);
    else
        device_guest_error(pm->dev, "sleep type %u is not offered", type);
}

static void write_control(Pm *pm, uint16_t value)
{
    pm->pm1_cnt = value & CNT_BITS;
    if (value & CNT_SLP_EN)
        enter_sleep(pm);
}

/* @value with byte @n replaced by @byte. */
static uint64_t with_byte(uint64_t value, unsigned n, uint8_t byte)
{
    return (value & ~(0xffull << 8 * n)) | (uint64_t)byte << 8 * n;
}

static void write_byte(Pm *pm, unsigned offset, uint8_t byte)
{
    unsigned n = offset & 7;
    uint32_t kept;

    switch (offset) {
    case X86_PM1_EVT:
        if (byte & STS_TMR)
            pm->overflows_seen = timer_overflows(pm);
        pm->pm1_sts &= ~(byte & STS_CLEARABLE);
        break;
    case X86_PM1_EVT + 1:
        pm->pm1_sts &= ~(byte << 8 & STS_CLEARABLE);
        break;
    case X86_PM1_EVT + 2:
    case X86_PM1_EVT + 3:
        pm->pm1_en = with_byte(pm->pm1_en, offset & 1, byte) & EN_BITS;
        break;
    case X86_PM1_CNT:
    case X86_PM1_CNT + 1:
        write_control(pm, with_byte(pm->pm1_cnt, offset & 1, byte));
        break;
    case X86_PM_GPE0 ... X86_PM_GPE0 + 7:
        pm->gpe0_sts &= ~with_byte(0, n, byte);
        break;
    case X86_PM_GPE0 + 8 ... X86_PM_GPE0 + 15:
        pm->gpe0_en = with_byte(pm->gpe0_en, n, byte);
        break;
    case X86_PM_SMI ... X86_PM_SMI + 3:
        kept = (tco_is_locked(&pm->tco) ? SMI_TCO_EN : 0) |
               (pm->smi_locked ? SMI_GBL_EN : 0);
        pm->smi_en = (pm->smi_en & kept) |
                     ((uint32_t)with_byte(pm->smi_en, n & 3, byte) & ~kept);
        break;
    case X86_PM_SMI + 4 ... X86_PM_SMI + 7:
        pm->smi_sts &= ~(uint32_t)with_byte(0, n & 3, byte);
        break;
    case X86_PM_TCO ... X86_PM_TCO + TCO_SIZE - 1:
        tco_write_byte(&pm->tco, offset - X86_PM_TCO, byte);
        break;
    }
}

static uint32_t read_tco(const Pm *pm, unsigned offset)
{
    uint32_t value = 0;

    for (unsigned i = 0; i < 4; i++)
        value |= (uint32_t)tco_read_byte(&pm->tco, offset + i) << 8 * i;
    return value;
}

static uint32_t read_word(const Pm *pm, unsigned offset)
{
    switch (offset) {
    case X86_PM1_EVT:
        return pm1_status(pm) | (uint32_t)pm->pm1_en << 16;
    case X86_PM1_CNT:
        return pm->pm1_cnt;
    case X86_PM_GPE0:
        return pm->gpe0_sts;
    case X86_PM_GPE0 + 4:
        return pm->gpe0_sts >> 32;
    case X86_PM_GPE0 + 8:
        return pm->gpe0_en;
    case X86_PM_GPE0 + 12:
        return pm->gpe0_en >> 32;
    case X86_PM_SMI:
        return pm->smi_en;
    case X86_PM_SMI + 4:
        return pm->smi_sts;
    case X86_PM_TCO ... X86_PM_TCO + TCO_SIZE - 4:
        return read_tco(pm, offset - X86_PM_TCO);
    }
    TRACE(unimp_pm, "read at 0x%02x", offset);
    return 0;
}

static uint64_t block_read(void *opaque, uint64_t offset, unsigned size)
{
    Pm *pm = opaque;
    unsigned word = offset & ~3u;
    uint32_t value;

    if (word == X86_PM_TMR) {
        value = timer_ticks(pm) & TMR_MASK;
    } else {
        lock_take(&pm->dev->lock);
        value = read_word(pm, word);
        lock_drop(&pm->dev->lock);
    }
    return value >> 8 * (offset & 3);
}

static void block_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Pm *pm = opaque;

    lock_take(&pm->dev->lock);
    for (unsigned i = 0; i < size; i++)
        write_byte(pm, offset + i, value >> 8 * i);
    registers_changed(pm);
    lock_drop(&pm->dev->lock);
}

static uint64_t smi_read(void *opaque, uint64_t offset, unsigned size)
{
    Pm *pm = opaque;

    return offset == 0 ? pm->apm_cnt : pm->apm_sts;
}

/* APM_CNT was written. */
static void raise_smi(Pm *pm)
{
    const uint32_t needed = SMI_GBL_EN | SMI_APMC_EN;
    const Board *board = pm->dev->board;

    if (!board->smm || (pm->smi_en & needed) != needed)
        return;
    pm->smi_sts |= SMI_APM_STS;
    vm_send_smi(board->vm, smi_features_agreed(&pm->smi_features) & SMI_BROADCAST);
}

static void smi_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Pm *pm = opaque;

    if (offset != 0) {
        pm->apm_sts = value;
        return;
    }
    pm->apm_cnt = value;
    if (value == X86_ACPI_ENABLE)
        pm->pm1_cnt |= CNT_SCI_EN;
    else if (value == X86_ACPI_DISABLE)
        pm->pm1_cnt &= ~CNT_SCI_EN;
    else
        raise_smi(pm);
    registers_changed(pm);
}

static const RegionOps block_ops = {
    .read = block_read, .write = block_write, .max_size = 4
};

static const RegionOps smi_ops = {
    .read = smi_read, .write = smi_write, .max_size = 1
};

/* The status stays until the guest clears it. */
static void on_gpe(void *opaque, unsigned n, bool level)
{
    Pm *pm = opaque;

    if (!level)
        return;
    TRACE(irq_gpe, "event %u", n);
    lock_take(&pm->dev->lock);
    pm->gpe0_sts |= 1ull << n;
    update_sci(pm);
    lock_drop(&pm->dev->lock);
}

void pm_init(Pm *pm, Device *dev)
{
    Board *board = dev->board;

    pm->dev = dev;
    pm->sci = board->isa_irqs[X86_GSI_SCI];
    for (unsigned i = 0; i < BOARD_GPES; i++)
        irq_line_init(&pm->gpes[i], on_gpe, pm, i);
    loop_message_init(&pm->rearm, pm_on_rearm, pm);
    timer_init(&pm->timer, board->loop, pm_on_timer, pm);
    tco_init(&pm->tco, dev, &pm->clock);
    region_init_io(&pm->block, "acpi-pm", X86_PM_SIZE, &block_ops, pm, NULL);
    region_init_io(&pm->smi, "smi-cmd", 2, &smi_ops, pm, &dev->lock);
    region_set_enabled(&pm->block, false);
    region_batch_begin(board->io);
    region_add(board->io_root, X86_PM_BASE, &pm->block, BELOW_ALL_ELSE);
    region_add(board->io_root, X86_PORT_SMI_CMD, &pm->smi, 0);
    region_batch_end(board->io);
}

void pm_done(Pm *pm)
{
    region_done(&pm->block);
    region_done(&pm->smi);
    loop_message_cancel(pm->dev->board->loop, &pm->rearm);
    timer_cancel(&pm->timer);
    tco_done(&pm->tco);
    irq_lower(pm->sci);
}

/* What has no standby power. */
static void reset_core(Pm *pm, bool no_reboot)
{
    pm->smi_en = pm->dev->board->smm ? 0 : SMI_APMC_EN;
    pm->smi_sts = 0;
    smi_features_reset(&pm->smi_features);
    pm->apm_cnt = 0;
    pm->apm_sts = 0;
    pm->overflows_seen = timer_overflows(pm);
    tco_reset(&pm->tco, no_reboot);
    registers_changed(pm);
}

void pm_reset(Pm *pm, bool no_reboot)
{
    lock_take(&pm->dev->lock);
    pm->pm1_sts = 0;
    pm->pm1_en = 0;
    pm->pm1_cnt = 0;
    pm->gpe0_sts = 0;
    pm->gpe0_en = 0;
    reset_core(pm, no_reboot);
    lock_drop(&pm->dev->lock);
}

void pm_suspend(Pm *pm, bool no_reboot)
{
    lock_take(&pm->dev->lock);
    pm->pm1_sts &= KEPT_BITS;
    pm->pm1_en &= KEPT_BITS;
    pm->pm1_cnt &= KEPT_BITS;
    reset_core(pm, no_reboot);
    lock_drop(&pm->dev->lock);
}

void pm_pause(Pm *pm)
{
    lock_take(&pm->dev->lock);
    device_clock_stop(&pm->clock);
    tco_rearm(&pm->tco);
    pm->timer_wanted = false;
    set_timer(pm);
    lock_drop(&pm->dev->lock);
}

/* Has no effect unless the machine is suspended; under the lock. */
static void wake_by_pending(Pm *pm)
{
    Board *board = pm->dev->board;
    uint16_t pending = pm->pm1_sts & pm->pm1_en;

    if (pending & STS_PWRBTN)
        board->ops->request_wakeup(board->opaque, BOARD_WAKE_POWER_BUTTON);
    else if (pending & STS_RTC)
        board->ops->request_wakeup(board->opaque, BOARD_WAKE_RTC);
}

void pm_resume(Pm *pm)
{
    lock_take(&pm->dev->lock);
    device_clock_start(&pm->clock);
    tco_rearm(&pm->tco);
    pm->timer_wanted = needs_timer(pm);
    set_timer(pm);
    update_sci(pm);
    wake_by_pending(pm);
    lock_drop(&pm->dev->lock);
}

void pm_power_button(Pm *pm)
{
    Board *board = pm->dev->board;

    lock_take(&pm->dev->lock);
    pm->pm1_sts |= STS_PWRBTN;
    update_sci(pm);
    board->ops->request_wakeup(board->opaque, BOARD_WAKE_POWER_BUTTON);
    lock_drop(&pm->dev->lock);
}

void pm_set_alarm(Pm *pm, bool level)
{
    lock_take(&pm->dev->lock);
    if (level) {
        pm->pm1_sts |= STS_RTC;
        update_sci(pm);
        wake_by_pending(pm);
    }
    lock_drop(&pm->dev->lock);
}

/* The firmware of a machine that wakes switches SCI_EN on (ACPI 6.3, 4.8.3.2.1). */
void pm_wake(Pm *pm, BoardWakeReason reason)
{
    static const uint16_t status[] = {
        [BOARD_WAKE_OTHER] = STS_WAK,
        [BOARD_WAKE_POWER_BUTTON] = STS_WAK | STS_PWRBTN,
        [BOARD_WAKE_RTC] = STS_WAK | STS_RTC,
    };

    lock_take(&pm->dev->lock);
    pm->pm1_sts |= status[reason];
    pm->pm1_cnt |= CNT_SCI_EN;
    update_sci(pm);
    lock_drop(&pm->dev->lock);
}

void pm_lock_smi(Pm *pm, bool locked)
{
    pm->smi_locked = locked;
}

void pm_set_base(Pm *pm, bool enabled, uint16_t base)
{
    AddressSpace *io = pm->dev->board->io;

    region_batch_begin(io);
    region_set_addr(&pm->block, base);
    region_set_enabled(&pm->block, enabled);
    region_batch_end(io);
}

static bool pm_post_load(void *opaque, GError **error)
{
    Pm *pm = opaque;

    if (!device_clock_is_sane(&pm->clock)) {
        error_set(error, "field 'clock.elapsed_ns' is no age of a machine");
        return false;
    }
    if (!tco_time_is_sane(&pm->tco)) {
        error_set(error, "field 'tco': the timer is set to no time");
        return false;
    }
    pm->smi_sts &= SMI_APM_STS;
    pm->pm1_sts &= STS_CLEARABLE & ~STS_TMR;
    pm->pm1_en &= EN_BITS;
    pm->pm1_cnt &= CNT_BITS;
    drive_sci(pm);
    return true;
}

static const VMStateField pm_fields[] = {
    VMSTATE_U16(Pm, pm1_sts),
    VMSTATE_U16(Pm, pm1_en),
    VMSTATE_U16(Pm, pm1_cnt),
    VMSTATE_U64(Pm, gpe0_sts),
    VMSTATE_U64(Pm, gpe0_en),
    VMSTATE_U32(Pm, smi_en),
    VMSTATE_U32(Pm, smi_sts),
    VMSTATE_STRUCT(Pm, smi_features, smi_features_vmstate),
    VMSTATE_U8(Pm, apm_cnt),
    VMSTATE_U8(Pm, apm_sts),
    VMSTATE_U64(Pm, overflows_seen),
    VMSTATE_I64(Pm, clock.elapsed_ns),
    VMSTATE_STRUCT(Pm, tco, tco_vmstate),
    VMSTATE_END
};

const VMStateDesc pm_vmstate = {
    .name = "acpi-pm",
    .version = 1,
    .min_version = 1,
    .fields = pm_fields,
    .post_load = pm_post_load,
};
