/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The IOAPIC in user space on the fake hypervisor: what becomes of edges and levels, and
 * what the local APICs are told of.
 */
#include <errno.h>
#include <string.h>

#include "berth/ioapic.h"
#include "berth/vmstate.h"
#include "berth/x86-layout.h"

#include "fake-board.h"

#define SELECT X86_IOAPIC_BASE
#define WINDOW (X86_IOAPIC_BASE + 0x10)
#define EOI (X86_IOAPIC_BASE + 0x40)

#define MASKED 0x10000u
#define LEVEL 0x8000u
#define REMOTE_IRR 0x4000u
#define LOGICAL 0x800u
#define NMI 0x400u
#define EXTINT 0x700u

#define MSI(dest) (0xfee00000u | (uint32_t)(dest) << 12)
#define LEVEL_DATA(vector) (0xc000u | (vector))

static FakeBoard *board_new(void)
{
    FakeBoard *fake = fake_board_new_on(vm_fake_new_split());

    g_assert_nonnull(ioapic_add(&fake->tree, NULL));
    device_tree_reset(&fake->tree);
    device_tree_resume(&fake->tree);
    return fake;
}

static uint32_t get(FakeBoard *fake, unsigned index)
{
    fake_board_write(fake, SELECT, 4, index);
    return (uint32_t)fake_board_read(fake, WINDOW, 4);
}

static void set(FakeBoard *fake, unsigned index, uint32_t value)
{
    fake_board_write(fake, SELECT, 4, index);
    fake_board_write(fake, WINDOW, 4, value);
}

static void program(FakeBoard *fake, unsigned pin, uint32_t high, uint32_t low)
{
    set(fake, 0x10 + 2 * pin, MASKED);
    set(fake, 0x11 + 2 * pin, high);
    set(fake, 0x10 + 2 * pin, low);
}

static void test_registers(void)
{
    g_autoptr(FakeBoard) fake = board_new();

    g_assert_cmphex(get(fake, 1), ==, 0x00170020);
    set(fake, 0, 0xffffffff);
    g_assert_cmphex(get(fake, 0), ==, 0x0f000000);
    g_assert_cmphex(get(fake, 2), ==, 0x0f000000);
    g_assert_cmphex(get(fake, 0x10), ==, MASKED);
    program(fake, 23, 0xffffffff, 0xffffffff);
    g_assert_cmphex(get(fake, 0x3e), ==, 0x0001afff);
    g_assert_cmphex(get(fake, 0x3f), ==, 0xffff0000);
    g_assert_cmphex(get(fake, 0x40), ==, 0);
    set(fake, 0x40, 0xffffffff);
    set(fake, 0xff, 0xffffffff);

    /* Narrow writes reach the select register only. */
    fake_board_write(fake, SELECT, 1, 0x3e);
    fake_board_write(fake, WINDOW, 1, 0x55);
    g_assert_cmphex(fake_board_read(fake, WINDOW, 4), ==, 0x0001afff);
}

static void test_edge_is_one_message(void)
{
    g_autoptr(FakeBoard) fake = board_new();
    IrqLine *line = vm_gsi_line(fake->vm, 4);

    program(fake, 4, 3u << 24, 0x31);
    irq_raise(line);
    irq_raise(line);
    g_assert_cmpuint(vm_fake_msi_count(fake->vm, MSI(3), 0x31), ==, 1);

    irq_pulse(line);
    irq_pulse(line);

    g_assert_cmpuint(vm_fake_msi_count(fake->vm, MSI(3), 0x31), ==, 2);
    g_assert_cmpuint(vm_fake_msi_total(fake->vm), ==, 2);
    g_assert_false(vm_fake_eoi(fake->vm, 0x31));
    g_assert_cmpuint(vm_fake_calls(fake->vm).set_routes, ==, 0);
}

static void test_edge_of_a_masked_pin_is_lost(void)
{
    g_autoptr(FakeBoard) fake = board_new();

    program(fake, 4, 0, MASKED | 0x31);
    irq_raise(vm_gsi_line(fake->vm, 4));
    program(fake, 4, 0, 0x31);

    g_assert_cmpuint(vm_fake_msi_total(fake->vm), ==, 0);
}

