/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The HPET on the fake hypervisor: counter, comparators, where interrupts go.
 */
#include <string.h>

#include "berth/hpet.h"
#include "berth/qsbr.h"
#include "berth/thread.h"
#include "berth/timer.h"
#include "berth/x86-layout.h"

#include "fake-board.h"

#define CONFIGURATION 0x010
#define STATUS 0x020
#define COUNTER 0x0f0
#define TIMER(n) (0x100 + 0x20 * (n))
#define COMPARATOR(n) (TIMER(n) + 8)
#define MESSAGE(n) (TIMER(n) + 16)

#define ENABLE 1
#define LEGACY 2
#define TN_LEVEL 0x2
#define TN_ENABLE 0x4
#define TN_PERIODIC 0x8
#define TN_VALUE_SET 0x40
#define TN_32_BITS 0x100
#define TN_ROUTE(gsi) ((gsi) << 9)
#define TN_MESSAGE 0x4000

#define MS 100000                       /* ticks */
#define WAIT_MS 20000

typedef struct Rig {
    FakeBoard *fake;
    Device *hpet;
    IrqLine legacy;
    bool legacy_level;
} Rig;

static void on_legacy(void *opaque, unsigned n, bool level)
{
    Rig *rig = opaque;

    rig->legacy_level = level;
}

static void rig_init_with(Rig *rig, unsigned timers, bool msi)
{
    HpetConfig config = { .timers = timers, .msi = msi, .legacy = &rig->legacy };

    rig->fake = fake_board_new();
    rig->legacy_level = false;
    irq_line_init(&rig->legacy, on_legacy, rig, 0);
    rig->hpet = hpet_add(&rig->fake->tree, &config, NULL);
    g_assert_nonnull(rig->hpet);
    device_tree_reset(&rig->fake->tree);
    device_tree_resume(&rig->fake->tree);
}

static void rig_init(Rig *rig)
{
    rig_init_with(rig, 3, true);
}

static uint64_t get(Rig *rig, unsigned reg)
{
    return fake_board_read(rig->fake, X86_HPET_BASE + reg, 8);
}

static void put(Rig *rig, unsigned reg, uint64_t value)
{
    fake_board_write(rig->fake, X86_HPET_BASE + reg, 8, value);
}

/* A match in @wait ticks, halted meanwhile: a thread that is kept waiting misses none. */
static void match_after(Rig *rig, unsigned n, uint64_t wait)
{
    uint64_t configuration = get(rig, CONFIGURATION);

    put(rig, CONFIGURATION, configuration & ~(uint64_t)ENABLE);
    put(rig, COMPARATOR(n), get(rig, COUNTER) + wait);
    put(rig, CONFIGURATION, configuration);
}

static unsigned edges(Rig *rig, unsigned gsi)
{
    return vm_fake_gsi_edges(rig->fake->vm, gsi);
}

static void wait_edges(Rig *rig, unsigned gsi, unsigned n)
{
    int64_t end = loop_clock_ns() + WAIT_MS * NS_PER_MS;

    while (edges(rig, gsi) < n) {
        g_assert_cmpint(loop_clock_ns(), <, end);
        loop_turn(rig->fake->loop, true);
    }
}

static void on_pass(void *opaque)
{
    *(bool *)opaque = true;
}

static void pass(Rig *rig, int64_t ms)
{
    bool passed = false;
    Timer timer;

    timer_init(&timer, rig->fake->loop, on_pass, &passed);
    timer_set(&timer, loop_clock_ns() + ms * NS_PER_MS);
    while (!passed)
        loop_turn(rig->fake->loop, true);
}

static bool has_timer(Rig *rig)
{
    fake_board_turn(rig->fake);
    return loop_has_timer(rig->fake->loop);
}

static void test_capabilities(void)
{
    Rig rig;

    rig_init_with(&rig, 3, false);
    g_assert_cmphex(get(&rig, 0), ==, 0x009896808086a201);
    g_assert_cmphex(hpet_id(rig.hpet), ==, 0x8086a201);
    g_assert_cmphex(get(&rig, TIMER(2)), ==, 0x00f0000000000030);
    g_assert_cmphex(get(&rig, COMPARATOR(2)), ==, UINT64_MAX);
    put(&rig, 0, 0);
    put(&rig, TIMER(2), UINT64_MAX);
    g_assert_cmphex(get(&rig, TIMER(2)), ==, 0x00f0000000003f3e);
    g_assert_cmphex(get(&rig, TIMER(3)), ==, 0);
    put(&rig, TIMER(3), UINT64_MAX);
    put(&rig, 0x3f8, UINT64_MAX);
    fake_board_free(rig.fake);

    rig_init_with(&rig, 32, true);
    g_assert_cmphex(get(&rig, 0) & 0x1f00, ==, 0x1f00);
    put(&rig, TIMER(23), UINT64_MAX);
    g_assert_cmphex(get(&rig, TIMER(23)), ==, 0x00f000000000ff3e);
    fake_board_free(rig.fake);
}

