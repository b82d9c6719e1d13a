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
/* Numbers of buses. */
#define P0 0u
#define FIXED 1u
#define P1 2u
#define CONV 3u
#define DEEP 4u
#define EMPTY 5u

/*
 * Ports "p0" and "p1", of which a guest without a driver for them knows by ACPI; below
 * port "fixed", bridge "conv", and on that, bridge "deep" in slot 2; an "empty" port
 * without hot-plug.
 */
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
    static const PciSlotsBus expected[] = {
        [P0] = { -1, 0x20, 1 }, [FIXED] = { -1, 0x28, 0 }, [P1] = { -1, 0x31, 1 },
        [CONV] = { FIXED, 0, 32 }, [DEEP] = { CONV, 0x10, 32 }, [EMPTY] = { -1, 0x38, 0 },
    };
    PciSlotsBus buses[PCIHP_MAX_BUSES];
    Device *hp;

    *f = (Fixture) { .kit = kit_board_new() };
    irq_line_init(&f->gpe, on_gpe, f, X86_GPE_PCI_HOTPLUG);
    f->kit->board.gpes[X86_GPE_PCI_HOTPLUG] = &f->gpe;
    hp = pcihp_add(&f->kit->tree, NULL);
    g_assert_nonnull(hp);
    kit_add(f->kit, "{'driver': 'pcie-root-port', 'id': 'p0', 'chassis': 1,"
            " 'addr': '4'}");
    kit_add(f->kit, "{'driver': 'pcie-root-port', 'id': 'fixed', 'chassis': 2,"
            " 'addr': '5', 'hotplug': false}");
    kit_add(f->kit, "{'driver': 'pcie-root-port', 'id': 'p1', 'chassis': 3,"
            " 'addr': '6.1'}");
    kit_add(f->kit, "{'driver': 'pcie-pci-bridge', 'id': 'conv', 'bus': 'fixed'}");
    kit_add(f->kit, "{'driver': 'pci-bridge', 'id': 'deep', 'bus': 'conv', 'addr': '2',"
            " 'chassis_nr': 7}");
    kit_add(f->kit, "{'driver': 'pcie-root-port', 'id': 'empty', 'chassis': 4,"
            " 'addr': '7', 'hotplug': false}");
    g_assert_cmpuint(pcihp_take_slots(hp, buses), ==, G_N_ELEMENTS(expected));
    for (size_t i = 0; i < G_N_ELEMENTS(expected); i++) {
        g_assert_cmpint(buses[i].parent, ==, expected[i].parent);
        g_assert_cmphex(buses[i].devfn, ==, expected[i].devfn);
        g_assert_cmpuint(buses[i].n_slots, ==, expected[i].n_slots);
    }
    kit_start(f->kit);
}

static uint32_t of_bus(Fixture *f, unsigned bus, uint16_t port)
{
    kit_out(f->kit, SELECT, 4, bus);
    return kit_in(f->kit, port, 4);
}

static void eject_slots(Fixture *f, unsigned bus, uint32_t slots)
{
    kit_out(f->kit, SELECT, 4, bus);
    kit_out(f->kit, EJECT, 4, slots);
    loop_turn(f->kit->loop, false);
}

static void eject(Fixture *f, unsigned bus)
{
    eject_slots(f, bus, 1);
}

static Device *add_rng(Fixture *f, const char *bus)
{
    g_autofree char *json = g_strdup_printf("{'driver': 'virtio-rng-pci', 'id': 'rng',"
                                            " 'bus': '%s'}", bus);

    return kit_add(f->kit, json);
}

/* A guest that boots throws the event away; one that has looked is left in peace. */
static void test_guest_that_has_not_looked_is_reminded(void)
{
    int64_t end_ns = loop_clock_ns() + 20 * NS_PER_SEC;
    Fixture f;

    fixture_init(&f);
    kit_add(f.kit, "{'driver': 'virtio-rng-pci', 'id': 'rng', 'bus': 'p1',"
            " 'x-unplug-timeout': 0}");
    of_bus(&f, P1, UP);
    g_assert_true(hotplug_remove(device_find(&f.kit->tree, "rng"), NULL));
    g_assert_cmpuint(f.n_events, ==, 2);
    while (f.n_events < 3 && loop_clock_ns() < end_ns)
        loop_turn(f.kit->loop, true);
    g_assert_cmpuint(f.n_events, ==, 3);
    g_assert_cmphex(of_bus(&f, P1, DOWN), ==, 1);
    while (loop_has_timer(f.kit->loop) && loop_clock_ns() < end_ns)
        loop_turn(f.kit->loop, true);
    g_assert_false(loop_has_timer(f.kit->loop));
    g_assert_cmpuint(f.n_events, ==, 3);
    eject(&f, P1);
    g_assert_cmpstr(f.kit->removals->str, ==, "rng-");
    kit_board_free(f.kit);
}

