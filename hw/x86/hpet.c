/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HPET (IA-PC HPET Specification 1.0a; routes as in the ICH9 data sheet, 5.17).
 *
 * The counter counts the machine's time in steps of 10 ns and is computed when it is
 * read; while it runs, without a lock.  What has matched by then is served before any
 * other register is accessed, so that the guest sees the state of that moment.
 *
 * One timer of the loop serves all: it is set for the first match of a timer whose
 * interrupt is enabled, so an HPET that nobody uses, or that is only read, wakes nobody.
 * Matches of periods that are too short to be served one by one are one interrupt.
 *
 * Interrupts go to pins of the IOAPIC, which are shared with PCI; as messages; or, with
 * legacy replacement, to where the interval timer and the RTC interrupt, which are then
 * silent.  So the lines of PCI and of the RTC lead through here (hpet_line()).
 */
#include "berth/device-clock.h"
#include "berth/error.h"
#include "berth/irq.h"
#include "berth/region.h"
#include "berth/thread.h"
#include "berth/timer.h"
#include "berth/vm.h"
#include "berth/vmstate.h"
#include "berth/x86-layout.h"

#include "berth/hpet.h"

#include "hpet-timer.h"

#define TICK_NS 10
#define FEMTOSECONDS 10000000u

#define REG_CAPABILITIES 0x000u
#define REG_CONFIGURATION 0x010u
#define REG_STATUS 0x020u
#define REG_COUNTER 0x0f0u
#define REG_TIMERS 0x100u
#define TIMER_SIZE 0x20u
#define TIMER_CONFIGURATION 0x00u
#define TIMER_COMPARATOR 0x08u
#define TIMER_MESSAGE 0x10u

#define CAP_REVISION 1u
#define CAP_TIMERS_SHIFT 8
#define CAP_64_BITS (1u << 13)
#define CAP_LEGACY (1u << 15)
#define CAP_VENDOR (0x8086u << 16)

#define CONF_ENABLE 1u
#define CONF_LEGACY 2u

#define TN_PERIODIC_CAP (1u << 4)
#define TN_64_BITS_CAP (1u << 5)
#define TN_MESSAGE_CAP (1u << 15)

#define ROUTES (0x0fu << X86_GSI_HPET_BASE)
#define GSI_PIT 0
#define GSIS 24

#define REST_NS (100 * 1000)            /* from one round of matches to the next */

typedef struct Hpet {
    Device dev;
    Region region;
    DeviceClock clock;
    LoopMessage rearm;
    Timer timer;                /* main's */
    IrqLine inputs[GSIS];       /* of those who share a line */
    IrqLine *legacy;
    bool msi;
    uint32_t n_timers;

    /* Written under dev.lock, read by any thread. */
    bool enabled;               /* atomic */
    uint64_t offset;            /* atomic: of the counter from the clock */

    /* Under dev.lock. */
    uint64_t halted;            /* the counter while it is not enabled */
    bool is_legacy;
    uint32_t status;
    HpetTimer timers[HPET_TIMERS_MAX];
    uint32_t input_levels;      /* by GSI */
    uint32_t own_levels;
    uint32_t output_levels;
    int64_t target_ns;          /* of the clock, at which the loop's timer is to fire */
    int64_t served_ns;          /* the last round of matches */
    uint64_t saved_counter;
} Hpet;

static Hpet *to_hpet(Device *dev)
{
    return CONTAINER_OF(dev, Hpet, dev);
}

static uint64_t clock_ticks(const Hpet *hpet)
{
    return (uint64_t)device_clock_ns(&hpet->clock) / TICK_NS;
}

/* Under the lock. */
static uint64_t counter(const Hpet *hpet)
{
    return hpet->enabled ? clock_ticks(hpet) + hpet->offset : hpet->halted;
}

/*
 * Any thread.  The offset is stored before the counter is enabled, and stays when it is
 * halted, so one that was seen enabled has an offset that was its.
 */