static void test_counter_runs_while_enabled(void)
{
    uint64_t first, second;
    int64_t begin;
    Rig rig;

    rig_init(&rig);
    put(&rig, COUNTER, 0x123456789a);
    g_assert_cmphex(get(&rig, COUNTER), ==, 0x123456789a);
    begin = loop_clock_ns();
    put(&rig, CONFIGURATION, ENABLE);
    first = get(&rig, COUNTER);
    pass(&rig, 2);
    second = get(&rig, COUNTER);
    g_assert_cmpuint(second - first, >=, 2 * MS);
    g_assert_cmpint(second - 0x123456789a, <=, (loop_clock_ns() - begin) / 10);

    put(&rig, CONFIGURATION, 0);
    first = get(&rig, COUNTER);
    pass(&rig, 1);
    g_assert_cmphex(get(&rig, COUNTER), ==, first);
    fake_board_write(rig.fake, X86_HPET_BASE + COUNTER + 4, 4, 7);
    g_assert_cmphex(get(&rig, COUNTER), ==, 7ull << 32 | (uint32_t)first);
    g_assert_cmphex(fake_board_read(rig.fake, X86_HPET_BASE + COUNTER + 4, 4), ==, 7);
    g_assert_false(has_timer(&rig));
    fake_board_free(rig.fake);
}

static void test_configuration_does_not_set_the_counter_back(void)
{
    uint64_t first, second;
    int64_t begin;
    Rig rig;

    rig_init(&rig);
    put(&rig, CONFIGURATION, ENABLE);
    first = get(&rig, COUNTER);
    begin = loop_clock_ns();
    for (unsigned i = 0; i < 10000; i++)
        put(&rig, CONFIGURATION, ENABLE | (i & LEGACY));
    begin = loop_clock_ns() - begin;
    second = get(&rig, COUNTER);
    g_assert_cmpint(second - first, >=, begin / 10);
    fake_board_free(rig.fake);
}

static void test_only_an_enabled_interrupt_has_a_timer(void)
{
    Rig rig;

    rig_init(&rig);
    put(&rig, CONFIGURATION, ENABLE);
    put(&rig, COMPARATOR(0), 1000 * MS);
    g_assert_false(has_timer(&rig));
    put(&rig, TIMER(0), TN_ENABLE | TN_ROUTE(20));
    g_assert_true(has_timer(&rig));
    put(&rig, CONFIGURATION, 0);
    g_assert_false(has_timer(&rig));
    put(&rig, CONFIGURATION, ENABLE);
    g_assert_true(has_timer(&rig));
    put(&rig, TIMER(0), TN_ROUTE(20));
    g_assert_false(has_timer(&rig));
    /* In 64 bits it does not come around. */
    put(&rig, COMPARATOR(0), 0);
    put(&rig, COUNTER, 10 * MS);
    put(&rig, TIMER(0), TN_ENABLE | TN_ROUTE(20));
    g_assert_false(has_timer(&rig));
    fake_board_free(rig.fake);
}

static void test_one_shot_interrupts_once(void)
{
    int64_t begin;
    Rig rig;

    rig_init(&rig);
    put(&rig, CONFIGURATION, ENABLE);
    put(&rig, TIMER(1), TN_ENABLE | TN_ROUTE(21));
    begin = loop_clock_ns();
    match_after(&rig, 1, 3 * MS);
    wait_edges(&rig, 21, 1);
    g_assert_cmpint(loop_clock_ns() - begin, >=, 3 * NS_PER_MS);
    pass(&rig, 3);

    g_assert_cmpuint(edges(&rig, 21), ==, 1);
    g_assert_false(vm_fake_gsi_level(rig.fake->vm, 21));
    g_assert_false(has_timer(&rig));
    fake_board_free(rig.fake);
}

