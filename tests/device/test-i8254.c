/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The i8254 in user space: counters, interrupt 0, port B, and ticks that are made up for.
 */
#include <string.h>

#include "berth/i8254.h"
#include "berth/i8259.h"
#include "berth/irqchip.h"
#include "berth/timer.h"
#include "berth/x86-layout.h"

#include "fake-board.h"

#define COUNTER_0 X86_PORT_PIT
#define COUNTER_2 (X86_PORT_PIT + 2)
#define CONTROL (X86_PORT_PIT + 3)
#define PIT_HZ 1193182
#define MS_TICKS (PIT_HZ / 1000)
#define WAIT_MS 20000
#define ROUND_NS (50 * NS_PER_MS)       /* less than it takes to count 65536 */

/* A PIT whose interrupt is counted by the fake. */
static FakeBoard *board_new(void)
{
    const I8254Config config = { .make_up = false };
    FakeBoard *fake = fake_board_new();

    g_assert_nonnull(i8254_add(&fake->tree, &config, NULL));
    device_tree_reset(&fake->tree);
    device_tree_resume(&fake->tree);
    fake_board_turn(fake);
    return fake;
}

/* One that makes up for lost ticks, with a PIC that is set up. */
static FakeBoard *make_up_board_new(void)
{
    static const uint8_t words[] = { 0x20, 4, 1, 0xfe };
    const I8254Config config = { .make_up = true };
    FakeBoard *fake = fake_board_new_on(vm_fake_new_split());

    g_assert_nonnull(i8259_add(&fake->tree, NULL));
    g_assert_nonnull(i8254_add(&fake->tree, &config, NULL));
    device_tree_reset(&fake->tree);
    device_tree_resume(&fake->tree);
    fake_board_out(fake, X86_PORT_PIC_MASTER, 1, 0x11);
    for (unsigned i = 0; i < sizeof(words); i++)
        fake_board_out(fake, X86_PORT_PIC_MASTER + 1, 1, words[i]);
    return fake;
}

static void program(FakeBoard *fake, unsigned counter, unsigned mode, uint16_t count)
{
    fake_board_out(fake, CONTROL, 1, counter << 6 | 0x30 | mode << 1);
    fake_board_out(fake, COUNTER_0 + counter, 1, count & 0xff);
    fake_board_out(fake, COUNTER_0 + counter, 1, count >> 8);
}

static unsigned read_counter(FakeBoard *fake, unsigned counter)
{
    unsigned value;

    fake_board_out(fake, CONTROL, 1, counter << 6);
    value = fake_board_in(fake, COUNTER_0 + counter, 1);
    return value | fake_board_in(fake, COUNTER_0 + counter, 1) << 8;
}

static unsigned read_status(FakeBoard *fake, unsigned counter)
{
    fake_board_out(fake, CONTROL, 1, 0xe0 | 2 << counter);
    return fake_board_in(fake, COUNTER_0 + counter, 1);
}

static void on_pass(void *opaque)
{
    *(bool *)opaque = true;
}

/* Runs the loop for so long. */
static void pass(FakeBoard *fake, int64_t ns)
{
    bool passed = false;
    Timer timer;

    timer_init(&timer, fake->loop, on_pass, &passed);
    timer_set(&timer, loop_clock_ns() + ns);
    while (!passed)
        loop_turn(fake->loop, true);
}

static unsigned edges(FakeBoard *fake)
{
    return vm_fake_gsi_edges(fake->vm, 0);
}

static void wait_edges(FakeBoard *fake, unsigned n)
{
    int64_t end = loop_clock_ns() + WAIT_MS * NS_PER_MS;

    while (edges(fake) < n) {
        g_assert_cmpint(loop_clock_ns(), <, end);
        loop_turn(fake->loop, true);
    }
}

static bool has_timer(FakeBoard *fake)
{
    fake_board_turn(fake);
    return loop_has_timer(fake->loop);
}