static void test_device_comes(void)
{
    Fixture f;

    fixture_init(&f);
    g_assert_cmphex(of_bus(&f, P0, UP) | of_bus(&f, P1, UP), ==, 0);
    add_rng(&f, "p1");
    g_assert_cmpuint(f.n_events, ==, 1);
    g_assert_cmphex(of_bus(&f, P0, UP), ==, 0);
    g_assert_cmphex(of_bus(&f, P1, UP), ==, 1);
    g_assert_cmphex(of_bus(&f, P1, UP), ==, 0);
    g_assert_cmphex(of_bus(&f, P1, DOWN), ==, 0);
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
    g_assert_cmphex(of_bus(&f, P0, DOWN), ==, 0);
    g_assert_cmphex(of_bus(&f, P1, DOWN), ==, 1);
    /* Asked again, it looks again. */
    g_assert_true(hotplug_remove(rng, NULL));
    g_assert_cmpuint(f.n_events, ==, 3);
    g_assert_cmphex(of_bus(&f, P1, DOWN), ==, 1);
    eject(&f, P0);
    g_assert_cmpstr(f.kit->removals->str, ==, "");
    eject(&f, P1);
    g_assert_cmpstr(f.kit->removals->str, ==, "rng-");
    g_assert_cmphex(of_bus(&f, P1, DOWN), ==, 0);
    add_rng(&f, "p1");
    kit_board_free(f.kit);
}

/* What the guest has not seen before it sleeps it sees when it wakes. */
static void test_suspend_keeps_what_came_and_is_asked_for(void)
{
    Device *rng;
    Fixture f;

    fixture_init(&f);
    rng = add_rng(&f, "p1");
    g_assert_true(hotplug_remove(rng, NULL));
    kit_out(f.kit, SELECT, 4, P1);
    device_tree_pause(&f.kit->tree);
    device_tree_suspend(&f.kit->tree);
    device_tree_resume(&f.kit->tree);
    g_assert_cmphex(kit_in(f.kit, SELECT, 4), ==, P0);
    g_assert_cmphex(of_bus(&f, P1, UP), ==, 1);
    g_assert_cmphex(of_bus(&f, P1, DOWN), ==, 1);
    eject(&f, P1);
    g_assert_cmpstr(f.kit->removals->str, ==, "rng-");
    kit_board_free(f.kit);
}

/* What was asked of the one that went is not done to the one that came after it. */
static void test_an_ejection_is_of_what_was_there(void)
{
    Fixture f;

    fixture_init(&f);
    add_rng(&f, "p1");
    kit_out(f.kit, SELECT, 4, P1);
    kit_out(f.kit, EJECT, 4, 1);
    g_assert_true(hotplug_force(device_find(&f.kit->tree, "rng"), NULL));
    add_rng(&f, "p1");
    loop_turn(f.kit->loop, false);
    g_assert_cmpstr(f.kit->removals->str, ==, "rng-");
    eject(&f, P1);
    g_assert_cmpstr(f.kit->removals->str, ==, "rng- rng-");
    kit_board_free(f.kit);
}

static void test_device_that_went_is_not_told_of(void)
{
    Fixture f;

    fixture_init(&f);
    g_assert_true(hotplug_force(add_rng(&f, "p0"), NULL));
    g_assert_cmphex(of_bus(&f, P0, UP), ==, 0);
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
    g_assert_cmphex(of_bus(&f, P0, DOWN), ==, 0);
    kit_board_free(f.kit);
}