static void test_level_is_sent_again_until_it_falls(void)
{
    g_autoptr(FakeBoard) fake = board_new();
    IrqLine *line = vm_gsi_line(fake->vm, 16);

    program(fake, 16, 1u << 24, LEVEL | LOGICAL | 0x42);
    irq_raise(line);
    irq_lower(line);
    irq_raise(line);

    g_assert_cmpuint(vm_fake_msi_count(fake->vm, MSI(1) | 4, LEVEL_DATA(0x42)), ==, 1);
    g_assert_cmphex(get(fake, 0x30), ==, LEVEL | LOGICAL | REMOTE_IRR | 0x42);
    g_assert_true(vm_fake_eoi(fake->vm, 0x42));
    g_assert_cmpuint(vm_fake_msi_total(fake->vm), ==, 2);

    irq_lower(line);
    g_assert_true(vm_fake_eoi(fake->vm, 0x42));
    g_assert_cmpuint(vm_fake_msi_total(fake->vm), ==, 2);
    g_assert_cmphex(get(fake, 0x30), ==, LEVEL | LOGICAL | 0x42);
}

static void test_level_waits_for_its_unmask(void)
{
    g_autoptr(FakeBoard) fake = board_new();

    program(fake, 17, 0, MASKED | LEVEL | 0x43);
    irq_raise(vm_gsi_line(fake->vm, 17));
    g_assert_cmpuint(vm_fake_msi_total(fake->vm), ==, 0);

    set(fake, 0x32, LEVEL | 0x43);

    g_assert_cmpuint(vm_fake_msi_count(fake->vm, MSI(0), LEVEL_DATA(0x43)), ==, 1);
}

static void test_eoi_of_a_masked_pin_is_heard(void)
{
    g_autoptr(FakeBoard) fake = board_new();

    program(fake, 17, 0, LEVEL | 0x43);
    irq_raise(vm_gsi_line(fake->vm, 17));
    set(fake, 0x32, MASKED | LEVEL | 0x43);
    g_assert_true(vm_fake_eoi(fake->vm, 0x43));
    g_assert_cmphex(get(fake, 0x32), ==, MASKED | LEVEL | 0x43);
    g_assert_cmpuint(vm_fake_msi_total(fake->vm), ==, 1);

    set(fake, 0x32, LEVEL | 0x43);

    g_assert_cmpuint(vm_fake_msi_total(fake->vm), ==, 2);
}

static void test_eoi_register_ends_too(void)
{
    g_autoptr(FakeBoard) fake = board_new();

    program(fake, 18, 0, LEVEL | 0x44);
    irq_raise(vm_gsi_line(fake->vm, 18));
    irq_lower(vm_gsi_line(fake->vm, 18));
    fake_board_write(fake, EOI, 4, 0x45);
    g_assert_cmphex(get(fake, 0x34) & REMOTE_IRR, !=, 0);

    fake_board_write(fake, EOI, 4, 0x44);

    g_assert_cmphex(get(fake, 0x34) & REMOTE_IRR, ==, 0);
}

static void test_turn_as_an_edge_ends_too(void)
{
    g_autoptr(FakeBoard) fake = board_new();

    program(fake, 18, 0, LEVEL | 0x44);
    irq_raise(vm_gsi_line(fake->vm, 18));
    irq_lower(vm_gsi_line(fake->vm, 18));

    set(fake, 0x34, MASKED | 0x44);
    set(fake, 0x34, LEVEL | 0x44);

    g_assert_cmphex(get(fake, 0x34), ==, LEVEL | 0x44);
}

static void test_routes_follow_level_entries(void)
{
    g_autoptr(FakeBoard) fake = board_new();
    MsiMessage message;

    program(fake, 9, 2u << 24, MASKED | LEVEL | 0x51);
    g_assert_false(vm_fake_pin_route(fake->vm, 9, &message));
    set(fake, 0x22, LEVEL | 0x51);
    g_assert_true(vm_fake_pin_route(fake->vm, 9, &message));
    g_assert_cmphex(message.addr, ==, MSI(2));
    g_assert_cmphex(message.data, ==, LEVEL_DATA(0x51));

    /* A mask and an unmask cost nothing. */
    unsigned before = vm_fake_calls(fake->vm).set_routes;

    set(fake, 0x22, MASKED | LEVEL | 0x51);
    set(fake, 0x22, LEVEL | 0x51);
    g_assert_cmpuint(vm_fake_calls(fake->vm).set_routes, ==, before);

    set(fake, 0x23, 7u << 24);
    g_assert_true(vm_fake_pin_route(fake->vm, 9, &message));
    g_assert_cmphex(message.addr, ==, MSI(7));

    set(fake, 0x22, 0x51);
    g_assert_false(vm_fake_pin_route(fake->vm, 9, &message));
}

