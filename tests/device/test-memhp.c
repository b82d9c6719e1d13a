/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modules of memory that come and go: what a client says, what the guest's ACPI finds in
 * the registers, how each request to let one go ends.  The test is the client and the
 * guest.
 */
#include <string.h>

#include "berth/hotplug.h"
#include "berth/thread.h"
#include "berth/vm-fake.h"
#include "berth/x86-layout.h"

#include "kit-slots.h"

#define SELECT X86_PORT_MEMHP
#define OST_EVENT (X86_PORT_MEMHP + 4)
#define OST_STATUS (X86_PORT_MEMHP + 8)
#define NODE (X86_PORT_MEMHP + 0x10)
#define FLAGS (X86_PORT_MEMHP + 0x14)

#define BUSY 0x82u             /* a status of _OST */

#define BASE (4 * GIB)
#define ADD "{'driver': 'pc-dimm', 'id': 'dimm0', 'memdev': 'a', 'node': 0, 'slot': 0}"
#define DEL "{'id': 'dimm0'}"

/* A machine with three slots and two backends for them. */
#define MACHINE \
    "-nodefaults", "-m", "64,slots=3,maxmem=256M", "-kernel", \
    "tests/fuzz/seeds/kernel/elf64", "-object", \
    "memory-backend-ram,id=a,size=128M", "-object", "memory-backend-ram,id=b,size=4M", \
    "-object", "memory-backend-ram,id=c,size=2M", "-object", \
    "memory-backend-ram,id=odd,size=3M", "-object", "rng-builtin,id=rng"

static uint64_t memory(KitSlots *s, uint64_t gpa)
{
    return vm_fake_read(s->bench.machine->vm, s->bench.machine->memory, gpa, 8);
}

static uint64_t wide(KitSlots *s, uint16_t port)
{
    return kit_slots_in(s, port, 4) |
        (uint64_t)kit_slots_in(s, (uint16_t)(port + 4), 4) << 32;
}

static int64_t plugged(KitSlots *s)
{
    g_autoptr(JsonValue) info = kit_qmp_ask(s->qmp, "query-memory-size-summary", NULL);

    return kit_qmp_int(info, "plugged-memory");
}

static void write_ost(KitSlots *s, uint32_t event, uint32_t status)
{
    kit_slots_out(s, OST_EVENT, 4, event);
    kit_slots_out(s, OST_STATUS, 4, status);
}

static void assert_gone(KitSlots *s)
{
    g_assert_cmpint(plugged(s), ==, 0);
    g_assert_cmphex(memory(s, BASE), ==, UINT64_MAX);
}

static const KitSlotsKind kind = {
    .select = SELECT, .n_ports = X86_PORT_MEMHP_SIZE, .flags = FLAGS,
    .gpe = X86_GPE_MEMORY_HOTPLUG, .ost_type = "DIMM", .id = "dimm0", .slot = 0,
    .path = "/machine/memhp", .add = ADD, .tell = write_ost, .assert_gone = assert_gone,
};

static void fixture_init(KitSlots *s)
{
    static const char *const words[] = { MACHINE, NULL };

    kit_slots_init(s, &kind, words);
}

static void test_memory_comes(void)
{
    KitSlots s;

    fixture_init(&s);
    g_assert_cmphex(kit_slots_flags(&s, 0), ==, 0);
    g_assert_cmphex(memory(&s, BASE), ==, UINT64_MAX);
    kit_qmp_do(s.qmp, "device_add", ADD);

    g_assert_true(kit_slots_take_gpe(&s));
    g_assert_cmphex(kit_slots_flags(&s, 0), ==, KIT_SLOT_THERE | KIT_SLOT_CAME);
    g_assert_cmphex(wide(&s, SELECT), ==, BASE);
    g_assert_cmphex(wide(&s, OST_STATUS), ==, 128 * MIB);
    g_assert_cmphex(kit_slots_in(&s, NODE, 4), ==, 0);
    kit_slots_control(&s, 0, KIT_SLOT_CAME);
    g_assert_cmphex(kit_slots_flags(&s, 0), ==, KIT_SLOT_THERE);
    /* Firmware takes no part in it, as it does in vCPUs. */
    kit_slots_control(&s, 0, 0x10);
    g_assert_cmphex(kit_slots_flags(&s, 0), ==, KIT_SLOT_THERE);
    g_assert_cmphex(kit_slots_flags(&s, 1), ==, 0);
    vm_fake_write(s.bench.machine->vm, s.bench.machine->memory, BASE + 128 * MIB - 8, 8,
                  0x1122334455667788);
    g_assert_cmphex(memory(&s, BASE + 128 * MIB - 8), ==, 0x1122334455667788);
    kit_qmp_assert_fails(s.qmp, "in use", "object-del", "{'id': 'a'}");
    kit_slots_done(&s);
}

