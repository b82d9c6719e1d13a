/* SPDX-License-Identifier: Apache-2.0 */
/* pvpanic as a port and as a PCI function. */
#include "berth/error.h"
#include "berth/pvpanic.h"

#include "fake-board.h"
#include "kit-pci.h"

#define PORT 0x505

static const struct {
    uint8_t events;             /* that are offered */
    uint8_t told;
    unsigned n_panics;
    unsigned n_crashloads;
    unsigned n_pvshutdowns;
} cases[] = {
    { 7, 0, 0, 0, 0 }, { 7, 1, 1, 0, 0 }, { 7, 2, 0, 1, 0 }, { 7, 3, 1, 0, 0 },
    { 7, 4, 0, 0, 1 }, { 7, 6, 0, 1, 0 }, { 7, 0xff, 1, 0, 0 }, { 7, 0xf8, 0, 0, 0 },
    { 3, 4, 0, 0, 0 }, { 2, 3, 0, 1, 0 }, { 1, 2, 0, 0, 0 }, { 0, 0xff, 0, 0, 0 },
};

static void test_port(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(FakeBoard) fake = fake_board_new();
        g_autofree char *text = g_strdup_printf("pvpanic,events=%u", cases[i].events);

        g_assert_nonnull(fake_board_add(fake, text, NULL));
        g_assert_cmpuint(pvpanic_port(&fake->tree), ==, PORT);
        g_assert_cmphex(fake_board_in(fake, PORT, 1), ==, cases[i].events);
        fake_board_out(fake, PORT, 1, cases[i].told);

        g_assert_cmpuint(fake->n_panics, ==, cases[i].n_panics);
        g_assert_cmpuint(fake->n_crashloads, ==, cases[i].n_crashloads);
        g_assert_cmpuint(fake->n_pvshutdowns, ==, cases[i].n_pvshutdowns);
    }
}

static void test_function(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(KitBoard) kit = kit_board_new();
        g_autofree char *json = g_strdup_printf(
            "{'driver': 'pvpanic-pci', 'events': %u}", cases[i].events);
        Device *dev = kit_add(kit, json);
        KitPci pci = kit_pci(kit, dev);
        uint64_t bar;

        kit_start(kit);
        bar = kit_pci_bar(&pci, 0);
        g_assert_cmphex(kit_pci_read(&pci, 0, 4), ==, 0x00111b36);
        g_assert_cmphex(kit_read(kit, bar, 1), ==, cases[i].events);
        kit_write(kit, bar, 1, cases[i].told);
        kit_write(kit, bar + 1, 1, 0xff);

        g_assert_cmpuint(kit->n_panics, ==, cases[i].n_panics);
        g_assert_cmpuint(kit->n_crashloads, ==, cases[i].n_crashloads);
        g_assert_cmpuint(kit->n_pvshutdowns, ==, cases[i].n_pvshutdowns);
    }
}

static void test_offers_all_at_another_port(void)
{
    g_autoptr(FakeBoard) fake = fake_board_new();

    g_assert_nonnull(fake_board_add(fake, "pvpanic,ioport=0x700", NULL));
    g_assert_cmphex(fake_board_in(fake, 0x700, 1), ==, 7);
    g_assert_cmphex(fake_board_in(fake, 0x700, 4), ==, 0xffffff07);
    g_assert_cmpuint(pvpanic_port(&fake->tree), ==, 0x700);
}

static void test_faulty_properties_are_refused(void)
{
    static const struct {
        const char *text;
        const char *words;
    } faulty[] = {
        { "pvpanic,events=8", "events" },
        { "pvpanic,ioport=0", "ioport" },
        { "pvpanic,ioport=65536", "ioport" },
        { "pvpanic,addr=3", "addr" },
        { "pvpanic,ioport=0x506", "already" },
    };
    g_autoptr(FakeBoard) fake = fake_board_new();

    g_assert_nonnull(fake_board_add(fake, "pvpanic", NULL));
    for (size_t i = 0; i < G_N_ELEMENTS(faulty); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_null(fake_board_add(fake, faulty[i].text, &error));
        g_assert_nonnull(strstr(error->message, faulty[i].words));
    }
}

static void test_port_is_not_hot_plugged(void)
{
    g_autoptr(FakeBoard) fake = fake_board_new();
    g_autoptr(GError) error = NULL;

    device_tree_resume(&fake->tree);
    g_assert_null(fake_board_add(fake, "pvpanic", &error));
    g_assert_nonnull(strstr(error->message, "running"));
}

static void test_function_has_its_state(void)
{
    g_autoptr(KitBoard) from = kit_board_new(), to = kit_board_new();
    g_autoptr(GByteArray) saved = NULL, again = NULL;
    g_autoptr(GError) error = NULL;

    kit_add(from, "{'driver': 'pvpanic-pci', 'id': 'p'}");
    kit_add(to, "{'driver': 'pvpanic-pci', 'id': 'p'}");
    kit_start(from);
    device_tree_pause(&from->tree);

    saved = kit_save(from);
    g_assert_true(device_tree_load(&to->tree, saved->data, saved->len, &error));
    again = kit_save(to);

    g_assert_cmpmem(saved->data, saved->len, again->data, again->len);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pvpanic/port", test_port);
    g_test_add_func("/pvpanic/function", test_function);
    g_test_add_func("/pvpanic/offers-all-at-another-port",
                    test_offers_all_at_another_port);
    g_test_add_func("/pvpanic/faulty-properties-are-refused",
                    test_faulty_properties_are_refused);
    g_test_add_func("/pvpanic/port-is-not-hot-plugged", test_port_is_not_hot_plugged);
    g_test_add_func("/pvpanic/function-has-its-state", test_function_has_its_state);
    return g_test_run();
}
