/* SPDX-License-Identifier: Apache-2.0 */
/*
 * MC146818A real-time clock with 242 bytes of memory (Motorola data sheet; century and
 * upper bank as in the ICH9 data sheet, 13.6).
 *
 * Time is counted in ticks of the clock's 32768 Hz.  It is a clock of the host plus an
 * offset (rtc-time.h), so nothing runs while nobody looks: registers are computed when
 * read, and the flags of register C by catch_up(), for all that went by since the last
 * time.  While SET or the divider's reset stops the clock, the time registers are what
 * the guest wrote.
 *
 *     running --- SET or divider reset: registers filled in ---> stopped
 *     stopped --- both released: registers become the offset --> running
 *
 * A timer is set only while an interrupt is enabled whose flag is not set yet; a guest
 * that does not read register C gets no further ones.  Timers belong to main, so a
 * register write posts the message that sets it.  A step of the host's clock makes an
 * alarm late at most by that step.
 *
 * Lost ticks.  A guest that keeps time by the periodic interrupt falls behind when it
 * reads register C only after several periods.  With slew the periods beyond the first
 * are owed, and each read of register C, by which a guest acknowledges, is followed by
 * one of them at once, up to BURST_MAX in a period.  That is seen at the clock itself, so
 * it is all the same where the interrupt controllers are.
 */
#include <time.h>

#include "berth/error.h"
#include "berth/irq.h"
#include "berth/region.h"
#include "berth/thread.h"
#include "berth/timer.h"
#include "berth/vmstate.h"

#include "berth/rtc.h"

#include "rtc-calendar.h"
#include "rtc-time.h"

#define RTC_SIZE 4u
#define UPDATE_TICKS 8                  /* UIP precedes an update by 244 us */
#define STALE INT64_MIN                 /* what the timer is set to is not known */
#define TIMER_TICKS_MAX (2 * 86400 * RTC_HZ)
/* More than any time that registers can express, and far from overflow. */
#define SEEN_LIMIT (1ll << 56)

#define OWED_MAX 16384u
#define BURST_MAX 20

#define A_UIP 0x80
#define A_DIVIDER 0x70
#define A_DIVIDER_32KHZ 0x20            /* larger values hold the divider in reset */
#define A_RATE 0x0f
#define A_RATE_1024HZ 0x06
#define B_SET 0x80
#define B_INTERRUPTS 0x70               /* PIE, AIE, UIE: as the flags of C */
#define B_UIE 0x10
#define B_SQWE 0x08
#define C_IRQF 0x80
#define C_PF 0x40
#define C_AF 0x20
#define C_UF 0x10
#define D_VALID 0x80
#define EQUIPMENT_FPU 0x02

typedef struct Rtc {
    Device dev;
    Region region;
    IrqLine *irq;
    IrqLine *alarm;
    LoopMessage rearm;
    LoopMessage set_by_guest;
    Timer timer;                /* main's */
    bool slew;

    /* Under dev.lock. */
    uint8_t index;
    uint8_t ext_index;
    uint8_t cmos[256];
    RtcTime time;
    int64_t seen;               /* guest time up to which register C is right */
    int64_t target;             /* guest time at which the timer is to fire */
    int64_t ahead;              /* seconds, of the time that the guest set last */
    uint32_t owed;              /* periodic interrupts */
    uint8_t burst;              /* of them in this period so far */
    bool irq_level;
    bool alarm_level;
    bool paused;
} Rtc;

static Rtc *to_rtc(Device *dev)
{
    return CONTAINER_OF(dev, Rtc, dev);
}

static bool divider_runs(const Rtc *rtc)
{
    return (rtc->cmos[REG_A] & A_DIVIDER) <= A_DIVIDER_32KHZ;
}

static bool clock_runs(const Rtc *rtc)
{
    return divider_runs(rtc) && !(rtc->cmos[REG_B] & B_SET);
}