static void test_extended_destination(void)
{
    g_autoptr(FakeBoard) fake = board_new();

    program(fake, 4, 0x12u << 24 | 0x55u << 17, 0x31);
    irq_pulse(vm_gsi_line(fake->vm, 4));

    g_assert_cmpuint(vm_fake_msi_count(fake->vm, MSI(0x12) | 0x55 << 5, 0x31), ==, 1);
}

static void test_other_delivery_modes_are_edges(void)
{
    g_autoptr(FakeBoard) fake = board_new();
    IrqLine *line = vm_gsi_line(fake->vm, 5);

    program(fake, 5, 0, LEVEL | NMI | 0x02);
    irq_pulse(line);
    irq_pulse(line);
    g_assert_cmpuint(vm_fake_msi_count(fake->vm, MSI(0), NMI | 0x02), ==, 2);
    g_assert_cmphex(get(fake, 0x1a) & REMOTE_IRR, ==, 0);

    program(fake, 5, 0, EXTINT);
    irq_pulse(line);

    g_assert_cmpuint(vm_fake_msi_total(fake->vm), ==, 2);
}

/* 10,000 interrupts in a row that nobody silences: the next comes with the timer. */
static void test_storm_lets_the_guest_run(void)
{
    g_autoptr(FakeBoard) fake = board_new();

    program(fake, 20, 0, LEVEL | 0x60);
    irq_raise(vm_gsi_line(fake->vm, 20));
    for (unsigned i = 0; i < 10000; i++)
        g_assert_true(vm_fake_eoi(fake->vm, 0x60));
    g_assert_cmpuint(vm_fake_msi_total(fake->vm), ==, 10000);

    while (vm_fake_msi_total(fake->vm) == 10000)
        loop_turn(fake->loop, true);

    g_assert_cmpuint(vm_fake_msi_total(fake->vm), ==, 10001);
}

static void test_delayed_interrupt_survives_a_pause(void)
{
    g_autoptr(FakeBoard) fake = board_new();

    program(fake, 20, 0, LEVEL | 0x60);
    irq_raise(vm_gsi_line(fake->vm, 20));
    for (unsigned i = 0; i < 10000; i++)
        vm_fake_eoi(fake->vm, 0x60);

    device_tree_pause(&fake->tree);
    fake_board_turn(fake);
    g_assert_cmpuint(vm_fake_msi_total(fake->vm), ==, 10000);
    device_tree_resume(&fake->tree);

    g_assert_cmpuint(vm_fake_msi_total(fake->vm), ==, 10001);
}

static void test_reset_masks_and_forgets_routes(void)
{
    g_autoptr(FakeBoard) fake = board_new();
    MsiMessage message;

    program(fake, 9, 0, LEVEL | 0x51);
    irq_raise(vm_gsi_line(fake->vm, 9));
    device_tree_pause(&fake->tree);
    device_tree_reset(&fake->tree);
    device_tree_resume(&fake->tree);

    g_assert_cmphex(get(fake, 0x22), ==, MASKED);
    g_assert_false(vm_fake_pin_route(fake->vm, 9, &message));
    g_assert_cmpuint(vm_fake_msi_total(fake->vm), ==, 1);
    set(fake, 0x22, LEVEL | 0x52);
    g_assert_cmpuint(vm_fake_msi_total(fake->vm), ==, 2);
}

static void test_refused_routes_are_told(void)
{
    g_autoptr(FakeBoard) fake = board_new();

    set(fake, 0x22, MASKED);
    vm_fake_fail_nth(fake->vm, 1, -ENOMEM);
    set(fake, 0x22, LEVEL | 0x51);
    irq_raise(vm_gsi_line(fake->vm, 9));

    g_assert_cmpuint(vm_fake_msi_total(fake->vm), ==, 1);
}

