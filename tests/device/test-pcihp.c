/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The registers of PCI hot-plug by ACPI: what comes, what is asked for, what is ejected;
 * ports that guests of another mind drive themselves; accesses that make no sense.
 */
#include <string.h>

#include "berth/hotplug.h"
#include "berth/pcihp.h"
#include "berth/x86-layout.h"

#include "kit-pci.h"

#define UP X86_PORT_PCIHP
#define DOWN (X86_PORT_PCIHP + 4)
#define EJECT (X86_PORT_PCIHP + 8)
#define REMOVABLE (X86_PORT_PCIHP + 0xc)
#define SELECT (X86_PORT_PCIHP + 0x10)
#define INDEX (X86_PORT_PCIHP + 0x14)

/* Ports "p0" and "p1", of which a guest without a driver for them knows by ACPI. */
typedef struct Fixture {
    KitBoard *kit;
    IrqLine gpe;
    unsigned n_events;
} Fixture;

static void on_gpe(void *opaque, unsigned n, bool level)
{
    Fixture *f = opaque;

    f->n_events += level;
}

static void fixture_init(Fixture *f)
{
    uint8_t ports[PCIHP_MAX_SLOTS];
    Device *hp;

    *f = (Fixture) { .kit = kit_board_new() };
    irq_line_init(&f->gpe, on_gpe, f, X86_GPE_PCI_HOTPLUG);
    f->kit->board.gpes[X86_GPE_PCI_HOTPLUG] = &f->gpe;
    kit_add(f->kit, "{'driver': 'pcie-root-port', 'id': 'p0', 'chassis': 1,"
            " 'addr': '4'}");
    kit_add(f->kit, "{'driver': 'pcie-root-port', 'id': 'fixed', 'chassis': 2,"
            " 'addr': '5', 'hotplug': false}");
    kit_add(f->kit, "{'driver': 'pcie-root-port', 'id': 'p1', 'chassis': 3,"
            " 'addr': '6.1'}");
    hp = pcihp_add(&f->kit->tree, NULL);
    g_assert_nonnull(hp);
    g_assert_cmpuint(pcihp_take_slots(hp, ports), ==, 2);
    g_assert_cmphex(ports[0], ==, 0x20);
    g_assert_cmphex(ports[1], ==, 0x31);
    kit_start(f->kit);
}

static uint32_t of_bus(Fixture *f, unsigned bus, uint16_t port)
{
    kit_out(f->kit, SELECT, 4, bus);
    return kit_in(f->kit, port, 4);
}

static void eject(Fixture *f, unsigned bus)
{
    kit_out(f->kit, SELECT, 4, bus);
    kit_out(f->kit, EJECT, 4, 1);
    loop_turn(f->kit->loop, false);
}

static Device *add_rng(Fixture *f, const char *bus)
{
    g_autofree char *json = g_strdup_printf("{'driver': 'virtio-rng-pci', 'id': 'rng',"
                                            " 'bus': '%s'}", bus);

    return kit_add(f->kit, json);
}

static void test_device_comes(void)
{
    Fixture f;

    fixture_init(&f);
    g_assert_cmphex(of_bus(&f, 0, UP) | of_bus(&f, 1, UP), ==, 0);
    add_rng(&f, "p1");
    g_assert_cmpuint(f.n_events, ==, 1);
    g_assert_cmphex(of_bus(&f, 0, UP), ==, 0);
    g_assert_cmphex(of_bus(&f, 1, UP), ==, 1);
    g_assert_cmphex(of_bus(&f, 1, UP), ==, 0);
    g_assert_cmphex(of_bus(&f, 1, DOWN), ==, 0);
    kit_board_free(f.kit);
}

static void test_guest_lets_go(void)
{
    Device *rng;
    Fixture f;

    fixture_init(&f);
    rng = add_rng(&f, "p1");
    g_assert_true(hotplug_remove(rng, NULL));
    g_assert_cmpuint(f.n_events, ==, 2);
    g_assert_cmphex(of_bus(&f, 0, DOWN), ==, 0);
    g_assert_cmphex(of_bus(&f, 1, DOWN), ==, 1);
    /* Asked again, it looks again. */
    g_assert_true(hotplug_remove(rng, NULL));
    g_assert_cmpuint(f.n_events, ==, 3);
    g_assert_cmphex(of_bus(&f, 1, DOWN), ==, 1);
    eject(&f, 0);
    g_assert_cmpstr(f.kit->removals->str, ==, "");
    eject(&f, 1);
    g_assert_cmpstr(f.kit->removals->str, ==, "rng-");
    g_assert_cmphex(of_bus(&f, 1, DOWN), ==, 0);
    add_rng(&f, "p1");
    kit_board_free(f.kit);
}

static void test_device_that_went_is_not_told_of(void)
{
    Fixture f;

    fixture_init(&f);
    g_assert_true(hotplug_force(add_rng(&f, "p0"), NULL));
    g_assert_cmphex(of_bus(&f, 0, UP), ==, 0);
    g_assert_cmpstr(f.kit->removals->str, ==, "rng-");
    kit_board_free(f.kit);
}