/* Programmed as Linux does: the comparator with value-set, then the period. */
static void test_periodic_keeps_its_rate(void)
{
    int64_t begin;
    Rig rig;

    rig_init(&rig);
    put(&rig, CONFIGURATION, ENABLE);
    put(&rig, TIMER(0),
        TN_ENABLE | TN_PERIODIC | TN_VALUE_SET | TN_32_BITS | TN_ROUTE(22));
    begin = loop_clock_ns();
    put(&rig, COMPARATOR(0), get(&rig, COUNTER) + 2 * MS);
    put(&rig, COMPARATOR(0), 2 * MS);
    wait_edges(&rig, 22, 5);

    g_assert_cmpint(loop_clock_ns() - begin, >=, 9 * NS_PER_MS);
    g_assert_true(has_timer(&rig));
    fake_board_free(rig.fake);
}

static void test_short_periods_do_not_flood(void)
{
    int64_t begin = loop_clock_ns();
    Rig rig;

    rig_init(&rig);
    put(&rig, CONFIGURATION, ENABLE);
    put(&rig, TIMER(0), TN_ENABLE | TN_PERIODIC | TN_VALUE_SET | TN_ROUTE(22));
    put(&rig, COMPARATOR(0), 1);
    put(&rig, COMPARATOR(0), 1);
    pass(&rig, 20);

    g_assert_cmpuint(edges(&rig, 22), >, 0);
    g_assert_cmpint(edges(&rig, 22), <=, (loop_clock_ns() - begin) / (100 * 1000) + 1);
    fake_board_free(rig.fake);
}

static void test_comparator_that_was_just_passed_matches(void)
{
    int64_t begin_ns;
    unsigned n;
    Rig rig;

    rig_init(&rig);
    put(&rig, CONFIGURATION, ENABLE);
    put(&rig, COUNTER, 100 * MS);
    put(&rig, TIMER(0), TN_ENABLE | TN_32_BITS | TN_ROUTE(20));
    g_assert_cmpuint(edges(&rig, 20), ==, 0);
    do {                        /* again when it may have come a millisecond late */
        begin_ns = loop_clock_ns();
        put(&rig, COMPARATOR(0), get(&rig, COUNTER) - 1);
    } while (loop_clock_ns() - begin_ns >= NS_PER_MS);
    wait_edges(&rig, 20, 1);
    n = edges(&rig, 20);
    /* Long ago is once around, 43 seconds. */
    put(&rig, COMPARATOR(0), get(&rig, COUNTER) - 50 * MS);
    pass(&rig, 2);

    g_assert_cmpuint(edges(&rig, 20), ==, n);
    g_assert_true(has_timer(&rig));
    fake_board_free(rig.fake);
}

static void test_counter_of_32_bits_comes_around(void)
{
    Rig rig;

    rig_init(&rig);
    put(&rig, COUNTER, 0x5ffffffff - MS);
    put(&rig, TIMER(0), TN_ENABLE | TN_32_BITS | TN_ROUTE(20));
    put(&rig, COMPARATOR(0), MS);
    put(&rig, CONFIGURATION, ENABLE);
    wait_edges(&rig, 20, 1);

    g_assert_cmphex(get(&rig, COUNTER), >=, 0x600000000 + MS);
    g_assert_cmphex(get(&rig, COUNTER), <, 0x700000000);
    fake_board_free(rig.fake);
}

/* A host that is busy serves it when the counter is milliseconds past it. */
static void test_match_is_served_late(void)
{
    static const uint32_t widths[] = { 0, TN_32_BITS };

    for (size_t i = 0; i < G_N_ELEMENTS(widths); i++) {
        Rig rig;

        rig_init(&rig);
        put(&rig, CONFIGURATION, ENABLE);
        put(&rig, TIMER(0), TN_ENABLE | widths[i] | TN_ROUTE(20));
        match_after(&rig, 0, MS);
        fake_board_turn(rig.fake);
        g_usleep(5000);
        wait_edges(&rig, 20, 1);
        pass(&rig, 2);
        g_assert_cmpuint(edges(&rig, 20), ==, 1);

        match_after(&rig, 0, MS);
        g_usleep(5000);
        /* That which accesses a register serves what has matched. */
        put(&rig, TIMER(1), 0);
        g_assert_cmpuint(edges(&rig, 20), ==, 2);
        fake_board_free(rig.fake);
    }
}