/* Ticks between periodic interrupts, 0 for none. */
static int64_t period(const Rtc *rtc)
{
    unsigned rate = rtc->cmos[REG_A] & A_RATE;

    if (rate == 0 || !divider_runs(rtc))
        return 0;
    return 1ll << (rate <= 2 ? rate + 6 : rate - 1);
}

/* Fills the time registers in. */
static void store_time(Rtc *rtc, int64_t ticks)
{
    rtc_calendar_store(rtc->cmos, rtc_div_floor(ticks, RTC_HZ));
}

static int64_t load_time(const Rtc *rtc)
{
    return rtc_calendar_load(rtc->cmos) * RTC_HZ;
}

/* @n periods have gone by. */
static void count_periods(Rtc *rtc, int64_t n)
{
    int64_t lost = n - !(rtc->cmos[REG_C] & C_PF);

    if (rtc->slew && (rtc->cmos[REG_B] & C_PF))
        rtc->owed = (uint32_t)MIN(rtc->owed + lost, OWED_MAX);
    rtc->cmos[REG_C] |= C_PF;
    rtc->burst = 0;
}

/* Sets the flags of what happened since the last time; returns the guest's time. */
static int64_t catch_up(Rtc *rtc)
{
    int64_t now = rtc_time_now(&rtc->time), from = rtc->seen, step = period(rtc);
    int64_t second = rtc_div_floor(now, RTC_HZ);
    int64_t old = rtc_div_floor(from, RTC_HZ);

    rtc->seen = now;
    if (now <= from)
        return now;             /* the host's clock was set back */
    if (step && rtc_div_floor(now, step) != rtc_div_floor(from, step))
        count_periods(rtc, rtc_div_floor(now, step) - rtc_div_floor(from, step));
    if (clock_runs(rtc) && second != old) {
        rtc->cmos[REG_C] |= C_UF;
        if (rtc_calendar_next_alarm(rtc->cmos, old) <= second)
            rtc->cmos[REG_C] |= C_AF;
    }
    return now;
}

static void drive_irq(Rtc *rtc)
{
    rtc->irq_level = rtc->cmos[REG_C] & rtc->cmos[REG_B] & B_INTERRUPTS;
    irq_set(rtc->irq, rtc->irq_level);
}

static bool alarm_interrupts(const Rtc *rtc)
{
    return rtc->cmos[REG_C] & rtc->cmos[REG_B] & C_AF;
}

static void update_irq(Rtc *rtc)
{
    bool level = rtc->cmos[REG_C] & rtc->cmos[REG_B] & B_INTERRUPTS;
    bool alarm = alarm_interrupts(rtc);

    if (level != rtc->irq_level)
        drive_irq(rtc);
    if (alarm != rtc->alarm_level) {
        rtc->alarm_level = alarm;
        irq_set(rtc->alarm, alarm);
    }
}

/* When the next interrupt is due that is enabled and not pending. */
static int64_t next_target(const Rtc *rtc)
{
    uint8_t wanted = rtc->cmos[REG_B] & ~rtc->cmos[REG_C];
    int64_t second = rtc_div_floor(rtc->seen, RTC_HZ);
    int64_t target = RTC_NEVER, step = period(rtc), alarm;

    if (rtc->paused)
        return RTC_NEVER;
    if ((wanted & C_PF) && step)
        target = (rtc_div_floor(rtc->seen, step) + 1) * step;
    if (!clock_runs(rtc))
        return target;
    if (wanted & C_UF)
        target = MIN(target, (second + 1) * RTC_HZ);
    if (wanted & C_AF) {
        alarm = rtc_calendar_next_alarm(rtc->cmos, second);
        if (alarm != RTC_NEVER)
            target = MIN(target, alarm * RTC_HZ);
    }
    return target;
}

