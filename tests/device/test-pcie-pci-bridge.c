/* SPDX-License-Identifier: Apache-2.0 */
/* pcie-pci-bridge and pci-bridge: the conventional bus behind them. */
#include "kit-pci.h"

#define PORT "{'driver': 'pcie-root-port', 'id': 'port', 'addr': '3'}"
#define BRIDGE "{'driver': 'pcie-pci-bridge', 'id': 'bridge', 'bus': 'port'}"
#define RNG "{'driver': 'virtio-rng-pci', 'id': 'rng', 'bus': 'bridge', 'addr': '0x1f'}"

typedef struct Fixture {
    KitBoard *kit;
    Device *rng_dev;
    KitPci port;
    KitPci bridge;
    KitPci rng;
} Fixture;

static void fixture_init(Fixture *f)
{
    Device *port, *bridge;

    f->kit = kit_board_new();
    port = kit_add(f->kit, PORT);
    bridge = kit_add(f->kit, BRIDGE);
    f->rng_dev = kit_add(f->kit, RNG);
    kit_start(f->kit);
    f->port = kit_pci(f->kit, port);
    f->bridge = kit_pci(f->kit, bridge);
    f->rng = kit_pci(f->kit, f->rng_dev);
}

static void test_is_a_bridge_to_conventional_pci(void)
{
    unsigned cap;
    Fixture f;

    fixture_init(&f);
    cap = kit_pci_find_cap(&f.bridge, PCI_CAP_ID_EXP, 0);

    g_assert_cmphex(kit_pci_read(&f.bridge, PCI_VENDOR_ID, 4), ==, 0x000e1b36);
    g_assert_cmphex(kit_pci_read(&f.bridge, PCI_CLASS_REVISION, 4) >> 8, ==, 0x060400);
    g_assert_cmphex(kit_pci_read(&f.bridge, PCI_HEADER_TYPE, 1), ==, 1);
    g_assert_cmphex(kit_pci_read(&f.bridge, cap + PCI_EXP_FLAGS, 2), ==, 0x0072);
    g_assert_cmpuint(kit_pci_find_cap(&f.bridge, PCI_CAP_ID_MSI, 0), !=, 0);
    g_assert_cmpuint(f.port.bus, ==, 0);
    g_assert_cmpuint(f.bridge.bus, ==, 1);
    g_assert_cmpuint(f.rng.bus, ==, 2);
    kit_board_free(f.kit);
}

static void test_msi_can_be_left_out(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    KitPci bridge = kit_pci(kit, kit_add(kit, "{'driver': 'pcie-pci-bridge',"
                                         " 'msi': 'off'}"));

    g_assert_cmpuint(kit_pci_find_cap(&bridge, PCI_CAP_ID_MSI, 0), ==, 0);
    g_assert_nonnull(device_tree_find_bus(&kit->tree, "pci.1"));
}

static void test_function_behind_it_is_conventional(void)
{
    Fixture f;

    fixture_init(&f);

    g_assert_cmphex(kit_pci_read(&f.rng, PCI_VENDOR_ID, 2), ==, 0x1af4);
    g_assert_cmpuint(kit_pci_find_cap(&f.rng, PCI_CAP_ID_EXP, 0), ==, 0);
    g_assert_cmphex(kit_pci_read(&f.rng, 0x100, 4), ==, UINT32_MAX);
    g_assert_cmphex(kit_read(f.kit, kit_pci_bar(&f.rng, 4) + 0x12, 2), ==, 1);
    kit_board_free(f.kit);
}

static void test_windows_gate_memory(void)
{
    uint64_t bar;
    Fixture f;

    fixture_init(&f);
    bar = kit_pci_bar(&f.rng, 4);
    kit_pci_set_command(&f.bridge, 0);
    g_assert_cmphex(kit_read(f.kit, bar + 0x12, 2), ==, 0xffff);
    kit_pci_set_command(&f.bridge, PCI_COMMAND_MEMORY);
    kit_pci_set_command(&f.port, 0);
    g_assert_cmphex(kit_read(f.kit, bar + 0x12, 2), ==, 0xffff);
    kit_pci_set_command(&f.port, PCI_COMMAND_MEMORY);

    g_assert_cmphex(kit_read(f.kit, bar + 0x12, 2), ==, 1);
    kit_board_free(f.kit);
}

