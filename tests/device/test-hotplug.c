/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices that come and go: what a client says, what the slot of a port shows its guest,
 * and how each request to let a device go ends.  The test is the client and the guest.
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <string.h>

#include "berth/hotplug.h"
#include "berth/inject.h"
#include "berth/thread.h"
#include "berth/vm-fake.h"

#include "kit-blk.h"
#include "kit-pci.h"
#include "kit-qmp.h"

#define RNG "{'driver': 'virtio-rng-pci', 'id': 'rng', 'bus': 'port'}"
#define DEL_RNG "{'id': 'rng'}"
#define MESSAGE 0x50u
#define ENABLED                                                                          \
    (PCI_EXP_SLTCTL_HPIE | PCI_EXP_SLTCTL_ABPE | PCI_EXP_SLTCTL_PDCE |                   \
     PCI_EXP_SLTCTL_DLLSCE)
#define SEEN_ALL 0x11fu

/* A port with a guest that has its driver up. */
typedef struct Fixture {
    KitBoard *kit;
    KitQmp *qmp;
    KitPci port;
    unsigned cap;
} Fixture;

static void fixture_init(Fixture *f)
{
    Device *port;

    f->kit = kit_board_new();
    port = kit_add(f->kit, "{'driver': 'pcie-root-port', 'id': 'port'}");
    f->port = kit_pci(f->kit, port);
    f->qmp = kit_qmp_new(f->kit);
    f->cap = kit_pci_find_cap(&f->port, PCI_CAP_ID_EXP, 0);
    kit_start(f->kit);
}

static void fixture_done(Fixture *f)
{
    kit_qmp_free(f->qmp);
    kit_board_free(f->kit);
}

static void set_control(Fixture *f, uint32_t value)
{
    kit_pci_write(&f->port, f->cap + PCI_EXP_SLTCTL, 2, value);
    /* What the guest does posts to main. */
    loop_turn(f->kit->loop, false);
}

static uint32_t status(Fixture *f)
{
    return kit_pci_read(&f->port, f->cap + PCI_EXP_SLTSTA, 2);
}

static void clear_status(Fixture *f)
{
    kit_pci_write(&f->port, f->cap + PCI_EXP_SLTSTA, 2, SEEN_ALL);
}

/* The guest's driver comes up, and gives the slot power when there is something in it. */
static void start_driver(Fixture *f)
{
    kit_msix_enable(&f->port, true);
    kit_msix_program(&f->port, 0, MESSAGE);
    clear_status(f);
    set_control(f, ENABLED | PCI_EXP_SLTCTL_PWR_IND_ON);
    clear_status(f);
}

/* With a device in the slot that came, and a guest that drives the port. */
static void fixture_init_driven(Fixture *f)
{
    fixture_init(f);
    kit_qmp_do(f->qmp, "device_add", RNG);
    start_driver(f);
}

static void power_off(Fixture *f)
{
    set_control(f, ENABLED | PCI_EXP_SLTCTL_PWR_IND_BLINK);
    set_control(f, ENABLED | PCI_EXP_SLTCTL_PWR_IND_BLINK | PCI_EXP_SLTCTL_PCC);
    set_control(f, ENABLED | PCI_EXP_SLTCTL_PWR_IND_OFF | PCI_EXP_SLTCTL_PCC);
}

/* What a guest writes to switch the slot off, before main has heard of it. */
static void power_off_unheard(Fixture *f)
{
    unsigned at = f->cap + PCI_EXP_SLTCTL;

    kit_pci_write(&f->port, at, 2, ENABLED | PCI_EXP_SLTCTL_PWR_IND_OFF |
                  PCI_EXP_SLTCTL_PCC);
}

static void assert_removals(Fixture *f, const char *expected)
{
    g_assert_cmpstr(f->kit->removals->str, ==, expected);
}

static void assert_state(Fixture *f, const char *expected)
{
    g_autoptr(JsonValue) list = kit_qmp_ask(f->qmp, "x-query-unplug", NULL);
    g_autofree char *state = kit_qmp_at(list, "0.state");

    g_assert_cmpstr(state, ==, expected);
}