static void test_saved_state(void)
{
    g_autoptr(FakeBoard) from = board_new();
    g_autoptr(FakeBoard) to = board_new();
    MsiMessage message;

    program(from, 9, 5u << 24, LEVEL | 0x51);
    program(from, 16, 6u << 24, LEVEL | 0x52);
    program(from, 4, 7u << 24, 0x31);
    irq_raise(vm_gsi_line(from->vm, 9));
    irq_raise(vm_gsi_line(from->vm, 4));
    irq_raise(vm_gsi_line(from->vm, 16));
    set(from, 0x30, MASKED | LEVEL | 0x52);

    fake_board_check_copy(from, to);

    g_assert_cmpuint(vm_fake_msi_total(to->vm), ==, 0);
    g_assert_true(vm_fake_pin_route(to->vm, 9, &message));
    g_assert_true(vm_fake_pin_route(to->vm, 16, &message));
    irq_raise(vm_gsi_line(to->vm, 4));
    g_assert_cmpuint(vm_fake_msi_total(to->vm), ==, 0);
    g_assert_true(vm_fake_eoi(to->vm, 0x51));
    g_assert_cmpuint(vm_fake_msi_count(to->vm, MSI(5), LEVEL_DATA(0x51)), ==, 1);
}

static void test_hostile_state(void)
{
    g_autoptr(FakeBoard) fake = board_new();
    g_autoptr(GByteArray) state = g_byte_array_new();
    g_autoptr(GByteArray) again = g_byte_array_new();

    device_tree_pause(&fake->tree);
    device_tree_save(&fake->tree, state);
    for (unsigned i = 0; i < state->len; i++) {
        uint8_t kept = state->data[i];

        state->data[i] ^= 0xff;
        if (device_tree_load(&fake->tree, state->data, state->len, NULL)) {
            g_byte_array_set_size(again, 0);
            device_tree_save(&fake->tree, again);
            g_assert_true(device_tree_load(&fake->tree, again->data, again->len, NULL));
        }
        state->data[i] = kept;
    }
    g_assert_true(device_tree_load(&fake->tree, state->data, state->len, NULL));
}

static void test_every_access_is_answered(void)
{
    g_autoptr(FakeBoard) fake = board_new();

    for (unsigned i = 0; i < 20000; i++) {
        uint64_t gpa = X86_IOAPIC_BASE + (g_test_rand_bit()
                                              ? g_test_rand_int_range(0, 0x50)
                                              : g_test_rand_int_range(0, 0x1000 - 8));
        unsigned size = 1u << g_test_rand_int_range(0, 4);

        if (g_test_rand_bit())
            fake_board_write(fake, gpa, size, (uint32_t)g_test_rand_int());
        else
            fake_board_read(fake, gpa, size);
        irq_set(vm_gsi_line(fake->vm, (unsigned)g_test_rand_int_range(0, 24)),
                g_test_rand_bit());
        vm_fake_eoi(fake->vm, (uint8_t)g_test_rand_int());
    }
    fake_board_check_copy(fake, fake);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    g_test_add_func("/ioapic/registers", test_registers);
    g_test_add_func("/ioapic/edge-is-one-message", test_edge_is_one_message);
    g_test_add_func("/ioapic/edge-of-a-masked-pin-is-lost",
                    test_edge_of_a_masked_pin_is_lost);
    g_test_add_func("/ioapic/level-is-sent-again-until-it-falls",
                    test_level_is_sent_again_until_it_falls);
    g_test_add_func("/ioapic/level-waits-for-its-unmask",
                    test_level_waits_for_its_unmask);
    g_test_add_func("/ioapic/eoi-of-a-masked-pin-is-heard",
                    test_eoi_of_a_masked_pin_is_heard);
    g_test_add_func("/ioapic/eoi-register-ends-too", test_eoi_register_ends_too);
    g_test_add_func("/ioapic/turn-as-an-edge-ends-too", test_turn_as_an_edge_ends_too);
    g_test_add_func("/ioapic/routes-follow-level-entries",
                    test_routes_follow_level_entries);
    g_test_add_func("/ioapic/extended-destination", test_extended_destination);
    g_test_add_func("/ioapic/other-delivery-modes-are-edges",
                    test_other_delivery_modes_are_edges);
    g_test_add_func("/ioapic/storm-lets-the-guest-run", test_storm_lets_the_guest_run);
    g_test_add_func("/ioapic/delayed-interrupt-survives-a-pause",
                    test_delayed_interrupt_survives_a_pause);
    g_test_add_func("/ioapic/reset-masks-and-forgets-routes",
                    test_reset_masks_and_forgets_routes);
    g_test_add_func("/ioapic/refused-routes-are-told", test_refused_routes_are_told);
    g_test_add_func("/ioapic/saved-state", test_saved_state);
    g_test_add_func("/ioapic/hostile-state", test_hostile_state);
    g_test_add_func("/ioapic/every-access-is-answered", test_every_access_is_answered);
    return g_test_run();
}