static void assert_property(KitSlots *s, const char *path, const char *name,
                            const char *expected)
{
    g_autoptr(JsonValue) value =
        kit_qmp_ask(s->qmp, "qom-get", "{'path': '%s', 'property': '%s'}", path, name);
    g_autofree char *text = json_to_text(value);

    g_assert_cmpstr(text, ==, expected);
}

static void test_views_show_it(void)
{
    g_autoptr(JsonValue) list = NULL, value = NULL;
    g_autofree char *devices = NULL, *summary = NULL;
    KitSlots s;

    fixture_init(&s);
    kit_qmp_do(s.qmp, "device_add", ADD);
    kit_qmp_do(s.qmp, "device_add", "{'driver': 'pc-dimm', 'memdev': 'b'}");
    list = kit_qmp_ask(s.qmp, "query-memory-devices", NULL);
    kit_qmp_assert_at(list, "0.type", "dimm");
    kit_qmp_assert_at(list, "0.data.id", "dimm0");
    kit_qmp_assert_at(list, "0.data.addr", "4294967296");
    kit_qmp_assert_at(list, "0.data.size", "134217728");
    kit_qmp_assert_at(list, "0.data.slot", "0");
    kit_qmp_assert_at(list, "0.data.node", "0");
    kit_qmp_assert_at(list, "0.data.memdev", "/objects/a");
    kit_qmp_assert_at(list, "0.data.hotplugged", "true");
    kit_qmp_assert_at(list, "0.data.hotpluggable", "true");
    kit_qmp_assert_at(list, "1.data.id", "absent");
    kit_qmp_assert_at(list, "1.data.addr", "4429185024");
    kit_qmp_assert_at(list, "1.data.slot", "1");
    g_assert_cmpint(plugged(&s), ==, 132 * MIB);
    value = kit_qmp_ask(s.qmp, "qom-get", "{'path': '/machine/peripheral/dimm0',"
                        " 'property': 'memdev'}");
    g_assert_cmpstr(json_as_string(value), ==, "a");
    assert_property(&s, "/machine/peripheral/dimm0", "addr", "4294967296");
    assert_property(&s, "/machine/peripheral-anon/device[0]", "addr", "4429185024");
    assert_property(&s, "/machine/peripheral-anon/device[0]", "size", "4194304");
    assert_property(&s, "/machine/peripheral-anon/device[0]", "slot", "1");
    kit_qmp_assert_fails(s.qmp, "not found", "qom-get", "{'path': 'dimm0',"
                         " 'property': 'multifunction'}");
    devices = hmp_bench_ask(&s.bench, "info memory-devices");
    g_assert_true(g_str_has_prefix(devices,
        "Memory device [dimm]: \"dimm0\"\n  addr: 0x100000000\n  slot: 0\n  node: 0\n"
        "  size: 134217728\n  memdev: /objects/"));
    g_assert_nonnull(strstr(devices, "\n  hotplugged: true\n  hotpluggable: true\n"
                            "Memory device [dimm]: \"\"\n"));
    summary = hmp_bench_ask(&s.bench, "info memory_size_summary");
    g_assert_cmpstr(summary, ==, "base memory: 67108864\nplugged memory: 138412032\n");
    kit_slots_done(&s);
}

