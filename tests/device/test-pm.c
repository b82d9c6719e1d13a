/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The LPC bridge and the ACPI power management block in it.
 */
#include "berth/irq.h"
#include "berth/lpc.h"
#include "berth/pci.h"
#include "berth/x86-layout.h"

#include "fake-board.h"

#define LPC_CONFIG (0x80000000u | PCI_DEVFN(0x1f, 0) << 8)
#define PM X86_PM_BASE
#define STS (PM + X86_PM1_EVT)
#define EN (STS + 2)
#define CNT (PM + X86_PM1_CNT)
#define TMR (PM + X86_PM_TMR)
#define GPE_STS (PM + X86_PM_GPE0)
#define GPE_EN (GPE_STS + 8)
#define SMI_CMD X86_PORT_SMI_CMD
#define SMI_APMC_EN 0x20u
#define SCI X86_GSI_SCI
#define STS_TMR 0x0001u
#define STS_PWRBTN 0x0100u
#define STS_RTC 0x0400u
#define STS_WAK 0x8000u
#define SCI_EN 0x0001u
#define SLP_EN 0x2000u

typedef struct Fixture {
    FakeBoard *board;
    Device *lpc;
} Fixture;

static void fixture_init_with(Fixture *f, const LpcConfig *config)
{
    f->board = fake_board_new();
    g_assert_nonnull(device_add_onboard(&f->board->tree, &pci_host_class, "pcihost", NULL,
                                        NULL));
    f->lpc = lpc_add(&f->board->tree, config, NULL);
    g_assert_nonnull(f->lpc);
    device_tree_reset(&f->board->tree);
    device_tree_resume(&f->board->tree);
}

static void fixture_init(Fixture *f, bool preset)
{
    const LpcConfig config = { .preset = preset, .s3 = true, .s4 = true };

    fixture_init_with(f, &config);
}

static void fixture_done(Fixture *f)
{
    fake_board_free(f->board);
}

static uint32_t in(Fixture *f, uint16_t port, unsigned size)
{
    return fake_board_in(f->board, port, size);
}

static void out(Fixture *f, uint16_t port, unsigned size, uint32_t value)
{
    fake_board_out(f->board, port, size, value);
}

static uint32_t config_read(Fixture *f, unsigned reg, unsigned size)
{
    out(f, X86_PORT_PCI_ADDRESS, 4, LPC_CONFIG | (reg & ~3u));
    return in(f, X86_PORT_PCI_DATA + (reg & 3), size);
}

static void config_write(Fixture *f, unsigned reg, unsigned size, uint32_t value)
{
    out(f, X86_PORT_PCI_ADDRESS, 4, LPC_CONFIG | (reg & ~3u));
    out(f, X86_PORT_PCI_DATA + (reg & 3), size, value);
}

static uint32_t memory_read(Fixture *f, uint64_t gpa, unsigned size)
{
    return vm_fake_read(f->board->vm, f->board->board.memory, gpa, size);
}

static bool sci(Fixture *f)
{
    return vm_fake_gsi_level(f->board->vm, SCI);
}

static void test_bridge_is_an_ich9(void)
{
    Fixture f;

    fixture_init(&f, true);
    g_assert_cmphex(config_read(&f, 0x00, 4), ==, 0x29188086);
    g_assert_cmphex(config_read(&f, 0x08, 4) >> 8, ==, 0x060100);
    g_assert_cmphex(config_read(&f, 0x40, 4), ==, 0x601);
    g_assert_cmphex(config_read(&f, 0x44, 1), ==, 0x80);
    config_write(&f, 0x60, 4, 0x0b0a0b0a);
    g_assert_cmphex(config_read(&f, 0x60, 4), ==, 0x0b0a0b0a);
    fixture_done(&f);
}

static void test_without_preset_firmware_places_the_block(void)
{
    Fixture f;

    fixture_init(&f, false);
    g_assert_cmphex(in(&f, CNT, 2), ==, 0xffff);
    config_write(&f, 0x40, 4, 0xb001);
    g_assert_cmphex(in(&f, 0xb004, 2), ==, 0xffff);
    config_write(&f, 0x44, 1, 0x80);
    g_assert_cmphex(in(&f, 0xb004, 2), ==, 0);
    g_assert_cmphex(in(&f, CNT, 2), ==, 0xffff);
    config_write(&f, 0x44, 1, 0x00);
    g_assert_cmphex(in(&f, 0xb004, 2), ==, 0xffff);
    fixture_done(&f);
}

