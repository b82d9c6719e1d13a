/* SPDX-License-Identifier: Apache-2.0 */
/*
 * i8254 interval timer (Intel data sheet 231164) and system control port B (ICH9 data
 * sheet, 13.7.1), whose bits gate its counter 2 and show its output.
 *
 * A timer of the loop is set for the next rising edge of counter 0's output, which is
 * interrupt 0, and only when there is one to come: none before the guest writes a count,
 * none after the one edge of modes 0 and 4.
 *
 * Lost ticks.  A guest that counts ticks falls behind when it takes one so late that the
 * next finds it still unserved.  With make_up the chips tell of the end of each tick
 * (irqchip_listen()), a tick that comes earlier is owed, and what is owed is sent as soon
 * as the one before has ended.  That some guest's chips tell no ends (a local APIC that
 * ends edges on its own) is known by there having been none; ticks are then sent as they
 * come.  A tick that is masked is no tick.
 */
#include "berth/device-clock.h"
#include "berth/error.h"
#include "berth/irqchip.h"
#include "berth/region.h"
#include "berth/thread.h"
#include "berth/timer.h"
#include "berth/vmstate.h"
#include "berth/x86-layout.h"

#include "berth/i8254.h"

#include "i8254-counter.h"

#define PIT_GSI 0
#define N_COUNTERS 3
#define SPEAKER 2                       /* the counter with a gate */
#define CONTROL 3                       /* the port */

#define OWED_MAX 10000u
/* A tick that has not ended for so long never will: it was lost on its way. */
#define UNENDED_MAX_NS NS_PER_SEC

#define SELECT_SHIFT 6
#define SELECT_READ_BACK 3
#define READ_BACK_NO_COUNT 0x20
#define READ_BACK_NO_STATUS 0x10
#define SELECT_ACCESS 0x30
#define ACCESS_LATCH 0x00

#define PORT_B_GATE 0x01
#define PORT_B_WRITABLE 0x0f
#define PORT_B_REFRESH 0x10
#define PORT_B_OUT 0x20
#define ABOVE_PC_PORTS 1                /* priority of port B */

typedef struct I8254 {
    Device dev;
    Region region;
    Region port_b_region;
    DeviceClock clock;
    LoopMessage rearm;
    LoopMessage told;           /* of the end of a tick, by the chips */
    Timer timer;                /* main's */
    IrqLine *irq;
    IrqLine inhibit_line;
    bool make_up;
    bool end_told;              /* both atomic */
    bool reroute_told;

    /* Under dev.lock. */
    I8254Counter counters[N_COUNTERS];
    uint8_t port_b;
    bool inhibited;
    bool timer_wanted;
    uint64_t n_ticks;           /* of counter 0 that have been dealt with */
    uint32_t owed;
    bool tells_ends;
    bool unended;
    int64_t sent_ns;            /* the last tick */
} I8254;

static I8254 *to_i8254(Device *dev)
{
    return CONTAINER_OF(dev, I8254, dev);
}

static int64_t now_ns(const I8254 *pit)
{
    return device_clock_ns(&pit->clock);
}

/* When the next tick comes that has not been dealt with. */
static int64_t next_tick_ns(const I8254 *pit)
{
    if (pit->inhibited)
        return I8254_NEVER;
    return i8254_counter_edge_ns(&pit->counters[0], pit->n_ticks);
}

/* On main, under the lock. */
static void set_timer(I8254 *pit)
{
    int64_t next = next_tick_ns(pit);

    pit->timer_wanted = next != I8254_NEVER && pit->clock.runs;
    if (!pit->timer_wanted) {
        timer_cancel(&pit->timer);
        return;
    }
    timer_set(&pit->timer, device_clock_deadline(&pit->clock, next));
}

static void on_rearm(void *opaque)
{
    I8254 *pit = opaque;

    lock_take(&pit->dev.lock);
    set_timer(pit);
    lock_drop(&pit->dev.lock);
}

/*
 * That a tick is masked is asked after it was sent: a guest that masks it later has the
 * chips tell of an end.
 */
static void send_tick(I8254 *pit)
{
    pit->sent_ns = now_ns(pit);
    pit->unended = pit->make_up;
    irq_pulse(pit->irq);
    if (pit->make_up && irqchip_is_masked(pit->dev.board->vm, PIT_GSI)) {
        pit->unended = false;
        pit->owed = 0;
    }
}

static bool waits_for_end(I8254 *pit)
{
    return pit->tells_ends && pit->unended &&
           now_ns(pit) - pit->sent_ns < UNENDED_MAX_NS;
}

static void forget_lost(I8254 *pit)
{
    pit->owed = 0;
    pit->unended = false;
    pit->tells_ends = false;
}

static void owe(I8254 *pit, uint64_t n)
{
    pit->owed = MIN(pit->owed + n, OWED_MAX);
}

