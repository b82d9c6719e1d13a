/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modules of memory that come and go: what a client says, what the guest's ACPI finds in
 * the registers, how each request to let one go ends.  The test is the client and the
 * guest.
 */
#include <errno.h>
#include <string.h>

#include "berth/hotplug.h"
#include "berth/memory-device.h"
#include "berth/thread.h"
#include "berth/vm-fake.h"
#include "berth/x86-layout.h"

#include "hmp-bench.h"
#include "kit-qmp.h"

#define SELECT X86_PORT_MEMHP
#define OST_EVENT (X86_PORT_MEMHP + 4)
#define OST_STATUS (X86_PORT_MEMHP + 8)
#define NODE (X86_PORT_MEMHP + 0x10)
#define FLAGS (X86_PORT_MEMHP + 0x14)
#define GPE_STATUS (X86_PM_BASE + X86_PM_GPE0)
#define GPE_BIT (1u << X86_GPE_MEMORY_HOTPLUG)

#define THERE 1u
#define CAME 2u
#define GOES 4u
#define EJECT 8u

#define EJECT_REQUEST 3u
#define IN_PROGRESS 0x84u
#define BUSY 0x82u

#define BASE (4 * GIB)
#define ADD "{'driver': 'pc-dimm', 'id': 'dimm0', 'memdev': 'a', 'node': 0, 'slot': 0}"
#define DEL "{'id': 'dimm0'}"

/* A machine with three slots and two backends for them. */
typedef struct Fixture {
    HmpBench bench;
    KitQmp *qmp;
} Fixture;

#define MACHINE \
    "-nodefaults", "-m", "64,slots=3,maxmem=256M", "-kernel", \
    "tests/fuzz/seeds/kernel/elf64", "-object", \
    "memory-backend-ram,id=a,size=128M", "-object", "memory-backend-ram,id=b,size=4M", \
    "-object", "memory-backend-ram,id=c,size=2M", "-object", \
    "memory-backend-ram,id=odd,size=3M", "-object", "rng-builtin,id=rng"

static void fixture_init_with(Fixture *f, const char *const *words)
{
    hmp_bench_init(&f->bench, words);
    f->qmp = kit_qmp_new_on(&f->bench.ctx, f->bench.loop);
}

static void fixture_init(Fixture *f)
{
    static const char *const words[] = { MACHINE, NULL };

    fixture_init_with(f, words);
}

static void fixture_done(Fixture *f)
{
    kit_qmp_free(f->qmp);
    hmp_bench_done(&f->bench);
}

static void out(Fixture *f, uint16_t port, unsigned size, uint32_t value)
{
    vm_fake_write(f->bench.machine->vm, f->bench.machine->io, port, size, value);
}

static uint32_t in(Fixture *f, uint16_t port, unsigned size)
{
    return (uint32_t)vm_fake_read(f->bench.machine->vm, f->bench.machine->io, port, size);
}

static uint64_t memory(Fixture *f, uint64_t gpa)
{
    return vm_fake_read(f->bench.machine->vm, f->bench.machine->memory, gpa, 8);
}

static uint32_t flags_of(Fixture *f, uint32_t slot)
{
    out(f, SELECT, 4, slot);
    return in(f, FLAGS, 1);
}

static void control(Fixture *f, uint32_t slot, uint8_t value)
{
    out(f, SELECT, 4, slot);
    out(f, FLAGS, 1, value);
}

static uint64_t wide(Fixture *f, uint16_t port)
{
    return in(f, port, 4) | (uint64_t)in(f, (uint16_t)(port + 4), 4) << 32;
}

static void turn(Fixture *f)
{
    loop_turn(f->bench.loop, false);
}

static void eject(Fixture *f, uint32_t slot)
{
    control(f, slot, EJECT);
    turn(f);
}

static void tell(Fixture *f, uint32_t slot, uint32_t event, uint32_t status)
{
    out(f, SELECT, 4, slot);
    out(f, OST_EVENT, 4, event);
    out(f, OST_STATUS, 4, status);
}

static bool take_gpe(Fixture *f)
{
    bool is_set = in(f, GPE_STATUS, 1) & GPE_BIT;

    out(f, GPE_STATUS, 1, GPE_BIT);
    return is_set;
}

