/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vCPUs that come and go: what a client says, what the guest's ACPI finds in the
 * registers, how each request to let one go ends.  The test is the client and the guest.
 */
#include <errno.h>
#include <string.h>

#include "berth/hotplug.h"
#include "berth/thread.h"
#include "berth/timer.h"
#include "berth/vm-fake.h"
#include "berth/x86-layout.h"

#include "hmp-bench.h"
#include "kit-qmp.h"

#define SELECT X86_PORT_CPUHP
#define STATUS (X86_PORT_CPUHP + 4)
#define COMMAND (X86_PORT_CPUHP + 5)
#define DATA (X86_PORT_CPUHP + 8)
#define GPE_STATUS (X86_PM_BASE + X86_PM_GPE0)
#define GPE_BIT (1u << X86_GPE_CPU_HOTPLUG)

#define THERE 1u
#define CAME 2u
#define GOES 4u
#define EJECT 8u

#define EJECT_REQUEST 3u
#define IN_PROGRESS 0x84u
#define NOT_SUPPORTED 0x80u

#define TYPE "host-x86_64-cpu"
/* vCPUs 2 and 3. */
#define CPU2 "'socket-id': 1, 'core-id': 0, 'thread-id': 0}"
#define ADD_CPU2 "{'driver': '" TYPE "', 'id': 'c2', " CPU2
#define ADD_CPU3 \
    "{'driver': '" TYPE "', 'id': 'c3', 'socket-id': 1, 'core-id': 1, 'thread-id': 0}"
#define DEL_CPU2 "{'id': 'c2'}"
#define CPU2_PATH "/machine/peripheral/c2"

/* A machine with vCPUs 0 and 1, and places for 2 and 3. */
typedef struct Fixture {
    HmpBench bench;
    KitQmp *qmp;
} Fixture;

#define MACHINE \
    "-nodefaults", "-m", "64", "-kernel", "tests/fuzz/seeds/kernel/elf64", "-smp", \
    "2,maxcpus=4,sockets=2,cores=2"

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

