/* SPDX-License-Identifier: Apache-2.0 */
/* MSI-X: masks, pending bits, routes. */
#include <errno.h>

#include "berth/msix.h"
#include "berth/vm-fake.h"

#include "kit-pci.h"

#define MESSAGE 0x30u

typedef struct Fixture {
    KitBoard *kit;
    Device *dev;
    KitPci pci;
} Fixture;

static void fixture_init(Fixture *f, const char *json)
{
    f->kit = kit_board_new();
    f->dev = kit_add(f->kit, json);
    kit_start(f->kit);
    f->pci = kit_pci(f->kit, f->dev);
}

static void fixture_start(Fixture *f)
{
    fixture_init(f, "{'driver': 'virtio-rng-pci', 'id': 'rng'}");
    kit_msix_enable(&f->pci, true);
}

static uint64_t table_of(Fixture *f)
{
    return kit_pci_bar(&f->pci, 1);
}

static void test_unmasked_vector_fires(void)
{
    Fixture f;

    fixture_start(&f);
    kit_msix_program(&f.pci, 0, MESSAGE);
    msix_notify(pci_device(f.dev), 0);
    msix_notify(pci_device(f.dev), 0);

    g_assert_cmpuint(kit_msix_count(f.kit, MESSAGE), ==, 2);
    g_assert_false(kit_msix_is_pending(&f.pci, 0));
    kit_board_free(f.kit);
}

static void test_masked_vector_is_pending_and_fires_once(void)
{
    Fixture f;

    fixture_start(&f);
    kit_msix_program(&f.pci, 1, MESSAGE);
    kit_msix_mask(&f.pci, 1, true);
    msix_notify(pci_device(f.dev), 1);
    msix_notify(pci_device(f.dev), 1);
    g_assert_cmpuint(kit_msix_count(f.kit, MESSAGE), ==, 0);
    g_assert_true(kit_msix_is_pending(&f.pci, 1));

    kit_msix_mask(&f.pci, 1, false);

    g_assert_cmpuint(kit_msix_count(f.kit, MESSAGE), ==, 1);
    g_assert_false(kit_msix_is_pending(&f.pci, 1));
    kit_board_free(f.kit);
}

static void test_function_mask_holds_all_vectors(void)
{
    Fixture f;
    unsigned cap;

    fixture_start(&f);
    cap = kit_pci_find_cap(&f.pci, PCI_CAP_ID_MSIX, 0);
    kit_msix_program(&f.pci, 0, MESSAGE);
    kit_pci_write(&f.pci, cap + PCI_MSIX_FLAGS, 2,
                  PCI_MSIX_FLAGS_ENABLE | PCI_MSIX_FLAGS_MASKALL);
    msix_notify(pci_device(f.dev), 0);
    g_assert_cmpuint(kit_msix_count(f.kit, MESSAGE), ==, 0);

    /* Only the byte that has the bits, as some guests write it. */
    kit_pci_write(&f.pci, cap + PCI_MSIX_FLAGS + 1, 1, PCI_MSIX_FLAGS_ENABLE >> 8);

    g_assert_cmpuint(kit_msix_count(f.kit, MESSAGE), ==, 1);
    kit_board_free(f.kit);
}

static void test_message_follows_the_table(void)
{
    Fixture f;

    fixture_start(&f);
    kit_msix_program(&f.pci, 0, MESSAGE);
    msix_notify(pci_device(f.dev), 0);
    kit_msix_mask(&f.pci, 0, true);
    kit_msix_program(&f.pci, 0, MESSAGE + 1);
    msix_notify(pci_device(f.dev), 0);

    g_assert_cmpuint(kit_msix_count(f.kit, MESSAGE), ==, 1);
    g_assert_cmpuint(kit_msix_count(f.kit, MESSAGE + 1), ==, 1);
    kit_board_free(f.kit);
}

static void test_routes_are_made_when_first_used(void)
{
    Fixture f;

    fixture_init(&f, "{'driver': 'virtio-rng-pci', 'vectors': 2048}");
    kit_msix_enable(&f.pci, true);
    g_assert_cmpuint(vm_fake_calls(f.kit->vm).irqfd_add, ==, 0);

    kit_msix_program(&f.pci, 2047, MESSAGE);
    kit_msix_mask(&f.pci, 2047, true);
    kit_msix_mask(&f.pci, 2047, false);
    msix_notify(pci_device(f.dev), 2047);

    g_assert_cmpuint(vm_fake_calls(f.kit->vm).irqfd_add, ==, 1);
    g_assert_cmpuint(kit_msix_count(f.kit, MESSAGE), ==, 1);
    kit_board_free(f.kit);
}