/* On main, under the lock. */
static void set_timer(Rtc *rtc)
{
    int64_t wait;

    if (rtc->target == RTC_NEVER) {
        timer_cancel(&rtc->timer);
        return;
    }
    wait = CLAMP(rtc->target - rtc_time_now(&rtc->time), 0, TIMER_TICKS_MAX);
    timer_set(&rtc->timer, loop_clock_ns() + wait / RTC_HZ * NS_PER_SEC +
                           (wait % RTC_HZ + 1) * NS_PER_SEC / RTC_HZ);
}

static void rtc_on_rearm(void *opaque)
{
    Rtc *rtc = opaque;

    lock_take(&rtc->dev.lock);
    set_timer(rtc);
    lock_drop(&rtc->dev.lock);
}

static void rtc_on_timer(void *opaque)
{
    Rtc *rtc = opaque;

    lock_take(&rtc->dev.lock);
    catch_up(rtc);
    update_irq(rtc);
    rtc->target = next_target(rtc);
    set_timer(rtc);
    lock_drop(&rtc->dev.lock);
}

/* After a change of registers, on any thread. */
static void registers_changed(Rtc *rtc)
{
    int64_t target = next_target(rtc);

    update_irq(rtc);
    if (target == rtc->target)
        return;
    rtc->target = target;
    loop_post(rtc->dev.board->loop, &rtc->rearm);
}

/* The guest's time is @ticks now, as it said. */
static void set_time(Rtc *rtc, int64_t ticks)
{
    rtc_time_set(&rtc->time, ticks);
    rtc->seen = ticks;
    rtc->target = STALE;
    rtc->ahead = rtc_time_ahead(&rtc->time, ticks);
    loop_post(rtc->dev.board->loop, &rtc->set_by_guest);
}

static void rtc_on_set_by_guest(void *opaque)
{
    Rtc *rtc = opaque;
    const Board *board = rtc->dev.board;
    int64_t ahead;

    lock_take(&rtc->dev.lock);
    ahead = rtc->ahead;
    lock_drop(&rtc->dev.lock);
    if (board->ops->clock_set)
        board->ops->clock_set(board->opaque, rtc->dev.path, ahead);
}

static void write_time(Rtc *rtc, unsigned reg, uint8_t value)
{
    int64_t now;

    if (!clock_runs(rtc)) {
        rtc->cmos[reg] = value;
        return;
    }
    now = catch_up(rtc);
    store_time(rtc, now);
    rtc->cmos[reg] = value;
    set_time(rtc, load_time(rtc) + rtc_mod_floor(now, RTC_HZ));
}

/* What is owed is time; a guest that wants no periodic interrupts keeps none by them. */
static void change_owed(Rtc *rtc, int64_t old_period)
{
    int64_t step = period(rtc);

    if (!step || !(rtc->cmos[REG_B] & C_PF))
        rtc->owed = 0;
    else if (old_period && step != old_period)
        rtc->owed = (uint32_t)MIN(rtc->owed * old_period / step, OWED_MAX);
}

static void write_control(Rtc *rtc, unsigned reg, uint8_t value)
{
    int64_t now = catch_up(rtc);
    bool ran = clock_runs(rtc), divided = divider_runs(rtc);
    int64_t old_period = period(rtc);

    if (ran)
        store_time(rtc, now);
    if (reg == REG_B && (value & B_SET))
        value &= ~B_UIE;
    rtc->cmos[reg] = reg == REG_A ? value & ~A_UIP : value;
    change_owed(rtc, old_period);
    /* The first update comes half a second after the divider starts. */
    if (!ran && clock_runs(rtc))
        set_time(rtc, load_time(rtc) + (divided ? 0 : RTC_HZ / 2));
}

