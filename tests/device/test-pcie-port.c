/* SPDX-License-Identifier: Apache-2.0 */
/* pcie-root-port: routing, windows, slot. */
#include "berth/hotplug.h"

#include "kit-pci.h"

#define PORT "{'driver': 'pcie-root-port', 'id': 'port'}"
#define RNG_BELOW "{'driver': 'virtio-rng-pci', 'id': 'rng', 'bus': 'port'}"
#define MESSAGE 0x50u

typedef struct Fixture {
    KitBoard *kit;
    Device *port_dev;
    Device *rng_dev;
    KitPci port;
    KitPci rng;
} Fixture;

static void fixture_init(Fixture *f)
{
    f->kit = kit_board_new();
    f->port_dev = kit_add(f->kit, PORT);
    f->rng_dev = kit_add(f->kit, RNG_BELOW);
    f->port = kit_pci(f->kit, f->port_dev);
}

static void fixture_start(Fixture *f)
{
    fixture_init(f);
    kit_start(f->kit);
    f->rng = kit_pci(f->kit, f->rng_dev);
}

static void test_configuration_cycles_follow_bus_numbers(void)
{
    KitPci below;
    Fixture f;

    fixture_init(&f);
    below = (KitPci) { .kit = f.kit, .bus = 5 };
    g_assert_cmphex(kit_pci_read(&below, PCI_VENDOR_ID, 2), ==, 0xffff);
    kit_pci_write(&f.port, PCI_SUBORDINATE_BUS, 1, 7);
    kit_pci_write(&f.port, PCI_SECONDARY_BUS, 1, 5);
    g_assert_cmphex(kit_pci_read(&below, PCI_VENDOR_ID, 2), ==, 0x1af4);
    below.bus = 6;
    g_assert_cmphex(kit_pci_read(&below, PCI_VENDOR_ID, 2), ==, 0xffff);
    kit_pci_write(&f.port, PCI_SECONDARY_BUS, 1, 6);
    g_assert_cmphex(kit_pci_read(&below, PCI_VENDOR_ID, 2), ==, 0x1af4);
    below.devfn = PCI_DEVFN(1, 0);
    g_assert_cmphex(kit_pci_read(&below, PCI_VENDOR_ID, 2), ==, 0xffff);
    kit_board_free(f.kit);
}

static void test_windows_gate_memory(void)
{
    uint64_t bar;
    Fixture f;

    fixture_start(&f);
    bar = kit_pci_bar(&f.rng, 4);
    g_assert_cmphex(kit_read(f.kit, bar + 0x12, 2), ==, 1);

    kit_pci_write(&f.port, PCI_PREF_MEMORY_LIMIT, 2, 0);
    kit_pci_write(&f.port, PCI_PREF_LIMIT_UPPER32, 4, 0);
    g_assert_cmphex(kit_read(f.kit, bar + 0x12, 2), ==, 0xffff);
    kit_pci_write(&f.port, PCI_PREF_MEMORY_LIMIT, 2, 0xfff0);
    kit_pci_write(&f.port, PCI_PREF_LIMIT_UPPER32, 4, UINT32_MAX);
    g_assert_cmphex(kit_read(f.kit, bar + 0x12, 2), ==, 1);
    kit_pci_set_command(&f.port, 0);
    g_assert_cmphex(kit_read(f.kit, bar + 0x12, 2), ==, 0xffff);
    kit_pci_set_command(&f.port, PCI_COMMAND_MEMORY);
    g_assert_cmphex(kit_read(f.kit, bar + 0x12, 2), ==, 1);
    kit_board_free(f.kit);
}

static void test_window_of_everything(void)
{
    Fixture f;

    fixture_start(&f);
    kit_pci_write(&f.port, PCI_PREF_MEMORY_BASE, 2, 0);
    kit_pci_write(&f.port, PCI_PREF_BASE_UPPER32, 4, 0);
    kit_pci_write(&f.port, PCI_PREF_MEMORY_LIMIT, 2, 0xfff0);
    kit_pci_write(&f.port, PCI_PREF_LIMIT_UPPER32, 4, UINT32_MAX);

    g_assert_cmphex(kit_pci_read(&f.port, PCI_VENDOR_ID, 4), ==, 0x000c1b36);
    g_assert_cmphex(kit_read(f.kit, kit_pci_bar(&f.rng, 4) + 0x12, 2), ==, 1);
    *(uint32_t *)kit_ram(f.kit, 0x1000, 4) = 77;
    g_assert_cmphex(kit_read(f.kit, 0x1000, 4), ==, 77);
    kit_board_free(f.kit);
}