/* The guest has not run. */
static void fixture_init_stopped(Fixture *f)
{
    static const char *const words[] = { MACHINE, "-S", NULL };

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

static uint32_t status_of(Fixture *f, uint32_t index)
{
    out(f, SELECT, 4, index);
    return in(f, STATUS, 1);
}

static void control(Fixture *f, uint32_t index, uint8_t value)
{
    out(f, SELECT, 4, index);
    out(f, STATUS, 1, value);
}

static void turn(Fixture *f)
{
    loop_turn(f->bench.loop, false);
}

static void eject(Fixture *f, uint32_t index)
{
    control(f, index, EJECT);
    turn(f);
}

static void tell(Fixture *f, uint32_t index, uint32_t event, uint32_t status)
{
    out(f, SELECT, 4, index);
    out(f, COMMAND, 1, 1);
    out(f, DATA, 4, event);
    out(f, COMMAND, 1, 2);
    out(f, DATA, 4, status);
}

/* The guest takes the general-purpose event. */
static bool take_gpe(Fixture *f)
{
    bool is_set = in(f, GPE_STATUS, 1) & GPE_BIT;

    out(f, GPE_STATUS, 1, GPE_BIT);
    return is_set;
}

static unsigned n_vcpus(Fixture *f)
{
    g_autoptr(JsonValue) list = kit_qmp_ask(f->qmp, "query-cpus-fast", NULL);

    return (unsigned)json_length(list);
}

static void assert_unplug_state(Fixture *f, const char *expected)
{
    g_autoptr(JsonValue) list = kit_qmp_ask(f->qmp, "x-query-unplug", NULL);

    kit_qmp_assert_at(list, "0.state", expected);
}

static void assert_deleted(Fixture *f)
{
    g_autoptr(JsonValue) data = kit_qmp_wait_event(f->qmp, "DEVICE_DELETED");

    kit_qmp_assert_at(data, "device", "c2");
    kit_qmp_assert_at(data, "path", CPU2_PATH);
    g_assert_null(machine_vcpu(f->bench.machine, 2));
}

static void assert_ost(Fixture *f, const char *device, const char *status)
{
    g_autoptr(JsonValue) data = kit_qmp_wait_event(f->qmp, "ACPI_DEVICE_OST");

    kit_qmp_assert_at(data, "info.device", device);
    kit_qmp_assert_at(data, "info.slot", "2");
    kit_qmp_assert_at(data, "info.slot-type", "CPU");
    kit_qmp_assert_at(data, "info.source", "3");
    kit_qmp_assert_at(data, "info.status", status);
}

static void note_run(void *opaque)
{
    __atomic_store_n((bool *)opaque, true, __ATOMIC_SEQ_CST);
}

static void test_a_vcpu_comes(void)
{
    Machine *machine;
    bool ran = false;
    VcpuBoot boot;
    Fixture f;

    fixture_init(&f);
    machine = f.bench.machine;
    g_assert_cmphex(status_of(&f, 1), ==, THERE);
    g_assert_cmphex(status_of(&f, 2), ==, 0);
    kit_qmp_do(f.qmp, "device_add", ADD_CPU2);

    g_assert_true(take_gpe(&f));
    out(&f, SELECT, 4, 0);
    out(&f, COMMAND, 1, 0);
    g_assert_cmpuint(in(&f, DATA, 4), ==, 2);
    g_assert_cmphex(in(&f, STATUS, 1), ==, THERE | CAME);
    out(&f, COMMAND, 1, 3);
    g_assert_cmpuint(in(&f, DATA, 4), ==, 2);
    g_assert_cmpuint(in(&f, SELECT, 4), ==, 0);
    control(&f, 2, CAME);
    g_assert_cmphex(status_of(&f, 2), ==, THERE);

    g_assert_cmpuint(vm_fake_vcpu_resets(machine_vcpu(machine, 2), &boot), ==, 1);
    g_assert_cmpint(boot.entry, ==, machine->boot.entry);
    vm_fake_vcpu_exit(machine_vcpu(machine, 2), note_run, &ran);
    while (!__atomic_load_n(&ran, __ATOMIC_SEQ_CST))
        g_usleep(100);
    fixture_done(&f);
}

static void test_views_show_it(void)
{
    g_autoptr(JsonValue) places = NULL, cpus = NULL, stats = NULL, list = NULL;
    g_autofree char *registers = NULL, *info = NULL;
    Fixture f;

    fixture_init(&f);
    kit_qmp_do(f.qmp, "device_add", ADD_CPU3);
    places = kit_qmp_ask(f.qmp, "query-hotpluggable-cpus", NULL);
    kit_qmp_assert_at(places, "0.qom-path", "/machine/peripheral/c3");
    kit_qmp_assert_at(places, "1.qom-path", "absent");
    kit_qmp_assert_at(places, "0.type", TYPE);
    cpus = kit_qmp_ask(f.qmp, "query-cpus-fast", NULL);
    kit_qmp_assert_at(cpus, "2.cpu-index", "3");
    kit_qmp_assert_at(cpus, "2.qom-path", "/machine/peripheral/c3");
    kit_qmp_assert_at(cpus, "2.props.core-id", "1");
    stats = kit_qmp_ask(f.qmp, "query-stats", "{'target': 'vcpu', 'providers':"
                        " [{'provider': 'berth'}], 'vcpus': ['/machine/peripheral/c3']}");
    kit_qmp_assert_at(stats, "0.qom-path", "/machine/peripheral/c3");
    list = kit_qmp_ask(f.qmp, "qom-list", "{'path': '/machine/peripheral'}");
    kit_qmp_assert_at(list, "1.type", "child<" TYPE ">");
    json_unref(g_steal_pointer(&list));
    list = kit_qmp_ask(f.qmp, "qom-get", "{'path': '/machine/peripheral/c3',"
                       " 'property': 'hotplugged'}");
    g_assert_true(json_as_bool(list));
    registers = hmp_bench_ask(&f.bench, "info registers -a");
    g_assert_nonnull(strstr(registers, "CPU#3"));
    g_assert_null(strstr(registers, "CPU#2"));
    info = hmp_bench_ask(&f.bench, "info hotpluggable-cpus");
    g_assert_nonnull(strstr(info, "qom_path: \"/machine/peripheral/c3\""));
    fixture_done(&f);
}

/* The monitor's chosen vCPU goes: it is the first one's turn. */
static void test_the_chosen_one_goes(void)
{
    g_autofree char *chosen = NULL, *other = NULL;
    Fixture f;

    fixture_init(&f);
    kit_qmp_do(f.qmp, "device_add", ADD_CPU2);
    g_free(hmp_bench_ask(&f.bench, "cpu 2"));
    chosen = hmp_bench_ask(&f.bench, "p $rip");
    kit_qmp_do(f.qmp, "x-device-del-force", DEL_CPU2);
    other = hmp_bench_ask(&f.bench, "p $rip");
    g_assert_cmpstr(chosen, ==, other);
    g_free(hmp_bench_ask(&f.bench, "info registers"));
    fixture_done(&f);
}

static void test_the_guest_lets_go(void)
{
    Fixture f;

    fixture_init(&f);
    kit_qmp_do(f.qmp, "device_add", ADD_CPU2);
    control(&f, 2, CAME);
    g_assert_true(take_gpe(&f));
    kit_qmp_do(f.qmp, "device_del", DEL_CPU2);
    g_assert_true(take_gpe(&f));
    g_assert_cmphex(status_of(&f, 2), ==, THERE | GOES);
    assert_unplug_state(&f, "asked");
    control(&f, 2, GOES);
    tell(&f, 2, EJECT_REQUEST, IN_PROGRESS);
    turn(&f);
    assert_ost(&f, "c2", "132");
    assert_unplug_state(&f, "asked");

    control(&f, 2, EJECT);
    tell(&f, 2, EJECT_REQUEST, 0);
    turn(&f);
    assert_deleted(&f);
    assert_ost(&f, "absent", "0");
    g_assert_cmphex(status_of(&f, 2), ==, 0);
    g_assert_cmpuint(n_vcpus(&f), ==, 2);

    kit_qmp_do(f.qmp, "device_add", ADD_CPU2);
    g_assert_cmpuint(n_vcpus(&f), ==, 3);
    fixture_done(&f);
}

static void test_the_guest_keeps_it(void)
{
    g_autoptr(JsonValue) kept = NULL, told = NULL;
    Fixture f;

    fixture_init(&f);
    kit_qmp_do(f.qmp, "device_add", ADD_CPU2);
    /* Of what nobody asked for nothing follows. */
    tell(&f, 2, EJECT_REQUEST, NOT_SUPPORTED);
    turn(&f);
    assert_ost(&f, "c2", "128");
    g_assert_cmpuint(kit_qmp_n_events(f.qmp, "DEVICE_UNPLUG_GUEST_ERROR"), ==, 0);
    kit_qmp_do(f.qmp, "device_del", DEL_CPU2);
    control(&f, 2, GOES);
    tell(&f, 2, EJECT_REQUEST, NOT_SUPPORTED);
    turn(&f);
    kept = kit_qmp_wait_event(f.qmp, "DEVICE_UNPLUG_GUEST_ERROR");
    kit_qmp_assert_at(kept, "device", "c2");
    assert_unplug_state(&f, "kept");
    told = kit_qmp_ask(f.qmp, "query-acpi-ospm-status", NULL);
    kit_qmp_assert_at(told, "0.device", "c2");
    kit_qmp_assert_at(told, "0.status", "128");
    kit_qmp_assert_at(told, "1.slot", "3");
    kit_qmp_assert_at(told, "1.device", "absent");
    /* Asked again, it changes its mind. */
    kit_qmp_do(f.qmp, "device_del", DEL_CPU2);
    g_assert_cmphex(status_of(&f, 2) & GOES, ==, GOES);
    eject(&f, 2);
    assert_deleted(&f);
    fixture_done(&f);
}

static void test_a_silent_guest(void)
{
    g_autoptr(JsonValue) silent = NULL;
    Fixture f;

    fixture_init(&f);
    kit_qmp_do(f.qmp, "device_add", "{'driver': 'vcpu', 'id': 'c2',"
               " 'x-unplug-timeout': 1, " CPU2);
    kit_qmp_do(f.qmp, "device_del", DEL_CPU2);
    silent = kit_qmp_wait_event(f.qmp, "X_DEVICE_UNPLUG_SILENT");
    kit_qmp_assert_at(silent, "device", "c2");
    assert_unplug_state(&f, "silent");
    eject(&f, 2);
    assert_deleted(&f);
    fixture_done(&f);
}

static void test_what_makes_no_sense_does_nothing(void)
{
    static const uint32_t selectors[] = { 4, 5, 0x80000000, UINT32_MAX };
    Fixture f;

    fixture_init(&f);
    kit_qmp_do(f.qmp, "device_add", ADD_CPU2);
    for (size_t i = 0; i < G_N_ELEMENTS(selectors); i++) {
        out(&f, SELECT, 4, selectors[i]);
        for (unsigned offset = 0; offset < X86_PORT_CPUHP_SIZE; offset++) {
            for (unsigned size = 1; size <= 4; size *= 2) {
                if (offset + size > X86_PORT_CPUHP_SIZE)
                    continue;
                if (offset)
                    out(&f, (uint16_t)(SELECT + offset), size, UINT32_MAX);
                g_assert_cmphex(in(&f, (uint16_t)(SELECT + offset), size), ==, 0);
            }
        }
    }
    /* A command that there is not leaves the one that was; one without events too. */
    out(&f, SELECT, 4, 3);
    out(&f, COMMAND, 1, 3);
    out(&f, COMMAND, 1, 4);
    out(&f, COMMAND, 1, 0xff);
    g_assert_cmphex(in(&f, DATA, 4), ==, 3);
    control(&f, 2, CAME | GOES);
    out(&f, SELECT, 4, 3);
    out(&f, COMMAND, 1, 0);
    g_assert_cmphex(in(&f, DATA, 4), ==, 3);
    /* Who is there from the start stays; who is not there cannot go. */
    eject(&f, 0);
    eject(&f, 1);
    eject(&f, 3);
    eject(&f, 3);
    g_assert_cmpuint(n_vcpus(&f), ==, 3);
    eject(&f, 2);
    assert_deleted(&f);
    kit_qmp_do(f.qmp, "device_add", ADD_CPU3);
    turn(&f);
    g_assert_cmpuint(n_vcpus(&f), ==, 3);
    fixture_done(&f);
}

/* What was asked of the one that went is not done to the one that came after it. */
static void test_an_ejection_is_of_who_was_there(void)
{
    Fixture f;

    fixture_init(&f);
    kit_qmp_do(f.qmp, "device_add", ADD_CPU2);
    control(&f, 2, EJECT);
    g_assert_true(hotplug_force(device_find(&f.bench.machine->tree, "c2"), NULL));
    assert_deleted(&f);
    kit_qmp_do(f.qmp, "device_add", ADD_CPU2);
    turn(&f);
    g_assert_cmpuint(n_vcpus(&f), ==, 3);
    fixture_done(&f);
}

static void test_a_talkative_guest_is_bounded(void)
{
    Fixture f;

    fixture_init(&f);
    for (unsigned i = 0; i < 1000; i++)
        tell(&f, 2, EJECT_REQUEST, i);
    turn(&f);
    g_assert_cmpuint(kit_qmp_n_events(f.qmp, "ACPI_DEVICE_OST"), ==, 64);
    fixture_done(&f);
}

static void test_wrong_arguments(void)
{
    static const struct {
        const char *json;
        const char *words;
    } cases[] = {
        { "{'driver': '" TYPE "', 'core-id': 0, 'thread-id': 0}",
          "'socket-id' is missing" },
        { "{'driver': '" TYPE "', 'socket-id': 1, 'thread-id': 0}",
          "'core-id' is missing" },
        { "{'driver': '" TYPE "', 'socket-id': 1, 'core-id': 0}",
          "'thread-id' is missing" },
        { "{'driver': '" TYPE "', 'socket-id': 2, 'core-id': 0, 'thread-id': 0}",
          "'socket-id' is 2, must be 0 to 1" },
        { "{'driver': '" TYPE "', 'socket-id': 1, 'core-id': 9, 'thread-id': 0}",
          "'core-id' is 9, must be 0 to 1" },
        { "{'driver': '" TYPE "', 'socket-id': 1, 'core-id': 0, 'thread-id': 1}",
          "'thread-id' is 1, must be 0 to 0" },
        { "{'driver': '" TYPE "', 'die-id': 1, " CPU2, "'die-id' is 1" },
        { "{'driver': '" TYPE "', 'node-id': 1, " CPU2, "belongs to node 0" },
        { "{'driver': '" TYPE "', 'socket-id': 0, 'core-id': 1, 'thread-id': 0}",
          "vCPU 1 is there already" },
        { "{'driver': '" TYPE "', 'socket-id': -1, 'core-id': 1, 'thread-id': 0}",
          "socket-id" },
        { "{'driver': 'Nehalem-x86_64-cpu', " CPU2, "not 'Nehalem-x86_64-cpu'" },
        { "{'driver': '-x86_64-cpu', " CPU2, "not '-x86_64-cpu'" },
        { "{'driver': '" TYPE "', 'model': 'host', " CPU2, "driver" },
        { "{'driver': '" TYPE "', 'pmu': true, " CPU2, "pmu" },
        { "{'driver': '" TYPE "', 'addr': '4', " CPU2, "addr" },
        { "{'driver': '" TYPE "', 'bus': 'pcie.0', " CPU2, "bus" },
    };
    Fixture f;

    fixture_init(&f);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        kit_qmp_assert_fails(f.qmp, cases[i].words, "device_add", "%s", cases[i].json);
    g_assert_cmpuint(n_vcpus(&f), ==, 2);
    kit_qmp_do(f.qmp, "device_add", ADD_CPU2);
    kit_qmp_assert_fails(f.qmp, "vCPU 2 is there already", "device_add",
                         "{'driver': '" TYPE "', " CPU2);
    kit_qmp_assert_fails(f.qmp, "already", "device_add", ADD_CPU2);
    kit_qmp_assert_fails(f.qmp, "not found", "device_del",
                         "{'id': '/machine/unattached/device[1]'}");
    fixture_done(&f);
}

static void test_places_of_a_machine_without(void)
{
    static const char *const full[] = {
        "-nodefaults", "-m", "64", "-smp", "2", "-kernel",
        "tests/fuzz/seeds/kernel/elf64", NULL,
    };
    static const char *const no_acpi[] = {
        MACHINE, "-machine", "acpi=off", "-device",
        TYPE ",id=cold,socket-id=1,core-id=0,thread-id=0", NULL,
    };
    Fixture f;

    fixture_init_with(&f, full);
    kit_qmp_assert_fails(f.qmp, "-smp maxcpus=", "device_add", ADD_CPU2);
    g_assert_cmphex(in(&f, STATUS, 1), ==, 0xff);
    fixture_done(&f);
    fixture_init_with(&f, no_acpi);
    g_assert_cmpuint(n_vcpus(&f), ==, 3);
    kit_qmp_assert_fails(f.qmp, "-smp maxcpus=", "device_add", ADD_CPU3);
    kit_qmp_assert_fails(f.qmp, "by ACPI", "device_del", "{'id': 'cold'}");
    fixture_done(&f);
}

/* The flags of @index's entry in the MADT that the guest has; ~0: there is none. */
static uint32_t madt_flags(Fixture *f, uint8_t index)
{
    uint64_t size = X86_EXT_RAM_BASE - X86_BIOS_AREA_BASE;
    const uint8_t *area = address_space_map(f->bench.machine->memory, X86_BIOS_AREA_BASE,
                                            size, false);
    const uint8_t *madt = memmem(area, size, "APIC", 4);
    uint32_t length, flags = ~0u;

    g_assert_nonnull(madt);
    memcpy(&length, madt + 4, sizeof(length));
    for (const uint8_t *entry = madt + 44; entry < madt + length; entry += entry[1]) {
        if (entry[0] == 0 && entry[2] == index)
            memcpy(&flags, entry + 4, sizeof(flags));
    }
    return flags;
}

static void test_before_the_guest_runs(void)
{
    Fixture f;

    fixture_init_stopped(&f);
    g_assert_cmphex(madt_flags(&f, 2), ==, 2);
    kit_qmp_do(f.qmp, "device_add", ADD_CPU2);
    kit_qmp_do(f.qmp, "device_add", ADD_CPU3);
    g_assert_false(take_gpe(&f));
    g_assert_cmphex(status_of(&f, 2), ==, THERE);
    kit_qmp_do(f.qmp, "device_del", "{'id': 'c3'}");
    g_assert_cmpuint(n_vcpus(&f), ==, 3);
    kit_qmp_do(f.qmp, "cont", NULL);
    g_assert_cmphex(madt_flags(&f, 2), ==, 1);
    g_assert_cmphex(madt_flags(&f, 3), ==, 2);
    fixture_done(&f);
}

static void test_while_stopped(void)
{
    bool ran = false;
    Fixture f;

    fixture_init(&f);
    kit_qmp_do(f.qmp, "stop", NULL);
    kit_qmp_do(f.qmp, "device_add", ADD_CPU2);
    vm_fake_vcpu_exit(machine_vcpu(f.bench.machine, 2), note_run, &ran);
    vcpu_wait_paused(machine_vcpu(f.bench.machine, 2));
    g_assert_false(__atomic_load_n(&ran, __ATOMIC_SEQ_CST));
    kit_qmp_do(f.qmp, "cont", NULL);
    while (!__atomic_load_n(&ran, __ATOMIC_SEQ_CST))
        g_usleep(100);
    g_assert_cmphex(status_of(&f, 2), ==, THERE | CAME);
    kit_qmp_do(f.qmp, "stop", NULL);
    kit_qmp_do(f.qmp, "x-device-del-force", DEL_CPU2);
    assert_deleted(&f);
    kit_qmp_do(f.qmp, "cont", NULL);
    fixture_done(&f);
}

static void test_a_reset_carries_out(void)
{
    g_autoptr(JsonValue) reset = NULL;
    Fixture f;

    fixture_init(&f);
    kit_qmp_do(f.qmp, "device_add", ADD_CPU2);
    kit_qmp_do(f.qmp, "device_add", ADD_CPU3);
    g_assert_cmphex(madt_flags(&f, 3), ==, 2);
    out(&f, SELECT, 4, 3);
    kit_qmp_do(f.qmp, "device_del", DEL_CPU2);
    kit_qmp_do(f.qmp, "system_reset", NULL);
    reset = kit_qmp_wait_event(f.qmp, "RESET");
    g_assert_cmpuint(n_vcpus(&f), ==, 3);
    g_assert_cmphex(madt_flags(&f, 2), ==, 2);
    g_assert_cmphex(madt_flags(&f, 3), ==, 1);
    /* The guest finds it in its tables, so nothing has come. */
    g_assert_cmphex(status_of(&f, 3), ==, THERE);
    g_assert_cmpuint(vm_fake_vcpu_resets(machine_vcpu(f.bench.machine, 3), NULL), ==, 2);
    fixture_done(&f);
}

static GByteArray *save(Fixture *f)
{
    GByteArray *bytes = g_byte_array_new();

    device_tree_save(&f->bench.machine->tree, bytes);
    return bytes;
}

static void test_its_state_is_saved(void)
{
    g_autoptr(GByteArray) saved = NULL, other = NULL, again = NULL;
    g_autoptr(GError) error = NULL;
    DeviceTree *tree;
    Fixture f;

    fixture_init(&f);
    tree = &f.bench.machine->tree;
    kit_qmp_do(f.qmp, "device_add", ADD_CPU2);
    tell(&f, 3, 1, 7);
    out(&f, COMMAND, 1, 3);
    kit_qmp_do(f.qmp, "stop", NULL);
    saved = save(&f);
    control(&f, 2, CAME);
    tell(&f, 3, 2, 8);
    other = save(&f);
    g_assert_cmpmem(saved->data, saved->len, saved->data, other->len);
    g_assert_cmpint(memcmp(saved->data, other->data, saved->len), !=, 0);
    g_assert_true(device_tree_load(tree, saved->data, saved->len, &error));
    again = save(&f);
    g_assert_cmpmem(saved->data, saved->len, again->data, again->len);
    g_assert_cmphex(in(&f, DATA, 4), ==, 3);
    g_assert_cmphex(status_of(&f, 2), ==, THERE | CAME);

    /* An event of a vCPU that is not there. */
    kit_qmp_do(f.qmp, "x-device-del-force", DEL_CPU2);
    g_assert_false(device_tree_load(tree, saved->data, saved->len, &error));
    g_assert_nonnull(strstr(error->message, "'events' of vCPU 2 is 0x2"));
    fixture_done(&f);
}

/* The n-th call of the hypervisor fails, for n = 1 until the vCPU is there. */
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
        kit_qmp_send(f.qmp, "device_add", ADD_CPU2);
        reply = kit_qmp_receive(f.qmp);
        vm_fake_fail_nth(f.bench.machine->vm, 0, 0);
        if (!json_member(reply, "error"))
            break;
        g_assert_cmpuint(n_vcpus(&f), ==, 2);
        g_assert_cmphex(status_of(&f, 2), ==, 0);
        out(&f, SELECT, 4, 0);
        after = save(&f);
        g_assert_cmpmem(before->data, before->len, after->data, after->len);
        g_clear_pointer(&after, g_byte_array_unref);
    }
    g_assert_cmpuint(n, ==, 3);
    g_assert_cmpuint(n_vcpus(&f), ==, 3);
    kit_qmp_do(f.qmp, "cont", NULL);
    fixture_done(&f);
}