static void test_device_comes(void)
{
    unsigned count;
    Fixture f;

    fixture_init(&f);
    start_driver(&f);
    count = kit_msix_count(f.kit, MESSAGE);

    kit_qmp_do(f.qmp, "device_add", "{'driver': 'virtio-rng-pci', 'id': 'rng',"
               " 'bus': 'port', 'max-bytes': '64', 'period': 10, 'event_idx': 'off'}");

    g_assert_cmpuint(kit_msix_count(f.kit, MESSAGE), ==, count + 1);
    g_assert_cmphex(status(&f), ==,
                    PCI_EXP_SLTSTA_PDS | PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_DLLSC);
    g_assert_cmphex(kit_pci_read(&f.port, f.cap + PCI_EXP_LNKSTA, 2) &
                    PCI_EXP_LNKSTA_DLLLA, !=, 0);
    g_assert_true(device_find(&f.kit->tree, "rng")->hotplugged);
    g_assert_cmphex(kit_pci_read(&(KitPci) { .kit = f.kit, .bus = 1 }, PCI_VENDOR_ID, 4),
                    ==, 0x10441af4);
    fixture_done(&f);
}

static void test_guest_lets_go(void)
{
    Fixture f;

    fixture_init_driven(&f);

    kit_qmp_do(f.qmp, "device_del", DEL_RNG);
    g_assert_cmphex(status(&f), ==, PCI_EXP_SLTSTA_PDS | PCI_EXP_SLTSTA_ABP);
    assert_state(&f, "asked");
    assert_removals(&f, "");
    clear_status(&f);
    power_off(&f);

    assert_removals(&f, "rng-");
    assert_state(&f, "absent");
    g_assert_cmphex(status(&f), ==,
                    PCI_EXP_SLTSTA_PDC | PCI_EXP_SLTSTA_DLLSC | PCI_EXP_SLTSTA_CC);
    g_assert_cmphex(kit_pci_read(&(KitPci) { .kit = f.kit, .bus = 1 }, PCI_VENDOR_ID, 4),
                    ==, UINT32_MAX);
    kit_qmp_do(f.qmp, "device_add", RNG);
    fixture_done(&f);
}

static void test_commands_complete(void)
{
    Fixture f;

    fixture_init(&f);
    start_driver(&f);
    set_control(&f, ENABLED | PCI_EXP_SLTCTL_CCIE | PCI_EXP_SLTCTL_ATTN_IND_ON);
    g_assert_cmphex(status(&f), ==, PCI_EXP_SLTSTA_CC);
    g_assert_cmphex(kit_pci_read(&f.port, f.cap + PCI_EXP_SLTCTL, 2) &
                    PCI_EXP_SLTCTL_AIC, ==, PCI_EXP_SLTCTL_ATTN_IND_ON);
    g_assert_cmpuint(kit_msix_count(f.kit, MESSAGE), ==, 1);
    fixture_done(&f);
}

static void test_guest_lets_go_without_being_asked(void)
{
    Fixture f;

    fixture_init_driven(&f);
    power_off(&f);
    assert_removals(&f, "rng-");
    fixture_done(&f);
}

/* What was said of the one that went is not done to the one that came after it. */
static void test_an_answer_is_of_what_was_there(void)
{
    g_autoptr(DeviceAddArgs) args = qapi_parse_json(QAPI_TYPE_DEVICE_ADD_ARGS, RNG, NULL);
    Fixture f;

    fixture_init_driven(&f);
    power_off_unheard(&f);
    g_assert_true(hotplug_force(device_find(&f.kit->tree, "rng"), NULL));
    g_assert_nonnull(hotplug_add(&f.kit->tree, args, NULL));
    loop_turn(f.kit->loop, false);
    assert_removals(&f, "rng-");
    fixture_done(&f);
}

