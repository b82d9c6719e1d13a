/* SPDX-License-Identifier: Apache-2.0 */
/* PCI functions, buses and resources as a guest sees them. */
#include <string.h>

#include "berth/pci-assign.h"
#include "berth/error.h"
#include "berth/vm-fake.h"

#include "kit-pci.h"

#define RNG "{'driver': 'virtio-rng-pci'}"

static void test_host_bridge_is_found_both_ways(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();

    kit_out(kit, 0xcf8, 4, 0x80000000);

    g_assert_cmphex(kit_in(kit, 0xcfc, 4), ==, 0x29c08086);
    g_assert_cmphex(kit_in(kit, 0xcfe, 2), ==, 0x29c0);
    g_assert_cmphex(kit_in(kit, 0xcfd, 1), ==, 0x80);
    g_assert_cmphex(kit_in(kit, 0xcf8, 4), ==, 0x80000000);
    g_assert_cmphex(kit_read(kit, KIT_ECAM_BASE, 4), ==, 0x29c08086);
    g_assert_cmphex(kit_read(kit, KIT_ECAM_BASE + 0x60, 4), ==, KIT_ECAM_BASE | 1);
}

static void test_absent_functions_read_as_ones(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();

    kit_out(kit, 0xcf8, 4, 0x80000000 | 5 << 11);
    g_assert_cmphex(kit_in(kit, 0xcfc, 4), ==, 0xffffffff);
    kit_out(kit, 0xcfc, 4, 0);
    kit_out(kit, 0xcf8, 4, 0x80000000 | 9 << 16);
    g_assert_cmphex(kit_in(kit, 0xcfc, 4), ==, 0xffffffff);
    kit_out(kit, 0xcf8, 4, 0);
    g_assert_cmphex(kit_in(kit, 0xcfc, 4), ==, 0xffffffff);
    g_assert_cmphex(kit_read(kit, KIT_ECAM_BASE + (200 << 20), 4), ==, 0xffffffff);
}

static void test_reset_control_is_a_byte_inside_the_address_port(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();

    kit_out(kit, 0xcf8, 4, 0x80000e00);
    g_assert_cmpuint(kit->n_resets, ==, 0);
    kit_out(kit, 0xcf9, 1, 0x02);
    g_assert_cmpuint(kit->n_resets, ==, 0);
    kit_out(kit, 0xcf9, 1, 0x06);

    g_assert_cmpuint(kit->n_resets, ==, 1);
    g_assert_cmphex(kit_in(kit, 0xcf9, 1), ==, 0x02);
    g_assert_cmphex(kit_in(kit, 0xcf8, 4), ==, 0x80000e00);
}

static void test_extended_space(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    KitPci rng, port;
    Device *dev;

    dev = kit_add(kit, "{'driver': 'pcie-root-port', 'id': 'port'}");
    port = kit_pci(kit, dev);
    rng = kit_pci(kit, kit_add(kit, RNG));

    g_assert_cmphex(kit_pci_read(&port, 0x100, 4), ==, 0);
    g_assert_cmphex(kit_pci_read(&port, 0xffc, 4), ==, 0);
    g_assert_cmphex(kit_pci_read(&rng, 0x100, 4), ==, 0xffffffff);
    kit_pci_write(&port, 0x100, 4, 0x12345678);
    g_assert_cmphex(kit_pci_read(&port, 0x100, 4), ==, 0);
}

static void test_read_only_bits_stay(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    KitPci pci = kit_pci(kit, kit_add(kit, RNG));

    kit_pci_write(&pci, PCI_VENDOR_ID, 4, 0);
    kit_pci_write(&pci, PCI_COMMAND, 2, 0xffff);

    g_assert_cmphex(kit_pci_read(&pci, PCI_VENDOR_ID, 4), ==, 0x10441af4);
    g_assert_cmphex(kit_pci_read(&pci, PCI_COMMAND, 2), ==, 0x0547);
    g_assert_cmphex(kit_pci_read(&pci, PCI_REVISION_ID, 1), ==, 1);
}