/* The balloon's "all" grows and shrinks with it. */
static void test_the_balloon_counts_it(void)
{
    static const char *const words[] = { MACHINE, "-device", "virtio-balloon-pci", NULL };
    g_autoptr(JsonValue) before = NULL, with = NULL;
    KitSlots s;

    kit_slots_init(&s, &kind, words);
    before = kit_qmp_ask(s.qmp, "query-balloon", NULL);
    kit_qmp_assert_at(before, "actual", "67108864");
    kit_qmp_do(s.qmp, "device_add", ADD);
    with = kit_qmp_ask(s.qmp, "query-balloon", NULL);
    kit_qmp_assert_at(with, "actual", "201326592");
    kit_slots_done(&s);
}

static void test_the_guest_lets_go(void)
{
    KitSlots s;

    fixture_init(&s);
    kit_slots_come_and_let_go(&s);
    kit_qmp_do(s.qmp, "object-del", "{'id': 'a'}");

    kit_qmp_do(s.qmp, "object-add", "{'qom-type': 'memory-backend-ram', 'id': 'a',"
               " 'size': 134217728}");
    kit_qmp_do(s.qmp, "device_add", ADD);
    g_assert_cmpint(plugged(&s), ==, 128 * MIB);
    kit_slots_done(&s);
}

static void test_a_guest_that_boots_is_reminded(void)
{
    KitSlots s;

    fixture_init(&s);
    kit_slots_remind(&s);
    kit_slots_done(&s);
}

static void test_what_is_ejected_is_not_there(void)
{
    KitSlots s;

    fixture_init(&s);
    kit_slots_eject_and_look(&s);
    kit_slots_done(&s);
}

static void test_the_guest_keeps_it(void)
{
    g_autoptr(JsonValue) kept = NULL, memory = NULL, told = NULL, list = NULL;
    KitSlots s;

    fixture_init(&s);
    kit_qmp_do(s.qmp, "device_add", ADD);
    /* Of what nobody asked for nothing follows. */
    kit_slots_tell(&s, 0, KIT_OST_EJECT_REQUEST, BUSY);
    kit_slots_turn(&s);
    kit_slots_assert_ost(&s, "dimm0", "130");
    g_assert_cmpuint(kit_qmp_n_events(s.qmp, "DEVICE_UNPLUG_GUEST_ERROR"), ==, 0);
    kit_qmp_do(s.qmp, "device_del", DEL);
    kit_slots_control(&s, 0, KIT_SLOT_GOES);
    kit_slots_tell(&s, 0, KIT_OST_EJECT_REQUEST, BUSY);
    kit_slots_turn(&s);
    memory = kit_qmp_wait_event(s.qmp, "MEM_UNPLUG_ERROR");
    kit_qmp_assert_at(memory, "device", "dimm0");
    kit_qmp_assert_at(memory, "msg", "the guest says by _OST: the device is busy (status "
                      "0x82)");
    kept = kit_qmp_wait_event(s.qmp, "DEVICE_UNPLUG_GUEST_ERROR");
    kit_qmp_assert_at(kept, "device", "dimm0");
    kit_qmp_assert_at(kept, "x-reason", "the guest says by _OST: the device is busy "
                      "(status 0x82)");
    kit_slots_assert_unplug(&s, "kept");
    list = kit_qmp_ask(s.qmp, "x-query-unplug", NULL);
    kit_qmp_assert_at(list, "0.reason", "the guest says by _OST: the device is busy "
                      "(status 0x82)");
    told = kit_qmp_ask(s.qmp, "query-acpi-ospm-status", NULL);
    kit_qmp_assert_at(told, "0.device", "dimm0");
    kit_qmp_assert_at(told, "0.status", "130");
    kit_qmp_assert_at(told, "2.slot", "2");
    kit_qmp_assert_at(told, "2.device", "absent");
    /* Asked again, it changes its mind. */
    kit_qmp_do(s.qmp, "device_del", DEL);
    g_assert_cmphex(kit_slots_flags(&s, 0) & KIT_SLOT_GOES, ==, KIT_SLOT_GOES);
    kit_slots_eject(&s, 0);
    kit_slots_assert_deleted(&s);
    kit_slots_done(&s);
}