static void test_guest_keeps_it(void)
{
    Fixture f;

    fixture_init_driven(&f);
    kit_qmp_do(f.qmp, "device_del", DEL_RNG);
    set_control(&f, ENABLED | PCI_EXP_SLTCTL_PWR_IND_BLINK);
    kit_qmp_assert_fails(f.qmp, "blinks", "device_del", DEL_RNG);
    set_control(&f, ENABLED | PCI_EXP_SLTCTL_PWR_IND_ON);

    assert_removals(&f, "rng!");
    assert_state(&f, "kept");
    clear_status(&f);
    kit_qmp_do(f.qmp, "device_del", DEL_RNG);
    g_assert_cmphex(status(&f) & PCI_EXP_SLTSTA_ABP, !=, 0);
    power_off(&f);
    assert_removals(&f, "rng! rng-");
    fixture_done(&f);
}

/* It was another guest that said so. */
static void test_reset_forgets_that_it_is_kept(void)
{
    g_autoptr(JsonValue) list = NULL;
    Fixture f;

    fixture_init_driven(&f);
    kit_qmp_do(f.qmp, "device_del", DEL_RNG);
    set_control(&f, ENABLED | PCI_EXP_SLTCTL_PWR_IND_BLINK);
    set_control(&f, ENABLED | PCI_EXP_SLTCTL_PWR_IND_ON);
    assert_state(&f, "kept");
    device_tree_pause(&f.kit->tree);
    kit_start(f.kit);

    list = kit_qmp_ask(f.qmp, "x-query-unplug", NULL);
    g_assert_cmpuint(json_length(list), ==, 0);
    start_driver(&f);
    kit_qmp_do(f.qmp, "device_del", DEL_RNG);
    power_off(&f);
    assert_removals(&f, "rng! rng-");
    fixture_done(&f);
}

static void test_silent_guest(void)
{
    gint64 end = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;
    Fixture f;

    fixture_init(&f);
    kit_qmp_do(f.qmp, "device_add", "{'driver': 'virtio-rng-pci', 'id': 'rng',"
               " 'bus': 'port', 'x-unplug-timeout': 1}");
    start_driver(&f);
    kit_qmp_do(f.qmp, "device_del", DEL_RNG);
    while (!f.kit->removals->len && g_get_monotonic_time() < end)
        loop_turn(f.kit->loop, true);

    assert_removals(&f, "rng?");
    assert_state(&f, "silent");
    power_off(&f);
    assert_removals(&f, "rng? rng-");
    fixture_done(&f);
}

/* A guest that boots clears what it finds, and would miss the request. */
static void test_driver_comes_up_after_the_request(void)
{
    Fixture f;

    fixture_init(&f);
    kit_add(f.kit, RNG);
    device_tree_pause(&f.kit->tree);
    kit_start(f.kit);
    kit_qmp_do(f.qmp, "device_del", DEL_RNG);
    assert_state(&f, "asked");
    clear_status(&f);
    set_control(&f, ENABLED | PCI_EXP_SLTCTL_PWR_IND_ON);
    g_assert_cmphex(status(&f) & PCI_EXP_SLTSTA_ABP, !=, 0);
    power_off(&f);
    assert_removals(&f, "rng-");
    fixture_done(&f);
}

static void test_nobody_is_asked_before_the_guest_ran(void)
{
    Fixture f;

    fixture_init(&f);
    kit_qmp_do(f.qmp, "device_add", RNG);
    device_tree_pause(&f.kit->tree);
    device_tree_reset(&f.kit->tree);
    kit_qmp_do(f.qmp, "device_del", DEL_RNG);
    assert_removals(&f, "rng-");
    fixture_done(&f);
}

static void test_reset_carries_the_request_out(void)
{
    Fixture f;

    fixture_init_driven(&f);
    kit_qmp_do(f.qmp, "device_del", DEL_RNG);
    device_tree_pause(&f.kit->tree);
    assert_removals(&f, "");
    kit_start(f.kit);
    assert_removals(&f, "rng-");
    g_assert_cmphex(status(&f), ==, 0);
    fixture_done(&f);
}

static void test_request_survives_save_and_load(void)
{
    Fixture f;

    fixture_init_driven(&f);
    kit_qmp_do(f.qmp, "device_del", DEL_RNG);
    kit_save_and_load(f.kit);
    power_off(&f);
    assert_removals(&f, "rng-");
    fixture_done(&f);
}

