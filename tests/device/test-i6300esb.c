/* SPDX-License-Identifier: Apache-2.0 */
/* The watchdog of the 6300ESB, as a driver uses it and as it should not. */
#include "berth/i6300esb.h"

#include "kit-pci.h"

#define ESB "{'driver': 'i6300esb', 'id': 'dog'}"

#define CONFIG 0x60
#define LOCK 0x68
#define FAST 0x04
#define NO_OUTPUT 0x20
#define INTERRUPT_OFF 0x03
#define LOCKED 0x01
#define ENABLE 0x02
#define FREE_RUNNING 0x04
#define PRELOAD_1 0x00
#define PRELOAD_2 0x04
#define INTERRUPT 0x08
#define RELOAD 0x0c
#define TIMED_OUT 0x200

/* 2 ms, and 20 s, of the fast counter: 32 cycles of 33 MHz each. */
#define SHORT 2063
#define LONG 0xfffffu

typedef struct Fixture {
    KitBoard *kit;
    KitPci pci;
    uint64_t bar;
} Fixture;

static void fixture_init(Fixture *f)
{
    f->kit = kit_board_new();
    f->pci = kit_pci(f->kit, kit_add(f->kit, ESB));
    kit_start(f->kit);
    f->bar = kit_pci_bar(&f->pci, 0);
    kit_pci_write(&f->pci, CONFIG, 2, FAST | INTERRUPT_OFF);
}

static void fixture_done(Fixture *f)
{
    kit_board_free(f->kit);
}

static uint32_t get(Fixture *f, unsigned reg)
{
    return kit_read(f->kit, f->bar + reg, 4);
}

static void unlock(Fixture *f)
{
    kit_write(f->kit, f->bar + RELOAD, 1, 0x80);
    kit_write(f->kit, f->bar + RELOAD, 1, 0x86);
}

static void put(Fixture *f, unsigned reg, uint32_t value)
{
    unlock(f);
    kit_write(f->kit, f->bar + reg, 4, value);
}

static void ping(Fixture *f)
{
    unlock(f);
    kit_write(f->kit, f->bar + RELOAD, 2, 0x100);
}

static void start(Fixture *f, uint32_t first, uint32_t second, uint8_t how)
{
    put(f, PRELOAD_1, first);
    put(f, PRELOAD_2, second);
    kit_pci_write(&f->pci, LOCK, 1, how);
}

/* Lets @ms pass on main. */
static void pass(Fixture *f, unsigned ms)
{
    gint64 end = g_get_monotonic_time() + ms * G_TIME_SPAN_MILLISECOND;

    while (g_get_monotonic_time() < end) {
        loop_turn(f->kit->loop, false);
        g_usleep(200);
    }
}

static void test_function(void)
{
    Fixture f;

    fixture_init(&f);
    g_assert_cmphex(kit_pci_read(&f.pci, 0, 4), ==, 0x25ab8086);
    g_assert_cmphex(kit_pci_read(&f.pci, 8, 4) >> 8, ==, 0x088000);
    kit_pci_set_command(&f.pci, 0);
    g_assert_cmphex(kit_pci_bar_size(&f.pci, 0), ==, 16);
    kit_pci_set_command(&f.pci, PCI_COMMAND_MEMORY);
    g_assert_cmphex(get(&f, PRELOAD_1), ==, 0xfffff);
    g_assert_cmphex(get(&f, PRELOAD_2), ==, 0xfffff);
    g_assert_cmphex(get(&f, RELOAD), ==, 0);
    g_assert_cmphex(kit_pci_read(&f.pci, CONFIG, 2), ==, FAST | INTERRUPT_OFF);
    kit_pci_write(&f.pci, CONFIG, 4, UINT32_MAX);
    g_assert_cmphex(kit_pci_read(&f.pci, CONFIG, 4), ==, 0x27);
    fixture_done(&f);
}