static void test_interrupt_pin_is_swizzled(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    Device *dev;

    kit_add(kit, "{'driver': 'pcie-root-port', 'id': 'port', 'addr': '6'}");
    dev = kit_add(kit, RNG_BELOW);

    pci_intx_set(pci_device(dev), true);

    g_assert_true(kit->irq_levels[6]);
}

static void test_slot_shows_what_is_in_it(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    Device *dev = kit_add(kit, "{'driver': 'pcie-root-port', 'id': 'port', 'port': 9,"
                          " 'chassis': 3, 'slot': 21}");
    KitPci port = kit_pci(kit, dev);
    unsigned cap = kit_pci_find_cap(&port, PCI_CAP_ID_EXP, 0);

    g_assert_cmphex(kit_pci_read(&port, cap + PCI_EXP_FLAGS, 2), ==, 0x0142);
    g_assert_cmpuint(kit_pci_read(&port, cap + PCI_EXP_LNKCAP, 4) >> 24, ==, 9);
    g_assert_cmpuint(kit_pci_read(&port, cap + PCI_EXP_SLTCAP, 4) >> 19, ==, 21);
    g_assert_cmphex(kit_pci_read(&port, cap + PCI_EXP_SLTCAP, 4) & PCI_EXP_SLTCAP_HPC, !=,
                    0);
    g_assert_cmphex(kit_pci_read(&port, cap + PCI_EXP_SLTSTA, 2), ==, 0);
    kit_add(kit, RNG_BELOW);
    g_assert_cmphex(kit_pci_read(&port, cap + PCI_EXP_SLTSTA, 2), ==, PCI_EXP_SLTSTA_PDS);
    g_assert_cmphex(kit_pci_read(&port, cap + PCI_EXP_LNKSTA, 2) & PCI_EXP_LNKSTA_DLLLA,
                    !=, 0);
    kit_start(kit);
    g_assert_cmphex(kit_pci_read(&port, cap + PCI_EXP_SLTSTA, 2), ==, PCI_EXP_SLTSTA_PDS);
}

static void test_hotplug_off(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    Device *dev = kit_add(kit, "{'driver': 'pcie-root-port', 'hotplug': false}");
    KitPci port = kit_pci(kit, dev);
    unsigned cap = kit_pci_find_cap(&port, PCI_CAP_ID_EXP, 0);

    kit_start(kit);

    g_assert_cmphex(kit_pci_read(&port, cap + PCI_EXP_SLTCAP, 4) & PCI_EXP_SLTCAP_HPC, ==,
                    0);
    g_assert_cmphex(kit_pci_read(&port, PCI_MEMORY_BASE, 2), >,
                    kit_pci_read(&port, PCI_MEMORY_LIMIT, 2));
}