static void test_functions_go_together(void)
{
    Fixture f;

    fixture_init(&f);
    start_driver(&f);
    kit_qmp_do(f.qmp, "device_add", "{'driver': 'virtio-rng-pci', 'id': 'one',"
               " 'bus': 'port', 'addr': '0.1'}");
    g_assert_cmphex(status(&f), ==, 0);
    kit_qmp_do(f.qmp, "device_del", "{'id': 'one'}");
    assert_removals(&f, "one-");

    kit_qmp_do(f.qmp, "device_add", "{'driver': 'virtio-rng-pci', 'id': 'two',"
               " 'bus': 'port', 'addr': '0.2'}");
    kit_qmp_do(f.qmp, "device_add", "{'driver': 'virtio-rng-pci', 'id': 'zero',"
               " 'bus': 'port', 'addr': '0.0', 'multifunction': true}");
    g_assert_cmphex(status(&f) & PCI_EXP_SLTSTA_PDS, !=, 0);
    set_control(&f, ENABLED | PCI_EXP_SLTCTL_PWR_IND_ON);
    kit_qmp_do(f.qmp, "device_del", "{'id': 'two'}");
    power_off(&f);
    assert_removals(&f, "one- two- zero-");
    fixture_done(&f);
}

static void test_first_place_that_takes_it(void)
{
    Fixture f;

    fixture_init(&f);
    kit_qmp_do(f.qmp, "device_add", "{'driver': 'virtio-rng-pci', 'id': 'rng'}");
    g_assert_cmpstr(device_find(&f.kit->tree, "rng")->bus->name, ==, "port");
    kit_qmp_assert_fails(f.qmp, "pcie-root-port", "device_add",
                         "{'driver': 'virtio-rng-pci'}");
    kit_qmp_assert_fails(f.qmp, "taken by 'rng'", "device_add",
                         "{'driver': 'virtio-rng-pci', 'bus': 'port'}");
    fixture_done(&f);
}

static void test_refused(void)
{
    static const struct {
        const char *command;
        const char *json;
        const char *words;
    } rows[] = {
        { "device_add", "{'driver': 'virtio-rng-pci', 'bus': 'pcie.0'}",
          "pcie-root-port" },
        { "device_add", "{'driver': 'virtio-rng-pci', 'bus': 'fixed'}", "fixed" },
        { "device_add", "{'driver': 'virtio-rng-pci', 'bus': 'absent'}", "not found" },
        { "device_add", "{'driver': 'virtio-rng-pci', 'bus': 'isa.0'}", "ISA" },
        { "device_add", "{'driver': 'isa-debugcon', 'chardev': 'c'}", "command line" },
        { "device_add", "{'driver': 'pvpanic'}", "command line" },
        { "device_add", "{'driver': 'pcie-root-port', 'bus': 'port', 'slot': 3}",
          "root bus" },
        { "device_add", "{'driver': 'nothing'}", "nothing" },
        { "device_add", "{'driver': 'virtio-rng-pci', 'bus': 'port', 'x': 1}", "x" },
        { "device_add", "{'driver': 'virtio-rng-pci', 'bus': 'port', 'id': 'port'}",
          "already" },
        { "device_add", "{'driver': 'virtio-rng-pci', 'bus': 'port', 'addr': '1'}",
          "slot 0" },
        { "device_add", "{'driver': 'virtio-blk-pci', 'bus': 'port', 'drive': 'absent'}",
          "absent" },
        { "device_add", "{'driver': 'scsi-hd', 'drive': 'n'}", "SCSI" },
        { "device_del", "{'id': 'absent'}", "not found" },
        { "device_del", "{'id': 'port'}", "pcie-root-port" },
        { "device_del", "{'id': '/machine/q35/mch'}", "stays" },
        { "x-device-del-force", "{'id': 'port'}", "pcie-root-port" },
        { "x-device-del-force", "{'id': 'absent'}", "not found" },
    };
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;
    Fixture f;

    fixture_init(&f);
    kit_add(f.kit, "{'driver': 'pcie-root-port', 'id': 'fixed', 'chassis': 9,"
            " 'hotplug': false}");
    before = kit_dump(f.kit);
    for (size_t i = 0; i < G_N_ELEMENTS(rows); i++) {
        g_test_message("%s %s", rows[i].command, rows[i].json);
        kit_qmp_assert_fails(f.qmp, rows[i].words, rows[i].command, "%s", rows[i].json);
    }
    after = kit_dump(f.kit);
    g_assert_cmpstr(before, ==, after);
    assert_removals(&f, "");
    fixture_done(&f);
}