/* Each change of routes costs a KVM host milliseconds, with the device locked. */
static void test_enabling_many_vectors_is_one_change(void)
{
    unsigned before;
    Fixture f;

    fixture_init(&f, "{'driver': 'virtio-rng-pci', 'vectors': 64}");
    for (unsigned i = 0; i < 64; i++)
        kit_msix_program(&f.pci, i, MESSAGE + i);
    before = vm_fake_calls(f.kit->vm).set_routes;
    kit_msix_enable(&f.pci, true);

    g_assert_cmpuint(vm_fake_calls(f.kit->vm).set_routes, ==, before + 1);
    msix_notify(pci_device(f.dev), 0);
    msix_notify(pci_device(f.dev), 63);
    g_assert_cmpuint(kit_msix_count(f.kit, MESSAGE), ==, 1);
    g_assert_cmpuint(kit_msix_count(f.kit, MESSAGE + 63), ==, 1);
    kit_board_free(f.kit);
}

/* KVM refuses a whole table of routes for one such message. */
static void test_message_to_nowhere_silences_its_vector_alone(void)
{
    Fixture f;

    fixture_init(&f, "{'driver': 'virtio-rng-pci', 'id': 'rng'}");
    kit_msix_program(&f.pci, 0, MESSAGE);
    kit_msix_program(&f.pci, 1, MESSAGE + 1);
    kit_write(f.kit, table_of(&f) + 4, 4, 1);
    kit_msix_enable(&f.pci, true);
    msix_notify(pci_device(f.dev), 0);
    msix_notify(pci_device(f.dev), 1);

    g_assert_cmpuint(kit_msix_count(f.kit, MESSAGE + 1), ==, 1);
    g_assert_true(kit_msix_is_pending(&f.pci, 0));
    kit_board_free(f.kit);
}

static void test_host_without_routes_leaves_the_vector_silent(void)
{
    Fixture f;

    fixture_start(&f);
    vm_fake_fail_nth(f.kit->vm, 1, -ENOSPC);
    kit_msix_program(&f.pci, 0, MESSAGE);
    msix_notify(pci_device(f.dev), 0);
    g_assert_cmpuint(kit_msix_count(f.kit, MESSAGE), ==, 0);
    g_assert_true(kit_msix_is_pending(&f.pci, 0));

    kit_msix_mask(&f.pci, 0, true);
    kit_msix_mask(&f.pci, 0, false);

    g_assert_cmpuint(kit_msix_count(f.kit, MESSAGE), ==, 1);
    kit_board_free(f.kit);
}

static void test_disabled_msix_forgets_what_was_pending(void)
{
    Fixture f;

    fixture_start(&f);
    msix_notify(pci_device(f.dev), 0);
    g_assert_true(kit_msix_is_pending(&f.pci, 0));
    kit_msix_enable(&f.pci, false);
    g_assert_false(kit_msix_is_pending(&f.pci, 0));

    g_assert_false(msix_is_enabled(pci_device(f.dev)));
    kit_board_free(f.kit);
}

static void test_reset_masks_everything(void)
{
    Fixture f;

    fixture_start(&f);
    kit_msix_program(&f.pci, 0, MESSAGE);
    device_tree_pause(&f.kit->tree);
    kit_start(f.kit);
    msix_notify(pci_device(f.dev), 0);
    g_assert_cmpuint(kit_msix_count(f.kit, MESSAGE), ==, 0);
    g_assert_cmphex(kit_read(f.kit, table_of(&f), 4), ==, 0);
    g_assert_cmphex(kit_read(f.kit, table_of(&f) + 12, 4), ==, 1);
    kit_board_free(f.kit);
}

