/* SPDX-License-Identifier: Apache-2.0 */
#include "berth/i8042.h"
#include "berth/pc-ports.h"

#include "fake-board.h"

#define DATA 0x60
#define STATUS 0x64
#define PORT_A 0x92
#define OBF 0x01
#define AUX 0x20
#define TIMEOUT 0x40

static FakeBoard *new_board(void)
{
    FakeBoard *fake = fake_board_new();

    g_assert_nonnull(i8042_add(&fake->tree, NULL));
    g_assert_nonnull(pc_ports_add(&fake->tree, NULL));
    device_tree_reset(&fake->tree);
    device_tree_resume(&fake->tree);
    return fake;
}

static uint8_t status(FakeBoard *fake)
{
    return fake_board_in(fake, STATUS, 1);
}

static void command(FakeBoard *fake, uint8_t byte)
{
    fake_board_out(fake, STATUS, 1, byte);
}

/* The byte that is there for the guest. */
static uint8_t take(FakeBoard *fake)
{
    g_assert_cmphex(status(fake) & OBF, ==, OBF);
    return fake_board_in(fake, DATA, 1);
}

static void test_controller_is_there(void)
{
    g_autoptr(FakeBoard) fake = new_board();

    g_assert_cmphex(status(fake), ==, 0x14);
    command(fake, 0xaa);
    g_assert_cmphex(take(fake), ==, 0x55);
    g_assert_cmphex(status(fake) & (OBF | 0x04), ==, 0x04);
    command(fake, 0xab);
    g_assert_cmphex(take(fake), ==, 0x00);
    command(fake, 0x60);
    fake_board_out(fake, DATA, 1, 0x47);
    command(fake, 0x20);
    g_assert_cmphex(take(fake), ==, 0x47);
}

static void test_no_keyboard_answers(void)
{
    g_autoptr(FakeBoard) fake = new_board();

    fake_board_out(fake, DATA, 1, 0xf2);        /* identify */

    g_assert_cmphex(status(fake) & (OBF | TIMEOUT), ==, OBF | TIMEOUT);
    g_assert_cmphex(take(fake), ==, 0xfe);
    g_assert_cmphex(status(fake) & (OBF | TIMEOUT), ==, 0);
}

static void test_there_is_no_auxiliary_interface(void)
{
    g_autoptr(FakeBoard) fake = new_board();

    command(fake, 0xd3);
    fake_board_out(fake, DATA, 1, 0x5a);
    g_assert_cmphex(status(fake) & AUX, ==, 0);
    take(fake);
    command(fake, 0xa9);

    g_assert_cmphex(take(fake), ==, 0x02);
}

static void test_interrupt_follows_the_output_buffer(void)
{
    g_autoptr(FakeBoard) fake = new_board();

    command(fake, 0xab);
    g_assert_false(vm_fake_gsi_level(fake->vm, 1));
    take(fake);
    command(fake, 0x60);
    fake_board_out(fake, DATA, 1, 0x01);
    command(fake, 0xd2);
    fake_board_out(fake, DATA, 1, 0x1c);

    g_assert_true(vm_fake_gsi_level(fake->vm, 1));
    g_assert_cmphex(take(fake), ==, 0x1c);
    g_assert_false(vm_fake_gsi_level(fake->vm, 1));
}

static void test_four_ways_to_reset(void)
{
    g_autoptr(FakeBoard) fake = new_board();

    command(fake, 0xff);
    command(fake, 0xd1);
    fake_board_out(fake, DATA, 1, 0x03);
    fake_board_out(fake, PORT_A, 1, 0x02);
    g_assert_cmpuint(fake->n_resets, ==, 0);

    command(fake, 0xfe);
    g_assert_cmpuint(fake->n_resets, ==, 1);
    command(fake, 0xf0);
    g_assert_cmpuint(fake->n_resets, ==, 2);
    command(fake, 0xd1);
    fake_board_out(fake, DATA, 1, 0x02);
    g_assert_cmpuint(fake->n_resets, ==, 3);
    fake_board_out(fake, PORT_A, 1, 0x01);
    g_assert_cmpuint(fake->n_resets, ==, 4);
}