/* What a guest can write to the slot's registers, and what they say. */
static void test_slot_registers(void)
{
    static const struct {
        const char *json;
        uint32_t capabilities;
        uint16_t writable;      /* of the slot control */
        uint16_t control;       /* at power-on, when it is empty */
    } rows[] = {
        { PORT,
          PCI_EXP_SLTCAP_ABP | PCI_EXP_SLTCAP_PCP | PCI_EXP_SLTCAP_AIP |
          PCI_EXP_SLTCAP_PIP | PCI_EXP_SLTCAP_HPS | PCI_EXP_SLTCAP_HPC,
          PCI_EXP_SLTCTL_ABPE | PCI_EXP_SLTCTL_PDCE | PCI_EXP_SLTCTL_CCIE |
          PCI_EXP_SLTCTL_HPIE | PCI_EXP_SLTCTL_AIC | PCI_EXP_SLTCTL_PIC |
          PCI_EXP_SLTCTL_PCC | PCI_EXP_SLTCTL_DLLSCE,
          PCI_EXP_SLTCTL_ATTN_IND_OFF | PCI_EXP_SLTCTL_PWR_IND_OFF |
          PCI_EXP_SLTCTL_PCC },
        { "{'driver': 'pcie-root-port', 'hotplug': false}", PCI_EXP_SLTCAP_NCCS,
          PCI_EXP_SLTCTL_PDCE | PCI_EXP_SLTCTL_CCIE | PCI_EXP_SLTCTL_HPIE |
          PCI_EXP_SLTCTL_DLLSCE, 0 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_autoptr(KitBoard) kit = kit_board_new();
        KitPci port = kit_pci(kit, kit_add(kit, rows[i].json));
        unsigned cap = kit_pci_find_cap(&port, PCI_CAP_ID_EXP, 0);
        uint32_t capabilities;

        kit_start(kit);
        capabilities = kit_pci_read(&port, cap + PCI_EXP_SLTCAP, 4);
        g_assert_cmphex(capabilities, ==, rows[i].capabilities);
        kit_pci_write(&port, cap + PCI_EXP_SLTCAP, 4, ~capabilities);
        g_assert_cmphex(kit_pci_read(&port, cap + PCI_EXP_SLTCAP, 4), ==, capabilities);
        g_assert_cmphex(kit_pci_read(&port, cap + PCI_EXP_SLTCTL, 2), ==,
                        rows[i].control);
        kit_pci_write(&port, cap + PCI_EXP_SLTCTL, 2, UINT16_MAX);
        g_assert_cmphex(kit_pci_read(&port, cap + PCI_EXP_SLTCTL, 2), ==,
                        rows[i].writable);
        kit_pci_write(&port, cap + PCI_EXP_SLTCTL, 2, 0);
        g_assert_cmphex(kit_pci_read(&port, cap + PCI_EXP_SLTCTL, 2), ==, 0);
        /* All but presence and link are cleared by ones, and set by nobody. */
        kit_pci_write(&port, cap + PCI_EXP_SLTSTA, 2, UINT16_MAX);
        g_assert_cmphex(kit_pci_read(&port, cap + PCI_EXP_SLTSTA, 2), ==, 0);
        kit_pci_write(&port, cap + PCI_EXP_LNKSTA, 2, PCI_EXP_LNKSTA_DLLLA);
        g_assert_cmphex(kit_pci_read(&port, cap + PCI_EXP_LNKSTA, 2) &
                        PCI_EXP_LNKSTA_DLLLA, ==, 0);
    }
}

/* Each event interrupts by its own enable bit and the one for all. */
static void test_each_event_has_its_enable_bit(void)
{
    static const struct {
        uint16_t enable;
        uint16_t event;
    } rows[] = {
        { PCI_EXP_SLTCTL_ABPE, PCI_EXP_SLTSTA_ABP },
        { PCI_EXP_SLTCTL_PDCE, PCI_EXP_SLTSTA_PDC },
        { PCI_EXP_SLTCTL_DLLSCE, PCI_EXP_SLTSTA_DLLSC },
        { PCI_EXP_SLTCTL_CCIE, PCI_EXP_SLTSTA_CC },
    };

    for (size_t i = 0; i < 4 * G_N_ELEMENTS(rows); i++) {
        bool enabled = i & 1, all_enabled = i & 2;
        uint16_t event = rows[i / 4].event, enable = rows[i / 4].enable;
        g_autoptr(KitBoard) kit = kit_board_new();
        KitPci port = kit_pci(kit, kit_add(kit, PORT));
        unsigned cap = kit_pci_find_cap(&port, PCI_CAP_ID_EXP, 0);
        unsigned control = cap + PCI_EXP_SLTCTL, status = cap + PCI_EXP_SLTSTA;
        uint16_t bits = (enabled ? enable : 0) | (all_enabled ? PCI_EXP_SLTCTL_HPIE : 0);

        kit_start(kit);
        kit_pci_write(&port, control, 2, bits);
        if (event != PCI_EXP_SLTSTA_CC)
            kit_pci_write(&port, status, 2, UINT16_MAX);
        if (event == PCI_EXP_SLTSTA_ABP)
            g_assert_true(hotplug_remove(kit_add(kit, RNG_BELOW), NULL));
        else if (event != PCI_EXP_SLTSTA_CC)
            kit_add(kit, RNG_BELOW);
        g_assert_cmphex(kit_pci_read(&port, status, 2) & event, ==, event);
        g_assert_true(kit->irq_levels[1] == (enabled && all_enabled));
        kit_pci_write(&port, status, 2, event);
        g_assert_cmphex(kit_pci_read(&port, status, 2) & event, ==, 0);
        g_assert_false(kit->irq_levels[1]);
    }
}

static void test_plugging_at_run_time_interrupts(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    KitPci port = kit_pci(kit, kit_add(kit, PORT));
    unsigned cap = kit_pci_find_cap(&port, PCI_CAP_ID_EXP, 0);
    Device *dev;

    kit_start(kit);
    kit_msix_enable(&port, true);
    kit_msix_program(&port, 0, MESSAGE);
    kit_pci_write(&port, cap + PCI_EXP_SLTCTL, 2,
                  PCI_EXP_SLTCTL_PDCE | PCI_EXP_SLTCTL_HPIE);
    kit_pci_write(&port, cap + PCI_EXP_SLTSTA, 2, PCI_EXP_SLTSTA_CC);

    dev = kit_add(kit, RNG_BELOW);

    g_assert_cmpuint(kit_msix_count(kit, MESSAGE), ==, 1);
    g_assert_cmphex(kit_pci_read(&port, cap + PCI_EXP_SLTSTA, 2), ==,
                    PCI_EXP_SLTSTA_PDS | PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_DLLSC);
    kit_pci_write(&port, cap + PCI_EXP_SLTSTA, 2,
                  PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_DLLSC);
    g_assert_cmphex(kit_pci_read(&port, cap + PCI_EXP_SLTSTA, 2), ==, PCI_EXP_SLTSTA_PDS);
    device_remove(dev);
    g_assert_cmpuint(kit_msix_count(kit, MESSAGE), ==, 2);
    g_assert_cmphex(kit_pci_read(&port, cap + PCI_EXP_SLTSTA, 2), ==,
                    PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_DLLSC);
}

static void test_slot_interrupt_by_pin_until_acknowledged(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    KitPci port = kit_pci(kit, kit_add(kit, PORT));
    unsigned cap = kit_pci_find_cap(&port, PCI_CAP_ID_EXP, 0);

    kit_start(kit);
    kit_pci_write(&port, cap + PCI_EXP_SLTCTL, 2,
                  PCI_EXP_SLTCTL_DLLSCE | PCI_EXP_SLTCTL_HPIE);
    kit_add(kit, RNG_BELOW);
    g_assert_true(kit->irq_levels[1]);

    kit_pci_write(&port, cap + PCI_EXP_SLTSTA, 2, PCI_EXP_SLTSTA_DLLSC);

    g_assert_false(kit->irq_levels[1]);
}

static void test_secondary_bus_reset(void)
{
    Fixture f;

    fixture_start(&f);
    g_assert_cmphex(kit_pci_bar(&f.rng, 4), !=, 0);

    kit_pci_write(&f.port, PCI_BRIDGE_CONTROL, 2, PCI_BRIDGE_CTL_BUS_RESET);

    g_assert_cmphex(kit_pci_bar(&f.rng, 4), ==, 0);
    kit_pci_write(&f.rng, PCI_INTERRUPT_LINE, 1, 5);
    kit_pci_write(&f.port, PCI_BRIDGE_CONTROL, 2, PCI_BRIDGE_CTL_BUS_RESET);
    g_assert_cmpuint(kit_pci_read(&f.rng, PCI_INTERRUPT_LINE, 1), ==, 5);
    kit_pci_write(&f.port, PCI_BRIDGE_CONTROL, 2, 0);
    kit_pci_write(&f.port, PCI_BRIDGE_CONTROL, 2, PCI_BRIDGE_CTL_BUS_RESET);
    g_assert_cmpuint(kit_pci_read(&f.rng, PCI_INTERRUPT_LINE, 1), ==, 0);
    kit_board_free(f.kit);
}

static void test_function_level_reset(void)
{
    unsigned cap;
    Fixture f;

    fixture_start(&f);
    cap = kit_pci_find_cap(&f.rng, PCI_CAP_ID_EXP, 0);

    kit_pci_write(&f.rng, cap + PCI_EXP_DEVCTL, 2, PCI_EXP_DEVCTL_BCR_FLR);

    g_assert_cmphex(kit_pci_bar(&f.rng, 4), ==, 0);
    g_assert_cmphex(kit_pci_read(&f.rng, cap + PCI_EXP_DEVCTL, 2), ==, 0);
    kit_board_free(f.kit);
}

static void test_reserves_make_windows(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    Device *dev = kit_add(kit, "{'driver': 'pcie-root-port', 'io-reserve': 8192,"
                          " 'chassis': 1,"
                          " 'mem-reserve': 5242880, 'pref64-reserve': 1073741824,"
                          " 'bus-reserve': 3}");
    KitPci next = kit_pci(kit, kit_add(kit, PORT)), port = kit_pci(kit, dev);

    kit_start(kit);

    g_assert_cmphex(kit_pci_read(&port, PCI_IO_LIMIT, 1) -
                    kit_pci_read(&port, PCI_IO_BASE, 1), ==, 0x10);
    g_assert_cmphex(kit_pci_read(&port, PCI_MEMORY_LIMIT, 2) -
                    kit_pci_read(&port, PCI_MEMORY_BASE, 2), ==, 0x40);
    g_assert_cmphex(kit_pci_read(&port, PCI_PREF_MEMORY_LIMIT, 2) -
                    kit_pci_read(&port, PCI_PREF_MEMORY_BASE, 2), ==, 0x3ff0);
    g_assert_cmpuint(kit_pci_read(&port, PCI_SUBORDINATE_BUS, 1), ==, 4);
    g_assert_cmpuint(kit_pci_read(&next, PCI_SECONDARY_BUS, 1), ==, 5);
}

/* Firmware has them by a capability, which is there when there is something to tell. */
static void test_firmware_is_told_of_reserves(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    KitPci all = kit_pci(kit, kit_add(kit, "{'driver': 'pcie-root-port', 'chassis': 1,"
                                      " 'io-reserve': 8192, 'mem-reserve': 67108864,"
                                      " 'pref64-reserve': 8589934592,"
                                      " 'bus-reserve': 3}"));
    KitPci some = kit_pci(kit, kit_add(kit, "{'driver': 'pcie-root-port', 'chassis': 2,"
                                       " 'mem-reserve': 1048576}"));
    KitPci none = kit_pci(kit, kit_add(kit, PORT));
    const struct {
        KitPci *port;
        uint32_t words[8];
    } cases[] = {
        { &all, { 0x01200000, 3, 8192, 0, 64 * MIB, UINT32_MAX, 0, 2 } },
        { &some, { 0x01200000, UINT32_MAX, UINT32_MAX, UINT32_MAX, MIB, UINT32_MAX,
                   UINT32_MAX, UINT32_MAX } },
    };

    kit_start(kit);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        unsigned cap = kit_pci_find_cap(cases[i].port, PCI_CAP_ID_VNDR, 0);

        g_assert_cmpuint(cap, >, 0);
        g_assert_cmphex(kit_pci_read(cases[i].port, cap, 4) & 0xffff0000, ==,
                        cases[i].words[0]);
        for (unsigned n = 1; n < 8; n++)
            g_assert_cmphex(kit_pci_read(cases[i].port, cap + 4 * n, 4), ==,
                            cases[i].words[n]);
    }
    g_assert_cmpuint(kit_pci_find_cap(&none, PCI_CAP_ID_VNDR, 0), ==, 0);
}

