/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One counter of the i8254 (Intel data sheet 231164).
 *
 * Its value and its output are computed when they are asked for.  It counts (`runs`) from
 * begin_ns on, or stands after held_ns:
 *
 *     control word --> no count --- count written --> counting, or waiting for the gate
 *
 * A count that is written while it counts begins anew at once, where the chip would end
 * the period first.
 */
#include "berth/base.h"
#include "berth/device-clock.h"
#include "berth/error.h"

#include "i8254-counter.h"

#define PIT_HZ 1193182
#define PERIOD_MIN (PIT_HZ / 5000)      /* of edges: a guest cannot flood the host */

#define ACCESS_SHIFT 4
#define ACCESS_LOW 1
#define ACCESS_HIGH 2
#define ACCESS_BOTH 3
#define MODE_SHIFT 1
#define CONTROL_BCD 0x01
#define STATUS_OUT 0x80
#define STATUS_NO_COUNT 0x40

#define BCD_RANGE 10000u
#define BINARY_RANGE 65536u

/* Data sheet, "Mode definitions". */
enum {
    MODE_TERMINAL_COUNT,
    MODE_ONE_SHOT,
    MODE_RATE,
    MODE_SQUARE,
    MODE_STROBE,
    MODE_HARDWARE_STROBE,
    MODE__MAX,
};

static uint64_t ticks_of(int64_t ns)
{
    uint64_t u = (uint64_t)MAX(ns, 0);

    return u / NS_PER_SEC * PIT_HZ + u % NS_PER_SEC * PIT_HZ / NS_PER_SEC;
}

/* The first nanosecond of a tick. */
static int64_t ns_of(uint64_t ticks)
{
    return (int64_t)(ticks / PIT_HZ * NS_PER_SEC +
                     (ticks % PIT_HZ * NS_PER_SEC + PIT_HZ - 1) / PIT_HZ);
}

/* Ticks since it began to count. */
static uint64_t counted(const I8254Counter *c, int64_t now_ns)
{
    return ticks_of(c->runs ? now_ns - c->begin_ns : c->held_ns);
}

static uint32_t range_of(const I8254Counter *c)
{
    return c->bcd ? BCD_RANGE : BINARY_RANGE;
}

static bool is_periodic(const I8254Counter *c)
{
    return c->mode == MODE_RATE || c->mode == MODE_SQUARE;
}

/* Counts only after its gate's rising edge. */
static bool is_triggered(const I8254Counter *c)
{
    return c->mode == MODE_ONE_SHOT || c->mode == MODE_HARDWARE_STROBE;
}

bool i8254_counter_output(const I8254Counter *c, int64_t now_ns)
{
    uint64_t n = counted(c, now_ns);

    if (!c->has_count || (is_triggered(c) && !c->runs))
        return c->mode != MODE_TERMINAL_COUNT;
    switch (c->mode) {
    case MODE_TERMINAL_COUNT:
    case MODE_ONE_SHOT:
        return n >= c->count;
    case MODE_RATE:
        return !c->gate || n % c->count != c->count - 1;
    case MODE_SQUARE:
        return !c->gate || n % c->count < (c->count + 1) / 2;
    }
    return n != c->count;
}

static uint16_t to_bcd(uint32_t value)
{
    return value % 10 | value / 10 % 10 << 4 | value / 100 % 10 << 8 |
           value / 1000 % 10 << 12;
}

static uint32_t from_bcd(uint16_t value)
{
    return (value & 15) + (value >> 4 & 15) * 10u + (value >> 8 & 15) * 100u +
           (value >> 12) * 1000u;
}

static uint16_t value_now(const I8254Counter *c, int64_t now_ns)
{
    uint64_t n = counted(c, now_ns);
    uint32_t range = range_of(c), value;

    if (!c->has_count)
        return 0;
    switch (c->mode) {
    case MODE_RATE:
        value = c->count - n % c->count;
        break;
    case MODE_SQUARE:
        value = c->count - 2 * n % c->count;
        break;
    default:
        value = (c->count + range - n % range) % range;
    }
    return c->bcd ? to_bcd(value) : value;
}

/* Ticks before the first rising edge of the output, and from each to the next. */
static uint64_t period(const I8254Counter *c)
{
    if (is_periodic(c))
        return MAX(c->count, PERIOD_MIN);
    return c->mode == MODE_STROBE ? c->count + 1ull : c->count;
}

uint64_t i8254_counter_edges(const I8254Counter *c, int64_t now_ns)
{
    uint64_t n;

    if (!c->has_count || !c->runs)
        return 0;
    n = counted(c, now_ns) / period(c);
    return is_periodic(c) ? n : MIN(n, 1);
}

int64_t i8254_counter_edge_ns(const I8254Counter *c, uint64_t n)
{
    if (!c->has_count || !c->runs || (!is_periodic(c) && n > 0))
        return I8254_NEVER;
    return c->begin_ns + ns_of(period(c) * (n + 1));
}

/* Begins anew, or waits, as mode and gate say. */
static void begin(I8254Counter *c, int64_t now_ns)
{
    c->runs = c->gate && !is_triggered(c);
    c->begin_ns = now_ns;
    c->held_ns = 0;
}