/* It saves the port's registers and restores them, though they are not how it plugs. */
static void test_guest_that_wakes_keeps_what_came(void)
{
    uint32_t control;
    unsigned cap;
    KitPci port;
    Fixture f;

    fixture_init(&f);
    add_rng(&f, "p0");
    port = kit_pci(f.kit, device_find(&f.kit->tree, "p0"));
    cap = kit_pci_find_cap(&port, PCI_CAP_ID_EXP, 0);
    control = kit_pci_read(&port, cap + PCI_EXP_SLTCTL, 2);
    device_tree_pause(&f.kit->tree);
    device_tree_suspend(&f.kit->tree);
    device_tree_resume(&f.kit->tree);

    kit_pci_write(&port, cap + PCI_EXP_SLTCTL, 2, control);
    loop_turn(f.kit->loop, false);

    g_assert_cmpstr(f.kit->removals->str, ==, "");
    g_assert_nonnull(device_find(&f.kit->tree, "rng"));
    kit_board_free(f.kit);
}

static void test_senseless_accesses(void)
{
    static const uint32_t values[] = { 0, 1, 2, 5, 0xffffffff };
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
    g_assert_cmphex(of_bus(&f, P1, REMOVABLE), ==, 1);
    g_assert_cmphex(of_bus(&f, FIXED, REMOVABLE), ==, 0);
    g_assert_cmphex(of_bus(&f, CONV, REMOVABLE), ==, UINT32_MAX);
    g_assert_cmphex(of_bus(&f, EMPTY + 1, REMOVABLE), ==, 0);
    g_assert_cmpstr(f.kit->removals->str, ==, "");
    eject(&f, P0);
    g_assert_cmpstr(f.kit->removals->str, ==, "rng-");
    kit_board_free(f.kit);
}

static void test_registers(void)
{
    static const uint16_t read_only[] = { UP, DOWN, REMOVABLE };
    Fixture f;

    fixture_init(&f);
    g_assert_cmphex(kit_in(f.kit, SELECT, 4), ==, 0);
    g_assert_true(hotplug_remove(add_rng(&f, "p1"), NULL));
    kit_out(f.kit, SELECT, 4, P1);
    g_assert_cmphex(kit_in(f.kit, SELECT, 4), ==, P1);
    for (size_t i = 0; i < G_N_ELEMENTS(read_only); i++) {
        kit_out(f.kit, read_only[i], 4, UINT32_MAX);
        kit_out(f.kit, read_only[i], 4, 0);
    }
    loop_turn(f.kit->loop, false);
    g_assert_cmphex(kit_in(f.kit, DOWN, 4), ==, 1);
    g_assert_cmphex(kit_in(f.kit, DOWN, 4), ==, 1);
    g_assert_cmphex(kit_in(f.kit, UP, 4), ==, 1);
    g_assert_cmphex(kit_in(f.kit, UP, 4), ==, 0);
    g_assert_cmphex(kit_in(f.kit, EJECT, 4), ==, 0);
    g_assert_cmphex(kit_in(f.kit, REMOVABLE, 4), ==, 1);
    kit_out(f.kit, INDEX, 4, 1);
    g_assert_cmphex(kit_in(f.kit, INDEX, 4), ==, 0);
    /* No slot but its own; of other buses there is nothing. */
    kit_out(f.kit, EJECT, 4, 0);
    kit_out(f.kit, EJECT, 4, ~1u);
    loop_turn(f.kit->loop, false);
    g_assert_cmpstr(f.kit->removals->str, ==, "");
    kit_out(f.kit, SELECT, 4, EMPTY + 1);
    g_assert_cmphex(kit_in(f.kit, SELECT, 4), ==, EMPTY + 1);
    for (uint16_t port = UP; port < UP + X86_PORT_PCIHP_SIZE; port += 4) {
        if (port != SELECT)
            g_assert_cmphex(kit_in(f.kit, port, 4), ==, 0);
    }
    /* Twice, before main hears of it; and once more when it is gone. */
    kit_out(f.kit, SELECT, 4, P1);
    kit_out(f.kit, EJECT, 4, 1);
    kit_out(f.kit, EJECT, 4, 1);
    loop_turn(f.kit->loop, false);
    eject(&f, P1);
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
    g_assert_cmpuint(index_of(&f, P1, 1), ==, 5);
    g_assert_cmpuint(index_of(&f, P1, 0xfffffffe), ==, 0);
    g_assert_cmpuint(index_of(&f, P0, 1), ==, 0);
    g_assert_cmpuint(index_of(&f, 9, 1), ==, 0);
    g_assert_cmpuint(index_of(&f, 0xffffffff, 1), ==, 0);
    kit_save_and_load(f.kit);
    g_assert_cmpuint(index_of(&f, P1, 1), ==, 5);

    kit_assert_refused(f.kit, "{'driver': 'virtio-net-pci', 'netdev': 'm', 'bus': 'p0',"
                       " 'acpi-index': 5}", "'nic' has 5 already");
    kit_assert_refused(f.kit, "{'driver': 'virtio-net-pci', 'netdev': 'm', 'bus': 'p0',"
                       " 'addr': '0.1', 'acpi-index': 6}", "tells the guest nothing");
    kit_assert_refused(f.kit, "{'driver': 'virtio-net-pci', 'netdev': 'm', 'bus':"
                       " 'empty', 'acpi-index': 6}", "tells the guest nothing");
    kit_assert_refused(f.kit, "{'driver': 'virtio-rng-pci', 'bus': 'p0',"
                       " 'acpi-index': 6}", "network devices only");
    eject(&f, P1);
    g_assert_cmpuint(index_of(&f, P1, 1), ==, 0);
    kit_add(f.kit, "{'driver': 'virtio-net-pci', 'netdev': 'm', 'bus': 'p0',"
            " 'acpi-index': 5}");
    g_assert_cmpuint(index_of(&f, P0, 1), ==, 5);
    kit_board_free(f.kit);
}