static void test_registers_are_unlocked_for_one_write(void)
{
    static const uint8_t wrong[][2] = { { 0x80, 0x80 }, { 0x86, 0x80 }, { 0x86, 0x86 } };
    Fixture f;

    fixture_init(&f);
    kit_write(f.kit, f.bar + PRELOAD_1, 4, 1);
    g_assert_cmphex(get(&f, PRELOAD_1), ==, 0xfffff);
    for (size_t i = 0; i < G_N_ELEMENTS(wrong); i++) {
        kit_write(f.kit, f.bar + RELOAD, 1, wrong[i][0]);
        kit_write(f.kit, f.bar + RELOAD, 1, wrong[i][1]);
        kit_write(f.kit, f.bar + PRELOAD_1, 4, 1);
        g_assert_cmphex(get(&f, PRELOAD_1), ==, 0xfffff);
    }
    put(&f, PRELOAD_1, 0xfff12345);
    g_assert_cmphex(get(&f, PRELOAD_1), ==, 0x12345);
    kit_write(f.kit, f.bar + PRELOAD_2, 4, 1);
    g_assert_cmphex(get(&f, PRELOAD_2), ==, 0xfffff);
    unlock(&f);
    kit_write(f.kit, f.bar + PRELOAD_1 + 1, 1, 0x77);
    g_assert_cmphex(get(&f, PRELOAD_1), ==, 0x17745);
    g_assert_cmphex(kit_read(f.kit, f.bar + PRELOAD_1 + 1, 2), ==, 0x0177);
    fixture_done(&f);
}

static void test_expires_after_both_stages(void)
{
    Fixture f;

    fixture_init(&f);
    start(&f, SHORT, SHORT, ENABLE);
    kit_wait_for(f.kit, &f.kit->n_watchdogs, 1);
    g_assert_cmphex(get(&f, RELOAD), ==, TIMED_OUT);
    g_assert_cmphex(get(&f, INTERRUPT), ==, 0);
    pass(&f, 10);
    g_assert_cmpuint(f.kit->n_watchdogs, ==, 1);

    put(&f, RELOAD, TIMED_OUT);
    g_assert_cmphex(get(&f, RELOAD), ==, 0);
    ping(&f);
    kit_wait_for(f.kit, &f.kit->n_watchdogs, 2);
    fixture_done(&f);
}

static void test_first_stage_sets_the_interrupt_status(void)
{
    Fixture f;

    fixture_init(&f);
    kit_pci_write(&f.pci, CONFIG, 2, FAST);
    start(&f, SHORT, LONG, ENABLE);
    while (!get(&f, INTERRUPT))
        loop_turn(f.kit->loop, true);
    kit_write(f.kit, f.bar + INTERRUPT, 4, 1);

    g_assert_cmphex(get(&f, INTERRUPT), ==, 0);
    g_assert_cmpuint(f.kit->n_watchdogs, ==, 0);
    fixture_done(&f);
}

static void test_fed_watchdog_is_silent(void)
{
    Fixture f;

    fixture_init(&f);
    start(&f, SHORT * 150, SHORT * 150, ENABLE);
    for (unsigned i = 0; i < 8; i++) {
        pass(&f, 100);
        ping(&f);
    }
    g_assert_cmpuint(f.kit->n_watchdogs, ==, 0);

    kit_pci_write(&f.pci, LOCK, 1, 0);
    pass(&f, 700);
    g_assert_cmpuint(f.kit->n_watchdogs, ==, 0);
    fixture_done(&f);
}

static void test_output_can_be_off(void)
{
    Fixture f;

    fixture_init(&f);
    kit_pci_write(&f.pci, CONFIG, 2, FAST | NO_OUTPUT);
    start(&f, SHORT, SHORT, ENABLE);
    while (!(get(&f, RELOAD) & TIMED_OUT))
        loop_turn(f.kit->loop, true);
    g_assert_cmpuint(f.kit->n_watchdogs, ==, 0);
    fixture_done(&f);
}