static void test_a20_is_one_bit_in_three_places(void)
{
    g_autoptr(FakeBoard) fake = new_board();

    g_assert_cmphex(fake_board_in(fake, PORT_A, 1), ==, 0x02);
    command(fake, 0xdd);
    g_assert_cmphex(fake_board_in(fake, PORT_A, 1), ==, 0x00);
    fake_board_out(fake, PORT_A, 1, 0x02);
    command(fake, 0xd0);

    g_assert_cmphex(take(fake) & 0x03, ==, 0x03);
}

static void test_controller_ram_keeps_bytes(void)
{
    g_autoptr(FakeBoard) fake = new_board();

    for (unsigned i = 1; i < 32; i++) {
        command(fake, 0x60 + i);
        fake_board_out(fake, DATA, 1, 0xc0 + i);
    }

    for (unsigned i = 1; i < 32; i++) {
        command(fake, 0x20 + i);
        g_assert_cmphex(take(fake), ==, 0xc0 + i);
    }
}

static void test_port_b_and_post_port(void)
{
    g_autoptr(FakeBoard) fake = new_board();
    uint8_t first = fake_board_in(fake, 0x61, 1);

    g_assert_cmphex(fake_board_in(fake, 0x61, 1) ^ first, ==, 0x10);
    fake_board_out(fake, 0x61, 1, 0xff);
    g_assert_cmphex(fake_board_in(fake, 0x61, 1) & 0xef, ==, 0x0f);
    fake_board_out(fake, 0x80, 1, 0xa5);
    g_assert_cmphex(fake_board_in(fake, 0x80, 1), ==, 0xa5);
}

static void test_state_is_copied(void)
{
    g_autoptr(FakeBoard) from = new_board();
    g_autoptr(FakeBoard) to = new_board();

    command(from, 0x60);
    fake_board_out(from, DATA, 1, 0x05);
    command(from, 0xd2);
    fake_board_out(from, DATA, 1, 0x99);
    command(from, 0xd1);
    fake_board_out(from, 0x80, 1, 0x12);
    fake_board_check_copy(from, to);

    g_assert_true(vm_fake_gsi_level(to->vm, 1));
    g_assert_cmphex(take(to), ==, 0x99);
    fake_board_out(to, DATA, 1, 0x00);
    g_assert_cmpuint(to->n_resets, ==, 1);
}

static void test_any_access_is_answered(void)
{
    g_autoptr(FakeBoard) fake = new_board();

    fake_board_poke_ports(fake, DATA, 5, 20000);
    fake_board_poke_ports(fake, PORT_A, 1, 2000);
    fake_board_poke_ports(fake, 0x80, 1, 2000);
    command(fake, 0xaa);

    g_assert_cmphex(take(fake), ==, 0x55);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/i8042/controller-is-there", test_controller_is_there);
    g_test_add_func("/i8042/no-keyboard-answers", test_no_keyboard_answers);
    g_test_add_func("/i8042/there-is-no-auxiliary-interface",
                    test_there_is_no_auxiliary_interface);
    g_test_add_func("/i8042/interrupt-follows-the-output-buffer",
                    test_interrupt_follows_the_output_buffer);
    g_test_add_func("/i8042/four-ways-to-reset", test_four_ways_to_reset);
    g_test_add_func("/i8042/a20-is-one-bit-in-three-places",
                    test_a20_is_one_bit_in_three_places);
    g_test_add_func("/i8042/controller-ram-keeps-bytes", test_controller_ram_keeps_bytes);
    g_test_add_func("/pc-ports/port-b-and-post-port", test_port_b_and_post_port);
    g_test_add_func("/i8042/state-is-copied", test_state_is_copied);
    g_test_add_func("/i8042/any-access-is-answered", test_any_access_is_answered);
    return g_test_run();
}