static void test_saved_and_reset(void)
{
    Fixture f;

    fixture_init(&f);
    g_assert_true(hotplug_remove(add_rng(&f, "p1"), NULL));
    kit_save_and_load(f.kit);
    g_assert_cmphex(of_bus(&f, P1, UP), ==, 1);
    g_assert_cmphex(of_bus(&f, P1, DOWN), ==, 1);
    device_tree_pause(&f.kit->tree);
    kit_start(f.kit);
    g_assert_cmpstr(f.kit->removals->str, ==, "rng-");
    g_assert_cmphex(of_bus(&f, P1, UP) | of_bus(&f, P1, DOWN), ==, 0);
    kit_board_free(f.kit);
}

/* As a client's device_add; with @words it is refused by an error that has them. */
static Device *plug(Fixture *f, const char *json, const char *words)
{
    g_autoptr(DeviceAddArgs) args =
        qapi_parse_json(QAPI_TYPE_DEVICE_ADD_ARGS, json, NULL);
    g_autoptr(GError) error = NULL;
    Device *dev = hotplug_add(&f->kit->tree, args, &error);

    g_assert_true(!dev == !!words);
    if (words && !strstr(error->message, words))
        g_error("'%s' is not in '%s'", words, error->message);
    return dev;
}

static void test_slots_of_a_bridge(void)
{
    Device *high, *low;
    Fixture f;

    fixture_init(&f);
    high = kit_add(f.kit, "{'driver': 'virtio-rng-pci', 'id': 'high', 'bus': 'conv',"
                   " 'addr': '1f'}");
    low = kit_add(f.kit, "{'driver': 'virtio-rng-pci', 'id': 'low', 'bus': 'conv'}");
    g_assert_cmpuint(pci_device(low)->devfn, ==, 0);
    g_assert_cmpuint(f.n_events, ==, 2);
    g_assert_cmphex(of_bus(&f, CONV, UP), ==, 0x80000001);
    g_assert_cmphex(of_bus(&f, CONV, UP), ==, 0);
    g_assert_true(hotplug_remove(high, NULL));
    g_assert_true(hotplug_remove(low, NULL));
    g_assert_cmphex(of_bus(&f, CONV, DOWN), ==, 0x80000001);
    g_assert_cmphex(of_bus(&f, DEEP, DOWN) | of_bus(&f, P0, DOWN), ==, 0);
    eject_slots(&f, CONV, 0x80000000);
    g_assert_cmpstr(f.kit->removals->str, ==, "high-");
    g_assert_cmphex(of_bus(&f, CONV, DOWN), ==, 1);
    /* Empty slots and the one that is asked for. */
    eject_slots(&f, CONV, 0xff000001);
    g_assert_cmpstr(f.kit->removals->str, ==, "high- low-");
    kit_board_free(f.kit);
}

static void test_functions_of_a_slot_of_a_bridge(void)
{
    Device *two;
    Fixture f;

    fixture_init(&f);
    two = kit_add(f.kit, "{'driver': 'virtio-rng-pci', 'id': 'two', 'bus': 'conv',"
                  " 'addr': '3.2'}");
    g_assert_cmphex(of_bus(&f, CONV, UP), ==, 0);
    kit_add(f.kit, "{'driver': 'virtio-rng-pci', 'id': 'zero', 'bus': 'conv',"
            " 'addr': '3', 'multifunction': true}");
    g_assert_cmphex(of_bus(&f, CONV, UP), ==, 8);
    g_assert_true(hotplug_remove(two, NULL));
    eject_slots(&f, CONV, 8);
    g_assert_cmpstr(f.kit->removals->str, ==, "two- zero-");
    kit_board_free(f.kit);
}