static void test_lock_holds_until_reset(void)
{
    Fixture f;

    fixture_init(&f);
    start(&f, LONG, LONG, ENABLE | LOCKED);
    kit_pci_write(&f.pci, LOCK, 1, 0);
    g_assert_cmphex(kit_pci_read(&f.pci, LOCK, 1), ==, ENABLE | LOCKED);
    kit_pci_write(&f.pci, LOCK - 2, 4, 0);
    g_assert_cmphex(kit_pci_read(&f.pci, LOCK, 1), ==, ENABLE | LOCKED);

    device_tree_pause(&f.kit->tree);
    device_tree_reset(&f.kit->tree);
    device_tree_resume(&f.kit->tree);
    g_assert_cmphex(kit_pci_read(&f.pci, LOCK, 1), ==, 0);
    kit_pci_write(&f.pci, LOCK, 1, FREE_RUNNING);
    g_assert_cmphex(kit_pci_read(&f.pci, LOCK, 1), ==, FREE_RUNNING);
    fixture_done(&f);
}

static void test_free_running_changes_its_output(void)
{
    Fixture f;

    fixture_init(&f);
    start(&f, LONG, SHORT, ENABLE | FREE_RUNNING);
    kit_wait_for(f.kit, &f.kit->n_watchdogs, 3);
    fixture_done(&f);
}

/* A counter of nothing may not keep main busy. */
static void test_free_running_at_full_speed(void)
{
    gint64 begin = g_get_monotonic_time();
    Fixture f;

    fixture_init(&f);
    start(&f, 0, 0, ENABLE | FREE_RUNNING);
    pass(&f, 50);
    g_assert_cmpuint(f.kit->n_watchdogs, >, 0);
    g_assert_cmpint(f.kit->n_watchdogs, <=,
                    (g_get_monotonic_time() - begin) / G_TIME_SPAN_MILLISECOND);
    fixture_done(&f);
}

static void test_timer_stops_with_the_machine(void)
{
    Fixture f;

    fixture_init(&f);
    start(&f, SHORT * 100, SHORT * 100, ENABLE);
    pass(&f, 5);
    device_tree_pause(&f.kit->tree);
    pass(&f, 500);
    g_assert_cmpuint(f.kit->n_watchdogs, ==, 0);
    g_assert_cmphex(get(&f, RELOAD), ==, 0);
    device_tree_resume(&f.kit->tree);
    kit_wait_for(f.kit, &f.kit->n_watchdogs, 1);
    fixture_done(&f);
}

static void test_reset_stops_it_and_keeps_what_happened(void)
{
    Fixture f;

    fixture_init(&f);
    start(&f, SHORT, SHORT, ENABLE | LOCKED);
    kit_wait_for(f.kit, &f.kit->n_watchdogs, 1);
    ping(&f);
    device_tree_pause(&f.kit->tree);
    device_tree_reset(&f.kit->tree);
    device_tree_resume(&f.kit->tree);
    kit_pci_write(&f.pci, PCI_BASE_ADDRESS_0, 4, (uint32_t)f.bar);
    kit_pci_set_command(&f.pci, PCI_COMMAND_MEMORY);
    pass(&f, 10);

    g_assert_cmpuint(f.kit->n_watchdogs, ==, 1);
    g_assert_cmphex(get(&f, RELOAD), ==, TIMED_OUT);
    g_assert_cmphex(get(&f, PRELOAD_1), ==, 0xfffff);
    fixture_done(&f);
}

/* As a driver reaches it on a bus behind a bridge; a reset of that bus stops it. */
static void test_behind_a_bridge(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    Fixture f = { .kit = kit };
    Device *dev;
    KitPci bridge;

    bridge = kit_pci(kit, kit_add(kit, "{'driver': 'pcie-pci-bridge', 'id': 'b'}"));
    dev = kit_add(kit, "{'driver': 'i6300esb', 'bus': 'b', 'addr': '1'}");
    kit_start(kit);
    f.pci = kit_pci(kit, dev);
    f.bar = kit_pci_bar(&f.pci, 0);
    kit_pci_write(&f.pci, CONFIG, 2, FAST);
    start(&f, SHORT, SHORT, ENABLE);
    kit_wait_for(kit, &kit->n_watchdogs, 1);

    ping(&f);
    kit_pci_write(&bridge, PCI_BRIDGE_CONTROL, 2, PCI_BRIDGE_CTL_BUS_RESET);
    pass(&f, 10);

    g_assert_cmpuint(kit->n_watchdogs, ==, 1);
    g_assert_cmphex(kit_pci_read(&f.pci, LOCK, 1), ==, 0);
}