static void test_acpi_is_switched_on_by_smi_cmd(void)
{
    Fixture f;

    fixture_init(&f, true);
    g_assert_cmphex(in(&f, CNT, 2), ==, 0);
    out(&f, SMI_CMD, 1, X86_ACPI_ENABLE);
    g_assert_cmphex(in(&f, CNT, 2), ==, SCI_EN);
    out(&f, SMI_CMD, 1, X86_ACPI_DISABLE);
    g_assert_cmphex(in(&f, CNT, 2), ==, 0);
    out(&f, SMI_CMD + 1, 1, 0x5a);
    g_assert_cmphex(in(&f, SMI_CMD, 2), ==, 0x5a00 | X86_ACPI_DISABLE);
    fixture_done(&f);
}

static void test_power_button_interrupts_until_it_is_cleared(void)
{
    Fixture f;

    fixture_init(&f, true);
    out(&f, SMI_CMD, 1, X86_ACPI_ENABLE);
    lpc_power_button(f.lpc);
    g_assert_false(sci(&f));
    g_assert_cmphex(in(&f, STS, 2), ==, STS_PWRBTN);
    out(&f, EN, 2, STS_PWRBTN);
    g_assert_true(sci(&f));
    out(&f, STS, 2, STS_PWRBTN);
    g_assert_false(sci(&f));
    g_assert_cmphex(in(&f, STS, 2), ==, 0);
    lpc_power_button(f.lpc);
    g_assert_true(sci(&f));
    out(&f, SMI_CMD, 1, X86_ACPI_DISABLE);
    g_assert_false(sci(&f));
    fixture_done(&f);
}

static void test_wake_status(void)
{
    Fixture f;

    fixture_init(&f, true);
    lpc_wake(f.lpc, BOARD_WAKE_OTHER);
    g_assert_cmphex(in(&f, STS, 2), ==, STS_WAK);
    g_assert_cmphex(in(&f, CNT, 2), ==, SCI_EN);
    out(&f, STS + 1, 1, 0x80);
    g_assert_cmphex(in(&f, STS, 2), ==, 0);
    lpc_wake(f.lpc, BOARD_WAKE_POWER_BUTTON);
    g_assert_cmphex(in(&f, STS, 2), ==, STS_WAK | STS_PWRBTN);
    out(&f, STS, 2, 0xffff);
    lpc_wake(f.lpc, BOARD_WAKE_RTC);
    g_assert_cmphex(in(&f, STS, 2), ==, STS_WAK | STS_RTC);
    fixture_done(&f);
}

/* Writes every sleep type; all but S5 leave a machine that goes on. */
static void sleep_in_all_ways(Fixture *f)
{
    for (unsigned type = 0; type < 8; type++) {
        out(f, CNT, 2, type << 10);
        out(f, CNT + 1, 1, (type << 10 | SLP_EN) >> 8);
        g_assert_cmphex(in(f, CNT, 2), ==, type << 10);
    }
}

static void test_sleep_states(void)
{
    Fixture f;

    fixture_init(&f, true);
    sleep_in_all_ways(&f);
    g_assert_cmpuint(f.board->n_shutdowns, ==, 1);
    g_assert_cmpuint(f.board->n_suspends, ==, 1);
    g_assert_cmpuint(f.board->n_disk_suspends, ==, 1);
    fixture_done(&f);
}

static void test_sleep_states_that_are_disabled(void)
{
    const LpcConfig config = { .preset = true };
    Fixture f;

    fixture_init_with(&f, &config);
    sleep_in_all_ways(&f);
    g_assert_cmpuint(f.board->n_shutdowns, ==, 1);
    g_assert_cmpuint(f.board->n_suspends, ==, 0);
    g_assert_cmpuint(f.board->n_disk_suspends, ==, 0);
    fixture_done(&f);
}

/* What the machine does with the devices when the guest suspends. */
static void suspend(Fixture *f)
{
    device_tree_pause(&f->board->tree);
    device_tree_suspend(&f->board->tree);
    device_tree_resume(&f->board->tree);
}