static void test_bridge_that_goes_takes_its_slots(void)
{
    Device *rng;
    Fixture f;

    fixture_init(&f);
    rng = add_rng(&f, "deep");
    g_assert_true(hotplug_remove(rng, NULL));
    g_assert_cmphex(of_bus(&f, DEEP, DOWN), ==, 1);
    g_assert_true(hotplug_remove(device_find(&f.kit->tree, "deep"), NULL));
    g_assert_cmphex(of_bus(&f, CONV, DOWN), ==, 4);
    kit_out(f.kit, SELECT, 4, DEEP);
    kit_out(f.kit, EJECT, 4, 1);
    eject_slots(&f, CONV, 4);
    g_assert_cmpstr(f.kit->removals->str, ==, "rng- deep-");
    g_assert_cmphex(of_bus(&f, DEEP, REMOVABLE), ==, 0);
    eject_slots(&f, DEEP, UINT32_MAX);

    /* One that comes is told of; what would come behind it nobody would tell of. */
    kit_add(f.kit, "{'driver': 'pci-bridge', 'id': 'new', 'bus': 'conv', 'addr': '2',"
            " 'chassis_nr': 8}");
    g_assert_cmphex(of_bus(&f, CONV, UP), ==, 4);
    plug(&f, "{'driver': 'virtio-rng-pci', 'bus': 'new'}",
         "'new' takes no devices after the start");
    kit_save_and_load(f.kit);
    kit_board_free(f.kit);
}

static void test_bridges_take_what_names_them(void)
{
    Fixture f;

    fixture_init(&f);
    plug(&f, "{'driver': 'virtio-rng-pci', 'bus': 'p0'}", NULL);
    g_assert_cmpstr(plug(&f, "{'driver': 'virtio-rng-pci'}", NULL)->bus->name, ==, "p1");
    plug(&f, "{'driver': 'virtio-rng-pci'}", "pcie-root-port");
    for (unsigned i = 0; i < 31; i++)
        plug(&f, "{'driver': 'virtio-rng-pci', 'bus': 'conv'}", NULL);
    plug(&f, "{'driver': 'virtio-rng-pci', 'bus': 'conv'}", "no free slot on 'conv'");
    kit_board_free(f.kit);
}

/* A bridge that came, one that it took the place of, and what came behind another. */
static void add_bridges(Fixture *f)
{
    g_assert_true(hotplug_force(device_find(&f->kit->tree, "deep"), NULL));
    plug(f, "{'driver': 'pci-bridge', 'id': 'new', 'bus': 'conv', 'addr': '2',"
         " 'chassis_nr': 8}", NULL);
    g_assert_true(hotplug_remove(plug(f, "{'driver': 'virtio-rng-pci', 'id': 'behind',"
                                      " 'bus': 'conv', 'addr': '5'}", NULL), NULL));
}

static void test_state_after_a_bridge_came(void)
{
    g_autoptr(GByteArray) saved = NULL, again = NULL;
    g_autoptr(GError) error = NULL;
    Fixture from, to;

    fixture_init(&from);
    fixture_init(&to);
    add_bridges(&from);
    add_bridges(&to);
    g_assert_cmphex(of_bus(&to, CONV, UP), ==, 0x24);
    kit_out(to.kit, SELECT, 4, 0);
    device_tree_pause(&from.kit->tree);
    device_tree_pause(&to.kit->tree);
    saved = kit_save(from.kit);

    g_assert_true(device_tree_load(&to.kit->tree, saved->data, saved->len, &error));

    again = kit_save(to.kit);
    g_assert_cmpmem(saved->data, saved->len, again->data, again->len);
    device_tree_resume(&to.kit->tree);
    g_assert_cmphex(of_bus(&to, CONV, UP), ==, 0x24);
    g_assert_cmphex(of_bus(&to, CONV, DOWN), ==, 0x20);
    eject_slots(&to, CONV, 0x24);
    g_assert_cmpstr(to.kit->removals->str, ==, "deep- new- behind-");
    kit_board_free(from.kit);
    kit_board_free(to.kit);
}