static void test_guest_that_drives_the_port(void)
{
    unsigned cap;
    Device *rng;
    KitPci port;
    Fixture f;

    fixture_init(&f);
    rng = add_rng(&f, "p0");
    port = kit_pci(f.kit, device_find(&f.kit->tree, "p0"));
    cap = kit_pci_find_cap(&port, PCI_CAP_ID_EXP, 0);
    kit_pci_write(&port, cap + PCI_EXP_SLTCTL, 2, PCI_EXP_SLTCTL_HPIE |
                  PCI_EXP_SLTCTL_ABPE | PCI_EXP_SLTCTL_PWR_IND_ON);
    g_assert_true(hotplug_remove(rng, NULL));
    g_assert_cmphex(kit_pci_read(&port, cap + PCI_EXP_SLTSTA, 2) & PCI_EXP_SLTSTA_ABP, !=,
                    0);
    g_assert_cmphex(of_bus(&f, 0, DOWN), ==, 0);
    kit_board_free(f.kit);
}

static void test_senseless_accesses(void)
{
    static const uint32_t values[] = { 0, 1, 2, 3, 0xffffffff };
    Fixture f;

    fixture_init(&f);
    add_rng(&f, "p0");
    for (size_t i = 0; i < G_N_ELEMENTS(values); i++) {
        for (unsigned offset = 0; offset < X86_PORT_PCIHP_SIZE; offset++) {
            for (unsigned size = 1; size <= 4; size *= 2) {
                kit_in(f.kit, UP + offset, size);
                if (offset / 4 != 2)
                    kit_out(f.kit, UP + offset, size, values[i]);
            }
        }
        kit_out(f.kit, SELECT, 4, values[i]);
        kit_out(f.kit, EJECT, 4, 0xfffffffe);
        if (values[i])
            eject(&f, values[i]);
    }
    g_assert_cmphex(of_bus(&f, 1, REMOVABLE), ==, 1);
    g_assert_cmphex(of_bus(&f, 2, REMOVABLE), ==, 0);
    g_assert_cmpstr(f.kit->removals->str, ==, "");
    eject(&f, 0);
    g_assert_cmpstr(f.kit->removals->str, ==, "rng-");
    kit_board_free(f.kit);
}

static uint32_t index_of(Fixture *f, unsigned bus, uint32_t slots)
{
    kit_out(f->kit, SELECT, 4, bus);
    kit_out(f->kit, INDEX, 4, slots);
    return kit_in(f->kit, INDEX, 4);
}

static void test_index_of_a_network_device(void)
{
    Fixture f;

    fixture_init(&f);
    kit_add_netdev(f.kit, "{'type': 'null', 'id': 'n'}");
    kit_add_netdev(f.kit, "{'type': 'null', 'id': 'm'}");
    kit_add(f.kit, "{'driver': 'virtio-net-pci', 'id': 'nic', 'netdev': 'n', 'bus': 'p1',"
            " 'acpi-index': 5}");
    g_assert_cmpuint(index_of(&f, 1, 1), ==, 5);
    g_assert_cmpuint(index_of(&f, 1, 0xfffffffe), ==, 0);
    g_assert_cmpuint(index_of(&f, 0, 1), ==, 0);
    g_assert_cmpuint(index_of(&f, 2, 1), ==, 0);
    g_assert_cmpuint(index_of(&f, 0xffffffff, 1), ==, 0);
    kit_save_and_load(f.kit);
    g_assert_cmpuint(index_of(&f, 1, 1), ==, 5);

    kit_assert_refused(f.kit, "{'driver': 'virtio-net-pci', 'netdev': 'm', 'bus': 'p0',"
                       " 'acpi-index': 5}", "'nic' has 5 already");
    kit_assert_refused(f.kit, "{'driver': 'virtio-net-pci', 'netdev': 'm', 'bus': 'p0',"
                       " 'addr': '0.1', 'acpi-index': 6}", "tells the guest nothing");
    kit_assert_refused(f.kit, "{'driver': 'virtio-net-pci', 'netdev': 'm', 'bus':"
                       " 'fixed', 'acpi-index': 6}", "tells the guest nothing");
    kit_assert_refused(f.kit, "{'driver': 'virtio-rng-pci', 'bus': 'p0',"
                       " 'acpi-index': 6}", "network devices only");
    eject(&f, 1);
    g_assert_cmpuint(index_of(&f, 1, 1), ==, 0);
    kit_add(f.kit, "{'driver': 'virtio-net-pci', 'netdev': 'm', 'bus': 'p0',"
            " 'acpi-index': 5}");
    g_assert_cmpuint(index_of(&f, 0, 1), ==, 5);
    kit_board_free(f.kit);
}

static void test_saved_and_reset(void)
{
    Fixture f;

    fixture_init(&f);
    g_assert_true(hotplug_remove(add_rng(&f, "p1"), NULL));
    kit_save_and_load(f.kit);
    g_assert_cmphex(of_bus(&f, 1, UP), ==, 1);
    g_assert_cmphex(of_bus(&f, 1, DOWN), ==, 1);
    device_tree_pause(&f.kit->tree);
    kit_start(f.kit);
    g_assert_cmpstr(f.kit->removals->str, ==, "rng-");
    g_assert_cmphex(of_bus(&f, 1, UP) | of_bus(&f, 1, DOWN), ==, 0);
    kit_board_free(f.kit);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pcihp/comes", test_device_comes);
    g_test_add_func("/pcihp/lets-go", test_guest_lets_go);
    g_test_add_func("/pcihp/went", test_device_that_went_is_not_told_of);
    g_test_add_func("/pcihp/driven-port", test_guest_that_drives_the_port);
    g_test_add_func("/pcihp/senseless", test_senseless_accesses);
    g_test_add_func("/pcihp/index", test_index_of_a_network_device);
    g_test_add_func("/pcihp/saved", test_saved_and_reset);
    return g_test_run();
}