static int64_t plugged(Fixture *f)
{
    g_autoptr(JsonValue) info = kit_qmp_ask(f->qmp, "query-memory-size-summary", NULL);

    return kit_qmp_int(info, "plugged-memory");
}

static void assert_unplug_state(Fixture *f, const char *expected)
{
    g_autoptr(JsonValue) list = kit_qmp_ask(f->qmp, "x-query-unplug", NULL);

    kit_qmp_assert_at(list, "0.state", expected);
}

static void assert_deleted(Fixture *f)
{
    g_autoptr(JsonValue) data = kit_qmp_wait_event(f->qmp, "DEVICE_DELETED");

    kit_qmp_assert_at(data, "device", "dimm0");
    kit_qmp_assert_at(data, "path", "/machine/peripheral/dimm0");
    g_assert_cmpint(plugged(f), ==, 0);
    g_assert_cmphex(memory(f, BASE), ==, UINT64_MAX);
}

static void assert_ost(Fixture *f, const char *device, const char *status)
{
    g_autoptr(JsonValue) data = kit_qmp_wait_event(f->qmp, "ACPI_DEVICE_OST");

    kit_qmp_assert_at(data, "info.device", device);
    kit_qmp_assert_at(data, "info.slot", "0");
    kit_qmp_assert_at(data, "info.slot-type", "DIMM");
    kit_qmp_assert_at(data, "info.source", "3");
    kit_qmp_assert_at(data, "info.status", status);
}

static void test_memory_comes(void)
{
    Fixture f;

    fixture_init(&f);
    g_assert_cmphex(flags_of(&f, 0), ==, 0);
    g_assert_cmphex(memory(&f, BASE), ==, UINT64_MAX);
    kit_qmp_do(f.qmp, "device_add", ADD);

    g_assert_true(take_gpe(&f));
    g_assert_cmphex(flags_of(&f, 0), ==, THERE | CAME);
    g_assert_cmphex(wide(&f, SELECT), ==, BASE);
    g_assert_cmphex(wide(&f, OST_STATUS), ==, 128 * MIB);
    g_assert_cmphex(in(&f, NODE, 4), ==, 0);
    control(&f, 0, CAME);
    g_assert_cmphex(flags_of(&f, 0), ==, THERE);
    g_assert_cmphex(flags_of(&f, 1), ==, 0);
    vm_fake_write(f.bench.machine->vm, f.bench.machine->memory, BASE + 128 * MIB - 8, 8,
                  0x1122334455667788);
    g_assert_cmphex(memory(&f, BASE + 128 * MIB - 8), ==, 0x1122334455667788);
    kit_qmp_assert_fails(f.qmp, "in use", "object-del", "{'id': 'a'}");
    fixture_done(&f);
}

static void test_views_show_it(void)
{
    g_autoptr(JsonValue) list = NULL, value = NULL;
    g_autofree char *devices = NULL, *summary = NULL;
    Fixture f;

    fixture_init(&f);
    kit_qmp_do(f.qmp, "device_add", ADD);
    kit_qmp_do(f.qmp, "device_add", "{'driver': 'pc-dimm', 'memdev': 'b'}");
    list = kit_qmp_ask(f.qmp, "query-memory-devices", NULL);
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
    g_assert_cmpint(plugged(&f), ==, 132 * MIB);
    value = kit_qmp_ask(f.qmp, "qom-get", "{'path': '/machine/peripheral/dimm0',"
                        " 'property': 'memdev'}");
    g_assert_cmpstr(json_as_string(value), ==, "a");
    devices = hmp_bench_ask(&f.bench, "info memory-devices");
    g_assert_nonnull(strstr(devices, "dimm0"));
    summary = hmp_bench_ask(&f.bench, "info memory_size_summary");
    g_assert_cmpstr(summary, ==, "base memory: 67108864\nplugged memory: 138412032\n");
    fixture_done(&f);
}