static void test_bars_are_sized_and_moved(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    KitPci pci = kit_pci(kit, kit_add(kit, RNG));

    g_assert_cmpuint(kit_pci_bar_size(&pci, 1), ==, 4096);
    g_assert_cmpuint(kit_pci_bar_size(&pci, 4), ==, 16384);
    g_assert_cmpuint(kit_pci_bar_size(&pci, 0), ==, 0);
    kit_pci_write(&pci, PCI_BASE_ADDRESS_4, 4, 0xd0000000);
    kit_pci_write(&pci, PCI_BASE_ADDRESS_5, 4, 0x12);
    g_assert_cmphex(kit_read(kit, 0x12d0000012, 2), ==, 0xffff);
    kit_pci_set_command(&pci, PCI_COMMAND_MEMORY);
    g_assert_cmphex(kit_read(kit, 0x12d0000012, 2), ==, 1);
    kit_pci_write(&pci, PCI_BASE_ADDRESS_5, 4, 0);
    g_assert_cmphex(kit_read(kit, 0x12d0000012, 2), ==, 0xffff);
    g_assert_cmphex(kit_read(kit, 0xd0000012, 2), ==, 1);
}

static void test_bar_never_hides_ram_or_the_ecam(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    KitPci pci = kit_pci(kit, kit_add(kit, RNG));
    uint32_t *ram = kit_ram(kit, 0x4000, 4);

    *ram = 0x11223344;
    kit_pci_set_command(&pci, PCI_COMMAND_MEMORY);
    kit_pci_write(&pci, PCI_BASE_ADDRESS_4, 4, 0x4000);
    g_assert_cmphex(kit_read(kit, 0x4000, 4), ==, 0x11223344);
    kit_pci_write(&pci, PCI_BASE_ADDRESS_4, 4, KIT_ECAM_BASE);
    g_assert_cmphex(kit_pci_read(&pci, PCI_VENDOR_ID, 2), ==, 0x1af4);
    kit_pci_write(&pci, PCI_BASE_ADDRESS_4, 4, 0xffffffff);
    kit_pci_write(&pci, PCI_BASE_ADDRESS_5, 4, 0xffffffff);
    g_assert_cmphex(kit_pci_read(&pci, PCI_VENDOR_ID, 2), ==, 0x1af4);
}

static void test_power_state_gates_decoding(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    Device *dev;
    unsigned cap;
    uint64_t bar;
    KitPci pci;

    kit_add(kit, "{'driver': 'pcie-root-port', 'id': 'port'}");
    dev = kit_add(kit, "{'driver': 'virtio-rng-pci', 'bus': 'port'}");
    kit_start(kit);
    pci = kit_pci(kit, dev);
    cap = kit_pci_find_cap(&pci, PCI_CAP_ID_PM, 0);
    bar = kit_pci_bar(&pci, 4);
    g_assert_cmphex(kit_read(kit, bar + 0x12, 2), ==, 1);

    kit_pci_write(&pci, cap + PCI_PM_CTRL, 2, 3);
    g_assert_cmphex(kit_read(kit, bar + 0x12, 2), ==, 0xffff);
    kit_pci_write(&pci, cap + PCI_PM_CTRL, 2, 0);
    g_assert_cmphex(kit_read(kit, bar + 0x12, 2), ==, 1);
}