static void test_nothing_runs_before_a_count(void)
{
    g_autoptr(FakeBoard) fake = board_new();

    g_assert_false(has_timer(fake));
    fake_board_out(fake, CONTROL, 1, 0x34);
    g_assert_false(has_timer(fake));
    g_assert_cmphex(read_status(fake, 0), ==, 0xf4);    /* output high, no count */
    fake_board_out(fake, COUNTER_0, 1, 0x10);
    g_assert_false(has_timer(fake));
    fake_board_out(fake, COUNTER_0, 1, 0x10);
    g_assert_true(has_timer(fake));
    program(fake, 2, 2, 1000);
    fake_board_out(fake, CONTROL, 1, 0x30);

    g_assert_false(has_timer(fake));
    g_assert_cmphex(read_status(fake, 0), ==, 0x70);
}

static void test_periodic_modes_interrupt(void)
{
    static const unsigned modes[] = { 2, 3, 6, 7 };

    for (unsigned i = 0; i < G_N_ELEMENTS(modes); i++) {
        g_autoptr(FakeBoard) fake = board_new();
        int64_t begin = loop_clock_ns();

        program(fake, 0, modes[i], 2 * MS_TICKS);
        wait_edges(fake, 5);

        g_assert_cmpint(loop_clock_ns() - begin, >=, 9 * NS_PER_MS);
        g_assert_true(has_timer(fake));
        g_assert_false(vm_fake_gsi_level(fake->vm, 0));
    }
}

static void test_one_shot_modes_interrupt_once(void)
{
    static const unsigned modes[] = { 0, 4 };

    for (unsigned i = 0; i < G_N_ELEMENTS(modes); i++) {
        g_autoptr(FakeBoard) fake = board_new();

        program(fake, 0, modes[i], MS_TICKS);
        wait_edges(fake, 1);
        pass(fake, 3 * NS_PER_MS);

        g_assert_cmpuint(edges(fake), ==, 1);
        g_assert_false(has_timer(fake));
        program(fake, 0, modes[i], MS_TICKS);
        g_assert_true(has_timer(fake));
    }
}

static void test_triggered_modes_of_counter_0_wait_for_ever(void)
{
    g_autoptr(FakeBoard) fake = board_new();

    program(fake, 0, 1, 100);
    g_assert_false(has_timer(fake));
    program(fake, 0, 5, 100);
    g_assert_false(has_timer(fake));
    g_assert_cmphex(read_status(fake, 0) & 0x80, ==, 0x80);
}

/* A count of 1 is a megahertz. */
/* It is 65536, in each mode, in BCD, too (10000). */
static void test_a_count_of_zero_is_the_longest(void)
{
    g_autoptr(FakeBoard) fake = board_new();
    int64_t begin = loop_clock_ns();

    for (unsigned mode = 0; mode < 8; mode++) {
        fake_board_out(fake, CONTROL, 1, 0x30 | mode << 1 | 1);
        fake_board_out(fake, COUNTER_0, 1, 0);
        fake_board_out(fake, COUNTER_0, 1, 0);
        read_counter(fake, 0);
        program(fake, 0, mode, 0);
        read_counter(fake, 0);
        fake_board_turn(fake);
    }
    program(fake, 0, 2, 0);
    pass(fake, 2 * ROUND_NS);
    /* Writing a mode may be an edge by itself. */
    g_assert_cmpint(edges(fake), <=, 16 + (loop_clock_ns() - begin) / (8 * NS_PER_MS));
}

static void test_fast_counts_do_not_flood(void)
{
    g_autoptr(FakeBoard) fake = board_new();
    int64_t begin = loop_clock_ns();

    program(fake, 0, 2, 1);
    pass(fake, 20 * NS_PER_MS);

    g_assert_cmpuint(edges(fake), >, 0);
    g_assert_cmpint(edges(fake), <=, (loop_clock_ns() - begin) / (200 * 1000) + 1);
}