static uint64_t read_counter(Hpet *hpet)
{
    uint64_t value;

    if (__atomic_load_n(&hpet->enabled, __ATOMIC_ACQUIRE))
        return clock_ticks(hpet) + __atomic_load_n(&hpet->offset, __ATOMIC_RELAXED);
    lock_take(&hpet->dev.lock);
    value = counter(hpet);
    lock_drop(&hpet->dev.lock);
    return value;
}

static void set_counter(Hpet *hpet, bool enabled, uint64_t value)
{
    if (enabled)
        __atomic_store_n(&hpet->offset, value - clock_ticks(hpet), __ATOMIC_RELAXED);
    hpet->halted = value;
    __atomic_store_n(&hpet->enabled, enabled, __ATOMIC_RELEASE);
}

/* Which of the lines that others drive they do not have now. */
static uint32_t taken_levels(const Hpet *hpet)
{
    return hpet->is_legacy ? 1u << X86_GSI_RTC : 0;
}

static void drive(Hpet *hpet, unsigned gsi)
{
    uint32_t bit = 1u << gsi;
    uint32_t levels = (hpet->input_levels & ~taken_levels(hpet)) | hpet->own_levels;

    if (!((levels ^ hpet->output_levels) & bit))
        return;
    hpet->output_levels ^= bit;
    irq_set(vm_gsi_line(hpet->dev.board->vm, gsi), levels & bit);
}

static void set_input(void *opaque, unsigned gsi, bool level)
{
    Hpet *hpet = opaque;

    lock_take(&hpet->dev.lock);
    if (level)
        hpet->input_levels |= 1u << gsi;
    else
        hpet->input_levels &= ~(1u << gsi);
    drive(hpet, gsi);
    lock_drop(&hpet->dev.lock);
}

/* The line of timer @n; GSIS for none. */
static unsigned route(const Hpet *hpet, unsigned n)
{
    unsigned gsi = hpet->timers[n].config >> HPET_TN_ROUTE_SHIFT & HPET_TN_ROUTE;

    if (hpet->is_legacy && n < 2)
        return n == 0 ? GSI_PIT : X86_GSI_RTC;
    return ROUTES >> gsi & 1 ? gsi : GSIS;
}

/* Levels follow the status bits; without a line they go nowhere. */
static void update_levels(Hpet *hpet)
{
    uint32_t levels = 0, changed;

    for (unsigned i = 0; i < hpet->n_timers; i++) {
        const HpetTimer *t = &hpet->timers[i];
        unsigned gsi = route(hpet, i);

        if ((hpet->status & 1u << i) && (t->config & HPET_TN_ENABLE) && gsi < GSIS)
            levels |= 1u << gsi;
    }
    changed = levels ^ hpet->own_levels;
    hpet->own_levels = levels;
    for (unsigned gsi = 0; gsi < GSIS; gsi++) {
        if (changed & 1u << gsi)
            drive(hpet, gsi);
    }
}

static void pulse(Hpet *hpet, unsigned gsi)
{
    if (gsi == GSIS || (hpet->own_levels & 1u << gsi))
        return;
    hpet->own_levels |= 1u << gsi;
    drive(hpet, gsi);
    hpet->own_levels &= ~(1u << gsi);
    drive(hpet, gsi);
}

/* Of a level, the status tells even when the interrupt is not enabled. */
static void interrupt(Hpet *hpet, unsigned n)
{
    const HpetTimer *t = &hpet->timers[n];
    MsiMessage message = { t->message >> 32, (uint32_t)t->message };

    if (t->config & HPET_TN_LEVEL && !(t->config & HPET_TN_MESSAGE)) {
        hpet->status |= 1u << n;
        update_levels(hpet);
    } else if (!(t->config & HPET_TN_ENABLE)) {
        return;
    } else if (t->config & HPET_TN_MESSAGE) {
        vm_send_msi(hpet->dev.board->vm, &message);
    } else {
        pulse(hpet, route(hpet, n));
    }
}

static bool is_running(const Hpet *hpet)
{
    return hpet->enabled && hpet->clock.runs;
}