static void test_sleep_keeps_what_has_standby_power(void)
{
    Fixture f;

    fixture_init(&f, true);
    out(&f, EN, 2, 0xffff);
    out(&f, GPE_EN, 4, 0x12345678);
    out(&f, PM + X86_PM_SMI, 4, 0x5a);
    out(&f, SMI_CMD + 1, 1, 0x77);
    config_write(&f, 0x60, 1, 0x0b);
    out(&f, CNT, 2, X86_SLP_TYP_S3 << 10 | SCI_EN | SLP_EN);

    suspend(&f);

    g_assert_cmphex(in(&f, EN, 2), ==, STS_PWRBTN | STS_RTC);
    g_assert_cmphex(in(&f, GPE_EN, 4), ==, 0x12345678);
    g_assert_cmphex(in(&f, CNT, 2), ==, X86_SLP_TYP_S3 << 10);
    g_assert_cmphex(in(&f, PM + X86_PM_SMI, 4), ==, SMI_APMC_EN);
    g_assert_cmphex(in(&f, SMI_CMD + 1, 1), ==, 0);
    g_assert_cmphex(config_read(&f, 0x60, 1), ==, 0x80);
    fixture_done(&f);
}

static void test_power_button_wakes(void)
{
    Fixture f;

    fixture_init(&f, true);
    suspend(&f);
    lpc_power_button(f.lpc);

    g_assert_cmpuint(f.board->n_wakeups, ==, 1);
    g_assert_cmpint(f.board->wake_reason, ==, BOARD_WAKE_POWER_BUTTON);
    fixture_done(&f);
}

static void test_alarm_wakes_when_it_may(void)
{
    Fixture f;

    fixture_init(&f, true);
    suspend(&f);
    irq_pulse(lpc_alarm_line(f.lpc));
    g_assert_cmphex(in(&f, STS, 2), ==, STS_RTC);
    g_assert_cmpuint(f.board->n_wakeups, ==, 0);

    out(&f, STS, 2, STS_RTC);
    out(&f, EN, 2, STS_RTC);
    irq_pulse(lpc_alarm_line(f.lpc));

    g_assert_cmpuint(f.board->n_wakeups, ==, 1);
    g_assert_cmpint(f.board->wake_reason, ==, BOARD_WAKE_RTC);
    fixture_done(&f);
}

static void test_what_is_pending_wakes_at_once(void)
{
    Fixture f;

    fixture_init(&f, true);
    irq_pulse(lpc_alarm_line(f.lpc));
    out(&f, EN, 2, STS_RTC);
    f.board->n_wakeups = 0;

    suspend(&f);

    g_assert_cmpuint(f.board->n_wakeups, ==, 1);
    fixture_done(&f);
}

static void test_reset_port_and_the_bridge_are_neighbours(void)
{
    Fixture f;

    fixture_init(&f, true);
    out(&f, X86_PORT_RESET, 1, X86_RESET_VALUE);
    g_assert_cmpuint(f.board->n_resets, ==, 1);
    fixture_done(&f);
}

static void test_timer_runs_at_its_rate(void)
{
    gint64 start, ns;
    uint32_t ticks;
    Fixture f;

    fixture_init(&f, true);
    start = loop_clock_ns();
    ticks = in(&f, TMR, 4);
    g_usleep(50000);
    ticks = (in(&f, TMR, 4) - ticks) & 0xffffff;
    ns = loop_clock_ns() - start;
    g_assert_cmpuint(ticks, >=, 3579545 / 20);
    g_assert_cmpuint(ticks, <=, ns * 3579545 / NS_PER_SEC + 1);
    g_assert_cmphex(in(&f, TMR, 4) & 0xff000000, ==, 0);
    fixture_done(&f);
}

static void test_timer_stands_still_while_paused(void)
{
    uint32_t before, after;
    gint64 start;
    Fixture f;

    fixture_init(&f, true);
    device_tree_pause(&f.board->tree);
    before = in(&f, TMR, 4);
    g_usleep(20000);
    g_assert_cmphex(in(&f, TMR, 4), ==, before);
    start = loop_clock_ns();
    device_tree_resume(&f.board->tree);
    after = in(&f, TMR, 4);
    g_assert_cmpint((after - before) & 0xffffff, <=,
                    (loop_clock_ns() - start) * 3579545 / NS_PER_SEC + 1);
    fixture_done(&f);
}