/* A disk "disk" whose requests do not end, and one under way. */
static KitBlk *start_hung_disk(Fixture *f, BlockNode **ret_inject)
{
    static const char hang[] = "{'node-name': 'n', 'rules': [{'ops': ['write'],"
                               " 'delay-ns': 18446744073709551615}]}";
    g_autoptr(XBlockInjectSetArgs) args = NULL;
    KitBlk *blk;

    *ret_inject = kit_add_node(f->kit, "{'driver': 'inject', 'node-name': 'n', 'file':"
                               " {'driver': 'null-co', 'size': 1048576}}");
    kit_add(f->kit, "{'driver': 'virtio-blk-pci', 'id': 'disk', 'bus': 'port',"
            " 'drive': 'n'}");
    device_tree_pause(&f->kit->tree);
    kit_start(f->kit);
    blk = kit_blk_new(f->kit, "disk");
    args = qapi_parse_json(QAPI_TYPE_X_BLOCK_INJECT_SET_ARGS, hang, NULL);
    g_assert_true(inject_set_rules(*ret_inject, args->rules, NULL));
    kit_blk_submit(blk, 0, VIRTIO_BLK_T_OUT, 0, 512);
    kit_run_both(f->kit);
    return blk;
}

static void test_disk_that_hangs_does_not_hang_its_removal(void)
{
    gint64 end = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;
    g_autoptr(KitBlk) blk = NULL;
    BlockNode *inject;
    Fixture f;

    fixture_init(&f);
    blk = start_hung_disk(&f, &inject);
    kit_qmp_do(f.qmp, "x-device-del-force", "{'id': 'disk'}");

    g_assert_cmphex(status(&f) & PCI_EXP_SLTSTA_PDS, ==, 0);
    assert_state(&f, "leaving");
    kit_run_both(f.kit);
    assert_removals(&f, "");
    kit_qmp_assert_fails(f.qmp, "leaving", "device_del", "{'id': 'disk'}");
    kit_qmp_assert_fails(f.qmp, "leaving", "x-device-del-force", "{'id': 'disk'}");
    kit_qmp_assert_fails(f.qmp, "in use", "blockdev-del", "{'node-name': 'n'}");
    kit_qmp_assert_fails(f.qmp, "'disk'", "device_add", RNG);
    inject_set_rules(inject, NULL, NULL);
    while (!f.kit->removals->len && g_get_monotonic_time() < end)
        kit_run_both(f.kit);

    assert_removals(&f, "disk-");
    kit_qmp_do(f.qmp, "blockdev-del", "{'node-name': 'n'}");
    kit_qmp_do(f.qmp, "device_add", RNG);
    fixture_done(&f);
}

/* A guest that switches a slot off under its own requests, and resets before. */
static void test_guest_lets_go_of_a_disk_that_hangs(void)
{
    gint64 end = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;
    g_autoptr(KitBlk) blk = NULL;
    BlockNode *inject;
    Fixture f;

    fixture_init(&f);
    blk = start_hung_disk(&f, &inject);
    start_driver(&f);
    kit_qmp_do(f.qmp, "device_del", "{'id': 'disk'}");
    power_off(&f);
    assert_state(&f, "leaving");
    kit_qmp_assert_fails(f.qmp, "already", "device_add",
                         "{'driver': 'virtio-rng-pci', 'id': 'disk', 'bus': 'other'}");
    /* What it does to the slot now is of no matter, nor a reset. */
    power_off(&f);
    kit_pci_write(&f.port, PCI_BRIDGE_CONTROL, 2, PCI_BRIDGE_CTL_BUS_RESET);
    kit_pci_write(&f.port, PCI_BRIDGE_CONTROL, 2, 0);
    assert_removals(&f, "");
    inject_set_rules(inject, NULL, NULL);
    while (!f.kit->removals->len && g_get_monotonic_time() < end)
        kit_run_both(f.kit);

    assert_removals(&f, "disk-");
    kit_qmp_do(f.qmp, "device_add", "{'driver': 'virtio-rng-pci', 'id': 'disk'}");
    fixture_done(&f);
}