/* Threads and descriptors are as before, however often. */
static void test_comes_and_goes(void)
{
    Fixture f;

    fixture_init(&f);
    for (unsigned i = 0; i < 100; i++) {
        kit_qmp_do(f.qmp, "device_add", ADD_CPU2);
        kit_qmp_do(f.qmp, i % 3 ? "device_del" : "x-device-del-force", DEL_CPU2);
        if (i % 3)
            eject(&f, 2);
        assert_deleted(&f);
        if (i % 10 == 0)
            kit_qmp_do(f.qmp, "stop", NULL);
        if (i % 10 == 3)
            kit_qmp_do(f.qmp, "cont", NULL);
    }
    g_assert_cmpuint(n_vcpus(&f), ==, 2);
    fixture_done(&f);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    g_test_add_func("/cpuhp/a-vcpu-comes", test_a_vcpu_comes);
    g_test_add_func("/cpuhp/views-show-it", test_views_show_it);
    g_test_add_func("/cpuhp/the-chosen-one-goes", test_the_chosen_one_goes);
    g_test_add_func("/cpuhp/the-guest-lets-go", test_the_guest_lets_go);
    g_test_add_func("/cpuhp/the-guest-keeps-it", test_the_guest_keeps_it);
    g_test_add_func("/cpuhp/a-silent-guest", test_a_silent_guest);
    g_test_add_func("/cpuhp/what-makes-no-sense-does-nothing",
                    test_what_makes_no_sense_does_nothing);
    g_test_add_func("/cpuhp/an-ejection-is-of-who-was-there",
                    test_an_ejection_is_of_who_was_there);
    g_test_add_func("/cpuhp/a-talkative-guest-is-bounded",
                    test_a_talkative_guest_is_bounded);
    g_test_add_func("/cpuhp/wrong-arguments", test_wrong_arguments);
    g_test_add_func("/cpuhp/places-of-a-machine-without",
                    test_places_of_a_machine_without);
    g_test_add_func("/cpuhp/before-the-guest-runs", test_before_the_guest_runs);
    g_test_add_func("/cpuhp/while-stopped", test_while_stopped);
    g_test_add_func("/cpuhp/a-reset-carries-out", test_a_reset_carries_out);
    g_test_add_func("/cpuhp/its-state-is-saved", test_its_state_is_saved);
    g_test_add_func("/cpuhp/an-add-that-fails-leaves-nothing",
                    test_an_add_that_fails_leaves_nothing);
    g_test_add_func("/cpuhp/comes-and-goes", test_comes_and_goes);
    return g_test_run();
}