static void test_faulty_properties_are_refused(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();

    kit_add(kit, PORT);
    kit_assert_refused(kit, "{'driver': 'pcie-root-port', 'chassis': 0, 'slot': 0}",
                       "'chassis'");
    kit_assert_refused(kit, "{'driver': 'pcie-root-port', 'chassis': 1,"
                       " 'io-reserve': 65537}", "'io-reserve'");
    kit_assert_refused(kit, "{'driver': 'pcie-root-port', 'chassis': 1,"
                       " 'mem-reserve': 2147483648}", "'mem-reserve'");
    kit_assert_refused(kit, "{'driver': 'pcie-root-port', 'chassis': 1,"
                       " 'pref64-reserve': 2199023255552}", "'pref64-reserve'");
}

static void test_bus_without_id_gets_a_name(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();

    kit_add(kit, "{'driver': 'pcie-root-port', 'chassis': 1}");
    kit_add(kit, "{'driver': 'pcie-root-port', 'chassis': 2}");

    g_assert_nonnull(device_tree_find_bus(&kit->tree, "pcie.1"));
    g_assert_nonnull(device_tree_find_bus(&kit->tree, "pcie.2"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pcie-port/routing", test_configuration_cycles_follow_bus_numbers);
    g_test_add_func("/pcie-port/windows", test_windows_gate_memory);
    g_test_add_func("/pcie-port/window-of-everything", test_window_of_everything);
    g_test_add_func("/pcie-port/swizzle", test_interrupt_pin_is_swizzled);
    g_test_add_func("/pcie-port/slot", test_slot_shows_what_is_in_it);
    g_test_add_func("/pcie-port/hotplug-off", test_hotplug_off);
    g_test_add_func("/pcie-port/slot-registers", test_slot_registers);
    g_test_add_func("/pcie-port/enable-bits", test_each_event_has_its_enable_bit);
    g_test_add_func("/pcie-port/plug", test_plugging_at_run_time_interrupts);
    g_test_add_func("/pcie-port/plug-pin", test_slot_interrupt_by_pin_until_acknowledged);
    g_test_add_func("/pcie-port/bus-reset", test_secondary_bus_reset);
    g_test_add_func("/pcie-port/flr", test_function_level_reset);
    g_test_add_func("/pcie-port/reserves", test_reserves_make_windows);
    g_test_add_func("/pcie-port/firmware-is-told-of-reserves",
                    test_firmware_is_told_of_reserves);
    g_test_add_func("/pcie-port/faulty", test_faulty_properties_are_refused);
    g_test_add_func("/pcie-port/bus-name", test_bus_without_id_gets_a_name);
    return g_test_run();
}