static void test_count_goes_down(void)
{
    g_autoptr(FakeBoard) fake = board_new();
    unsigned first, passed;
    int64_t begin;

    program(fake, 0, 0, 0);
    do {                        /* again when it went round once */
        begin = loop_clock_ns();
        first = read_counter(fake, 0);
        pass(fake, 2 * NS_PER_MS);
        passed = (first - read_counter(fake, 0)) & 0xffff;
    } while (loop_clock_ns() - begin > ROUND_NS);
    g_assert_cmpuint(passed, >=, 2 * MS_TICKS);
    g_assert_cmpint(passed, <=, (loop_clock_ns() - begin) / 1000 * PIT_HZ / 1000000 + 2);

    /* In decimal: four digits. */
    fake_board_out(fake, CONTROL, 1, 0x31);
    fake_board_out(fake, COUNTER_0, 1, 0x00);
    fake_board_out(fake, COUNTER_0, 1, 0x90);
    for (unsigned i = 0; i < 50; i++) {
        unsigned value = read_counter(fake, 0);

        for (unsigned shift = 0; shift < 16; shift += 4)
            g_assert_cmpuint(value >> shift & 15, <=, 9);
    }
}

static void test_latched_count_stands(void)
{
    g_autoptr(FakeBoard) fake = board_new();
    int64_t begin, latched_ns;
    unsigned low, value;

    do {
        begin = loop_clock_ns();
        program(fake, 0, 2, 0xffff);
        fake_board_out(fake, CONTROL, 1, 0x00);
        latched_ns = loop_clock_ns() - begin;
        pass(fake, NS_PER_MS);
        fake_board_out(fake, CONTROL, 1, 0x00);         /* ignored: one is latched */
        low = fake_board_in(fake, COUNTER_0, 1);
        pass(fake, NS_PER_MS);
        value = fake_board_in(fake, COUNTER_0, 1) << 8 | low;
        /* Then the count as it is, low byte first again. */
        fake_board_in(fake, COUNTER_0, 1);
        low = fake_board_in(fake, COUNTER_0, 1);
    } while (loop_clock_ns() - begin > ROUND_NS);

    g_assert_cmpint(value, >=, 0xffff - latched_ns / 1000 * PIT_HZ / 1000000 - 2);
    g_assert_cmpuint(low, <, 0xfc);
}

static void test_read_back(void)
{
    g_autoptr(FakeBoard) fake = board_new();
    unsigned low;

    program(fake, 0, 3, 0x8000);
    fake_board_out(fake, CONTROL, 1, 2 << 6 | 0x10 | 4 << 1); /* low byte, mode 4 */
    fake_board_out(fake, COUNTER_2, 1, 0x20);
    fake_board_out(fake, CONTROL, 1, 0xca);             /* counts and status of 0 and 2 */

    g_assert_cmphex(fake_board_in(fake, COUNTER_0, 1) & 0x7f, ==, 0x36);
    low = fake_board_in(fake, COUNTER_0, 1);
    g_assert_cmpuint(fake_board_in(fake, COUNTER_0, 1) << 8 | low, <=, 0x8000);
    g_assert_cmphex(fake_board_in(fake, COUNTER_2, 1), ==, 0x98);
    g_assert_cmphex(fake_board_in(fake, COUNTER_2, 1), ==, 0x20);
    g_assert_cmphex(fake_board_in(fake, CONTROL, 1), ==, 0xff);
}

