/* SPDX-License-Identifier: Apache-2.0 */
/* The TCO watchdog of the ICH9, as iTCO_wdt uses it and as it should not be used. */
#include "berth/lpc.h"
#include "berth/pci.h"
#include "berth/x86-layout.h"

#include "fake-board.h"

#define TCO (X86_PM_BASE + X86_PM_TCO)
#define RLD (TCO + 0x00)
#define DAT_IN (TCO + 0x02)
#define DAT_OUT (TCO + 0x03)
#define STS1 (TCO + 0x04)
#define STS2 (TCO + 0x06)
#define CNT1 (TCO + 0x08)
#define CNT2 (TCO + 0x0a)
#define SW_IRQ (TCO + 0x10)
#define TMR (TCO + 0x12)
#define SMI_EN (X86_PM_BASE + X86_PM_SMI)
#define GCS (X86_RCBA_BASE + 0x3410)

#define TIMEOUT 0x0008u
#define SECOND_TO 0x0002u
#define HALT 0x0800u
#define LOCK 0x1000u
#define NO_REBOOT 0x20u
#define TCO_EN 0x2000u

static FakeBoard *new_board(bool no_reboot)
{
    const LpcConfig config = { .preset = true, .no_reboot = no_reboot };
    FakeBoard *fake = fake_board_new();

    g_assert_nonnull(device_add_onboard(&fake->tree, &pci_host_class, "host", NULL,
                                        NULL));
    g_assert_nonnull(lpc_add(&fake->tree, &config, NULL));
    device_tree_reset(&fake->tree);
    device_tree_resume(&fake->tree);
    return fake;
}

static uint32_t get(FakeBoard *fake, uint16_t port)
{
    return fake_board_in(fake, port, 2);
}

static void put(FakeBoard *fake, uint16_t port, uint16_t value)
{
    fake_board_out(fake, port, 2, value);
}

static uint32_t gcs(FakeBoard *fake)
{
    return (uint32_t)vm_fake_read(fake->vm, fake->board.memory, GCS, 4);
}

static void set_gcs(FakeBoard *fake, uint32_t value)
{
    vm_fake_write(fake->vm, fake->board.memory, GCS, 4, value);
}

/* As the driver does, with the shortest rounds there are: 1.2 s. */
static void start(FakeBoard *fake)
{
    put(fake, TMR, 2);
    put(fake, RLD, 1);
    put(fake, CNT1, get(fake, CNT1) & ~HALT);
}

static void test_state_at_power_on(void)
{
    g_autoptr(FakeBoard) fake = new_board(false);

    g_assert_cmphex(get(fake, RLD), ==, 4);
    g_assert_cmphex(get(fake, TMR), ==, 4);
    g_assert_cmphex(get(fake, STS1), ==, 0);
    g_assert_cmphex(get(fake, STS2), ==, 0);
    g_assert_cmphex(get(fake, CNT1), ==, HALT);
    g_assert_cmphex(get(fake, CNT2), ==, 8);
    g_assert_cmphex(get(fake, SW_IRQ), ==, 3);
    g_assert_cmphex(fake_board_in(fake, SMI_EN + 0x30, 4), ==, 4);
}

static void test_registers_keep_what_they_should(void)
{
    g_autoptr(FakeBoard) fake = new_board(false);

    put(fake, TMR, 0xffff);
    g_assert_cmphex(get(fake, TMR), ==, 0x3ff);
    put(fake, TMR, 1);
    g_assert_cmphex(get(fake, TMR), !=, 1);
    put(fake, TMR, 0x123);
    g_assert_cmphex(get(fake, TMR), ==, 0x123);
    fake_board_out(fake, DAT_IN, 1, 0x5a);
    fake_board_out(fake, DAT_OUT, 1, 0xa5);
    g_assert_cmphex(get(fake, DAT_IN), ==, 0xa55a);
    g_assert_cmphex(get(fake, STS1), ==, 6);
    put(fake, STS1, 2);
    g_assert_cmphex(get(fake, STS1), ==, 4);
    put(fake, CNT2, 0xffff);
    g_assert_cmphex(get(fake, CNT2), ==, 0x3e);
    fake_board_out(fake, TCO + 0x0c, 4, 0x44332211);
    g_assert_cmphex(fake_board_in(fake, TCO + 0x0c, 4), ==, 0x00332211);
}

static void test_lock_keeps_the_smi(void)
{
    g_autoptr(FakeBoard) fake = new_board(false);

    fake_board_out(fake, SMI_EN, 4, TCO_EN);
    put(fake, CNT1, HALT | LOCK);
    fake_board_out(fake, SMI_EN, 4, 0x21);
    g_assert_cmphex(fake_board_in(fake, SMI_EN, 4), ==, TCO_EN | 0x21);
    put(fake, CNT1, HALT);
    g_assert_cmphex(get(fake, CNT1), ==, HALT | LOCK);
}

static void test_strap_keeps_no_reboot(void)
{
    g_autoptr(FakeBoard) free = new_board(false);
    g_autoptr(FakeBoard) strapped = new_board(true);

    g_assert_cmphex(gcs(free), ==, 0);
    set_gcs(free, NO_REBOOT);
    g_assert_cmphex(gcs(free), ==, NO_REBOOT);
    set_gcs(free, 0);
    g_assert_cmphex(gcs(free), ==, 0);
    set_gcs(strapped, 0);
    g_assert_cmphex(gcs(strapped), ==, NO_REBOOT);
}