static void test_timer_overflow_interrupts(void)
{
    gint64 end = g_get_monotonic_time() + 20 * G_TIME_SPAN_SECOND;
    Fixture f;

    fixture_init(&f, true);
    out(&f, SMI_CMD, 1, X86_ACPI_ENABLE);
    out(&f, EN, 2, STS_TMR);
    g_assert_false(sci(&f));
    while (!sci(&f) && g_get_monotonic_time() < end) {
        g_usleep(5000);
        fake_board_turn(f.board);
    }
    g_assert_true(sci(&f));
    g_assert_cmphex(in(&f, STS, 2) & STS_TMR, ==, STS_TMR);
    out(&f, STS, 2, STS_TMR);
    g_assert_false(sci(&f));
    fixture_done(&f);
}

static void test_gpe_enable_is_kept(void)
{
    Fixture f;

    fixture_init(&f, true);
    out(&f, GPE_EN, 4, 0x12345678);
    out(&f, GPE_EN + 7, 1, 0x9a);
    g_assert_cmphex(in(&f, GPE_EN, 4), ==, 0x12345678);
    g_assert_cmphex(in(&f, GPE_EN + 4, 4), ==, 0x9a000000);
    g_assert_cmphex(in(&f, GPE_STS, 4), ==, 0);
    fixture_done(&f);
}

static void test_gpe_interrupts_until_it_is_cleared(void)
{
    Fixture f;

    fixture_init(&f, true);
    out(&f, CNT, 2, SCI_EN);
    irq_pulse(lpc_gpe(f.lpc, 5));
    g_assert_false(sci(&f));
    g_assert_cmphex(in(&f, GPE_STS, 1), ==, 1 << 5);
    out(&f, GPE_EN, 1, 1 << 5);
    g_assert_true(sci(&f));
    out(&f, GPE_STS, 1, 1 << 4);
    g_assert_true(sci(&f));
    out(&f, GPE_STS, 1, 1 << 5);
    g_assert_false(sci(&f));
    irq_pulse(lpc_gpe(f.lpc, 5));
    g_assert_true(sci(&f));
    fixture_done(&f);
}

static void test_rcba_window_moves(void)
{
    Fixture f;

    fixture_init(&f, true);
    g_assert_cmphex(memory_read(&f, X86_RCBA_BASE + 0x3140, 4), ==, 0);
    config_write(&f, 0xf0, 4, 0xfe000001);
    g_assert_cmphex(memory_read(&f, X86_RCBA_BASE + 0x3140, 4), ==, 0xffffffff);
    vm_fake_write(f.board->vm, f.board->board.memory, 0xfe003140, 2, 0x3210);
    g_assert_cmphex(memory_read(&f, 0xfe003140, 4), ==, 0x3210);
    g_assert_cmphex(memory_read(&f, 0xfe003410, 4), ==, 0);
    fixture_done(&f);
}

/* What device at 00:@slot.0 does with its pin INTA, by the board's line of it. */
static void set_pin(Fixture *f, unsigned slot, bool level)
{
    irq_set(f->board->board.pci_irqs[BOARD_PCI_IRQ(slot, 0)], level);
}

static bool gsi(Fixture *f, unsigned n)
{
    return vm_fake_gsi_level(f->board->vm, n);
}

static void fixture_init_wired(Fixture *f)
{
    fixture_init(f, false);
    for (unsigned i = 0; i < BOARD_PCI_IRQS; i++)
        f->board->board.pci_irqs[i] = lpc_pirq(f->lpc, i);
}

static void test_pins_of_pci_reach_the_pic_as_routed(void)
{
    Fixture f;

    fixture_init_wired(&f);
    set_pin(&f, 2, true);
    g_assert_true(gsi(&f, 18));
    g_assert_false(gsi(&f, 10));
    /* While it is asserted, the guest leads PIRQ C there, elsewhere, and nowhere. */
    config_write(&f, 0x62, 1, 0x0a);
    g_assert_true(gsi(&f, 10));
    config_write(&f, 0x60, 4, 0x0b0b0b0b);
    g_assert_false(gsi(&f, 10));
    g_assert_true(gsi(&f, 11));
    config_write(&f, 0x62, 1, 0x8b);
    g_assert_false(gsi(&f, 11));
    config_write(&f, 0x62, 1, 0x0b);
    set_pin(&f, 2, false);
    g_assert_false(gsi(&f, 11));
    g_assert_false(gsi(&f, 18));
    /* The upper four have registers of their own; the chipset's slots begin at A. */
    config_write(&f, 0x6b, 1, 0x05);
    set_pin(&f, 7, true);
    g_assert_true(gsi(&f, 5));
    set_pin(&f, 7, false);
    set_pin(&f, 31, true);
    g_assert_true(gsi(&f, 16));
    g_assert_true(gsi(&f, 11));
    fixture_done(&f);
}