static void write_cmos(Rtc *rtc, unsigned reg, uint8_t value)
{
    switch (reg) {
    case REG_SECONDS:
    case REG_MINUTES:
    case REG_HOURS:
    case REG_DAY_OF_WEEK:
    case REG_DAY:
    case REG_MONTH:
    case REG_YEAR:
    case REG_CENTURY:
        write_time(rtc, reg, value);
        break;
    case REG_SECONDS_ALARM:
    case REG_MINUTES_ALARM:
    case REG_HOURS_ALARM:
        catch_up(rtc);
        rtc->cmos[reg] = value;
        break;
    case REG_A:
    case REG_B:
        write_control(rtc, reg, value);
        break;
    case REG_C:
    case REG_D:
        return;
    default:
        rtc->cmos[reg] = value;
        return;
    }
    registers_changed(rtc);
}

static uint8_t read_a(const Rtc *rtc)
{
    int64_t later = rtc_time_now(&rtc->time) + UPDATE_TICKS;
    bool soon = rtc_mod_floor(later, RTC_HZ) < UPDATE_TICKS;

    return rtc->cmos[REG_A] | (clock_runs(rtc) && soon ? A_UIP : 0);
}

static uint8_t read_c(Rtc *rtc)
{
    uint8_t flags;

    catch_up(rtc);
    flags = rtc->cmos[REG_C];
    if (flags & rtc->cmos[REG_B] & B_INTERRUPTS)
        flags |= C_IRQF;
    rtc->cmos[REG_C] = 0;
    update_irq(rtc);
    if (rtc->owed > 0 && rtc->burst < BURST_MAX) {
        rtc->owed--;
        rtc->burst++;
        rtc->cmos[REG_C] |= C_PF;
    }
    registers_changed(rtc);
    return flags;
}

static uint8_t read_cmos(Rtc *rtc, unsigned reg)
{
    switch (reg) {
    case REG_SECONDS:
    case REG_MINUTES:
    case REG_HOURS:
    case REG_DAY_OF_WEEK:
    case REG_DAY:
    case REG_MONTH:
    case REG_YEAR:
    case REG_CENTURY:
        if (clock_runs(rtc))
            store_time(rtc, rtc_time_now(&rtc->time));
        break;
    case REG_A:
        return read_a(rtc);
    case REG_C:
        return read_c(rtc);
    case REG_D:
        return D_VALID;
    }
    return rtc->cmos[reg];
}

static uint64_t rtc_read(void *opaque, uint64_t offset, unsigned size)
{
    Rtc *rtc = opaque;

    switch (offset) {
    case 1:
        return read_cmos(rtc, rtc->index);
    case 3:
        return rtc->cmos[128 + rtc->ext_index];
    }
    return 0xff;                /* the index ports cannot be read */
}

static void rtc_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Rtc *rtc = opaque;

    switch (offset) {
    case 0:
        rtc->index = value & 0x7f; /* bit 7 masks NMIs: not here */
        break;
    case 1:
        write_cmos(rtc, rtc->index, value);
        break;
    case 2:
        rtc->ext_index = value & 0x7f;
        break;
    case 3:
        rtc->cmos[128 + rtc->ext_index] = value;
        break;
    }
}

static const RegionOps rtc_region_ops = {
    .read = rtc_read,
    .write = rtc_write,
    .max_size = 1,
};

static void rtc_reset(Device *dev)
{
    Rtc *rtc = to_rtc(dev);

    lock_take(&dev->lock);
    rtc->index = 0;
    rtc->ext_index = 0;
    rtc->cmos[REG_B] &= ~(B_INTERRUPTS | B_SQWE);
    rtc->cmos[REG_C] = 0;
    rtc->owed = 0;
    registers_changed(rtc);
    lock_drop(&dev->lock);
}