/* @n ticks have come since the last time. */
static void tick(I8254 *pit, uint64_t n)
{
    if (waits_for_end(pit)) {
        owe(pit, n);
        return;
    }
    if (pit->unended)
        pit->tells_ends = false;
    if (pit->tells_ends)
        owe(pit, n - 1);
    send_tick(pit);
}

static void on_timer(void *opaque)
{
    I8254 *pit = opaque;
    uint64_t n;

    lock_take(&pit->dev.lock);
    n = i8254_counter_edges(&pit->counters[0], now_ns(pit));
    if (n > pit->n_ticks && !pit->inhibited)
        tick(pit, n - pit->n_ticks);
    pit->n_ticks = n;
    set_timer(pit);
    lock_drop(&pit->dev.lock);
}

/* Under a chip's lock. */
static void on_chip_told(void *opaque, bool ended)
{
    I8254 *pit = opaque;

    __atomic_store_n(ended ? &pit->end_told : &pit->reroute_told, true, __ATOMIC_RELEASE);
    loop_post(pit->dev.board->loop, &pit->told);
}

/* On main, under the lock, while the machine runs. */
static void hear_chips(I8254 *pit)
{
    if (__atomic_exchange_n(&pit->end_told, false, __ATOMIC_ACQUIRE)) {
        pit->tells_ends = true;
        pit->unended = false;
    }
    if (__atomic_exchange_n(&pit->reroute_told, false, __ATOMIC_ACQUIRE))
        forget_lost(pit);
    if (pit->owed > 0 && !pit->unended) {
        pit->owed--;
        send_tick(pit);
    }
}

static void on_told(void *opaque)
{
    I8254 *pit = opaque;

    lock_take(&pit->dev.lock);
    if (pit->clock.runs)
        hear_chips(pit);
    lock_drop(&pit->dev.lock);
}

/* After a change of counter 0 or of its interrupt, on any thread. */
static void ticks_changed(I8254 *pit)
{
    forget_lost(pit);
    if (next_tick_ns(pit) != I8254_NEVER || pit->timer_wanted)
        loop_post(pit->dev.board->loop, &pit->rearm);
}

static void counter_0_changed(I8254 *pit)
{
    pit->n_ticks = 0;
    ticks_changed(pit);
}

/* The ticks that come meanwhile are nobody's. */
static void inhibit(void *opaque, unsigned n, bool level)
{
    I8254 *pit = opaque;

    lock_take(&pit->dev.lock);
    if (level != pit->inhibited) {
        pit->inhibited = level;
        if (!level)
            pit->n_ticks = i8254_counter_edges(&pit->counters[0], now_ns(pit));
        ticks_changed(pit);
    }
    lock_drop(&pit->dev.lock);
}

static void read_back(I8254 *pit, uint8_t value)
{
    for (unsigned i = 0; i < N_COUNTERS; i++) {
        if (!(value & 2u << i))
            continue;
        if (!(value & READ_BACK_NO_COUNT))
            i8254_counter_latch(&pit->counters[i], now_ns(pit));
        if (!(value & READ_BACK_NO_STATUS))
            i8254_counter_latch_status(&pit->counters[i], now_ns(pit));
    }
}

static void write_control(I8254 *pit, uint8_t value)
{
    unsigned select = value >> SELECT_SHIFT;

    if (select == SELECT_READ_BACK) {
        read_back(pit, value);
    } else if ((value & SELECT_ACCESS) == ACCESS_LATCH) {
        i8254_counter_latch(&pit->counters[select], now_ns(pit));
    } else {
        i8254_counter_program(&pit->counters[select], value);
        if (select == 0)
            counter_0_changed(pit);
    }
}

static uint64_t pit_read(void *opaque, uint64_t offset, unsigned size)
{
    I8254 *pit = opaque;

    if (offset == CONTROL)
        return 0xff;            /* cannot be read */
    return i8254_counter_read(&pit->counters[offset], now_ns(pit));
}

static void pit_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    I8254 *pit = opaque;

    if (offset == CONTROL)
        write_control(pit, value);
    else if (i8254_counter_write(&pit->counters[offset], now_ns(pit), value) &&
             offset == 0)
        counter_0_changed(pit);
}

static uint64_t port_b_read(void *opaque, uint64_t offset, unsigned size)
{
    I8254 *pit = opaque;

    pit->port_b ^= PORT_B_REFRESH;
    return pit->port_b |
           (i8254_counter_output(&pit->counters[SPEAKER], now_ns(pit)) ? PORT_B_OUT : 0);
}

static void port_b_write(void *opaque, uint64_t offset, uint64_t value, unsigned size)
{
    I8254 *pit = opaque;

    pit->port_b = (pit->port_b & PORT_B_REFRESH) | (value & PORT_B_WRITABLE);
    i8254_counter_set_gate(&pit->counters[SPEAKER], now_ns(pit), value & PORT_B_GATE);
}

static const RegionOps pit_region_ops = {
    .read = pit_read, .write = pit_write, .max_size = 1
};