static void serve_matches(Hpet *hpet)
{
    uint64_t now = counter(hpet);

    if (!is_running(hpet))
        return;
    for (unsigned i = 0; i < hpet->n_timers; i++) {
        HpetTimer *t = &hpet->timers[i];

        if (hpet_timer_wait(t, now) > 0)
            continue;
        hpet_timer_arm(t, now);
        interrupt(hpet, i);
        hpet->served_ns = device_clock_ns(&hpet->clock);
    }
}

/* When a timer with an interrupt matches next, of the clock; HPET_NEVER. */
static int64_t next_target_ns(const Hpet *hpet)
{
    uint64_t now = counter(hpet);
    int64_t first = HPET_NEVER;

    if (!is_running(hpet))
        return HPET_NEVER;
    for (unsigned i = 0; i < hpet->n_timers; i++) {
        if (hpet->timers[i].config & HPET_TN_ENABLE)
            first = MIN(first, hpet_timer_wait(&hpet->timers[i], now));
    }
    if (first >= DEVICE_CLOCK_MAX / TICK_NS)
        return HPET_NEVER;
    return MAX(device_clock_ns(&hpet->clock) + first * TICK_NS,
               hpet->served_ns + REST_NS);
}

/* On main, under the lock. */
static void set_timer(Hpet *hpet)
{
    hpet->target_ns = next_target_ns(hpet);
    if (hpet->target_ns == HPET_NEVER)
        timer_cancel(&hpet->timer);
    else
        timer_set(&hpet->timer, device_clock_deadline(&hpet->clock, hpet->target_ns));
}

static void on_rearm(void *opaque)
{
    Hpet *hpet = opaque;

    lock_take(&hpet->dev.lock);
    set_timer(hpet);
    lock_drop(&hpet->dev.lock);
}

static void on_timer(void *opaque)
{
    Hpet *hpet = opaque;

    lock_take(&hpet->dev.lock);
    serve_matches(hpet);
    set_timer(hpet);
    lock_drop(&hpet->dev.lock);
}

/* After a change of registers, on any thread. */
static void timers_changed(Hpet *hpet)
{
    if (hpet->target_ns != HPET_NEVER || next_target_ns(hpet) != HPET_NEVER)
        loop_post(hpet->dev.board->loop, &hpet->rearm);
}

static uint32_t capabilities(const Hpet *hpet)
{
    return CAP_REVISION | (hpet->n_timers - 1) << CAP_TIMERS_SHIFT | CAP_64_BITS |
           CAP_LEGACY | CAP_VENDOR;
}

static uint64_t timer_configuration(const Hpet *hpet, const HpetTimer *t)
{
    return (uint64_t)ROUTES << 32 | TN_PERIODIC_CAP | TN_64_BITS_CAP |
           (hpet->msi ? TN_MESSAGE_CAP : 0) | (t->config & ~HPET_TN_VALUE_SET);
}

static bool is_timer_register(const Hpet *hpet, uint64_t reg)
{
    return reg >= REG_TIMERS && (reg - REG_TIMERS) / TIMER_SIZE < hpet->n_timers;
}

/* A whole register, at a multiple of 8. */
static uint64_t read_register(const Hpet *hpet, uint64_t reg)
{
    const HpetTimer *t;

    switch (reg) {
    case REG_CAPABILITIES:
        return (uint64_t)FEMTOSECONDS << 32 | capabilities(hpet);
    case REG_CONFIGURATION:
        return (hpet->enabled ? CONF_ENABLE : 0) | (hpet->is_legacy ? CONF_LEGACY : 0);
    case REG_STATUS:
        return hpet->status;
    case REG_COUNTER:
        return counter(hpet);
    }
    if (!is_timer_register(hpet, reg))
        return 0;
    t = &hpet->timers[(reg - REG_TIMERS) / TIMER_SIZE];
    switch (reg % TIMER_SIZE) {
    case TIMER_CONFIGURATION:
        return timer_configuration(hpet, t);
    case TIMER_COMPARATOR:
        return t->comparator;
    case TIMER_MESSAGE:
        return t->message;
    }
    return 0;
}