static void test_status_tells_without_an_interrupt(void)
{
    Rig rig;

    rig_init(&rig);
    put(&rig, CONFIGURATION, ENABLE);
    put(&rig, TIMER(1), TN_LEVEL | TN_ROUTE(21));
    put(&rig, TIMER(2), TN_ROUTE(22));
    match_after(&rig, 1, MS);
    match_after(&rig, 2, MS);
    g_assert_false(has_timer(&rig));
    while (get(&rig, STATUS) == 0)
        ;

    g_assert_cmphex(get(&rig, STATUS), ==, 2);
    g_assert_cmpuint(edges(&rig, 21), ==, 0);
    put(&rig, TIMER(1), TN_ENABLE | TN_LEVEL | TN_ROUTE(21));
    g_assert_true(vm_fake_gsi_level(rig.fake->vm, 21));
    put(&rig, TIMER(1), TN_ENABLE | TN_ROUTE(21));
    g_assert_false(vm_fake_gsi_level(rig.fake->vm, 21));
    g_assert_cmphex(get(&rig, STATUS), ==, 0);
    fake_board_free(rig.fake);
}

/* What is in the comparator when the counter, halted, comes to a value. */
static void test_where_a_periodic_comparator_goes(void)
{
    static const struct {
        uint32_t config;
        uint64_t comparator, period, counter, expected;
    } cases[] = {
        { 0, 1000, 100, 999, 1000 },
        { 0, 1000, 100, 1000, 1100 },
        { 0, 1000, 100, 1099, 1100 },
        { 0, 1000, 100, 123456, 123500 },
        { 0, 1000, 0, 123456, 1000 },
        { 0, 1000, 1ull << 63, 2000, (1ull << 63) + 1000 },
        { 0, UINT64_MAX, 10, 0, 9 },
        { TN_32_BITS, 1000, 100, 0x700000000 + 1050, 1100 },
        { TN_32_BITS, 0xffffffff, 10, 0x100000000, 9 },
        { TN_32_BITS, 1000, 0xc0000000, 2000, 0xc0000000 + 1000 },
        { TN_32_BITS, 0xfffffff0, 0xfffffff0, 0x1fffffff8, 0xffffffe0 },
    };
    Rig rig;

    rig_init(&rig);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        put(&rig, TIMER(0), TN_PERIODIC | TN_VALUE_SET | TN_ROUTE(20) | cases[i].config);
        put(&rig, COUNTER, cases[i].comparator - 1);
        put(&rig, COMPARATOR(0), cases[i].comparator);
        put(&rig, COMPARATOR(0), cases[i].period);
        put(&rig, COUNTER, cases[i].counter);
        g_assert_cmphex(get(&rig, COMPARATOR(0)), ==, cases[i].expected);
    }
    fake_board_free(rig.fake);
}

static void put_halves(Rig *rig, unsigned reg, uint64_t value)
{
    fake_board_write(rig->fake, X86_HPET_BASE + reg, 4, (uint32_t)value);
    fake_board_write(rig->fake, X86_HPET_BASE + reg + 4, 4, value >> 32);
}

static void test_halves_of_registers(void)
{
    Rig rig;

    rig_init(&rig);
    put_halves(&rig, MESSAGE(0), 0x0123456789abcdef);
    g_assert_cmphex(get(&rig, MESSAGE(0)), ==, 0x0123456789abcdef);
    put_halves(&rig, COMPARATOR(1), 0x0123456789abcdef);
    g_assert_cmphex(get(&rig, COMPARATOR(1)), ==, 0x0123456789abcdef);
    put_halves(&rig, TIMER(1), UINT32_MAX);
    put_halves(&rig, COMPARATOR(1), 0x100000005);
    g_assert_cmphex(get(&rig, COMPARATOR(1)), ==, 5);

    /* Of a periodic timer the halves are those of the period, after the first. */
    put(&rig, TIMER(0), TN_PERIODIC | TN_VALUE_SET);
    put(&rig, COMPARATOR(0), 0x300000005);
    put_halves(&rig, COMPARATOR(0), 0x100000000);
    put(&rig, COUNTER, 0x300000005);
    g_assert_cmphex(get(&rig, COMPARATOR(0)), ==, 0x400000005);
    fake_board_free(rig.fake);
}