void i8254_counter_set_gate(I8254Counter *c, int64_t now_ns, bool gate)
{
    if (gate == c->gate)
        return;
    c->gate = gate;
    if (!c->has_count)
        return;
    if (is_periodic(c)) {
        begin(c, now_ns);
    } else if (is_triggered(c)) {
        c->runs |= gate;
        c->begin_ns = gate ? now_ns : c->begin_ns;
    } else if (gate) {
        c->begin_ns = now_ns - c->held_ns;
        c->runs = true;
    } else {
        c->held_ns = now_ns - c->begin_ns;
        c->runs = false;
    }
}

static void load(I8254Counter *c, int64_t now_ns, uint16_t value)
{
    uint32_t count = c->bcd ? from_bcd(value) : value;

    c->count = count ? count : range_of(c);
    c->has_count = true;
    begin(c, now_ns);
}

bool i8254_counter_write(I8254Counter *c, int64_t now_ns, uint8_t value)
{
    switch (c->access) {
    case ACCESS_LOW:
        load(c, now_ns, value);
        return true;
    case ACCESS_HIGH:
        load(c, now_ns, value << 8);
        return true;
    }
    c->low_written = !c->low_written;
    if (c->low_written) {
        c->low = value;
        return false;
    }
    load(c, now_ns, value << 8 | c->low);
    return true;
}

uint8_t i8254_counter_read(I8254Counter *c, int64_t now_ns)
{
    uint16_t value;

    if (c->has_status) {
        c->has_status = false;
        return c->status;
    }
    if (c->n_latched > 0) {
        value = c->latched;
        c->latched >>= 8;
        c->n_latched--;
        return value;
    }
    value = value_now(c, now_ns);
    if (c->access == ACCESS_BOTH)
        c->low_read = !c->low_read;
    if (c->access == ACCESS_HIGH || (c->access == ACCESS_BOTH && !c->low_read))
        value >>= 8;
    return value;
}

void i8254_counter_latch(I8254Counter *c, int64_t now_ns)
{
    if (c->n_latched > 0)
        return;
    c->latched = value_now(c, now_ns);
    c->n_latched = c->access == ACCESS_BOTH ? 2 : 1;
    if (c->access == ACCESS_HIGH)
        c->latched >>= 8;
}

void i8254_counter_latch_status(I8254Counter *c, int64_t now_ns)
{
    if (c->has_status)
        return;
    c->has_status = true;
    c->status = (i8254_counter_output(c, now_ns) ? STATUS_OUT : 0) |
                (c->has_count ? 0 : STATUS_NO_COUNT) | c->access << ACCESS_SHIFT |
                c->mode << MODE_SHIFT | c->bcd;
}

void i8254_counter_program(I8254Counter *c, uint8_t control)
{
    unsigned mode = control >> MODE_SHIFT & 7;

    *c = (I8254Counter) {
        .mode = mode < MODE__MAX ? mode : mode & 3,
        .access = control >> ACCESS_SHIFT & 3,
        .bcd = control & CONTROL_BCD,
        .gate = c->gate,
    };
}

void i8254_counter_reset(I8254Counter *c, bool gate)
{
    *c = (I8254Counter) { .access = ACCESS_BOTH, .gate = gate };
}

static bool counter_post_load(void *opaque, GError **error)
{
    I8254Counter *c = opaque;

    if (c->mode >= MODE__MAX || c->access < ACCESS_LOW || c->access > ACCESS_BOTH ||
        c->n_latched > 2) {
        error_set(error, "field 'mode', 'access' or 'n_latched' is out of range");
        return false;
    }
    if (c->has_count && (c->count == 0 || c->count > BINARY_RANGE)) {
        error_set(error, "field 'count' expects 1 to %u", BINARY_RANGE);
        return false;
    }
    if (c->begin_ns < 0 || c->begin_ns > DEVICE_CLOCK_MAX || c->held_ns < 0 ||
        c->held_ns > DEVICE_CLOCK_MAX) {
        error_set(error, "field 'begin_ns' or 'held_ns' is no time");
        return false;
    }
    return true;
}

static const VMStateField counter_fields[] = {
    VMSTATE_U8(I8254Counter, mode),
    VMSTATE_U8(I8254Counter, access),
    VMSTATE_BOOL(I8254Counter, bcd),
    VMSTATE_BOOL(I8254Counter, gate),
    VMSTATE_BOOL(I8254Counter, has_count),
    VMSTATE_BOOL(I8254Counter, runs),
    VMSTATE_U32(I8254Counter, count),
    VMSTATE_I64(I8254Counter, begin_ns),
    VMSTATE_I64(I8254Counter, held_ns),
    VMSTATE_U8(I8254Counter, low),
    VMSTATE_BOOL(I8254Counter, low_written),
    VMSTATE_BOOL(I8254Counter, low_read),
    VMSTATE_U8(I8254Counter, n_latched),
    VMSTATE_U16(I8254Counter, latched),
    VMSTATE_BOOL(I8254Counter, has_status),
    VMSTATE_U8(I8254Counter, status),
    VMSTATE_END
};

const VMStateDesc i8254_counter_vmstate = {
    .name = "counter",
    .version = 1,
    .min_version = 1,
    .fields = counter_fields,
    .post_load = counter_post_load,
};