static unsigned n_raised(const Fixture *f)
{
    unsigned n = 0;

    for (unsigned i = 0; i < BOARD_PCI_IRQS; i++)
        n += f->kit->irq_levels[i];
    return n;
}

/* Nobody can quiet the pin of what is gone; others have its line. */
static void test_pin_is_low_while_a_disk_leaves(void)
{
    gint64 end = g_get_monotonic_time() + 20 * G_USEC_PER_SEC;
    g_autoptr(KitBlk) blk = NULL;
    BlockNode *inject;
    Fixture f;

    fixture_init(&f);
    blk = start_hung_disk(&f, &inject);
    kit_msix_enable(&blk->v->pci, false);
    kit_blk_submit(blk, 1, VIRTIO_BLK_T_IN, 0, 512);
    while (n_raised(&f) == 0 && g_get_monotonic_time() < end)
        kit_run_both(f.kit);
    g_assert_cmpuint(n_raised(&f), ==, 1);
    kit_qmp_do(f.qmp, "x-device-del-force", "{'id': 'disk'}");
    assert_state(&f, "leaving");
    g_assert_cmpuint(n_raised(&f), ==, 0);
    /* Nor does it rise when the last request ends, nor by a reset. */
    device_tree_pause(&f.kit->tree);
    kit_start(f.kit);
    inject_set_rules(inject, NULL, NULL);
    while (!f.kit->removals->len && g_get_monotonic_time() < end) {
        kit_run(f.kit);
        g_assert_cmpuint(n_raised(&f), ==, 0);
        kit_run_both(f.kit);
    }
    assert_removals(&f, "disk-");
    fixture_done(&f);
}

/* BARs of what came: over RAM, over registers, over each other, nowhere. */
static void test_addresses_anywhere_go_with_the_device(void)
{
    static const uint32_t places[] = {
        UINT32_MAX, 0, 0x1000, 0xfee00000, 0xfec00000, KIT_ECAM_BASE, 0xc0000000,
        0xfffff000,
    };
    g_autofree char *before = NULL;
    g_autofree char *after = NULL;
    KitPci rng = { .bus = 1 };
    Fixture f;

    fixture_init(&f);
    rng.kit = f.kit;
    start_driver(&f);
    kit_qmp_do(f.qmp, "device_add", RNG);
    kit_qmp_do(f.qmp, "x-device-del-force", DEL_RNG);
    before = kit_dump(f.kit);
    for (size_t i = 0; i < G_N_ELEMENTS(places); i++) {
        kit_qmp_do(f.qmp, "device_add", RNG);
        for (unsigned bar = 0; bar < 6; bar++)
            kit_pci_write(&rng, PCI_BASE_ADDRESS_0 + 4 * bar, 4, places[i]);
        kit_pci_set_command(&rng, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER);
        kit_write(f.kit, 0x2000, 8, 0x1122334455667788);
        g_assert_cmphex(kit_read(f.kit, 0x2000, 8), ==, 0x1122334455667788);
        for (unsigned bar = 0; bar < 6; bar++)
            kit_pci_write(&rng, PCI_BASE_ADDRESS_0 + 4 * bar, 4,
                          places[(i + bar) % G_N_ELEMENTS(places)]);
        kit_qmp_do(f.qmp, "x-device-del-force", DEL_RNG);
    }
    after = kit_dump(f.kit);
    g_assert_cmpstr(before, ==, after);
    fixture_done(&f);
}