/* E2: odd sizes, beyond the table, pending bits that cannot be written. */
static void test_odd_accesses(void)
{
    Fixture f;
    uint64_t table;

    fixture_start(&f);
    table = table_of(&f);
    kit_msix_program(&f.pci, 0, 0x11223344);

    g_assert_cmphex(kit_read(f.kit, table + 8, 1), ==, 0x44);
    g_assert_cmphex(kit_read(f.kit, table + 10, 2), ==, 0x1122);
    g_assert_cmphex(kit_read(f.kit, table, 8), ==, 0xfee00000);
    kit_write(f.kit, table + 8, 1, 0xff);
    g_assert_cmphex(kit_read(f.kit, table + 8, 4), ==, 0x11223344);
    g_assert_cmphex(kit_read(f.kit, table + 32, 4), ==, 0xffffffff);
    kit_write(f.kit, table + 32, 4, 0);
    kit_write(f.kit, table + 2048, 8, UINT64_MAX);
    g_assert_cmphex(kit_read(f.kit, table + 2048, 8), ==, 0);
    msix_notify(pci_device(f.dev), MSIX_NO_VECTOR);
    msix_notify(pci_device(f.dev), 2);
    g_assert_cmphex(kit_read(f.kit, table + 2048, 8), ==, 0);
    kit_board_free(f.kit);
}

static void test_pending_survives_save_and_load(void)
{
    g_autoptr(GByteArray) saved = NULL;
    g_autoptr(GError) error = NULL;
    Fixture from, to;

    fixture_start(&from);
    fixture_init(&to, "{'driver': 'virtio-rng-pci', 'id': 'rng'}");
    kit_msix_program(&from.pci, 1, MESSAGE);
    kit_msix_mask(&from.pci, 1, true);
    msix_notify(pci_device(from.dev), 1);
    device_tree_pause(&from.kit->tree);
    device_tree_pause(&to.kit->tree);
    saved = kit_save(from.kit);

    g_assert_true(device_tree_load(&to.kit->tree, saved->data, saved->len, &error));
    kit_msix_mask(&to.pci, 1, false);

    g_assert_cmpuint(kit_msix_count(to.kit, MESSAGE), ==, 1);
    kit_board_free(from.kit);
    kit_board_free(to.kit);
}

typedef struct Race {
    PciDevice *pci;
    unsigned n_notified;
} Race;

static void *notify_often(void *opaque)
{
    Race *race = opaque;

    for (unsigned i = 0; i < race->n_notified; i++)
        msix_notify(race->pci, 0);
    return NULL;
}

/* Whatever the order, an interrupt after the last unmask is seen. */
static void test_no_interrupt_is_lost_while_masks_change(void)
{
    Race race = { .n_notified = 20000 };
    GThread *thread;
    Fixture f;

    fixture_start(&f);
    kit_msix_program(&f.pci, 0, MESSAGE);
    race.pci = pci_device(f.dev);
    thread = g_thread_new("notifier", notify_often, &race);
    for (int i = 0; i < 2000; i++) {
        kit_msix_mask(&f.pci, 0, true);
        kit_msix_mask(&f.pci, 0, false);
    }
    g_thread_join(thread);

    g_assert_false(kit_msix_is_pending(&f.pci, 0));
    g_assert_cmpuint(kit_msix_count(f.kit, MESSAGE), >, 0);
    g_assert_cmpuint(kit_msix_count(f.kit, MESSAGE), <=, race.n_notified);
    kit_board_free(f.kit);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/msix/fires", test_unmasked_vector_fires);
    g_test_add_func("/msix/pending", test_masked_vector_is_pending_and_fires_once);
    g_test_add_func("/msix/function-mask", test_function_mask_holds_all_vectors);
    g_test_add_func("/msix/message", test_message_follows_the_table);
    g_test_add_func("/msix/routes", test_routes_are_made_when_first_used);
    g_test_add_func("/msix/many", test_enabling_many_vectors_is_one_change);
    g_test_add_func("/msix/nowhere", test_message_to_nowhere_silences_its_vector_alone);
    g_test_add_func("/msix/no-routes", test_host_without_routes_leaves_the_vector_silent);
    g_test_add_func("/msix/disabled", test_disabled_msix_forgets_what_was_pending);
    g_test_add_func("/msix/reset", test_reset_masks_everything);
    g_test_add_func("/msix/odd", test_odd_accesses);
    g_test_add_func("/msix/state", test_pending_survives_save_and_load);
    g_test_add_func("/msix/race", test_no_interrupt_is_lost_while_masks_change);
    return g_test_run();
}