static void test_level_stays_until_cleared(void)
{
    Rig rig;

    rig_init(&rig);
    put(&rig, CONFIGURATION, ENABLE);
    put(&rig, TIMER(2), TN_ENABLE | TN_LEVEL | TN_ROUTE(23));
    match_after(&rig, 2, MS);
    wait_edges(&rig, 23, 1);

    g_assert_true(vm_fake_gsi_level(rig.fake->vm, 23));
    g_assert_cmphex(get(&rig, STATUS), ==, 4);
    put(&rig, STATUS, 3);
    g_assert_true(vm_fake_gsi_level(rig.fake->vm, 23));
    fake_board_write(rig.fake, X86_HPET_BASE + STATUS + 4, 4, UINT32_MAX);
    g_assert_cmphex(get(&rig, STATUS), ==, 4);
    fake_board_write(rig.fake, X86_HPET_BASE + STATUS, 4, 4);
    g_assert_false(vm_fake_gsi_level(rig.fake->vm, 23));
    g_assert_cmphex(get(&rig, STATUS), ==, 0);
    fake_board_free(rig.fake);
}

static void test_shared_line_is_high_while_one_drives_it(void)
{
    IrqLine *other;
    Rig rig;

    rig_init(&rig);
    other = hpet_line(rig.hpet, 23);
    put(&rig, CONFIGURATION, ENABLE);
    put(&rig, TIMER(2), TN_ENABLE | TN_LEVEL | TN_ROUTE(23));
    irq_raise(other);
    g_assert_true(vm_fake_gsi_level(rig.fake->vm, 23));
    match_after(&rig, 2, MS);
    while (get(&rig, STATUS) == 0)
        loop_turn(rig.fake->loop, true);
    irq_lower(other);
    g_assert_true(vm_fake_gsi_level(rig.fake->vm, 23));
    irq_raise(other);
    put(&rig, STATUS, 4);
    g_assert_true(vm_fake_gsi_level(rig.fake->vm, 23));
    irq_lower(other);

    g_assert_false(vm_fake_gsi_level(rig.fake->vm, 23));
    g_assert_cmpuint(edges(&rig, 23), ==, 1);
    fake_board_free(rig.fake);
}

static void test_line_that_is_not_there(void)
{
    Rig rig;

    rig_init(&rig);
    put(&rig, CONFIGURATION, ENABLE);
    for (unsigned gsi = 0; gsi < 32; gsi += gsi == 19 ? 5 : 1) {
        put(&rig, TIMER(0), TN_ENABLE | TN_ROUTE(gsi));
        put(&rig, COMPARATOR(0), get(&rig, COUNTER));
        pass(&rig, 1);
    }
    for (unsigned gsi = 0; gsi < 24; gsi++)
        g_assert_cmpuint(edges(&rig, gsi), ==, 0);
    fake_board_free(rig.fake);
}

static void test_messages(void)
{
    Rig rig;

    rig_init(&rig);
    put(&rig, CONFIGURATION, ENABLE);
    put(&rig, MESSAGE(1), 0xfee01000ull << 32 | 0x51);
    put(&rig, TIMER(1), TN_ENABLE | TN_LEVEL | TN_MESSAGE | TN_ROUTE(20));
    match_after(&rig, 1, MS);
    while (vm_fake_msi_total(rig.fake->vm) == 0)
        loop_turn(rig.fake->loop, true);

    g_assert_cmpuint(vm_fake_msi_count(rig.fake->vm, 0xfee01000, 0x51), ==, 1);
    g_assert_cmpuint(edges(&rig, 20), ==, 0);
    g_assert_cmphex(get(&rig, STATUS), ==, 0);
    fake_board_free(rig.fake);
}

static void test_legacy_replacement(void)
{
    IrqLine *rtc;
    Rig rig;

    rig_init(&rig);
    rtc = hpet_line(rig.hpet, X86_GSI_RTC);
    irq_raise(rtc);
    g_assert_true(vm_fake_gsi_level(rig.fake->vm, 8));
    put(&rig, CONFIGURATION, ENABLE | LEGACY);
    g_assert_true(rig.legacy_level);
    g_assert_false(vm_fake_gsi_level(rig.fake->vm, 8));
    put(&rig, TIMER(0), TN_ENABLE | TN_ROUTE(20));
    put(&rig, TIMER(1), TN_ENABLE | TN_ROUTE(20));
    put(&rig, TIMER(2), TN_ENABLE | TN_ROUTE(20));
    for (unsigned i = 0; i < 3; i++)
        match_after(&rig, i, MS);
    wait_edges(&rig, 0, 1);
    wait_edges(&rig, 8, 2);
    wait_edges(&rig, 20, 1);
    g_assert_cmphex(get(&rig, CONFIGURATION), ==, ENABLE | LEGACY);

    put(&rig, CONFIGURATION, ENABLE);
    g_assert_false(rig.legacy_level);
    g_assert_true(vm_fake_gsi_level(rig.fake->vm, 8));
    irq_lower(rtc);
    g_assert_false(vm_fake_gsi_level(rig.fake->vm, 8));

    put(&rig, CONFIGURATION, LEGACY);
    device_tree_pause(&rig.fake->tree);
    device_tree_reset(&rig.fake->tree);
    g_assert_false(rig.legacy_level);
    fake_board_free(rig.fake);
}