static void test_wires_share_an_input_of_the_pic(void)
{
    Fixture f;

    fixture_init_wired(&f);
    config_write(&f, 0x60, 4, 0x0a0a0a0a);
    config_write(&f, 0x68, 4, 0x0a0a0a0a);
    set_pin(&f, 1, true);
    set_pin(&f, 4, true);
    set_pin(&f, 1, false);
    g_assert_true(gsi(&f, 10));
    g_assert_false(gsi(&f, 17));
    config_write(&f, 0x68, 1, 0x80);
    g_assert_false(gsi(&f, 10));
    config_write(&f, 0x68, 1, 0x0a);
    g_assert_true(gsi(&f, 10));
    device_tree_pause(&f.board->tree);
    device_tree_reset(&f.board->tree);
    device_tree_resume(&f.board->tree);
    g_assert_false(gsi(&f, 10));
    g_assert_true(gsi(&f, 20));
    fixture_done(&f);
}

static void test_inputs_that_pci_cannot_have(void)
{
    Fixture f;

    fixture_init_wired(&f);
    set_pin(&f, 0, true);
    for (unsigned n = 0; n < 16; n++) {
        static const bool is_pci[16] = {
            [3] = true, [4] = true, [5] = true, [6] = true, [7] = true, [10] = true,
            [11] = true, [12] = true, [14] = true, [15] = true,
        };

        config_write(&f, 0x60, 1, 0x70 | n);
        g_assert_cmphex(config_read(&f, 0x60, 1), ==, n);
        for (unsigned other = 0; other < 16; other++)
            g_assert_cmpint(gsi(&f, other), ==, other == n && is_pci[n]);
    }
    fixture_done(&f);
}

static void test_routes_are_copied(void)
{
    Fixture from, to;

    fixture_init_wired(&from);
    fixture_init_wired(&to);
    config_write(&from, 0x60, 1, 0x0b);
    set_pin(&to, 0, true);
    fake_board_check_copy(from.board, to.board);
    g_assert_true(gsi(&to, 11));
    fixture_done(&from);
    fixture_done(&to);
}

static void test_windows_hide_nothing(void)
{
    Fixture f;

    fixture_init(&f, true);
    f.board->ram->host[0x4000] = 0x77;
    config_write(&f, 0xf0, 4, 0x00000001);
    g_assert_cmphex(memory_read(&f, 0x4000, 1), ==, 0x77);
    config_write(&f, 0x40, 4, 0x0c81);
    out(&f, X86_PORT_PCI_ADDRESS, 4, 0x80000000);
    g_assert_cmphex(in(&f, X86_PORT_PCI_ADDRESS, 4), ==, 0x80000000);
    fixture_done(&f);
}

static void test_reset_brings_the_preset_back(void)
{
    Fixture f;

    fixture_init(&f, true);
    config_write(&f, 0x40, 4, 0xb001);
    out(&f, SMI_CMD, 1, X86_ACPI_ENABLE);
    lpc_power_button(f.lpc);
    device_tree_pause(&f.board->tree);
    device_tree_reset(&f.board->tree);
    device_tree_resume(&f.board->tree);
    g_assert_cmphex(config_read(&f, 0x40, 4), ==, 0x601);
    g_assert_cmphex(in(&f, STS, 4), ==, 0);
    g_assert_cmphex(in(&f, CNT, 2), ==, 0);
    fixture_done(&f);
}

static void test_state_is_copied(void)
{
    Fixture from, to;

    fixture_init(&from, true);
    fixture_init(&to, true);
    config_write(&from, 0x40, 4, 0xb001);
    config_write(&from, 0xf0, 4, X86_RCBA_BASE | 1);
    out(&from, SMI_CMD, 1, X86_ACPI_ENABLE);
    out(&from, 0xb002, 2, STS_PWRBTN);
    out(&from, 0xb028, 4, 0xff);
    lpc_power_button(from.lpc);
    fake_board_check_copy(from.board, to.board);
    g_assert_true(sci(&to));
    g_assert_cmphex(in(&to, 0xb000, 4), ==, STS_PWRBTN << 16 | STS_PWRBTN);
    g_assert_cmphex(in(&to, 0xb028, 4), ==, 0xff);
    g_assert_cmphex(in(&to, STS, 4), ==, 0xffffffff);
    g_assert_cmphex(memory_read(&to, X86_RCBA_BASE, 4), ==, 0);
    fixture_done(&from);
    fixture_done(&to);
}