static void test_a_silent_guest(void)
{
    g_autoptr(JsonValue) silent = NULL;
    KitSlots s;

    fixture_init(&s);
    kit_qmp_do(s.qmp, "device_add", "{'driver': 'pc-dimm', 'id': 'dimm0', 'memdev': 'a',"
               " 'x-unplug-timeout': 1}");
    kit_qmp_do(s.qmp, "device_del", DEL);
    silent = kit_qmp_wait_event(s.qmp, "X_DEVICE_UNPLUG_SILENT");
    kit_qmp_assert_at(silent, "device", "dimm0");
    kit_slots_assert_unplug(&s, "silent");
    kit_slots_eject(&s, 0);
    kit_slots_assert_deleted(&s);
    kit_slots_done(&s);
}

static void test_what_makes_no_sense_does_nothing(void)
{
    static const uint32_t selectors[] = { 3, 4, 0x80000000, UINT32_MAX };
    KitSlots s;

    fixture_init(&s);
    kit_qmp_do(s.qmp, "device_add", ADD);
    for (size_t i = 0; i < G_N_ELEMENTS(selectors); i++)
        kit_slots_poke_absent(&s, selectors[i]);
    /* What is not there cannot go. */
    kit_slots_eject(&s, 1);
    kit_slots_eject(&s, 2);
    kit_slots_eject(&s, 2);
    g_assert_cmpint(plugged(&s), ==, 128 * MIB);
    kit_slots_eject(&s, 0);
    kit_slots_assert_deleted(&s);
    kit_slots_done(&s);
}

/* What was asked of the one that went is not done to the one that came after it. */
static void test_an_ejection_is_of_what_was_there(void)
{
    KitSlots s;

    fixture_init(&s);
    kit_qmp_do(s.qmp, "device_add", ADD);
    kit_slots_control(&s, 0, KIT_SLOT_EJECT);
    g_assert_true(hotplug_force(device_find(&s.bench.machine->tree, "dimm0"), NULL));
    kit_slots_assert_deleted(&s);
    kit_qmp_do(s.qmp, "device_add", ADD);
    kit_slots_turn(&s);
    g_assert_cmpint(plugged(&s), ==, 128 * MIB);
    kit_slots_done(&s);
}

static void test_a_talkative_guest_is_bounded(void)
{
    KitSlots s;

    fixture_init(&s);
    for (unsigned i = 0; i < 1000; i++)
        kit_slots_tell(&s, 0, KIT_OST_EJECT_REQUEST, i);
    kit_slots_turn(&s);
    g_assert_cmpuint(kit_qmp_n_events(s.qmp, "ACPI_DEVICE_OST"), ==, 64);
    kit_slots_done(&s);
}