/* The balloon's "all" grows and shrinks with it. */
static void test_the_balloon_counts_it(void)
{
    static const char *const words[] = { MACHINE, "-device", "virtio-balloon-pci", NULL };
    g_autoptr(JsonValue) before = NULL, with = NULL;
    Fixture f;

    fixture_init_with(&f, words);
    before = kit_qmp_ask(f.qmp, "query-balloon", NULL);
    kit_qmp_assert_at(before, "actual", "67108864");
    kit_qmp_do(f.qmp, "device_add", ADD);
    with = kit_qmp_ask(f.qmp, "query-balloon", NULL);
    kit_qmp_assert_at(with, "actual", "201326592");
    fixture_done(&f);
}

static void test_the_guest_lets_go(void)
{
    Fixture f;

    fixture_init(&f);
    kit_qmp_do(f.qmp, "device_add", ADD);
    control(&f, 0, CAME);
    g_assert_true(take_gpe(&f));
    kit_qmp_do(f.qmp, "device_del", DEL);
    g_assert_true(take_gpe(&f));
    g_assert_cmphex(flags_of(&f, 0), ==, THERE | GOES);
    assert_unplug_state(&f, "asked");
    control(&f, 0, GOES);
    tell(&f, 0, EJECT_REQUEST, IN_PROGRESS);
    turn(&f);
    assert_ost(&f, "dimm0", "132");
    assert_unplug_state(&f, "asked");

    control(&f, 0, EJECT);
    tell(&f, 0, EJECT_REQUEST, 0);
    turn(&f);
    assert_deleted(&f);
    assert_ost(&f, "absent", "0");
    g_assert_cmphex(flags_of(&f, 0), ==, 0);
    kit_qmp_do(f.qmp, "object-del", "{'id': 'a'}");

    kit_qmp_do(f.qmp, "object-add", "{'qom-type': 'memory-backend-ram', 'id': 'a',"
               " 'size': 134217728}");
    kit_qmp_do(f.qmp, "device_add", ADD);
    g_assert_cmpint(plugged(&f), ==, 128 * MIB);
    fixture_done(&f);
}

static void test_the_guest_keeps_it(void)
{
    g_autoptr(JsonValue) kept = NULL, memory = NULL, told = NULL, list = NULL;
    Fixture f;

    fixture_init(&f);
    kit_qmp_do(f.qmp, "device_add", ADD);
    /* Of what nobody asked for nothing follows. */
    tell(&f, 0, EJECT_REQUEST, BUSY);
    turn(&f);
    assert_ost(&f, "dimm0", "130");
    g_assert_cmpuint(kit_qmp_n_events(f.qmp, "DEVICE_UNPLUG_GUEST_ERROR"), ==, 0);
    kit_qmp_do(f.qmp, "device_del", DEL);
    control(&f, 0, GOES);
    tell(&f, 0, EJECT_REQUEST, BUSY);
    turn(&f);
    memory = kit_qmp_wait_event(f.qmp, "MEM_UNPLUG_ERROR");
    kit_qmp_assert_at(memory, "device", "dimm0");
    kit_qmp_assert_at(memory, "msg", "the guest says by _OST: the device is busy (status "
                      "0x82)");
    kept = kit_qmp_wait_event(f.qmp, "DEVICE_UNPLUG_GUEST_ERROR");
    kit_qmp_assert_at(kept, "device", "dimm0");
    kit_qmp_assert_at(kept, "x-reason", "the guest says by _OST: the device is busy "
                      "(status 0x82)");
    assert_unplug_state(&f, "kept");
    list = kit_qmp_ask(f.qmp, "x-query-unplug", NULL);
    kit_qmp_assert_at(list, "0.reason", "the guest says by _OST: the device is busy "
                      "(status 0x82)");
    told = kit_qmp_ask(f.qmp, "query-acpi-ospm-status", NULL);
    kit_qmp_assert_at(told, "0.device", "dimm0");
    kit_qmp_assert_at(told, "0.status", "130");
    kit_qmp_assert_at(told, "2.slot", "2");
    kit_qmp_assert_at(told, "2.device", "absent");
    /* Asked again, it changes its mind. */
    kit_qmp_do(f.qmp, "device_del", DEL);
    g_assert_cmphex(flags_of(&f, 0) & GOES, ==, GOES);
    eject(&f, 0);
    assert_deleted(&f);
    fixture_done(&f);
}