static const RegionOps port_b_ops = {
    .read = port_b_read, .write = port_b_write, .max_size = 1
};

static void i8254_reset(Device *dev)
{
    I8254 *pit = to_i8254(dev);

    lock_take(&dev->lock);
    pit->port_b = 0;
    for (unsigned i = 0; i < N_COUNTERS; i++)
        i8254_counter_reset(&pit->counters[i], i != SPEAKER);
    counter_0_changed(pit);
    lock_drop(&dev->lock);
}

static bool i8254_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    I8254 *pit = to_i8254(dev);
    Board *board = dev->board;

    pit->irq = board->isa_irqs[PIT_GSI];
    irq_line_init(&pit->inhibit_line, inhibit, pit, 0);
    loop_message_init(&pit->rearm, on_rearm, pit);
    loop_message_init(&pit->told, on_told, pit);
    timer_init(&pit->timer, board->loop, on_timer, pit);
    region_init_io(&pit->region, "pit", N_COUNTERS + 1, &pit_region_ops, pit, &dev->lock);
    region_init_io(&pit->port_b_region, "pit-port-b", 1, &port_b_ops, pit, &dev->lock);
    region_batch_begin(board->io);
    region_add(board->io_root, X86_PORT_PIT, &pit->region, 0);
    region_add(board->io_root, X86_PORT_B, &pit->port_b_region, ABOVE_PC_PORTS);
    region_batch_end(board->io);
    return true;
}

static void i8254_unrealize(Device *dev)
{
    I8254 *pit = to_i8254(dev);

    region_done(&pit->region);
    region_done(&pit->port_b_region);
    if (pit->make_up)
        irqchip_listen(dev->board->vm, PIT_GSI, NULL, NULL);
    loop_message_cancel(dev->board->loop, &pit->rearm);
    loop_message_cancel(dev->board->loop, &pit->told);
    timer_cancel(&pit->timer);
}

static void i8254_pause(Device *dev)
{
    I8254 *pit = to_i8254(dev);

    lock_take(&dev->lock);
    hear_chips(pit);
    device_clock_stop(&pit->clock);
    set_timer(pit);
    lock_drop(&dev->lock);
}

static void i8254_resume(Device *dev)
{
    I8254 *pit = to_i8254(dev);

    lock_take(&dev->lock);
    device_clock_start(&pit->clock);
    set_timer(pit);
    lock_drop(&dev->lock);
}

static bool i8254_post_load(void *opaque, GError **error)
{
    I8254 *pit = opaque;
    uint64_t n;

    if (!device_clock_is_sane(&pit->clock) || pit->sent_ns < 0 ||
        pit->sent_ns > pit->clock.elapsed_ns) {
        error_set(error, "field 'clock.elapsed_ns' or 'sent_ns' is no time");
        return false;
    }
    n = i8254_counter_edges(&pit->counters[0], now_ns(pit));
    if (pit->n_ticks > n) {
        error_set(error, "field 'n_ticks' expects at most %" PRIu64, n);
        return false;
    }
    pit->port_b &= PORT_B_WRITABLE | PORT_B_REFRESH;
    pit->owed = MIN(pit->owed, OWED_MAX);
    return true;
}

static const VMStateField i8254_fields[] = {
    VMSTATE_I64(I8254, clock.elapsed_ns),
    VMSTATE_STRUCT_ARRAY(I8254, counters, N_COUNTERS, i8254_counter_vmstate),
    VMSTATE_U8(I8254, port_b),
    VMSTATE_U64(I8254, n_ticks),
    VMSTATE_U32(I8254, owed),
    VMSTATE_BOOL(I8254, tells_ends),
    VMSTATE_BOOL(I8254, unended),
    VMSTATE_I64(I8254, sent_ns),
    VMSTATE_END
};

static const VMStateDesc i8254_vmstate = {
    .name = "i8254",
    .version = 1,
    .min_version = 1,
    .fields = i8254_fields,
    .post_load = i8254_post_load,
};

static const DeviceClass i8254_class = {
    .name = "isa-pit",
    .description = "interval timer",
    .bus = BUS_NONE,
    .instance_size = sizeof(I8254),
    .vmstate = &i8254_vmstate,
    .realize = i8254_realize,
    .unrealize = i8254_unrealize,
    .reset = i8254_reset,
    .pause = i8254_pause,
    .resume = i8254_resume,
};

Device *i8254_add(DeviceTree *tree, const I8254Config *config, GError **error)
{
    Device *dev = device_add_onboard(tree, &i8254_class, "i8254", NULL, error);
    I8254 *pit;

    if (!dev)
        return NULL;
    pit = to_i8254(dev);
    pit->make_up = config->make_up;
    if (pit->make_up)
        irqchip_listen(dev->board->vm, PIT_GSI, on_chip_told, pit);
    return dev;
}

IrqLine *i8254_inhibit_line(Device *dev)
{
    return &to_i8254(dev)->inhibit_line;
}