static void write_configuration(Hpet *hpet, uint64_t value)
{
    bool enabled = value & CONF_ENABLE, legacy = value & CONF_LEGACY;

    if (enabled != hpet->enabled)
        set_counter(hpet, enabled, counter(hpet));
    if (legacy == hpet->is_legacy)
        return;
    hpet->is_legacy = legacy;
    irq_set(hpet->legacy, legacy);
    update_levels(hpet);
    drive(hpet, X86_GSI_RTC);
}

static void write_counter(Hpet *hpet, uint64_t value)
{
    set_counter(hpet, hpet->enabled, value);
    for (unsigned i = 0; i < hpet->n_timers; i++)
        hpet_timer_arm(&hpet->timers[i], value);
}

static void write_timer_configuration(Hpet *hpet, unsigned n, uint32_t value)
{
    if (!hpet->msi)
        value &= ~HPET_TN_MESSAGE;
    hpet_timer_configure(&hpet->timers[n], value, counter(hpet));
    if (!(value & HPET_TN_LEVEL))
        hpet->status &= ~(1u << n);
    update_levels(hpet);
}

/* @bits are written, the others have the values that they had. */
static void write_timer(Hpet *hpet, uint64_t reg, uint64_t value, uint64_t bits)
{
    unsigned n = (unsigned)((reg - REG_TIMERS) / TIMER_SIZE);
    HpetTimer *t = &hpet->timers[n];

    switch (reg % TIMER_SIZE) {
    case TIMER_CONFIGURATION:
        if ((uint32_t)bits)
            write_timer_configuration(hpet, n, (uint32_t)value);
        break;
    case TIMER_COMPARATOR:
        hpet_timer_write(t, value, bits, counter(hpet));
        break;
    case TIMER_MESSAGE:
        t->message = value;
        break;
    }
}

static void write_register(Hpet *hpet, uint64_t reg, uint64_t value, uint64_t bits)
{
    value |= read_register(hpet, reg) & ~bits;
    switch (reg) {
    case REG_CONFIGURATION:
        write_configuration(hpet, value);
        break;
    case REG_STATUS:
        hpet->status &= ~(uint32_t)(value & bits);
        update_levels(hpet);
        return;
    case REG_COUNTER:
        write_counter(hpet, value);
        break;
    default:
        if (!is_timer_register(hpet, reg))
            return;
        write_timer(hpet, reg, value, bits);
    }
    timers_changed(hpet);
}

static uint64_t hpet_read(void *opaque, uint64_t offset, unsigned size)
{
    Hpet *hpet = opaque;
    uint64_t value, reg = offset & ~7ull;

    if (reg == REG_COUNTER) {
        value = read_counter(hpet);
    } else {
        lock_take(&hpet->dev.lock);
        serve_matches(hpet);
        value = read_register(hpet, reg);
        lock_drop(&hpet->dev.lock);
    }
    return size == 8 ? value : (uint32_t)(value >> 8 * (offset & 4));
}

static void hpet_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    Hpet *hpet = opaque;
    unsigned shift = 8 * (offset & 4);
    uint64_t bits = size == 8 ? UINT64_MAX : (uint64_t)UINT32_MAX << shift;

    lock_take(&hpet->dev.lock);
    serve_matches(hpet);
    write_register(hpet, offset & ~7ull, value << shift, bits);
    lock_drop(&hpet->dev.lock);
}

static const RegionOps hpet_region_ops = {
    .read = hpet_read, .write = hpet_write, .min_size = 4, .max_size = 8
};

static void hpet_reset(Device *dev)
{
    Hpet *hpet = to_hpet(dev);

    lock_take(&dev->lock);
    set_counter(hpet, false, 0);
    for (unsigned i = 0; i < hpet->n_timers; i++)
        hpet_timer_reset(&hpet->timers[i]);
    hpet->status = 0;
    if (hpet->is_legacy)
        write_configuration(hpet, 0);
    update_levels(hpet);
    timers_changed(hpet);
    lock_drop(&dev->lock);
}