static void test_machine_ends_while_a_device_leaves(void)
{
    g_autoptr(KitBlk) blk = NULL;
    BlockNode *inject;
    Fixture f;

    fixture_init(&f);
    blk = start_hung_disk(&f, &inject);
    kit_qmp_do(f.qmp, "x-device-del-force", "{'id': 'disk'}");
    kit_run_both(f.kit);
    inject_set_rules(inject, NULL, NULL);
    /* The request ends; main has not heard of it. */
    kit_run(f.kit);
    fixture_done(&f);
}

static void test_what_is_on_it_goes_before_it(void)
{
    Fixture f;

    fixture_init(&f);
    start_driver(&f);
    kit_add_node(f.kit, "{'driver': 'null-co', 'node-name': 'n'}");
    kit_qmp_do(f.qmp, "device_add", "{'driver': 'virtio-scsi-pci', 'id': 'hba'}");
    kit_qmp_do(f.qmp, "device_add", "{'driver': 'scsi-hd', 'id': 'hd', 'drive': 'n'}");
    kit_qmp_do(f.qmp, "device_del", "{'id': 'hd'}");
    assert_removals(&f, "hd-");
    kit_qmp_do(f.qmp, "device_add", "{'driver': 'scsi-hd', 'id': 'hd', 'drive': 'n'}");
    kit_qmp_do(f.qmp, "x-device-del-force", "{'id': 'hba'}");
    assert_removals(&f, "hd- hd- hba-");
    kit_qmp_do(f.qmp, "blockdev-del", "{'node-name': 'n'}");
    fixture_done(&f);
}

static void test_ports_of_virtio_serial(void)
{
    Fixture f;

    fixture_init(&f);
    start_driver(&f);
    kit_qmp_do(f.qmp, "device_add", "{'driver': 'virtio-serial-pci', 'id': 'vs'}");
    kit_qmp_do(f.qmp, "device_add", "{'driver': 'virtserialport', 'id': 'p',"
               " 'name': 'org.example'}");
    kit_qmp_do(f.qmp, "device_del", "{'id': '/machine/peripheral/p'}");
    assert_removals(&f, "p-");
    fixture_done(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/hotplug/comes", test_device_comes);
    g_test_add_func("/hotplug/lets-go", test_guest_lets_go);
    g_test_add_func("/hotplug/commands", test_commands_complete);
    g_test_add_func("/hotplug/lets-go-unasked", test_guest_lets_go_without_being_asked);
    g_test_add_func("/hotplug/an-answer-is-of-what-was-there",
                    test_an_answer_is_of_what_was_there);
    g_test_add_func("/hotplug/kept", test_guest_keeps_it);
    g_test_add_func("/hotplug/reset-forgets-that-it-is-kept",
                    test_reset_forgets_that_it_is_kept);
    g_test_add_func("/hotplug/silent", test_silent_guest);
    g_test_add_func("/hotplug/late-driver", test_driver_comes_up_after_the_request);
    g_test_add_func("/hotplug/before-boot", test_nobody_is_asked_before_the_guest_ran);
    g_test_add_func("/hotplug/reset", test_reset_carries_the_request_out);
    g_test_add_func("/hotplug/saved", test_request_survives_save_and_load);
    g_test_add_func("/hotplug/functions", test_functions_go_together);
    g_test_add_func("/hotplug/first-place", test_first_place_that_takes_it);
    g_test_add_func("/hotplug/refused", test_refused);
    g_test_add_func("/hotplug/hung-disk", test_disk_that_hangs_does_not_hang_its_removal);
    g_test_add_func("/hotplug/hung-disk-let-go", test_guest_lets_go_of_a_disk_that_hangs);
    g_test_add_func("/hotplug/pin-is-low-while-a-disk-leaves",
                    test_pin_is_low_while_a_disk_leaves);
    g_test_add_func("/hotplug/addresses-anywhere",
                    test_addresses_anywhere_go_with_the_device);
    g_test_add_func("/hotplug/hung-at-the-end", test_machine_ends_while_a_device_leaves);
    g_test_add_func("/hotplug/below", test_what_is_on_it_goes_before_it);
    g_test_add_func("/hotplug/serial-ports", test_ports_of_virtio_serial);
    return g_test_run();
}