static void test_state_is_copied(void)
{
    g_autoptr(GByteArray) saved = NULL, again = NULL;
    g_autoptr(GError) error = NULL;
    Fixture from, to;

    fixture_init(&from);
    fixture_init(&to);
    start(&from, SHORT, SHORT * 10, ENABLE | LOCKED);
    pass(&from, 5);
    kit_write(from.kit, from.bar + RELOAD, 1, 0x80);
    device_tree_pause(&from.kit->tree);
    device_tree_pause(&to.kit->tree);

    saved = kit_save(from.kit);
    g_assert_true(device_tree_load(&to.kit->tree, saved->data, saved->len, &error));
    g_assert_no_error(error);
    again = kit_save(to.kit);

    g_assert_cmpmem(saved->data, saved->len, again->data, again->len);
    device_tree_resume(&to.kit->tree);
    kit_write(to.kit, to.bar + RELOAD, 1, 0x86);
    kit_write(to.kit, to.bar + PRELOAD_1, 4, 5);
    g_assert_cmphex(get(&to, PRELOAD_1), ==, 5);
    kit_pci_write(&to.pci, LOCK, 1, 0);
    kit_wait_for(to.kit, &to.kit->n_watchdogs, 1);
    fixture_done(&from);
    fixture_done(&to);
}

static void test_any_access_is_answered(void)
{
    Fixture f;

    fixture_init(&f);
    for (unsigned i = 0; i < 20000; i++) {
        unsigned size = 1u << g_test_rand_int_range(0, 3);
        uint32_t value = (uint32_t)g_test_rand_int();

        if (g_test_rand_bit())
            unlock(&f);
        if (i % 4 == 0)
            kit_pci_write(&f.pci, (unsigned)g_test_rand_int_range(0x60, 0x6c) &
                          ~(size - 1), size, value);
        else if (i % 4 == 1)
            kit_read(f.kit, f.bar + (value & 15), size);
        else
            kit_write(f.kit, f.bar + (value & 15), size, (uint32_t)g_test_rand_int());
        if (i % 100 == 0)
            loop_turn(f.kit->loop, false);
    }
    fixture_done(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/i6300esb/function", test_function);
    g_test_add_func("/i6300esb/registers-are-unlocked-for-one-write",
                    test_registers_are_unlocked_for_one_write);
    g_test_add_func("/i6300esb/expires-after-both-stages",
                    test_expires_after_both_stages);
    g_test_add_func("/i6300esb/first-stage-sets-the-interrupt-status",
                    test_first_stage_sets_the_interrupt_status);
    g_test_add_func("/i6300esb/fed-watchdog-is-silent", test_fed_watchdog_is_silent);
    g_test_add_func("/i6300esb/output-can-be-off", test_output_can_be_off);
    g_test_add_func("/i6300esb/lock-holds-until-reset", test_lock_holds_until_reset);
    g_test_add_func("/i6300esb/free-running-changes-its-output",
                    test_free_running_changes_its_output);
    g_test_add_func("/i6300esb/free-running-at-full-speed",
                    test_free_running_at_full_speed);
    g_test_add_func("/i6300esb/timer-stops-with-the-machine",
                    test_timer_stops_with_the_machine);
    g_test_add_func("/i6300esb/reset-stops-it-and-keeps-what-happened",
                    test_reset_stops_it_and_keeps_what_happened);
    g_test_add_func("/i6300esb/behind-a-bridge", test_behind_a_bridge);
    g_test_add_func("/i6300esb/state-is-copied", test_state_is_copied);
    g_test_add_func("/i6300esb/any-access-is-answered", test_any_access_is_answered);
    return g_test_run();
}