static void test_port_b_gates_counter_2(void)
{
    g_autoptr(FakeBoard) fake = board_new();
    unsigned value, level;
    int64_t begin;

    /* As Linux measures its clock: mode 0, gate open, wait for the output. */
    fake_board_out(fake, X86_PORT_B, 1, 0x00);
    program(fake, 2, 0, 2 * MS_TICKS);
    pass(fake, 3 * NS_PER_MS);
    g_assert_cmpuint(read_counter(fake, 2), ==, 2 * MS_TICKS);
    g_assert_cmphex(fake_board_in(fake, X86_PORT_B, 1) & 0x20, ==, 0);
    fake_board_out(fake, X86_PORT_B, 1, 0x01);
    pass(fake, 3 * NS_PER_MS);
    g_assert_cmphex(fake_board_in(fake, X86_PORT_B, 1) & 0x21, ==, 0x21);
    fake_board_out(fake, X86_PORT_B, 1, 0x0e);
    value = read_counter(fake, 2);
    pass(fake, NS_PER_MS);
    g_assert_cmpuint(read_counter(fake, 2), ==, value);

    /* Mode 1 begins with the gate's edge. */
    do {                        /* again when it may have ended before it is looked at */
        fake_board_out(fake, X86_PORT_B, 1, 0x00);
        program(fake, 2, 1, MS_TICKS);
        g_assert_cmphex(fake_board_in(fake, X86_PORT_B, 1) & 0x20, ==, 0x20);
        begin = loop_clock_ns();
        fake_board_out(fake, X86_PORT_B, 1, 0x01);
        level = fake_board_in(fake, X86_PORT_B, 1) & 0x20;
    } while (loop_clock_ns() - begin >= NS_PER_MS);
    g_assert_cmphex(level, ==, 0x00);
    pass(fake, 2 * NS_PER_MS);
    g_assert_cmphex(fake_board_in(fake, X86_PORT_B, 1) & 0x20, ==, 0x20);

    /* Modes 2 and 3 stand high and begin anew. */
    fake_board_out(fake, X86_PORT_B, 1, 0x00);
    program(fake, 2, 3, 1000);
    g_assert_cmpuint(read_counter(fake, 2), ==, 1000);
    g_assert_cmphex(fake_board_in(fake, X86_PORT_B, 1) & 0x20, ==, 0x20);
    g_assert_cmphex(fake_board_in(fake, X86_PORT_B, 1) ^
                    fake_board_in(fake, X86_PORT_B, 1), ==, 0x10);
}

static void test_pause_stops_the_count(void)
{
    g_autoptr(FakeBoard) fake = board_new();
    unsigned before, n;

    program(fake, 0, 2, 3 * MS_TICKS);
    wait_edges(fake, 1);
    device_tree_pause(&fake->tree);
    before = read_counter(fake, 0);
    n = edges(fake);
    g_assert_false(has_timer(fake));
    pass(fake, 10 * NS_PER_MS);

    g_assert_cmpuint(read_counter(fake, 0), ==, before);
    g_assert_cmpuint(edges(fake), ==, n);
    device_tree_resume(&fake->tree);
    wait_edges(fake, n + 1);
}

static void test_inhibited_timer_is_silent(void)
{
    g_autoptr(FakeBoard) fake = board_new();
    Device *dev = device_find(&fake->tree, "/machine/i8254");
    unsigned n;

    program(fake, 0, 2, 2 * MS_TICKS);
    wait_edges(fake, 2);
    irq_raise(i8254_inhibit_line(dev));
    g_assert_false(has_timer(fake));
    n = edges(fake);
    program(fake, 0, 2, 2 * MS_TICKS);
    pass(fake, 10 * NS_PER_MS);
    g_assert_cmpuint(edges(fake), ==, n);
    g_assert_cmpuint(read_counter(fake, 0), <=, 2 * MS_TICKS);

    irq_lower(i8254_inhibit_line(dev));
    fake_board_turn(fake);
    g_assert_cmpuint(edges(fake), ==, n);
    wait_edges(fake, n + 2);
}

static bool take_tick(FakeBoard *fake)
{
    uint8_t vector;

    if (!vm_fake_take_extint(fake->vm, &vector))
        return false;
    g_assert_cmphex(vector, ==, 0x20);
    fake_board_out(fake, X86_PORT_PIC_MASTER, 1, 0x20);
    loop_turn(fake->loop, false);
    return true;
}

static void wait_tick(FakeBoard *fake)
{
    int64_t end = loop_clock_ns() + WAIT_MS * NS_PER_MS;

    while (!take_tick(fake)) {
        g_assert_cmpint(loop_clock_ns(), <, end);
        loop_turn(fake->loop, true);
    }
}