/* Every byte of it wrong, and all that a guest can do with what was taken. */
static void test_any_state(void)
{
    static const uint8_t values[] = { 0, 1, 0x7f, 0x80, 0xff };
    g_autoptr(GByteArray) saved = NULL;
    unsigned n_taken = 0;
    Fixture f;

    fixture_init(&f);
    add_bridges(&f);
    add_rng(&f, "p1");
    device_tree_pause(&f.kit->tree);
    saved = kit_save(f.kit);
    for (guint i = 0; i < saved->len * G_N_ELEMENTS(values); i++) {
        uint8_t *byte = &saved->data[i / G_N_ELEMENTS(values)];
        uint8_t right = *byte;

        *byte = values[i % G_N_ELEMENTS(values)];
        n_taken += device_tree_load(&f.kit->tree, saved->data, saved->len, NULL);
        *byte = right;
        for (uint16_t port = UP; port < UP + X86_PORT_PCIHP_SIZE; port += 4)
            kit_in(f.kit, port, 4);
    }
    g_assert_cmpuint(n_taken, >, 0);
    for (guint size = 0; size < saved->len; size++)
        g_assert_false(device_tree_load(&f.kit->tree, saved->data, size, NULL));
    g_assert_true(device_tree_load(&f.kit->tree, saved->data, saved->len, NULL));
    device_tree_resume(&f.kit->tree);
    for (unsigned bus = 0; bus <= EMPTY; bus++)
        eject_slots(&f, bus, UINT32_MAX);
    g_assert_cmpstr(f.kit->removals->str, ==, "deep- rng- new- behind-");
    kit_board_free(f.kit);
}

static void test_state_with_slots_that_are_not_there(void)
{
    g_autoptr(GByteArray) saved = NULL;
    g_autoptr(GError) error = NULL;
    uint8_t *fixed;
    Fixture f;

    fixture_init(&f);
    device_tree_pause(&f.kit->tree);
    saved = kit_save(f.kit);
    fixed = memmem(saved->data, saved->len, "\5slots", 6);
    g_assert_nonnull(fixed);
    for (unsigned i = 0; i < FIXED; i++)
        fixed = memmem(fixed + 6, 32, "\5slots", 6);
    /* A version, those that came and those that are to go, big-endian. */
    fixed[6 + 4 + 4 + 3] = 2;
    g_assert_false(device_tree_load(&f.kit->tree, saved->data, saved->len, &error));
    g_assert_nonnull(strstr(error->message, "bus 1 has no slots 0x2"));
    kit_board_free(f.kit);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/pcihp/guest-that-has-not-looked-is-reminded",
                    test_guest_that_has_not_looked_is_reminded);
    g_test_add_func("/pcihp/comes", test_device_comes);
    g_test_add_func("/pcihp/lets-go", test_guest_lets_go);
    g_test_add_func("/pcihp/asleep", test_suspend_keeps_what_came_and_is_asked_for);
    g_test_add_func("/pcihp/an-ejection-is-of-what-was-there",
                    test_an_ejection_is_of_what_was_there);
    g_test_add_func("/pcihp/went", test_device_that_went_is_not_told_of);
    g_test_add_func("/pcihp/kept-by-a-guest-that-wakes",
                    test_guest_that_wakes_keeps_what_came);
    g_test_add_func("/pcihp/driven-port", test_guest_that_drives_the_port);
    g_test_add_func("/pcihp/registers", test_registers);
    g_test_add_func("/pcihp/senseless", test_senseless_accesses);
    g_test_add_func("/pcihp/index", test_index_of_a_network_device);
    g_test_add_func("/pcihp/saved", test_saved_and_reset);
    g_test_add_func("/pcihp/bridge", test_slots_of_a_bridge);
    g_test_add_func("/pcihp/bridge-functions", test_functions_of_a_slot_of_a_bridge);
    g_test_add_func("/pcihp/bridge-goes", test_bridge_that_goes_takes_its_slots);
    g_test_add_func("/pcihp/bridge-named", test_bridges_take_what_names_them);
    g_test_add_func("/pcihp/state-after-a-bridge-came", test_state_after_a_bridge_came);
    g_test_add_func("/pcihp/any-state", test_any_state);
    g_test_add_func("/pcihp/hostile-state", test_state_with_slots_that_are_not_there);
    return g_test_run();
}