static void test_a_silent_guest(void)
{
    g_autoptr(JsonValue) silent = NULL;
    Fixture f;

    fixture_init(&f);
    kit_qmp_do(f.qmp, "device_add", "{'driver': 'pc-dimm', 'id': 'dimm0', 'memdev': 'a',"
               " 'x-unplug-timeout': 1}");
    kit_qmp_do(f.qmp, "device_del", DEL);
    silent = kit_qmp_wait_event(f.qmp, "X_DEVICE_UNPLUG_SILENT");
    kit_qmp_assert_at(silent, "device", "dimm0");
    assert_unplug_state(&f, "silent");
    eject(&f, 0);
    assert_deleted(&f);
    fixture_done(&f);
}

static void test_what_makes_no_sense_does_nothing(void)
{
    static const uint32_t selectors[] = { 3, 4, 0x80000000, UINT32_MAX };
    Fixture f;

    fixture_init(&f);
    kit_qmp_do(f.qmp, "device_add", ADD);
    for (size_t i = 0; i < G_N_ELEMENTS(selectors); i++) {
        out(&f, SELECT, 4, selectors[i]);
        for (unsigned offset = 0; offset < X86_PORT_MEMHP_SIZE; offset++) {
            for (unsigned size = 1; size <= 4; size *= 2) {
                if (offset + size > X86_PORT_MEMHP_SIZE)
                    continue;
                if (offset)
                    out(&f, (uint16_t)(SELECT + offset), size, UINT32_MAX);
                g_assert_cmphex(in(&f, (uint16_t)(SELECT + offset), size), ==, 0);
            }
        }
    }
    /* What is not there cannot go. */
    eject(&f, 1);
    eject(&f, 2);
    eject(&f, 2);
    g_assert_cmpint(plugged(&f), ==, 128 * MIB);
    eject(&f, 0);
    assert_deleted(&f);
    fixture_done(&f);
}

/* What was asked of the one that went is not done to the one that came after it. */
static void test_an_ejection_is_of_what_was_there(void)
{
    Fixture f;

    fixture_init(&f);
    kit_qmp_do(f.qmp, "device_add", ADD);
    control(&f, 0, EJECT);
    g_assert_true(hotplug_force(device_find(&f.bench.machine->tree, "dimm0"), NULL));
    assert_deleted(&f);
    kit_qmp_do(f.qmp, "device_add", ADD);
    turn(&f);
    g_assert_cmpint(plugged(&f), ==, 128 * MIB);
    fixture_done(&f);
}

static void test_a_talkative_guest_is_bounded(void)
{
    Fixture f;

    fixture_init(&f);
    for (unsigned i = 0; i < 1000; i++)
        tell(&f, 0, EJECT_REQUEST, i);
    turn(&f);
    g_assert_cmpuint(kit_qmp_n_events(f.qmp, "ACPI_DEVICE_OST"), ==, 64);
    fixture_done(&f);
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
    Fixture f;

    fixture_init(&f);
    kit_qmp_do(f.qmp, "device_add", "{'driver': 'pc-dimm', 'id': 'c0', 'memdev': 'c',"
               " 'slot': 1, 'addr': '0x140000000'}");
    views[0] = address_space_describe(f.bench.machine->memory);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        kit_qmp_assert_fails(f.qmp, cases[i].words, "device_add",
                             "{'driver': 'pc-dimm'%s}", cases[i].more);
    views[1] = address_space_describe(f.bench.machine->memory);
    g_assert_cmpstr(views[0], ==, views[1]);
    g_free(views[1]);
    views[1] = NULL;
    g_assert_cmpint(plugged(&f), ==, 2 * MIB);
    /* As many as there are slots. */
    kit_qmp_do(f.qmp, "device_add", "{'driver': 'pc-dimm', 'memdev': 'a'}");
    kit_qmp_do(f.qmp, "device_add", "{'driver': 'pc-dimm', 'memdev': 'b'}");
    kit_qmp_do(f.qmp, "object-add", "{'qom-type': 'memory-backend-ram', 'id': 'd',"
               " 'size': 67108864}");
    kit_qmp_assert_fails(f.qmp, "no free slots available", "device_add",
                         "{'driver': 'pc-dimm', 'memdev': 'd'}");
    kit_qmp_do(f.qmp, "x-device-del-force", "{'id': 'c0'}");
    kit_qmp_assert_fails(f.qmp, "not enough space: 67108864 bytes are wanted, and "
                         "62914560 of the 201326592", "device_add",
                         "{'driver': 'pc-dimm', 'memdev': 'd'}");
    fixture_done(&f);
}