static void test_lost_ticks_are_made_up_for(void)
{
    g_autoptr(FakeBoard) fake = make_up_board_new();
    unsigned n = 0;
    int64_t begin;

    program(fake, 0, 2, 2 * MS_TICKS);
    wait_tick(fake);
    begin = loop_clock_ns();
    pass(fake, 40 * NS_PER_MS);                         /* the guest does not run */

    while (take_tick(fake))
        n++;

    g_assert_cmpuint(n, >=, 19);
    g_assert_cmpint(n, <=, (loop_clock_ns() - begin) / (2 * NS_PER_MS) + 1);
}

/* As when the state of an HPET is loaded. */
static void test_line_that_does_not_change_keeps_lost_ticks(void)
{
    g_autoptr(FakeBoard) fake = make_up_board_new();
    unsigned n = 0;

    program(fake, 0, 2, 2 * MS_TICKS);
    wait_tick(fake);
    pass(fake, 40 * NS_PER_MS);
    irq_lower(i8254_inhibit_line(device_find(&fake->tree, "/machine/i8254")));

    while (take_tick(fake))
        n++;
    g_assert_cmpuint(n, >=, 19);
}

static void test_masked_ticks_are_not_made_up_for(void)
{
    g_autoptr(FakeBoard) fake = make_up_board_new();
    unsigned n = 0;
    int64_t begin;

    program(fake, 0, 2, 2 * MS_TICKS);
    wait_tick(fake);
    fake_board_out(fake, X86_PORT_PIC_MASTER + 1, 1, 0xff);
    pass(fake, 20 * NS_PER_MS);
    begin = loop_clock_ns();
    fake_board_out(fake, X86_PORT_PIC_MASTER + 1, 1, 0xfe);

    while (take_tick(fake))
        n++;
    g_assert_cmpint(n, <, 8 + (loop_clock_ns() - begin) / (2 * NS_PER_MS));
    wait_tick(fake);
}

/* A guest that never ends a tick, as one whose local APIC does it unseen. */
static void test_ticks_come_when_no_end_is_told(void)
{
    g_autoptr(FakeBoard) fake = make_up_board_new();
    uint8_t vector;

    fake_board_out(fake, X86_PORT_PIC_MASTER, 1, 0x11);
    fake_board_out(fake, X86_PORT_PIC_MASTER + 1, 1, 0x20);
    fake_board_out(fake, X86_PORT_PIC_MASTER + 1, 1, 4);
    fake_board_out(fake, X86_PORT_PIC_MASTER + 1, 1, 1);
    irqchip_listen(fake->vm, 5, NULL, NULL);
    program(fake, 0, 2, MS_TICKS);
    for (unsigned i = 0; i < 5; i++) {
        int64_t end = loop_clock_ns() + WAIT_MS * NS_PER_MS;

        while (!vm_fake_take_extint(fake->vm, &vector)) {
            g_assert_cmpint(loop_clock_ns(), <, end);
            loop_turn(fake->loop, true);
        }
        fake_board_out(fake, X86_PORT_PIC_MASTER, 1, 0x20);
    }
}

/* One that ended some, and then lost one. */
static void test_lost_end_does_not_stop_the_ticks(void)
{
    g_autoptr(FakeBoard) fake = make_up_board_new();
    uint8_t vector;

    program(fake, 0, 2, 2 * MS_TICKS);
    wait_tick(fake);
    while (!vm_fake_take_extint(fake->vm, &vector))
        loop_turn(fake->loop, true);
    irqchip_listen(fake->vm, 5, NULL, NULL);
    fake_board_out(fake, X86_PORT_PIC_MASTER, 1, 0x20);

    wait_tick(fake);
}

static void test_saved_state(void)
{
    g_autoptr(FakeBoard) from = make_up_board_new();
    g_autoptr(FakeBoard) to = make_up_board_new();

    program(from, 0, 2, MS_TICKS);
    wait_tick(from);
    pass(from, 10 * NS_PER_MS);
    program(from, 2, 3, 1234);
    fake_board_out(from, CONTROL, 1, 0xce);
    fake_board_in(from, COUNTER_0, 1);
    fake_board_out(from, X86_PORT_B, 1, 0x03);

    fake_board_check_copy(from, to);

    for (unsigned i = 0; i < 9; i++)
        g_assert_true(take_tick(to));
    g_assert_cmphex(fake_board_in(to, X86_PORT_B, 1) & 0x0f, ==, 0x03);
}