static void turn(FakeBoard **boards, size_t n)
{
    for (size_t i = 0; i < n; i++)
        fake_board_turn(boards[i]);
    g_usleep(1000);
}

static bool all_have(FakeBoard **boards, size_t n, unsigned offset, unsigned bit)
{
    for (size_t i = 0; i < n; i++) {
        if (!(get(boards[i], offset) & bit))
            return false;
    }
    return true;
}

/*
 * What happens in two rounds, to several boards at once, for it takes 2.4 s.  All have
 * their turns all the time: one that is late with its first end is late with the second.
 */
static void test_two_rounds(void)
{
    enum { PLAIN, KEPT, N_TWICE, FED = N_TWICE, HALTED, N_ONCE, PAUSED = N_ONCE, N };
    gint64 begin = g_get_monotonic_time(), end = begin + 20 * G_TIME_SPAN_SECOND;
    FakeBoard *boards[N];

    for (unsigned i = 0; i < N; i++) {
        boards[i] = new_board(false);
        start(boards[i]);
        g_assert_cmpuint(get(boards[i], RLD), ==, 2);
    }
    set_gcs(boards[KEPT], NO_REBOOT);
    device_tree_pause(&boards[PAUSED]->tree);

    while (!all_have(boards, N_ONCE, STS1, TIMEOUT) && g_get_monotonic_time() < end)
        turn(boards, N);
    g_assert_cmpint(g_get_monotonic_time() - begin, >=, 1190000);
    g_assert_cmphex(get(boards[PLAIN], STS2), ==, 0);
    put(boards[FED], RLD, 1);
    put(boards[HALTED], CNT1, HALT);

    while (!all_have(boards, N_TWICE, STS2, SECOND_TO) && g_get_monotonic_time() < end)
        turn(boards, N);
    g_assert_cmpint(g_get_monotonic_time() - begin, >=, 2380000);

    g_assert_cmphex(get(boards[PLAIN], STS2), ==, SECOND_TO);
    g_assert_cmpuint(get(boards[PLAIN], RLD), ==, 0);
    g_assert_cmpuint(boards[PLAIN]->n_watchdogs, ==, 1);
    g_assert_cmphex(get(boards[KEPT], STS2), ==, SECOND_TO);
    g_assert_cmpuint(get(boards[KEPT], RLD), >, 0);
    g_assert_cmpuint(boards[KEPT]->n_watchdogs, ==, 0);
    g_assert_cmphex(get(boards[FED], STS2), ==, 0);
    g_assert_cmpuint(boards[FED]->n_watchdogs, ==, 0);
    g_assert_cmphex(get(boards[HALTED], STS2), ==, 0);
    g_assert_cmphex(get(boards[PAUSED], STS1), ==, 0);

    put(boards[PLAIN], RLD, 1);
    g_assert_cmpuint(get(boards[PLAIN], RLD), ==, 2);
    device_tree_pause(&boards[PLAIN]->tree);
    device_tree_reset(&boards[PLAIN]->tree);
    device_tree_resume(&boards[PLAIN]->tree);
    g_assert_cmphex(get(boards[PLAIN], STS2), ==, SECOND_TO);
    g_assert_cmphex(get(boards[PLAIN], CNT1), ==, HALT);
    put(boards[PLAIN], STS2, SECOND_TO);
    g_assert_cmphex(get(boards[PLAIN], STS2), ==, 0);
    for (unsigned i = 0; i < N; i++)
        fake_board_free(boards[i]);
}

static void test_state_is_copied(void)
{
    g_autoptr(FakeBoard) from = new_board(false);
    g_autoptr(FakeBoard) to = new_board(false);

    put(from, TMR, 0x3ff);
    put(from, RLD, 1);
    put(from, CNT1, LOCK);
    fake_board_out(from, DAT_IN, 1, 1);
    set_gcs(from, NO_REBOOT);
    fake_board_check_copy(from, to);

    g_assert_cmphex(gcs(to), ==, NO_REBOOT);
    g_assert_cmphex(get(to, CNT1), ==, LOCK);
    g_assert_cmpuint(get(to, RLD), >=, 0x3f0);
    g_assert_cmphex(get(to, STS1), ==, 2);
}

static void test_any_access_is_answered(void)
{
    g_autoptr(FakeBoard) fake = new_board(false);

    for (unsigned i = 0; i < 100; i++) {
        fake_board_poke_ports(fake, TCO, 0x20, 200);
        set_gcs(fake, (uint32_t)g_test_rand_int());
    }
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/tco/state-at-power-on", test_state_at_power_on);
    g_test_add_func("/tco/registers-keep-what-they-should",
                    test_registers_keep_what_they_should);
    g_test_add_func("/tco/lock-keeps-the-smi", test_lock_keeps_the_smi);
    g_test_add_func("/tco/strap-keeps-no-reboot", test_strap_keeps_no_reboot);
    g_test_add_func("/tco/two-rounds", test_two_rounds);
    g_test_add_func("/tco/state-is-copied", test_state_is_copied);
    g_test_add_func("/tco/any-access-is-answered", test_any_access_is_answered);
    return g_test_run();
}