static void test_machines_without_slots(void)
{
    static const char *const none[] = {
        "-nodefaults", "-m", "64", "-kernel", "tests/fuzz/seeds/kernel/elf64", "-object",
        "memory-backend-ram,id=a,size=2M", NULL,
    };
    static const char *const no_acpi[] = { MACHINE, "-machine", "acpi=off", NULL };
    Fixture f;

    fixture_init_with(&f, none);
    kit_qmp_assert_fails(f.qmp, "'slots' and 'maxmem'", "device_add", ADD);
    g_assert_cmphex(in(&f, FLAGS, 1), ==, 0xff);
    fixture_done(&f);
    fixture_init_with(&f, no_acpi);
    kit_qmp_assert_fails(f.qmp, "with ACPI", "device_add", ADD);
    fixture_done(&f);
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
    Fixture f;

    fixture_init_with(&f, words);
    list = kit_qmp_ask(f.qmp, "query-memory-devices", NULL);
    kit_qmp_assert_at(list, "0.data.hotplugged", "false");
    kit_qmp_assert_at(list, "0.data.slot", "2");
    kit_qmp_assert_at(list, "1.data.addr", "6442450944");
    kit_qmp_do(f.qmp, "device_add", "{'driver': 'pc-dimm', 'id': 'dimm2',"
               " 'memdev': 'c'}");
    g_assert_false(take_gpe(&f));
    g_assert_cmphex(flags_of(&f, 1), ==, THERE);
    g_assert_cmphex(flags_of(&f, 2), ==, THERE);
    /* Nobody runs who could be asked. */
    kit_qmp_do(f.qmp, "device_del", "{'id': 'dimm2'}");
    g_assert_cmphex(flags_of(&f, 1), ==, 0);
    kit_qmp_do(f.qmp, "cont", NULL);
    kit_qmp_do(f.qmp, "device_del", DEL);
    g_assert_true(take_gpe(&f));
    eject(&f, 2);
    g_assert_cmpint(plugged(&f), ==, 128 * MIB);
    fixture_done(&f);
}

static void test_a_reset_carries_out(void)
{
    g_autoptr(JsonValue) reset = NULL;
    Fixture f;

    fixture_init(&f);
    kit_qmp_do(f.qmp, "device_add", ADD);
    kit_qmp_do(f.qmp, "device_add", "{'driver': 'pc-dimm', 'memdev': 'b'}");
    kit_qmp_do(f.qmp, "device_del", DEL);
    kit_qmp_do(f.qmp, "system_reset", NULL);
    reset = kit_qmp_wait_event(f.qmp, "RESET");
    g_assert_cmpint(plugged(&f), ==, 4 * MIB);
    g_assert_cmphex(flags_of(&f, 0), ==, 0);
    g_assert_cmphex(flags_of(&f, 1), ==, THERE);
    fixture_done(&f);
}

static GByteArray *save(Fixture *f)
{
    GByteArray *bytes = g_byte_array_new();

    device_tree_save(&f->bench.machine->tree, bytes);
    return bytes;
}

static void assert_load_fails(Fixture *f, const GByteArray *saved, const char *words)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(device_tree_load(&f->bench.machine->tree, saved->data, saved->len,
                                    &error));
    if (!strstr(error->message, words))
        g_error("\"%s\" is not in \"%s\"", words, error->message);
}