static void test_hostile_state(void)
{
    g_autoptr(FakeBoard) fake = board_new();
    g_autoptr(GByteArray) state = g_byte_array_new();
    unsigned n_refused = 0;

    program(fake, 0, 2, 3 * MS_TICKS);
    device_tree_pause(&fake->tree);
    device_tree_save(&fake->tree, state);
    for (unsigned i = 0; i < state->len; i++) {
        uint8_t kept = state->data[i];

        state->data[i] ^= 0xff;
        n_refused += !device_tree_load(&fake->tree, state->data, state->len, NULL);
        read_counter(fake, 0);
        read_status(fake, 2);
        device_tree_resume(&fake->tree);
        fake_board_turn(fake);
        device_tree_pause(&fake->tree);
        state->data[i] = kept;
    }
    g_assert_cmpuint(n_refused, >, 30);
}

static void test_every_access_is_answered(void)
{
    g_autoptr(FakeBoard) fake = make_up_board_new();
    uint8_t vector;

    for (unsigned i = 0; i < 3000; i++) {
        fake_board_poke_ports(fake, COUNTER_0, 4, 10);
        fake_board_poke_ports(fake, X86_PORT_B, 1, 1);
        if (vm_fake_take_extint(fake->vm, &vector))
            fake_board_out(fake, X86_PORT_PIC_MASTER, 1, 0x20);
    }
    fake_board_check_copy(fake, fake);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    g_test_add_func("/i8254/nothing-runs-before-a-count",
                    test_nothing_runs_before_a_count);
    g_test_add_func("/i8254/periodic-modes-interrupt", test_periodic_modes_interrupt);
    g_test_add_func("/i8254/one-shot-modes-interrupt-once",
                    test_one_shot_modes_interrupt_once);
    g_test_add_func("/i8254/triggered-modes-of-counter-0-wait-for-ever",
                    test_triggered_modes_of_counter_0_wait_for_ever);
    g_test_add_func("/i8254/a-count-of-zero-is-the-longest",
                    test_a_count_of_zero_is_the_longest);
    g_test_add_func("/i8254/fast-counts-do-not-flood", test_fast_counts_do_not_flood);
    g_test_add_func("/i8254/count-goes-down", test_count_goes_down);
    g_test_add_func("/i8254/latched-count-stands", test_latched_count_stands);
    g_test_add_func("/i8254/read-back", test_read_back);
    g_test_add_func("/i8254/port-b-gates-counter-2", test_port_b_gates_counter_2);
    g_test_add_func("/i8254/pause-stops-the-count", test_pause_stops_the_count);
    g_test_add_func("/i8254/inhibited-timer-is-silent", test_inhibited_timer_is_silent);
    g_test_add_func("/i8254/lost-ticks-are-made-up-for", test_lost_ticks_are_made_up_for);
    g_test_add_func("/i8254/line-that-does-not-change-keeps-lost-ticks",
                    test_line_that_does_not_change_keeps_lost_ticks);
    g_test_add_func("/i8254/masked-ticks-are-not-made-up-for",
                    test_masked_ticks_are_not_made_up_for);
    g_test_add_func("/i8254/ticks-come-when-no-end-is-told",
                    test_ticks_come_when_no_end_is_told);
    g_test_add_func("/i8254/lost-end-does-not-stop-the-ticks",
                    test_lost_end_does_not_stop_the_ticks);
    g_test_add_func("/i8254/saved-state", test_saved_state);
    g_test_add_func("/i8254/hostile-state", test_hostile_state);
    g_test_add_func("/i8254/every-access-is-answered", test_every_access_is_answered);
    return g_test_run();
}