static void test_wrong_arguments(void)
{
    static const struct {
        const char *more;
        const char *words;
    } cases[] = {
        { "", "'memdev' is missing" },
        { ", 'memdev': 'nothing'", "no memory backend 'nothing'" },
        { ", 'memdev': 'rng'", "no memory backend 'rng'" },
        { ", 'memdev': 'pc.ram'", "busy memdev: pc.ram" },
        { ", 'memdev': 'c'", "busy memdev: c" },
        { ", 'memdev': 'odd'", "must be a multiple of 2097152" },
        { ", 'memdev': 'b', 'slot': 1", "slot 1 is busy" },
        { ", 'memdev': 'b', 'slot': 3", "'slot' is 3, must be 0 to 2" },
        { ", 'memdev': 'b', 'slot': -2", "slot" },
        { ", 'memdev': 'b', 'slot': 4294967296", "slot" },
        { ", 'memdev': 'b', 'node': 1", "the machine has 1 NUMA node" },
        { ", 'memdev': 'b', 'addr': 4294967297", "'addr' must be a multiple of" },
        { ", 'memdev': 'b', 'addr': 2097152", "'addr': memory of 4194304 bytes must be" },
        { ", 'memdev': 'b', 'addr': -4096", "'addr' expects an address" },
        { ", 'memdev': 'b', 'addr': '0x1g'", "'addr' expects an address" },
        { ", 'memdev': 'b', 'addr': '-1'", "'addr' expects an address" },
        { ", 'memdev': 'b', 'addr': '0x10000000000000000'", "'addr' expects an address" },
        { ", 'memdev': 'b', 'addr': '0x13fe00000'", "conflicts with memory device 'c0'" },
        { ", 'memdev': 'b', 'bus': 'pcie.0'", "bus" },
        { ", 'memdev': 'b', 'multifunction': true", "multifunction" },
        { ", 'memdev': 'b', 'size': 1", "size" },
    };
    g_autofree char *views[2] = { NULL, NULL };
    KitSlots s;

    fixture_init(&s);
    kit_qmp_do(s.qmp, "device_add", "{'driver': 'pc-dimm', 'id': 'c0', 'memdev': 'c',"
               " 'slot': 1, 'addr': '0x140000000'}");
    views[0] = address_space_describe(s.bench.machine->memory);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        kit_qmp_assert_fails(s.qmp, cases[i].words, "device_add",
                             "{'driver': 'pc-dimm'%s}", cases[i].more);
    views[1] = address_space_describe(s.bench.machine->memory);
    g_assert_cmpstr(views[0], ==, views[1]);
    g_free(views[1]);
    views[1] = NULL;
    g_assert_cmpint(plugged(&s), ==, 2 * MIB);
    /* As many as there are slots. */
    kit_qmp_do(s.qmp, "device_add", "{'driver': 'pc-dimm', 'memdev': 'a'}");
    kit_qmp_do(s.qmp, "device_add", "{'driver': 'pc-dimm', 'memdev': 'b'}");
    kit_qmp_do(s.qmp, "object-add", "{'qom-type': 'memory-backend-ram', 'id': 'd',"
               " 'size': 67108864}");
    kit_qmp_assert_fails(s.qmp, "no free slots available", "device_add",
                         "{'driver': 'pc-dimm', 'memdev': 'd'}");
    kit_qmp_do(s.qmp, "x-device-del-force", "{'id': 'c0'}");
    kit_qmp_assert_fails(s.qmp, "not enough space: 67108864 bytes are wanted, and "
                         "62914560 of the 201326592", "device_add",
                         "{'driver': 'pc-dimm', 'memdev': 'd'}");
    kit_slots_done(&s);
}

static void test_machines_without_slots(void)
{
    static const char *const none[] = {
        "-nodefaults", "-m", "64", "-kernel", "tests/fuzz/seeds/kernel/elf64", "-object",
        "memory-backend-ram,id=a,size=2M", NULL,
    };
    static const char *const no_acpi[] = { MACHINE, "-machine", "acpi=off", NULL };
    KitSlots s;

    kit_slots_init(&s, &kind, none);
    kit_qmp_assert_fails(s.qmp, "'slots' and 'maxmem'", "device_add", ADD);
    g_assert_cmphex(kit_slots_in(&s, FLAGS, 1), ==, 0xff);
    kit_slots_done(&s);
    kit_slots_init(&s, &kind, no_acpi);
    kit_qmp_assert_fails(s.qmp, "with ACPI", "device_add", ADD);
    kit_slots_done(&s);
}

/* It is there from the start, and the guest finds it so. */
static void test_memory_of_the_command_line(void)
{
    static const char *const words[] = {
        MACHINE, "-S", "-device", "{\"driver\":\"pc-dimm\",\"node\":0,\"memdev\":\"b\","
        "\"id\":\"dimm0\",\"slot\":2}", "-device",
        "pc-dimm,id=dimm1,memdev=a,addr=0x180000000", NULL,
    };
    g_autoptr(JsonValue) list = NULL;
    KitSlots s;

    kit_slots_init(&s, &kind, words);
    list = kit_qmp_ask(s.qmp, "query-memory-devices", NULL);
    kit_qmp_assert_at(list, "0.data.hotplugged", "false");
    kit_qmp_assert_at(list, "0.data.slot", "2");
    kit_qmp_assert_at(list, "1.data.addr", "6442450944");
    kit_qmp_do(s.qmp, "device_add", "{'driver': 'pc-dimm', 'id': 'dimm2',"
               " 'memdev': 'c'}");
    g_assert_false(kit_slots_take_gpe(&s));
    g_assert_cmphex(kit_slots_flags(&s, 1), ==, KIT_SLOT_THERE);
    g_assert_cmphex(kit_slots_flags(&s, 2), ==, KIT_SLOT_THERE);
    /* Nobody runs who could be asked. */
    kit_qmp_do(s.qmp, "device_del", "{'id': 'dimm2'}");
    g_assert_cmphex(kit_slots_flags(&s, 1), ==, 0);
    kit_qmp_do(s.qmp, "cont", NULL);
    kit_qmp_do(s.qmp, "device_del", DEL);
    g_assert_true(kit_slots_take_gpe(&s));
    kit_slots_eject(&s, 2);
    g_assert_cmpint(plugged(&s), ==, 128 * MIB);
    kit_slots_done(&s);
}