static void test_pause_stops_the_counter(void)
{
    uint64_t before;
    Rig rig;

    rig_init(&rig);
    put(&rig, CONFIGURATION, ENABLE);
    put(&rig, TIMER(0), TN_ENABLE | TN_ROUTE(20));
    match_after(&rig, 0, 40 * MS);
    device_tree_pause(&rig.fake->tree);
    before = get(&rig, COUNTER);
    g_assert_false(has_timer(&rig));
    pass(&rig, 50);

    g_assert_cmphex(get(&rig, COUNTER), ==, before);
    g_assert_cmpuint(edges(&rig, 20), ==, 0);
    device_tree_resume(&rig.fake->tree);
    wait_edges(&rig, 20, 1);
    fake_board_free(rig.fake);
}

static void test_saved_state(void)
{
    Rig from, to;

    rig_init(&from);
    rig_init(&to);
    put(&from, COUNTER, 1000 * MS);
    put(&from, CONFIGURATION, ENABLE | LEGACY);
    put(&from, TIMER(2), TN_ENABLE | TN_LEVEL | TN_ROUTE(23));
    match_after(&from, 2, MS);
    wait_edges(&from, 23, 1);
    put(&from, TIMER(0), TN_ENABLE | TN_PERIODIC | TN_VALUE_SET);
    put(&from, COMPARATOR(0), get(&from, COUNTER) + 3 * MS);
    put(&from, COMPARATOR(0), 3 * MS);

    fake_board_check_copy(from.fake, to.fake);

    g_assert_true(to.legacy_level);
    g_assert_true(vm_fake_gsi_level(to.fake->vm, 23));
    g_assert_cmphex(get(&to, COUNTER), >=, 1000 * MS);
    wait_edges(&to, 0, 3);
    fake_board_free(from.fake);
    fake_board_free(to.fake);
}

static void test_hostile_state(void)
{
    g_autoptr(GByteArray) state = g_byte_array_new();
    Rig rig;

    rig_init(&rig);
    put(&rig, CONFIGURATION, ENABLE);
    put(&rig, TIMER(0), TN_ENABLE | TN_PERIODIC | TN_VALUE_SET | TN_ROUTE(20));
    put(&rig, COMPARATOR(0), MS);
    device_tree_pause(&rig.fake->tree);
    device_tree_save(&rig.fake->tree, state);
    for (unsigned i = 0; i < state->len; i++) {
        uint8_t kept = state->data[i];

        state->data[i] ^= 0xff;
        device_tree_load(&rig.fake->tree, state->data, state->len, NULL);
        device_tree_resume(&rig.fake->tree);
        fake_board_turn(rig.fake);
        device_tree_pause(&rig.fake->tree);
        state->data[i] = kept;
    }
    g_assert_true(device_tree_load(&rig.fake->tree, state->data, state->len, NULL));
    fake_board_free(rig.fake);
}

typedef struct Reader {
    Rig *rig;
    bool ends;                  /* atomic */
    unsigned n_reads;           /* atomic */
    unsigned went_back;
} Reader;

static void *read_for_ever(void *opaque)
{
    Reader *reader = opaque;
    uint64_t last = 0;

    thread_set_role(THREAD_VCPU);
    while (!__atomic_load_n(&reader->ends, __ATOMIC_RELAXED)) {
        uint64_t now = get(reader->rig, COUNTER);

        reader->went_back += now < last;
        __atomic_add_fetch(&reader->n_reads, 1, __ATOMIC_RELAXED);
        last = now;
    }
    qsbr_unregister();
    return NULL;
}