static bool hpet_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    Hpet *hpet = to_hpet(dev);
    Board *board = dev->board;

    hpet->target_ns = HPET_NEVER;
    loop_message_init(&hpet->rearm, on_rearm, hpet);
    timer_init(&hpet->timer, board->loop, on_timer, hpet);
    for (unsigned gsi = 0; gsi < GSIS; gsi++)
        irq_line_init(&hpet->inputs[gsi], set_input, hpet, gsi);
    region_init_io(&hpet->region, "hpet", X86_HPET_SIZE, &hpet_region_ops, hpet, NULL);
    region_add(board->memory_root, X86_HPET_BASE, &hpet->region, 0);
    return true;
}

static void hpet_unrealize(Device *dev)
{
    Hpet *hpet = to_hpet(dev);

    region_done(&hpet->region);
    loop_message_cancel(dev->board->loop, &hpet->rearm);
    timer_cancel(&hpet->timer);
}

static void hpet_pause(Device *dev)
{
    Hpet *hpet = to_hpet(dev);

    lock_take(&dev->lock);
    serve_matches(hpet);
    device_clock_stop(&hpet->clock);
    set_timer(hpet);
    lock_drop(&dev->lock);
}

static void hpet_resume(Device *dev)
{
    Hpet *hpet = to_hpet(dev);

    lock_take(&dev->lock);
    device_clock_start(&hpet->clock);
    set_timer(hpet);
    lock_drop(&dev->lock);
}

static void hpet_pre_save(void *opaque)
{
    Hpet *hpet = opaque;

    hpet->saved_counter = counter(hpet);
}

static bool hpet_post_load(void *opaque, GError **error)
{
    Hpet *hpet = opaque;

    set_counter(hpet, hpet->enabled, hpet->saved_counter);
    for (unsigned i = 0; i < HPET_TIMERS_MAX; i++) {
        hpet_timer_clean(&hpet->timers[i]);
        if (!hpet->msi)
            hpet->timers[i].config &= ~HPET_TN_MESSAGE;
    }
    hpet->status &= UINT32_MAX >> (32 - hpet->n_timers);
    irq_set(hpet->legacy, hpet->is_legacy);
    update_levels(hpet);
    drive(hpet, X86_GSI_RTC);
    return true;
}

static const VMStateField hpet_fields[] = {
    VMSTATE_BOOL(Hpet, enabled),
    VMSTATE_BOOL(Hpet, is_legacy),
    VMSTATE_U64(Hpet, saved_counter),
    VMSTATE_U32(Hpet, status),
    VMSTATE_STRUCT_ARRAY(Hpet, timers, HPET_TIMERS_MAX, hpet_timer_vmstate),
    VMSTATE_END
};

static const VMStateDesc hpet_vmstate = {
    .name = "hpet",
    .version = 1,
    .min_version = 1,
    .fields = hpet_fields,
    .pre_save = hpet_pre_save,
    .post_load = hpet_post_load,
};

static const DeviceClass hpet_class = {
    .name = "hpet",
    .description = "high precision event timer",
    .bus = BUS_NONE,
    .instance_size = sizeof(Hpet),
    .vmstate = &hpet_vmstate,
    .realize = hpet_realize,
    .unrealize = hpet_unrealize,
    .reset = hpet_reset,
    .pause = hpet_pause,
    .resume = hpet_resume,
};

Device *hpet_add(DeviceTree *tree, const HpetConfig *config, GError **error)
{
    Device *dev = device_add_onboard(tree, &hpet_class, "hpet", NULL, error);
    Hpet *hpet;

    if (!dev)
        return NULL;
    hpet = to_hpet(dev);
    g_assert(config->timers >= HPET_TIMERS_MIN && config->timers <= HPET_TIMERS_MAX);
    hpet->n_timers = config->timers;
    hpet->msi = config->msi;
    hpet->legacy = config->legacy;
    return dev;
}

IrqLine *hpet_line(Device *dev, unsigned gsi)
{
    g_assert(gsi < GSIS);
    return &to_hpet(dev)->inputs[gsi];
}

uint32_t hpet_id(Device *dev)
{
    return capabilities(to_hpet(dev));
}