/* What the guest has not seen before it sleeps it sees when it wakes. */
static void test_its_sleep_loses_nothing(void)
{
    KitSlots s;

    fixture_init(&s);
    kit_qmp_do(s.qmp, "device_add", ADD);
    kit_qmp_do(s.qmp, "device_add", "{'driver': 'pc-dimm', 'memdev': 'b'}");
    kit_slots_control(&s, 0, KIT_SLOT_CAME);
    kit_qmp_do(s.qmp, "device_del", DEL);
    kit_qmp_do(s.qmp, "stop", NULL);
    device_tree_suspend(&s.bench.machine->tree);
    kit_qmp_do(s.qmp, "cont", NULL);
    g_assert_cmphex(kit_slots_flags(&s, 1), ==, KIT_SLOT_THERE | KIT_SLOT_CAME);
    g_assert_cmphex(kit_slots_flags(&s, 0), ==, KIT_SLOT_THERE | KIT_SLOT_GOES);
    kit_slots_eject(&s, 0);
    g_assert_cmpint(plugged(&s), ==, 4 * MIB);
    kit_slots_done(&s);
}

static void test_a_reset_carries_out(void)
{
    g_autoptr(JsonValue) reset = NULL;
    KitSlots s;

    fixture_init(&s);
    kit_qmp_do(s.qmp, "device_add", ADD);
    kit_qmp_do(s.qmp, "device_add", "{'driver': 'pc-dimm', 'memdev': 'b'}");
    kit_qmp_do(s.qmp, "device_del", DEL);
    kit_qmp_do(s.qmp, "system_reset", NULL);
    reset = kit_qmp_wait_event(s.qmp, "RESET");
    g_assert_cmpint(plugged(&s), ==, 4 * MIB);
    g_assert_cmphex(kit_slots_flags(&s, 0), ==, 0);
    g_assert_cmphex(kit_slots_flags(&s, 1), ==, KIT_SLOT_THERE);
    kit_slots_done(&s);
}

static void assert_load_fails(KitSlots *s, const GByteArray *saved, const char *words)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(device_tree_load(&s->bench.machine->tree, saved->data, saved->len,
                                    &error));
    if (!strstr(error->message, words))
        g_error("\"%s\" is not in \"%s\"", words, error->message);
}

static void test_its_state_is_saved(void)
{
    g_autoptr(GByteArray) saved = NULL, again = NULL;
    g_autoptr(GError) error = NULL;
    KitSlots s;

    fixture_init(&s);
    kit_qmp_do(s.qmp, "device_add", ADD);
    kit_slots_tell(&s, 2, 1, 7);
    kit_qmp_do(s.qmp, "stop", NULL);
    saved = kit_slots_save(&s);
    kit_slots_control(&s, 0, KIT_SLOT_CAME);
    kit_slots_tell(&s, 0, 2, 8);
    g_assert_true(device_tree_load(&s.bench.machine->tree, saved->data, saved->len,
                                   &error));
    again = kit_slots_save(&s);
    g_assert_cmpmem(saved->data, saved->len, again->data, again->len);
    g_assert_cmphex(kit_slots_flags(&s, 0), ==, KIT_SLOT_THERE | KIT_SLOT_CAME);

    /* The same device elsewhere, and an event of a slot that is empty. */
    kit_qmp_do(s.qmp, "x-device-del-force", DEL);
    kit_qmp_do(s.qmp, "device_add", "{'driver': 'pc-dimm', 'id': 'dimm0', 'memdev': 'a',"
               " 'slot': 0, 'addr': 6442450944}");
    assert_load_fails(&s, saved, "134217728 bytes at 0x100000000 in slot 0");
    kit_qmp_do(s.qmp, "x-device-del-force", DEL);
    kit_qmp_do(s.qmp, "device_add", "{'driver': 'pc-dimm', 'id': 'dimm0', 'memdev': 'a',"
               " 'slot': 1}");
    assert_load_fails(&s, saved, "'events' of slot 0 is 0x2");
    kit_slots_done(&s);
}