static void test_interrupt_pin_reaches_its_line(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    Device *one = kit_add(kit, "{'driver': 'virtio-rng-pci', 'addr': '3'}");
    Device *two = kit_add(kit, "{'driver': 'virtio-rng-pci', 'addr': '11'}");
    KitPci pci = kit_pci(kit, one);

    pci_intx_set(pci_device(one), true);
    g_assert_true(kit->irq_levels[3]);
    g_assert_cmphex(kit_pci_read(&pci, PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, !=, 0);
    pci_intx_set(pci_device(two), true);
    g_assert_true(kit->irq_levels[1]);
    kit_pci_set_command(&pci, PCI_COMMAND_INTX_DISABLE);
    g_assert_false(kit->irq_levels[3]);
    kit_pci_set_command(&pci, 0);
    g_assert_true(kit->irq_levels[3]);
    pci_intx_set(pci_device(one), false);
    g_assert_false(kit->irq_levels[3]);
}

static void test_shared_line_is_low_when_the_last_lets_go(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    Device *one = kit_add(kit, "{'driver': 'virtio-rng-pci', 'addr': '2'}");
    Device *two = kit_add(kit, "{'driver': 'virtio-rng-pci', 'addr': 'a'}");

    pci_intx_set(pci_device(one), true);
    pci_intx_set(pci_device(two), true);
    pci_intx_set(pci_device(one), false);
    g_assert_true(kit->irq_levels[2]);
    device_remove(two);
    g_assert_false(kit->irq_levels[2]);
}

static void test_faulty_places_are_refused(void)
{
    static const struct { const char *json; const char *words; } cases[] = {
        { "{'driver': 'virtio-rng-pci', 'addr': '20'}", "'addr'" },
        { "{'driver': 'virtio-rng-pci', 'addr': '1.8'}", "'addr'" },
        { "{'driver': 'virtio-rng-pci', 'addr': '1.'}", "'addr'" },
        { "{'driver': 'virtio-rng-pci', 'addr': 'x'}", "'addr'" },
        { "{'driver': 'virtio-rng-pci', 'addr': ''}", "'addr'" },
        { "{'driver': 'virtio-rng-pci', 'addr': 256}", "'addr'" },
        { "{'driver': 'virtio-rng-pci', 'addr': -1}", "'addr'" },
        { "{'driver': 'virtio-rng-pci', 'addr': '0'}", "0.0 of 'pcie.0' is in use" },
        { "{'driver': 'virtio-rng-pci', 'addr': '4.1'}", "without multifunction" },
        { "{'driver': 'virtio-rng-pci', 'addr': '5'}", "'multifunction' is off" },
        { "{'driver': 'virtio-rng-pci', 'bus': 'port', 'addr': '1'}", "slot 0 only" },
        { "{'driver': 'virtio-rng-pci', 'bus': 'absent'}", "bus 'absent' not found" },
        { "{'driver': 'virtio-rng-pci', 'bus': 'isa.0'}", "is of kind ISA" },
        { "{'driver': 'virtio-rng-pci', 'romfile': 'x'}", "'romfile'" },
        { "{'driver': 'pcie-root-port', 'chassis': 7, 'romfile': 'x'}", "a bridge" },
        { "{'driver': 'virtio-rng-pci', 'acpi-index': 3}", "'acpi-index'" },
        { "{'driver': 'virtio-rng-pci', 'id': 'port'}", "device 'port' already" },
        { "{'driver': 'virtio-rng-pci', 'id': '1x'}", "'id' expects" },
        { "{'driver': 'pcie-root-port', 'bus': 'port'}", "root bus" },
        { "{'driver': 'pcie-root-port', 'id': 'isa.0', 'chassis': 9}", "bus 'isa.0'" },
    };
    g_autoptr(KitBoard) kit = kit_board_new();

    kit_add(kit, "{'driver': 'pcie-root-port', 'id': 'port', 'addr': '8'}");
    kit_add(kit, "{'driver': 'virtio-rng-pci', 'addr': '4'}");
    kit_add(kit, "{'driver': 'virtio-rng-pci', 'addr': '5.2'}");
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        kit_assert_refused(kit, cases[i].json, cases[i].words);
}

static void test_bus_fills_up(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();

    kit_add(kit, "{'driver': 'virtio-rng-pci', 'addr': '1f', 'multifunction': true}");
    for (int i = 1; i < 31; i++)
        kit_add(kit, RNG);

    kit_assert_refused(kit, RNG, "no free slot on 'pcie.0'");
    g_assert_nonnull(kit_add(kit, "{'driver': 'virtio-rng-pci', 'addr': '1f.7'}"));
}

static void test_removal_leaves_the_board_as_before(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    g_autofree char *before = kit_dump(kit);
    g_autofree char *after = NULL;
    Device *port;

    port = kit_add(kit, "{'driver': 'pcie-root-port', 'id': 'port'}");
    kit_add(kit, "{'driver': 'virtio-rng-pci', 'id': 'rng', 'bus': 'port'}");
    kit_start(kit);
    device_remove(port);
    device_tree_pause(&kit->tree);

    after = kit_dump(kit);
    g_assert_cmpstr(before, ==, after);
}

static void test_resources_are_assigned_in_their_windows(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    KitPci root_rng, port, below;
    Device *below_dev, *port_dev;

    root_rng = kit_pci(kit, kit_add(kit, RNG));
    port_dev = kit_add(kit, "{'driver': 'pcie-root-port', 'id': 'port'}");
    below_dev = kit_add(kit, "{'driver': 'virtio-rng-pci', 'bus': 'port'}");
    kit_start(kit);
    port = kit_pci(kit, port_dev);
    below = kit_pci(kit, below_dev);

    g_assert_cmpuint(below.bus, ==, 1);
    g_assert_cmphex(kit_pci_bar(&root_rng, 1), >=, 0xc0000000);
    g_assert_cmphex(kit_pci_bar(&root_rng, 4), >=, 0x800000000);
    g_assert_cmphex(kit_pci_read(&port, PCI_MEMORY_BASE, 2) << 16, <=,
                    kit_pci_bar(&below, 1));
    g_assert_cmphex(kit_pci_read(&port, PCI_MEMORY_LIMIT, 2) -
                    kit_pci_read(&port, PCI_MEMORY_BASE, 2), ==, 0x10);
    g_assert_cmpuint(kit_pci_read(&below, PCI_INTERRUPT_LINE, 1), ==, 18);
    g_assert_cmphex(kit_read(kit, kit_pci_bar(&below, 4) + 0x12, 2), ==, 1);
    g_assert_cmphex(kit_read(kit, kit_pci_bar(&root_rng, 4) + 0x12, 2), ==, 1);
}

static void test_too_small_windows_are_an_error(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    g_autoptr(GError) error = NULL;
    PciWindows windows = { .mem32_base = 0xc0000000, .mem32_size = 0x4000 };

    kit_add(kit, RNG);
    device_tree_reset(&kit->tree);

    g_assert_false(pci_assign_resources(kit->root, &windows, &error));

    g_assert_nonnull(strstr(error->message, "32-bit memory"));
}

static void test_state_survives_save_and_load(void)
{
    static const char *const devices[] = {
        "{'driver': 'pcie-root-port', 'id': 'port'}",
        "{'driver': 'virtio-rng-pci', 'bus': 'port', 'id': 'rng'}",
    };
    g_autoptr(KitBoard) from = kit_board_new();
    g_autoptr(KitBoard) to = kit_board_new();
    g_autoptr(GByteArray) saved = NULL;
    g_autoptr(GByteArray) again = NULL;
    g_autoptr(GError) error = NULL;
    KitPci pci;

    for (size_t i = 0; i < G_N_ELEMENTS(devices); i++) {
        kit_add(from, devices[i]);
        kit_add(to, devices[i]);
    }
    kit_start(from);
    pci = kit_pci(from, device_find(&from->tree, "rng"));
    kit_msix_enable(&pci, true);
    kit_msix_program(&pci, 1, 0x55);
    kit_out(from, 0xcf8, 4, 0x80000040);
    device_tree_pause(&from->tree);
    saved = kit_save(from);

    g_assert_true(device_tree_load(&to->tree, saved->data, saved->len, &error));

    g_assert_no_error(error);
    again = kit_save(to);
    g_assert_cmpmem(saved->data, saved->len, again->data, again->len);
    pci.kit = to;
    g_assert_cmphex(kit_read(to, kit_pci_bar(&pci, 4) + 0x12, 2), ==, 1);
}

static void test_state_of_another_device_is_refused(void)
{
    g_autoptr(KitBoard) from = kit_board_new();
    g_autoptr(KitBoard) to = kit_board_new();
    g_autoptr(GByteArray) saved = NULL;
    g_autoptr(GError) error = NULL;

    kit_add(from, "{'driver': 'virtio-rng-pci', 'id': 'x', 'vectors': 2}");
    kit_add(to, "{'driver': 'virtio-rng-pci', 'id': 'x', 'vectors': 3}");
    saved = kit_save(from);

    g_assert_false(device_tree_load(&to->tree, saved->data, saved->len, &error));

    g_assert_nonnull(strstr(error->message, "vectors"));
}

/* Every prefix is refused, every changed byte refused or harmless. */
static void test_hostile_state_never_harms(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    g_autoptr(GByteArray) saved = NULL;

    kit_add(kit, "{'driver': 'pcie-root-port', 'id': 'port'}");
    kit_add(kit, "{'driver': 'virtio-rng-pci', 'bus': 'port', 'max-bytes': 100}");
    kit_start(kit);
    device_tree_pause(&kit->tree);
    saved = kit_save(kit);

    for (guint i = 0; i < saved->len; i++) {
        g_autofree uint8_t *cut = g_memdup2(saved->data, i);

        g_assert_false(device_tree_load(&kit->tree, cut, i, NULL));
        saved->data[i] ^= 1 << i % 8;
        if (device_tree_load(&kit->tree, saved->data, saved->len, NULL)) {
            device_tree_resume(&kit->tree);
            kit_run(kit);
            device_tree_pause(&kit->tree);
        }
        saved->data[i] ^= 1 << i % 8;
    }
}

/* E1: any offset, any width, reads and writes. */
static void test_random_configuration_accesses(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    uint32_t seed = g_test_rand_int();
    g_autoptr(GRand) rand = g_rand_new_with_seed(seed);

    g_test_message("seed %u", seed);
    kit_add(kit, "{'driver': 'pcie-root-port', 'id': 'port'}");
    kit_add(kit, "{'driver': 'virtio-rng-pci', 'bus': 'port'}");
    kit_add(kit, RNG);
    kit_start(kit);
    for (int i = 0; i < 40000; i++) {
        unsigned size = 1u << g_rand_int_range(rand, 0, 4);
        uint64_t at = KIT_ECAM_BASE + (g_rand_int_range(rand, 0, 3) << 20) +
            (g_rand_int_range(rand, 0, 4) << 15) + g_rand_int_range(rand, 0, 300);

        if (g_rand_boolean(rand)) {
            kit_write(kit, at, size, g_rand_int(rand));
        } else if (i % 3 == 0) {
            kit_out(kit, 0xcf8 + g_rand_int_range(rand, 0, 8), size > 4 ? 4 : size,
                    g_rand_int(rand));
        } else {
            kit_read(kit, at, size);
        }
        if (i % 64 == 0)
            kit_run(kit);
    }
    device_tree_pause(&kit->tree);
    device_tree_reset(&kit->tree);
    kit_start(kit);
    g_assert_cmphex(kit_read(kit, KIT_ECAM_BASE, 4), ==, 0x29c08086);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pci/host-bridge", test_host_bridge_is_found_both_ways);
    g_test_add_func("/pci/absent", test_absent_functions_read_as_ones);
    g_test_add_func("/pci/reset-control",
                    test_reset_control_is_a_byte_inside_the_address_port);
    g_test_add_func("/pci/extended", test_extended_space);
    g_test_add_func("/pci/read-only", test_read_only_bits_stay);
    g_test_add_func("/pci/bars", test_bars_are_sized_and_moved);
    g_test_add_func("/pci/bar-over-ram", test_bar_never_hides_ram_or_the_ecam);
    g_test_add_func("/pci/power-state", test_power_state_gates_decoding);
    g_test_add_func("/pci/intx", test_interrupt_pin_reaches_its_line);
    g_test_add_func("/pci/intx-shared", test_shared_line_is_low_when_the_last_lets_go);
    g_test_add_func("/pci/faulty-places", test_faulty_places_are_refused);
    g_test_add_func("/pci/full", test_bus_fills_up);
    g_test_add_func("/pci/removal", test_removal_leaves_the_board_as_before);
    g_test_add_func("/pci/assign", test_resources_are_assigned_in_their_windows);
    g_test_add_func("/pci/assign-too-small", test_too_small_windows_are_an_error);
    g_test_add_func("/pci/state", test_state_survives_save_and_load);
    g_test_add_func("/pci/state-other", test_state_of_another_device_is_refused);
    g_test_add_func("/pci/state-hostile", test_hostile_state_never_harms);
    g_test_add_func("/pci/random", test_random_configuration_accesses);
    return g_test_run();
}
