/* SPDX-License-Identifier: Apache-2.0 */
/*
 * isa-debugcon and isa-debug-exit.
 */
#include <string.h>
#include <sys/socket.h>

#include "fake-board.h"

static void test_bytes_go_to_the_chardev(void)
{
    g_autoptr(FakeBoard) fake = fake_board_new();
    int fd = fake_board_add_chardev(fake, "log");
    char data[16];

    g_assert_nonnull(fake_board_add(fake, "isa-debugcon,chardev=log", NULL));
    fake_board_out(fake, 0xe9, 1, 'h');
    fake_board_out(fake, 0xe9, 1, 'i');

    g_assert_cmpint(recv(fd, data, sizeof(data), 0), ==, 2);
    g_assert_cmpmem(data, 2, "hi", 2);
    g_assert_cmphex(fake_board_in(fake, 0xe9, 1), ==, 0xe9);
    close(fd);
}

static void test_port_and_readback_can_be_chosen(void)
{
    g_autoptr(FakeBoard) fake = fake_board_new();
    int fd = fake_board_add_chardev(fake, "log");

    g_assert_nonnull(fake_board_add(fake, "isa-debugcon,chardev=log,iobase=0x402,"
                                          "readback=0x55", NULL));

    g_assert_cmphex(fake_board_in(fake, 0x402, 1), ==, 0x55);
    g_assert_cmphex(fake_board_in(fake, 0xe9, 1), ==, 0xff);
    close(fd);
}

static void test_a_full_far_end_holds_nobody_up(void)
{
    g_autoptr(FakeBoard) fake = fake_board_new();
    int fd = fake_board_add_chardev(fake, "log");

    g_assert_nonnull(fake_board_add(fake, "isa-debugcon,chardev=log", NULL));
    for (unsigned i = 0; i < 1000000; i++)
        fake_board_out(fake, 0xe9, 1, i);

    g_assert_cmphex(fake_board_in(fake, 0xe9, 1), ==, 0xe9);
    close(fd);
}

static void test_exit_status_is_odd(void)
{
    g_autoptr(FakeBoard) fake = fake_board_new();

    g_assert_nonnull(fake_board_add(fake, "isa-debug-exit", NULL));
    fake_board_out(fake, 0x501, 1, 0x10);
    g_assert_cmpuint(fake->n_exits, ==, 1);
    g_assert_cmpint(fake->exit_status, ==, 0x21);
    fake_board_out(fake, 0x501, 1, 0);
    g_assert_cmpint(fake->exit_status, ==, 1);

    g_assert_cmphex(fake_board_in(fake, 0x501, 2), ==, 0);
}

static void test_ports_of_exit_can_be_chosen(void)
{
    g_autoptr(FakeBoard) fake = fake_board_new();

    g_assert_nonnull(fake_board_add(fake, "isa-debug-exit,iobase=0xf4,iosize=4", NULL));
    fake_board_out(fake, 0xf4, 4, 0xffffffff);

    g_assert_cmpuint(fake->n_exits, ==, 1);
    g_assert_cmpint(fake->exit_status, ==, -1);
}

static void test_any_access_is_answered(void)
{
    g_autoptr(FakeBoard) fake = fake_board_new();

    g_assert_nonnull(fake_board_add(fake, "isa-debug-exit,iobase=0x501,iosize=3", NULL));
    fake_board_poke_ports(fake, 0x501, 3, 10000);

    g_assert_cmpuint(fake->n_exits, >, 0);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/debugcon/bytes-go-to-the-chardev", test_bytes_go_to_the_chardev);
    g_test_add_func("/debugcon/port-and-readback-can-be-chosen",
                    test_port_and_readback_can_be_chosen);
    g_test_add_func("/debugcon/a-full-far-end-holds-nobody-up",
                    test_a_full_far_end_holds_nobody_up);
    g_test_add_func("/debug-exit/status-is-odd", test_exit_status_is_odd);
    g_test_add_func("/debug-exit/ports-can-be-chosen", test_ports_of_exit_can_be_chosen);
    g_test_add_func("/debug-exit/any-access-is-answered", test_any_access_is_answered);
    return g_test_run();
}