static void test_its_state_is_saved(void)
{
    g_autoptr(GByteArray) saved = NULL, again = NULL;
    g_autoptr(GError) error = NULL;
    Fixture f;

    fixture_init(&f);
    kit_qmp_do(f.qmp, "device_add", ADD);
    tell(&f, 2, 1, 7);
    kit_qmp_do(f.qmp, "stop", NULL);
    saved = save(&f);
    control(&f, 0, CAME);
    tell(&f, 0, 2, 8);
    g_assert_true(device_tree_load(&f.bench.machine->tree, saved->data, saved->len,
                                   &error));
    again = save(&f);
    g_assert_cmpmem(saved->data, saved->len, again->data, again->len);
    g_assert_cmphex(flags_of(&f, 0), ==, THERE | CAME);

    /* The same device elsewhere, and an event of a slot that is empty. */
    kit_qmp_do(f.qmp, "x-device-del-force", DEL);
    kit_qmp_do(f.qmp, "device_add", "{'driver': 'pc-dimm', 'id': 'dimm0', 'memdev': 'a',"
               " 'slot': 0, 'addr': 6442450944}");
    assert_load_fails(&f, saved, "134217728 bytes at 0x100000000 in slot 0");
    kit_qmp_do(f.qmp, "x-device-del-force", DEL);
    kit_qmp_do(f.qmp, "device_add", "{'driver': 'pc-dimm', 'id': 'dimm0', 'memdev': 'a',"
               " 'slot': 1}");
    assert_load_fails(&f, saved, "'events' of slot 0 is 0x2");
    fixture_done(&f);
}

static void test_an_add_that_fails_leaves_nothing(void)
{
    g_autoptr(GByteArray) before = NULL, after = NULL;
    unsigned n = 1;
    Fixture f;

    fixture_init(&f);
    kit_qmp_do(f.qmp, "stop", NULL);
    before = save(&f);
    for (;; n++) {
        g_autoptr(JsonValue) reply = NULL;

        vm_fake_fail_nth(f.bench.machine->vm, n, -ENOMEM);
        kit_qmp_send(f.qmp, "device_add", ADD);
        reply = kit_qmp_receive(f.qmp);
        vm_fake_fail_nth(f.bench.machine->vm, 0, 0);
        if (!json_member(reply, "error"))
            break;
        g_assert_cmpint(plugged(&f), ==, 0);
        g_assert_cmphex(flags_of(&f, 0), ==, 0);
        after = save(&f);
        g_assert_cmpmem(before->data, before->len, after->data, after->len);
        g_clear_pointer(&after, g_byte_array_unref);
    }
    g_assert_cmpuint(n, >, 1);
    g_assert_cmpint(plugged(&f), ==, 128 * MIB);
    fixture_done(&f);
}

static void test_comes_and_goes(void)
{
    static const char *const words[] = {
        MACHINE, "-device", "virtio-rng-pci", "-device", "virtio-balloon-pci", NULL,
    };
    Fixture f;

    fixture_init_with(&f, words);
    for (unsigned i = 0; i < 50; i++) {
        kit_qmp_do(f.qmp, "device_add", ADD);
        kit_qmp_do(f.qmp, i % 3 ? "device_del" : "x-device-del-force", DEL);
        if (i % 3)
            eject(&f, 0);
        assert_deleted(&f);
        if (i % 10 == 0)
            kit_qmp_do(f.qmp, "stop", NULL);
        if (i % 10 == 3)
            kit_qmp_do(f.qmp, "cont", NULL);
    }
    kit_qmp_do(f.qmp, "object-del", "{'id': 'a'}");
    fixture_done(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    g_test_add_func("/memhp/memory-comes", test_memory_comes);
    g_test_add_func("/memhp/views-show-it", test_views_show_it);
    g_test_add_func("/memhp/the-balloon-counts-it", test_the_balloon_counts_it);
    g_test_add_func("/memhp/the-guest-lets-go", test_the_guest_lets_go);
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
    g_test_add_func("/memhp/a-reset-carries-out", test_a_reset_carries_out);
    g_test_add_func("/memhp/its-state-is-saved", test_its_state_is_saved);
    g_test_add_func("/memhp/an-add-that-fails-leaves-nothing",
                    test_an_add_that_fails_leaves_nothing);
    g_test_add_func("/memhp/comes-and-goes", test_comes_and_goes);
    return g_test_run();
}