static bool rtc_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    Rtc *rtc = to_rtc(dev);

    rtc->irq = dev->board->isa_irqs[X86_GSI_RTC];
    rtc->paused = true;
    rtc->target = RTC_NEVER;
    rtc->cmos[REG_A] = A_DIVIDER_32KHZ | A_RATE_1024HZ;
    rtc->cmos[REG_B] = B_24H;
    rtc->cmos[REG_EQUIPMENT] = EQUIPMENT_FPU;
    timer_init(&rtc->timer, dev->board->loop, rtc_on_timer, rtc);
    loop_message_init(&rtc->rearm, rtc_on_rearm, rtc);
    loop_message_init(&rtc->set_by_guest, rtc_on_set_by_guest, rtc);
    region_init_io(&rtc->region, "rtc", RTC_SIZE, &rtc_region_ops, rtc, &dev->lock);
    region_add(dev->board->io_root, X86_PORT_RTC, &rtc->region, 0);
    return true;
}

static void rtc_unrealize(Device *dev)
{
    Rtc *rtc = to_rtc(dev);

    region_done(&rtc->region);
    loop_message_cancel(dev->board->loop, &rtc->rearm);
    loop_message_cancel(dev->board->loop, &rtc->set_by_guest);
    timer_cancel(&rtc->timer);
    irq_lower(rtc->irq);
}

/* A battery feeds it. */
static void rtc_suspend(Device *dev)
{
}

static void rtc_pause(Device *dev)
{
    Rtc *rtc = to_rtc(dev);

    lock_take(&dev->lock);
    catch_up(rtc);
    update_irq(rtc);
    rtc_time_stop(&rtc->time);
    rtc->paused = true;
    rtc->target = RTC_NEVER;
    set_timer(rtc);
    lock_drop(&dev->lock);
}

/* What went by in a pause sets flags, and is owed to nobody. */
static void rtc_resume(Device *dev)
{
    Rtc *rtc = to_rtc(dev);
    uint32_t owed;

    lock_take(&dev->lock);
    rtc->paused = false;
    rtc_time_start(&rtc->time);
    owed = rtc->owed;
    catch_up(rtc);
    rtc->owed = owed;
    update_irq(rtc);
    rtc->target = next_target(rtc);
    set_timer(rtc);
    lock_drop(&dev->lock);
}

static bool rtc_post_load(void *opaque, GError **error)
{
    Rtc *rtc = opaque;

    if (rtc->index > 0x7f || rtc->ext_index > 0x7f) {
        error_set(error, "field 'index' or 'ext_index' expects up to 0x7f");
        return false;
    }
    if (rtc->seen > SEEN_LIMIT || rtc->seen < -SEEN_LIMIT) {
        error_set(error, "field 'seen' is no time");
        return false;
    }
    rtc->owed = MIN(rtc->owed, OWED_MAX);
    lock_take(&rtc->dev.lock);
    rtc->alarm_level = alarm_interrupts(rtc);   /* its edge has been seen */
    drive_irq(rtc);
    lock_drop(&rtc->dev.lock);
    return true;
}

static const VMStateField rtc_fields[] = {
    VMSTATE_U8(Rtc, index),
    VMSTATE_U8(Rtc, ext_index),
    VMSTATE_BYTES(Rtc, cmos, 256),
    VMSTATE_STRUCT(Rtc, time, rtc_time_vmstate),
    VMSTATE_I64(Rtc, seen),
    VMSTATE_U32(Rtc, owed),
    VMSTATE_END
};

static const VMStateDesc rtc_vmstate = {
    .name = "rtc",
    .version = 1,
    .min_version = 1,
    .fields = rtc_fields,
    .post_load = rtc_post_load,
};

static const DeviceClass rtc_class = {
    .name = "mc146818rtc",
    .description = "real-time clock",
    .bus = BUS_NONE,
    .instance_size = sizeof(Rtc),
    .vmstate = &rtc_vmstate,
    .realize = rtc_realize,
    .unrealize = rtc_unrealize,
    .reset = rtc_reset,
    .suspend = rtc_suspend,
    .pause = rtc_pause,
    .resume = rtc_resume,
};

/* Little-endian, at most what @n_bytes hold. */
static void store_size(Rtc *rtc, unsigned reg, unsigned n_bytes, uint64_t value)
{
    uint64_t most = (1ull << 8 * n_bytes) - 1;

    value = MIN(value, most);
    for (unsigned i = 0; i < n_bytes; i++)
        rtc->cmos[reg + i] = value >> 8 * i;
}