/* One vCPU reads the counter while another programs timers and main serves them. */
static void test_counter_does_not_go_back_on_another_vcpu(void)
{
    int64_t end = loop_clock_ns() + 50 * NS_PER_MS;
    Reader reader = { 0 };
    GThread *thread;
    Rig rig;

    rig_init(&rig);
    put(&rig, CONFIGURATION, ENABLE);
    put(&rig, TIMER(0), TN_ENABLE | TN_ROUTE(20));
    reader.rig = &rig;
    thread = g_thread_new("vcpu", read_for_ever, &reader);
    for (unsigned i = 0; loop_clock_ns() < end ||
                         __atomic_load_n(&reader.n_reads, __ATOMIC_RELAXED) == 0; i++) {
        put(&rig, CONFIGURATION, ENABLE | (i & LEGACY));
        put(&rig, COMPARATOR(0), get(&rig, COUNTER) + 100);
        fake_board_turn(rig.fake);
    }
    __atomic_store_n(&reader.ends, true, __ATOMIC_RELAXED);
    qsbr_offline();
    g_thread_join(thread);
    qsbr_online();
    g_assert_cmpuint(reader.went_back, ==, 0);
    fake_board_free(rig.fake);
}

static void test_every_access_is_answered(void)
{
    Rig rig;

    rig_init_with(&rig, 32, true);
    for (unsigned i = 0; i < 30000; i++) {
        uint64_t gpa = X86_HPET_BASE + (unsigned)g_test_rand_int_range(0, 0x400 - 8);
        unsigned size = 1u << g_test_rand_int_range(0, 4);
        uint64_t value = (uint64_t)g_test_rand_int() << g_test_rand_int_range(0, 33);

        if (g_test_rand_bit())
            fake_board_write(rig.fake, gpa, size, size == 8 ? value : (uint32_t)value &
                             (uint32_t)((1ull << 8 * size) - 1));
        else
            fake_board_read(rig.fake, gpa, size);
        if (i % 64 == 0)
            fake_board_turn(rig.fake);
    }
    fake_board_check_copy(rig.fake, rig.fake);
    fake_board_free(rig.fake);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    g_test_add_func("/hpet/capabilities", test_capabilities);
    g_test_add_func("/hpet/counter-runs-while-enabled", test_counter_runs_while_enabled);
    g_test_add_func("/hpet/configuration-does-not-set-the-counter-back",
                    test_configuration_does_not_set_the_counter_back);
    g_test_add_func("/hpet/counter-does-not-go-back-on-another-vcpu",
                    test_counter_does_not_go_back_on_another_vcpu);
    g_test_add_func("/hpet/only-an-enabled-interrupt-has-a-timer",
                    test_only_an_enabled_interrupt_has_a_timer);
    g_test_add_func("/hpet/one-shot-interrupts-once", test_one_shot_interrupts_once);
    g_test_add_func("/hpet/periodic-keeps-its-rate", test_periodic_keeps_its_rate);
    g_test_add_func("/hpet/short-periods-do-not-flood", test_short_periods_do_not_flood);
    g_test_add_func("/hpet/comparator-that-was-just-passed-matches",
                    test_comparator_that_was_just_passed_matches);
    g_test_add_func("/hpet/counter-of-32-bits-comes-around",
                    test_counter_of_32_bits_comes_around);
    g_test_add_func("/hpet/match-is-served-late", test_match_is_served_late);
    g_test_add_func("/hpet/status-tells-without-an-interrupt",
                    test_status_tells_without_an_interrupt);
    g_test_add_func("/hpet/where-a-periodic-comparator-goes",
                    test_where_a_periodic_comparator_goes);
    g_test_add_func("/hpet/halves-of-registers", test_halves_of_registers);
    g_test_add_func("/hpet/level-stays-until-cleared", test_level_stays_until_cleared);
    g_test_add_func("/hpet/shared-line-is-high-while-one-drives-it",
                    test_shared_line_is_high_while_one_drives_it);
    g_test_add_func("/hpet/line-that-is-not-there", test_line_that_is_not_there);
    g_test_add_func("/hpet/messages", test_messages);
    g_test_add_func("/hpet/legacy-replacement", test_legacy_replacement);
    g_test_add_func("/hpet/pause-stops-the-counter", test_pause_stops_the_counter);
    g_test_add_func("/hpet/saved-state", test_saved_state);
    g_test_add_func("/hpet/hostile-state", test_hostile_state);
    g_test_add_func("/hpet/every-access-is-answered", test_every_access_is_answered);
    return g_test_run();
}