static void test_any_state(void)
{
    KitSlots s;

    fixture_init(&s);
    kit_qmp_do(s.qmp, "device_add", ADD);
    kit_slots_load_any_state(&s);
    kit_slots_eject(&s, s.kind->slot);
    kit_slots_assert_deleted(&s);
    kit_slots_done(&s);
}

static void test_an_add_that_fails_leaves_nothing(void)
{
    g_autoptr(GByteArray) before = NULL;
    unsigned n = 1;
    KitSlots s;

    fixture_init(&s);
    kit_qmp_do(s.qmp, "stop", NULL);
    before = kit_slots_save(&s);
    for (; !kit_slots_add_with_fault(&s, n); n++) {
        g_autoptr(GByteArray) after = NULL;

        g_assert_cmpint(plugged(&s), ==, 0);
        g_assert_cmphex(kit_slots_flags(&s, 0), ==, 0);
        after = kit_slots_save(&s);
        g_assert_cmpmem(before->data, before->len, after->data, after->len);
    }
    g_assert_cmpuint(n, >, 1);
    g_assert_cmpint(plugged(&s), ==, 128 * MIB);
    kit_slots_done(&s);
}

static void test_comes_and_goes(void)
{
    static const char *const words[] = {
        MACHINE, "-device", "virtio-rng-pci", "-device", "virtio-balloon-pci", NULL,
    };
    KitSlots s;

    kit_slots_init(&s, &kind, words);
    kit_slots_come_and_go(&s, 50);
    kit_qmp_do(s.qmp, "object-del", "{'id': 'a'}");
    kit_slots_done(&s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    g_test_add_func("/memhp/memory-comes", test_memory_comes);
    g_test_add_func("/memhp/views-show-it", test_views_show_it);
    g_test_add_func("/memhp/the-balloon-counts-it", test_the_balloon_counts_it);
    g_test_add_func("/memhp/the-guest-lets-go", test_the_guest_lets_go);
    g_test_add_func("/memhp/a-guest-that-boots-is-reminded",
                    test_a_guest_that_boots_is_reminded);
    g_test_add_func("/memhp/what-is-ejected-is-not-there",
                    test_what_is_ejected_is_not_there);
    g_test_add_func("/memhp/the-guest-keeps-it", test_the_guest_keeps_it);
    g_test_add_func("/memhp/a-silent-guest", test_a_silent_guest);
    g_test_add_func("/memhp/what-makes-no-sense-does-nothing",
                    test_what_makes_no_sense_does_nothing);
    g_test_add_func("/memhp/an-ejection-is-of-what-was-there",
                    test_an_ejection_is_of_what_was_there);
    g_test_add_func("/memhp/a-talkative-guest-is-bounded",
                    test_a_talkative_guest_is_bounded);
    g_test_add_func("/memhp/wrong-arguments", test_wrong_arguments);
    g_test_add_func("/memhp/machines-without-slots", test_machines_without_slots);
    g_test_add_func("/memhp/memory-of-the-command-line", test_memory_of_the_command_line);
    g_test_add_func("/memhp/its-sleep-loses-nothing", test_its_sleep_loses_nothing);
    g_test_add_func("/memhp/a-reset-carries-out", test_a_reset_carries_out);
    g_test_add_func("/memhp/its-state-is-saved", test_its_state_is_saved);
    g_test_add_func("/memhp/any-state", test_any_state);
    g_test_add_func("/memhp/an-add-that-fails-leaves-nothing",
                    test_an_add_that_fails_leaves_nothing);
    g_test_add_func("/memhp/comes-and-goes", test_comes_and_goes);
    return g_test_run();
}