/* Slot 31 of the bus, slot 0 below the port, slot 3 of the root: 31 % 4 + 0 + 3. */
static void test_interrupt_pin_is_swizzled_twice(void)
{
    Fixture f;

    fixture_init(&f);

    pci_intx_set(pci_device(f.rng_dev), true);

    g_assert_true(f.kit->irq_levels[6]);
    kit_board_free(f.kit);
}

static void reset_below(KitPci *bridge)
{
    uint32_t control = kit_pci_read(bridge, PCI_BRIDGE_CONTROL, 2);

    kit_pci_write(bridge, PCI_BRIDGE_CONTROL, 2, control | PCI_BRIDGE_CTL_BUS_RESET);
    kit_pci_write(bridge, PCI_BRIDGE_CONTROL, 2, control);
}

static void test_bus_reset_goes_through_bridges(void)
{
    Fixture f;

    fixture_init(&f);
    reset_below(&f.bridge);
    g_assert_cmphex(kit_pci_bar(&f.rng, 4), ==, 0);

    kit_pci_write(&f.rng, PCI_INTERRUPT_LINE, 1, 0x77);
    reset_below(&f.port);
    g_assert_cmpuint(kit_pci_read(&f.bridge, PCI_SECONDARY_BUS, 1), ==, 0);
    kit_pci_write(&f.bridge, PCI_SUBORDINATE_BUS, 1, 2);
    kit_pci_write(&f.bridge, PCI_SECONDARY_BUS, 1, 2);
    g_assert_cmphex(kit_pci_read(&f.rng, PCI_INTERRUPT_LINE, 1), ==, 0);
    kit_board_free(f.kit);
}

static void test_what_needs_express_is_refused(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();

    kit_add(kit, "{'driver': 'pcie-pci-bridge', 'id': 'bridge'}");
    kit_assert_refused(kit, "{'driver': 'pcie-pci-bridge', 'bus': 'bridge'}", "'bus'");
    kit_assert_refused(kit, "{'driver': 'pcie-root-port', 'bus': 'bridge'}", "'bus'");
    kit_assert_refused(kit, "{'driver': 'virtio-rng-pci', 'bus': 'bridge',"
                       " 'addr': '0x20'}", "'addr'");
    kit_assert_refused(kit, "{'driver': 'pcie-pci-bridge', 'msi': 'perhaps'}", "msi");
    kit_assert_refused(kit, "{'driver': 'pci-bridge'}", "chassis_nr");
    kit_assert_refused(kit, "{'driver': 'pci-bridge', 'chassis_nr': 0}", "chassis_nr");
    kit_assert_refused(kit, "{'driver': 'pci-bridge', 'chassis_nr': 1, 'shpc': true}",
                       "'shpc'");
}