static void test_any_access_is_answered(void)
{
    Fixture f;

    fixture_init(&f, true);
    for (unsigned i = 0; i < 200; i++) {
        fake_board_poke_ports(f.board, PM, X86_PM_SIZE, 200);
        fake_board_poke_ports(f.board, SMI_CMD, 2, 10);
        config_write(&f, g_test_rand_int() & 0xff, 1 << g_test_rand_int_range(0, 3),
                     g_test_rand_int());
        vm_fake_write(f.board->vm, f.board->board.memory,
                      X86_RCBA_BASE + (g_test_rand_int() & 0x3fff), 4, g_test_rand_int());
        if (g_test_rand_bit())
            lpc_power_button(f.lpc);
    }
    device_tree_pause(&f.board->tree);
    device_tree_reset(&f.board->tree);
    device_tree_resume(&f.board->tree);
    g_assert_cmphex(in(&f, STS, 4), ==, 0);
    fixture_done(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/lpc/bridge-is-an-ich9", test_bridge_is_an_ich9);
    g_test_add_func("/lpc/without-preset-firmware-places-the-block",
                    test_without_preset_firmware_places_the_block);
    g_test_add_func("/pm/acpi-is-switched-on-by-smi-cmd",
                    test_acpi_is_switched_on_by_smi_cmd);
    g_test_add_func("/pm/power-button-interrupts-until-it-is-cleared",
                    test_power_button_interrupts_until_it_is_cleared);
    g_test_add_func("/pm/wake-status", test_wake_status);
    g_test_add_func("/pm/sleep-states", test_sleep_states);
    g_test_add_func("/pm/sleep-states-that-are-disabled",
                    test_sleep_states_that_are_disabled);
    g_test_add_func("/pm/sleep-keeps-what-has-standby-power",
                    test_sleep_keeps_what_has_standby_power);
    g_test_add_func("/pm/power-button-wakes", test_power_button_wakes);
    g_test_add_func("/pm/alarm-wakes-when-it-may", test_alarm_wakes_when_it_may);
    g_test_add_func("/pm/what-is-pending-wakes-at-once",
                    test_what_is_pending_wakes_at_once);
    g_test_add_func("/lpc/reset-port-and-the-bridge-are-neighbours",
                    test_reset_port_and_the_bridge_are_neighbours);
    g_test_add_func("/pm/timer-runs-at-its-rate", test_timer_runs_at_its_rate);
    g_test_add_func("/pm/timer-stands-still-while-paused",
                    test_timer_stands_still_while_paused);
    g_test_add_func("/pm/timer-overflow-interrupts", test_timer_overflow_interrupts);
    g_test_add_func("/pm/gpe-enable-is-kept", test_gpe_enable_is_kept);
    g_test_add_func("/pm/gpe-interrupts-until-it-is-cleared",
                    test_gpe_interrupts_until_it_is_cleared);
    g_test_add_func("/lpc/rcba-window-moves", test_rcba_window_moves);
    g_test_add_func("/lpc/windows-hide-nothing", test_windows_hide_nothing);
    g_test_add_func("/pirq/pins-of-pci-reach-the-pic-as-routed",
                    test_pins_of_pci_reach_the_pic_as_routed);
    g_test_add_func("/pirq/wires-share-an-input-of-the-pic",
                    test_wires_share_an_input_of_the_pic);
    g_test_add_func("/pirq/inputs-that-pci-cannot-have",
                    test_inputs_that_pci_cannot_have);
    g_test_add_func("/pirq/routes-are-copied", test_routes_are_copied);
    g_test_add_func("/lpc/reset-brings-the-preset-back",
                    test_reset_brings_the_preset_back);
    g_test_add_func("/pm/state-is-copied", test_state_is_copied);
    g_test_add_func("/pm/any-access-is-answered", test_any_access_is_answered);
    return g_test_run();
}