static void store_memory(Rtc *rtc, const RtcConfig *config)
{
    uint64_t low = config->low_ram;
    uint64_t above_1m = low > MIB ? low - MIB : 0;
    uint64_t above_16m = low > 16 * MIB ? low - 16 * MIB : 0;

    store_size(rtc, REG_BASE_MEMORY, 2, MIN(low, X86_BASE_RAM_END) / KIB);
    store_size(rtc, REG_EXT_MEMORY, 2, above_1m / KIB);
    store_size(rtc, REG_EXT_MEMORY_POST, 2, above_1m / KIB);
    store_size(rtc, REG_MEMORY_16M, 2, above_16m / (64 * KIB));
    store_size(rtc, REG_MEMORY_4G, 3, config->high_ram / (64 * KIB));
}

/* The number of a kind of boot device; 0 for none. */
static uint8_t boot_device_number(char letter)
{
    switch (letter) {
    case 'a':
    case 'b':
        return 1;
    case 'c':
        return 2;
    case 'd':
        return 3;
    case 'n':
        return 4;
    }
    return 0;
}

bool rtc_is_boot_device(char letter)
{
    return boot_device_number(letter) != 0;
}

void rtc_set_boot_order(Device *dev, const char *order, bool check_floppy)
{
    Rtc *rtc = to_rtc(dev);
    uint8_t numbers[RTC_BOOT_KINDS] = { 0 };

    for (size_t i = 0; i < RTC_BOOT_KINDS && order[i]; i++)
        numbers[i] = boot_device_number(order[i]);
    lock_take(&dev->lock);
    rtc->cmos[REG_BOOT] = numbers[1] << 4 | numbers[0];
    rtc->cmos[REG_BOOT_THIRD] = numbers[2] << 4 | !check_floppy;
    lock_drop(&dev->lock);
}

void rtc_set_shutdown_status(Device *dev, uint8_t status)
{
    Rtc *rtc = to_rtc(dev);

    lock_take(&dev->lock);
    rtc->cmos[REG_SHUTDOWN_STATUS] = status;
    lock_drop(&dev->lock);
}

void rtc_get_date(Device *dev, struct tm *ret_tm)
{
    Rtc *rtc = to_rtc(dev);
    time_t seconds;

    lock_take(&dev->lock);
    if (clock_runs(rtc))
        seconds = rtc_div_floor(rtc_time_now(&rtc->time), RTC_HZ);
    else
        seconds = rtc_calendar_load(rtc->cmos);
    lock_drop(&dev->lock);
    if (!gmtime_r(&seconds, ret_tm))
        *ret_tm = (struct tm) { .tm_mday = 1, .tm_year = 70 };
}

void rtc_reset_reinjection(Device *dev)
{
    Rtc *rtc = to_rtc(dev);

    lock_take(&dev->lock);
    rtc->owed = 0;
    lock_drop(&dev->lock);
}

Device *rtc_find(DeviceTree *tree)
{
    LIST_FOREACH(node, &tree->devices) {
        Device *dev = CONTAINER_OF(node, Device, tree_node);

        if (dev->class == &rtc_class)
            return dev;
    }
    return NULL;
}

Device *rtc_add(DeviceTree *tree, const RtcConfig *config, GError **error)
{
    Device *dev = device_add_onboard(tree, &rtc_class, "rtc", NULL, error);
    Rtc *rtc;

    if (!dev)
        return NULL;
    rtc = to_rtc(dev);
    lock_take(&dev->lock);
    rtc->alarm = config->alarm;
    rtc->slew = config->slew;
    rtc_time_init(&rtc->time, config);
    rtc->seen = rtc_time_now(&rtc->time);
    store_memory(rtc, config);
    lock_drop(&dev->lock);
    return dev;
}