/* What the firmware asks, and a chain of them on the root bus. */
static void test_conventional_bridge(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    Device *outer, *inner, *rng;
    KitPci pci, behind;
    unsigned cap;

    outer = kit_add(kit, "{'driver': 'pci-bridge', 'id': 'outer', 'chassis_nr': 7,"
                    " 'addr': '3'}");
    inner = kit_add(kit, "{'driver': 'pci-bridge', 'bus': 'outer', 'chassis_nr': 255,"
                    " 'msi': 'off'}");
    rng = kit_add(kit, "{'driver': 'virtio-rng-pci', 'bus': 'pci.1', 'addr': '1f'}");
    kit_start(kit);
    pci = kit_pci(kit, outer);
    g_assert_cmphex(kit_pci_read(&pci, PCI_VENDOR_ID, 4), ==, 0x00011b36);
    g_assert_cmphex(kit_pci_read(&pci, PCI_CLASS_REVISION, 4) >> 8, ==, 0x060400);
    g_assert_cmpuint(kit_pci_find_cap(&pci, PCI_CAP_ID_EXP, 0), ==, 0);
    g_assert_cmpuint(kit_pci_find_cap(&pci, PCI_CAP_ID_MSI, 0), !=, 0);
    cap = kit_pci_find_cap(&pci, PCI_CAP_ID_SLOTID, 0);
    g_assert_cmphex(kit_pci_read(&pci, cap + PCI_SID_CHASSIS_NR, 1), ==, 7);
    cap = kit_pci_find_cap(&pci, PCI_CAP_ID_VNDR, 0);
    g_assert_cmphex(kit_pci_read(&pci, cap + 2, 2), ==, 0x0120);
    g_assert_cmphex(kit_pci_read(&pci, cap + 8, 4), ==, UINT32_MAX);
    g_assert_cmphex(kit_pci_read(&pci, cap + 16, 4), ==, 2 * MIB);

    pci = kit_pci(kit, inner);
    g_assert_cmpuint(pci.bus, ==, 1);
    g_assert_cmpuint(kit_pci_find_cap(&pci, PCI_CAP_ID_MSI, 0), ==, 0);
    behind = kit_pci(kit, rng);
    g_assert_cmpuint(behind.bus, ==, 2);
    g_assert_cmphex(kit_read(kit, kit_pci_bar(&behind, 4) + 0x12, 2), ==, 1);
    /* Slot 31, slot 0 of the outer bus, slot 3 of the root: 31 % 4 + 0 + 3. */
    pci_intx_set(pci_device(rng), true);
    g_assert_true(kit->irq_levels[6]);
    pci_intx_set(pci_device(rng), false);
}

static void test_state_is_copied(void)
{
    g_autoptr(GByteArray) saved = NULL, again = NULL;
    g_autoptr(GError) error = NULL;
    uint64_t bar;
    Fixture from, to;

    fixture_init(&from);
    fixture_init(&to);
    bar = kit_pci_bar(&from.rng, 4);
    kit_pci_set_command(&to.bridge, 0);
    device_tree_pause(&from.kit->tree);
    device_tree_pause(&to.kit->tree);

    saved = kit_save(from.kit);
    g_assert_true(device_tree_load(&to.kit->tree, saved->data, saved->len, &error));
    g_assert_no_error(error);
    again = kit_save(to.kit);

    g_assert_cmpmem(saved->data, saved->len, again->data, again->len);
    g_assert_cmphex(kit_read(to.kit, bar + 0x12, 2), ==, 1);
    kit_board_free(from.kit);
    kit_board_free(to.kit);
}

static void test_any_access_is_answered(void)
{
    Fixture f;

    fixture_init(&f);
    for (unsigned i = 0; i < 20000; i++) {
        unsigned size = 1u << g_test_rand_int_range(0, 3);
        unsigned offset = (unsigned)g_test_rand_int_range(0, 4096) & ~(size - 1);
        KitPci *pci = i % 3 == 0 ? &f.port : i % 3 == 1 ? &f.bridge : &f.rng;

        if (g_test_rand_bit())
            kit_pci_write(pci, offset, size, (uint32_t)g_test_rand_int());
        else
            kit_pci_read(pci, offset, size);
    }
    kit_board_free(f.kit);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pcie-pci-bridge/is-a-bridge-to-conventional-pci",
                    test_is_a_bridge_to_conventional_pci);
    g_test_add_func("/pcie-pci-bridge/msi-can-be-left-out", test_msi_can_be_left_out);
    g_test_add_func("/pcie-pci-bridge/function-behind-it-is-conventional",
                    test_function_behind_it_is_conventional);
    g_test_add_func("/pcie-pci-bridge/windows-gate-memory", test_windows_gate_memory);
    g_test_add_func("/pcie-pci-bridge/interrupt-pin-is-swizzled-twice",
                    test_interrupt_pin_is_swizzled_twice);
    g_test_add_func("/pcie-pci-bridge/bus-reset-goes-through-bridges",
                    test_bus_reset_goes_through_bridges);
    g_test_add_func("/pcie-pci-bridge/what-needs-express-is-refused",
                    test_what_needs_express_is_refused);
    g_test_add_func("/pcie-pci-bridge/conventional", test_conventional_bridge);
    g_test_add_func("/pcie-pci-bridge/state-is-copied", test_state_is_copied);
    g_test_add_func("/pcie-pci-bridge/any-access-is-answered",
                    test_any_access_is_answered);
    return g_test_run();
}
