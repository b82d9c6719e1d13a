/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vCPUs that come and go: what a client says, what the guest's ACPI finds in the
 * registers, how each request to let one go ends.  The test is the client and the guest.
 */
#include <string.h>

#include "berth/hotplug.h"
#include "berth/thread.h"
#include "berth/vm-fake.h"
#include "berth/x86-layout.h"

#include "kit-cpu-slots.h"

#define NOT_SUPPORTED 0x80u    /* a status of _OST */

#define ADD_CPU3 \
    "{'driver': '" TYPE "', 'id': 'c3', 'socket-id': 1, 'core-id': 1, 'thread-id': 0}"

static void fixture_init(KitSlots *s)
{
    static const char *const words[] = { MACHINE, NULL };

    kit_slots_init(s, &kit_cpu_slots, words);
}

/* The guest has not run. */
static void fixture_init_stopped(KitSlots *s)
{
    static const char *const words[] = { MACHINE, "-S", NULL };

    kit_slots_init(s, &kit_cpu_slots, words);
}

static unsigned n_vcpus(KitSlots *s)
{
    g_autoptr(JsonValue) list = kit_qmp_ask(s->qmp, "query-cpus-fast", NULL);

    return (unsigned)json_length(list);
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
    KitSlots s;

    fixture_init(&s);
    machine = s.bench.machine;
    g_assert_cmphex(kit_slots_flags(&s, 1), ==, KIT_SLOT_THERE);
    g_assert_cmphex(kit_slots_flags(&s, 2), ==, 0);
    kit_qmp_do(s.qmp, "device_add", ADD_CPU2);

    g_assert_true(kit_slots_take_gpe(&s));
    kit_slots_out(&s, SELECT, 4, 0);
    kit_slots_out(&s, COMMAND, 1, 0);
    g_assert_cmpuint(kit_slots_in(&s, DATA, 4), ==, 2);
    g_assert_cmphex(kit_slots_in(&s, STATUS, 1), ==, KIT_SLOT_THERE | KIT_SLOT_CAME);
    kit_slots_out(&s, COMMAND, 1, 3);
    g_assert_cmpuint(kit_slots_in(&s, DATA, 4), ==, 2);
    g_assert_cmpuint(kit_slots_in(&s, SELECT, 4), ==, 0);
    kit_slots_control(&s, 2, KIT_SLOT_CAME);
    g_assert_cmphex(kit_slots_flags(&s, 2), ==, KIT_SLOT_THERE);

    g_assert_cmpuint(vm_fake_vcpu_resets(machine_vcpu(machine, 2), &boot), ==, 1);
    g_assert_cmpint(boot.entry, ==, machine->boot.entry);
    vm_fake_vcpu_exit(machine_vcpu(machine, 2), note_run, &ran);
    while (!__atomic_load_n(&ran, __ATOMIC_SEQ_CST))
        g_usleep(100);
    kit_slots_done(&s);
}

static void test_views_show_it(void)
{
    g_autoptr(JsonValue) places = NULL, cpus = NULL, stats = NULL, list = NULL;
    g_autofree char *registers = NULL, *info = NULL;
    KitSlots s;

    fixture_init(&s);
    kit_qmp_do(s.qmp, "device_add", ADD_CPU3);
    places = kit_qmp_ask(s.qmp, "query-hotpluggable-cpus", NULL);
    kit_qmp_assert_at(places, "0.qom-path", "/machine/peripheral/c3");
    kit_qmp_assert_at(places, "1.qom-path", "absent");
    kit_qmp_assert_at(places, "0.type", TYPE);
    cpus = kit_qmp_ask(s.qmp, "query-cpus-fast", NULL);
    kit_qmp_assert_at(cpus, "2.cpu-index", "3");
    kit_qmp_assert_at(cpus, "2.qom-path", "/machine/peripheral/c3");
    kit_qmp_assert_at(cpus, "2.props.core-id", "1");
    stats = kit_qmp_ask(s.qmp, "query-stats", "{'target': 'vcpu', 'providers':"
                        " [{'provider': 'berth'}], 'vcpus': ['/machine/peripheral/c3']}");
    kit_qmp_assert_at(stats, "0.qom-path", "/machine/peripheral/c3");
    list = kit_qmp_ask(s.qmp, "qom-list", "{'path': '/machine/peripheral'}");
    kit_qmp_assert_at(list, "1.type", "child<" TYPE ">");
    json_unref(g_steal_pointer(&list));
    list = kit_qmp_ask(s.qmp, "qom-get", "{'path': '/machine/peripheral/c3',"
                       " 'property': 'hotplugged'}");
    g_assert_true(json_as_bool(list));
    registers = hmp_bench_ask(&s.bench, "info registers -a");
    g_assert_nonnull(strstr(registers, "CPU#3"));
    g_assert_null(strstr(registers, "CPU#2"));
    info = hmp_bench_ask(&s.bench, "info hotpluggable-cpus");
    g_assert_nonnull(strstr(info, "qom_path: \"/machine/peripheral/c3\""));
    kit_slots_done(&s);
}

/* The monitor's chosen vCPU goes: it is the first one's turn. */
static void test_the_chosen_one_goes(void)
{
    g_autofree char *chosen = NULL, *other = NULL;
    KitSlots s;

    fixture_init(&s);
    kit_qmp_do(s.qmp, "device_add", ADD_CPU2);
    g_free(hmp_bench_ask(&s.bench, "cpu 2"));
    chosen = hmp_bench_ask(&s.bench, "p $rip");
    kit_qmp_do(s.qmp, "x-device-del-force", DEL_CPU2);
    other = hmp_bench_ask(&s.bench, "p $rip");
    g_assert_cmpstr(chosen, ==, other);
    g_free(hmp_bench_ask(&s.bench, "info registers"));
    kit_slots_done(&s);
}

static void test_the_guest_lets_go(void)
{
    KitSlots s;

    fixture_init(&s);
    kit_slots_come_and_let_go(&s);
    g_assert_cmpuint(n_vcpus(&s), ==, 2);

    kit_qmp_do(s.qmp, "device_add", ADD_CPU2);
    g_assert_cmpuint(n_vcpus(&s), ==, 3);
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
    /* Who is there from the start is not ejected. */
    kit_slots_control(&s, 1, KIT_SLOT_EJECT);
    g_assert_cmphex(kit_slots_flags(&s, 1), ==, KIT_SLOT_THERE);
    kit_slots_done(&s);
}

static void test_the_guest_keeps_it(void)
{
    g_autoptr(JsonValue) kept = NULL, told = NULL;
    KitSlots s;

    fixture_init(&s);
    kit_qmp_do(s.qmp, "device_add", ADD_CPU2);
    /* Of what nobody asked for nothing follows. */
    kit_slots_tell(&s, 2, KIT_OST_EJECT_REQUEST, NOT_SUPPORTED);
    kit_slots_turn(&s);
    kit_slots_assert_ost(&s, "c2", "128");
    g_assert_cmpuint(kit_qmp_n_events(s.qmp, "DEVICE_UNPLUG_GUEST_ERROR"), ==, 0);
    kit_qmp_do(s.qmp, "device_del", DEL_CPU2);
    kit_slots_control(&s, 2, KIT_SLOT_GOES);
    kit_slots_tell(&s, 2, KIT_OST_EJECT_REQUEST, NOT_SUPPORTED);
    kit_slots_turn(&s);
    kept = kit_qmp_wait_event(s.qmp, "DEVICE_UNPLUG_GUEST_ERROR");
    kit_qmp_assert_at(kept, "device", "c2");
    kit_slots_assert_unplug(&s, "kept");
    told = kit_qmp_ask(s.qmp, "query-acpi-ospm-status", NULL);
    kit_qmp_assert_at(told, "0.device", "c2");
    kit_qmp_assert_at(told, "0.status", "128");
    kit_qmp_assert_at(told, "1.slot", "3");
    kit_qmp_assert_at(told, "1.device", "absent");
    /* Asked again, it changes its mind. */
    kit_qmp_do(s.qmp, "device_del", DEL_CPU2);
    g_assert_cmphex(kit_slots_flags(&s, 2) & KIT_SLOT_GOES, ==, KIT_SLOT_GOES);
    kit_slots_eject(&s, 2);
    kit_slots_assert_deleted(&s);
    kit_slots_done(&s);
}

static void test_a_silent_guest(void)
{
    g_autoptr(JsonValue) silent = NULL;
    KitSlots s;

    fixture_init(&s);
    kit_qmp_do(s.qmp, "device_add", "{'driver': 'vcpu', 'id': 'c2',"
               " 'x-unplug-timeout': 1, " CPU2);
    kit_qmp_do(s.qmp, "device_del", DEL_CPU2);
    silent = kit_qmp_wait_event(s.qmp, "X_DEVICE_UNPLUG_SILENT");
    kit_qmp_assert_at(silent, "device", "c2");
    kit_slots_assert_unplug(&s, "silent");
    kit_slots_eject(&s, 2);
    kit_slots_assert_deleted(&s);
    kit_slots_done(&s);
}

static void test_what_makes_no_sense_does_nothing(void)
{
    static const uint32_t selectors[] = { 4, 5, 0x80000000, UINT32_MAX };
    KitSlots s;

    fixture_init(&s);
    kit_qmp_do(s.qmp, "device_add", ADD_CPU2);
    for (size_t i = 0; i < G_N_ELEMENTS(selectors); i++)
        kit_slots_poke_absent(&s, selectors[i]);
    /* A command that there is not leaves the one that was; one without events too. */
    kit_slots_out(&s, SELECT, 4, 3);
    kit_slots_out(&s, COMMAND, 1, 3);
    kit_slots_out(&s, COMMAND, 1, 4);
    kit_slots_out(&s, COMMAND, 1, 0xff);
    g_assert_cmphex(kit_slots_in(&s, DATA, 4), ==, 3);
    kit_slots_control(&s, 2, KIT_SLOT_CAME | KIT_SLOT_GOES);
    kit_slots_out(&s, SELECT, 4, 3);
    kit_slots_out(&s, COMMAND, 1, 0);
    g_assert_cmphex(kit_slots_in(&s, DATA, 4), ==, 3);
    /* Who is there from the start stays; who is not there cannot go. */
    kit_slots_eject(&s, 0);
    kit_slots_eject(&s, 1);
    kit_slots_eject(&s, 3);
    kit_slots_eject(&s, 3);
    g_assert_cmpuint(n_vcpus(&s), ==, 3);
    kit_slots_eject(&s, 2);
    kit_slots_assert_deleted(&s);
    kit_qmp_do(s.qmp, "device_add", ADD_CPU3);
    kit_slots_turn(&s);
    g_assert_cmpuint(n_vcpus(&s), ==, 3);
    kit_slots_done(&s);
}

/* What was asked of the one that went is not done to the one that came after it. */
static void test_an_ejection_is_of_who_was_there(void)
{
    KitSlots s;

    fixture_init(&s);
    kit_qmp_do(s.qmp, "device_add", ADD_CPU2);
    kit_slots_control(&s, 2, KIT_SLOT_EJECT);
    g_assert_true(hotplug_force(device_find(&s.bench.machine->tree, "c2"), NULL));
    kit_slots_assert_deleted(&s);
    kit_qmp_do(s.qmp, "device_add", ADD_CPU2);
    kit_slots_turn(&s);
    g_assert_cmpuint(n_vcpus(&s), ==, 3);
    kit_slots_done(&s);
}

static void test_a_talkative_guest_is_bounded(void)
{
    KitSlots s;

    fixture_init(&s);
    for (unsigned i = 0; i < 1000; i++)
        kit_slots_tell(&s, 2, KIT_OST_EJECT_REQUEST, i);
    kit_slots_turn(&s);
    g_assert_cmpuint(kit_qmp_n_events(s.qmp, "ACPI_DEVICE_OST"), ==, 64);
    kit_slots_done(&s);
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
    KitSlots s;

    fixture_init(&s);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++)
        kit_qmp_assert_fails(s.qmp, cases[i].words, "device_add", "%s", cases[i].json);
    g_assert_cmpuint(n_vcpus(&s), ==, 2);
    kit_qmp_do(s.qmp, "device_add", ADD_CPU2);
    kit_qmp_assert_fails(s.qmp, "vCPU 2 is there already", "device_add",
                         "{'driver': '" TYPE "', " CPU2);
    kit_qmp_assert_fails(s.qmp, "already", "device_add", ADD_CPU2);
    kit_qmp_assert_fails(s.qmp, "not found", "device_del",
                         "{'id': '/machine/unattached/device[1]'}");
    kit_slots_done(&s);
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
    KitSlots s;

    kit_slots_init(&s, &kit_cpu_slots, full);
    kit_qmp_assert_fails(s.qmp, "-smp maxcpus=", "device_add", ADD_CPU2);
    g_assert_cmphex(kit_slots_in(&s, STATUS, 1), ==, 0xff);
    kit_slots_done(&s);
    kit_slots_init(&s, &kit_cpu_slots, no_acpi);
    g_assert_cmpuint(n_vcpus(&s), ==, 3);
    kit_qmp_assert_fails(s.qmp, "-smp maxcpus=", "device_add", ADD_CPU3);
    kit_qmp_assert_fails(s.qmp, "by ACPI", "device_del", "{'id': 'cold'}");
    kit_slots_done(&s);
}

/* The flags of @index's entry in the MADT that the guest has; ~0: there is none. */
static uint32_t madt_flags(KitSlots *s, uint8_t index)
{
    uint64_t size = X86_EXT_RAM_BASE - X86_BIOS_AREA_BASE;
    const uint8_t *area = address_space_map(s->bench.machine->memory, X86_BIOS_AREA_BASE,
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
    KitSlots s;

    fixture_init_stopped(&s);
    g_assert_cmphex(madt_flags(&s, 2), ==, 2);
    kit_qmp_do(s.qmp, "device_add", ADD_CPU2);
    kit_qmp_do(s.qmp, "device_add", ADD_CPU3);
    g_assert_false(kit_slots_take_gpe(&s));
    g_assert_cmphex(kit_slots_flags(&s, 2), ==, KIT_SLOT_THERE);
    kit_qmp_do(s.qmp, "device_del", "{'id': 'c3'}");
    g_assert_cmpuint(n_vcpus(&s), ==, 3);
    kit_qmp_do(s.qmp, "cont", NULL);
    g_assert_cmphex(madt_flags(&s, 2), ==, 1);
    g_assert_cmphex(madt_flags(&s, 3), ==, 2);
    kit_slots_done(&s);
}

static void test_while_stopped(void)
{
    bool ran = false;
    KitSlots s;

    fixture_init(&s);
    kit_qmp_do(s.qmp, "stop", NULL);
    kit_qmp_do(s.qmp, "device_add", ADD_CPU2);
    vm_fake_vcpu_exit(machine_vcpu(s.bench.machine, 2), note_run, &ran);
    vcpu_wait_paused(machine_vcpu(s.bench.machine, 2));
    g_assert_false(__atomic_load_n(&ran, __ATOMIC_SEQ_CST));
    kit_qmp_do(s.qmp, "cont", NULL);
    while (!__atomic_load_n(&ran, __ATOMIC_SEQ_CST))
        g_usleep(100);
    g_assert_cmphex(kit_slots_flags(&s, 2), ==, KIT_SLOT_THERE | KIT_SLOT_CAME);
    kit_qmp_do(s.qmp, "stop", NULL);
    kit_qmp_do(s.qmp, "x-device-del-force", DEL_CPU2);
    kit_slots_assert_deleted(&s);
    kit_qmp_do(s.qmp, "cont", NULL);
    kit_slots_done(&s);
}

/* What the guest has not seen before it sleeps it sees when it wakes. */
static void test_its_sleep_loses_nothing(void)
{
    KitSlots s;

    fixture_init(&s);
    kit_qmp_do(s.qmp, "device_add", ADD_CPU2);
    kit_qmp_do(s.qmp, "device_add", ADD_CPU3);
    kit_slots_control(&s, 2, KIT_SLOT_CAME);
    kit_qmp_do(s.qmp, "device_del", DEL_CPU2);
    kit_qmp_do(s.qmp, "stop", NULL);
    device_tree_suspend(&s.bench.machine->tree);
    kit_qmp_do(s.qmp, "cont", NULL);
    g_assert_cmphex(kit_slots_flags(&s, 3), ==, KIT_SLOT_THERE | KIT_SLOT_CAME);
    g_assert_cmphex(kit_slots_flags(&s, 2), ==, KIT_SLOT_THERE | KIT_SLOT_GOES);
    kit_slots_eject(&s, 2);
    kit_slots_assert_deleted(&s);
    kit_slots_done(&s);
}

static void test_a_reset_carries_out(void)
{
    g_autoptr(JsonValue) reset = NULL;
    KitSlots s;

    fixture_init(&s);
    kit_qmp_do(s.qmp, "device_add", ADD_CPU2);
    kit_qmp_do(s.qmp, "device_add", ADD_CPU3);
    g_assert_cmphex(madt_flags(&s, 3), ==, 2);
    kit_slots_out(&s, SELECT, 4, 3);
    kit_qmp_do(s.qmp, "device_del", DEL_CPU2);
    kit_qmp_do(s.qmp, "system_reset", NULL);
    reset = kit_qmp_wait_event(s.qmp, "RESET");
    g_assert_cmpuint(n_vcpus(&s), ==, 3);
    g_assert_cmphex(madt_flags(&s, 2), ==, 2);
    g_assert_cmphex(madt_flags(&s, 3), ==, 1);
    /* The guest finds it in its tables, so nothing has come. */
    g_assert_cmphex(kit_slots_flags(&s, 3), ==, KIT_SLOT_THERE);
    g_assert_cmpuint(vm_fake_vcpu_resets(machine_vcpu(s.bench.machine, 3), NULL), ==, 2);
    kit_slots_done(&s);
}

static void test_its_state_is_saved(void)
{
    g_autoptr(GByteArray) saved = NULL, other = NULL, again = NULL;
    g_autoptr(GError) error = NULL;
    DeviceTree *tree;
    KitSlots s;

    fixture_init(&s);
    tree = &s.bench.machine->tree;
    kit_qmp_do(s.qmp, "device_add", ADD_CPU2);
    kit_slots_tell(&s, 3, 1, 7);
    kit_slots_out(&s, COMMAND, 1, 3);
    kit_qmp_do(s.qmp, "stop", NULL);
    saved = kit_slots_save(&s);
    kit_slots_control(&s, 2, KIT_SLOT_CAME);
    kit_slots_tell(&s, 3, 2, 8);
    other = kit_slots_save(&s);
    g_assert_cmpmem(saved->data, saved->len, saved->data, other->len);
    g_assert_cmpint(memcmp(saved->data, other->data, saved->len), !=, 0);
    g_assert_true(device_tree_load(tree, saved->data, saved->len, &error));
    again = kit_slots_save(&s);
    g_assert_cmpmem(saved->data, saved->len, again->data, again->len);
    g_assert_cmphex(kit_slots_in(&s, DATA, 4), ==, 3);
    g_assert_cmphex(kit_slots_flags(&s, 2), ==, KIT_SLOT_THERE | KIT_SLOT_CAME);

    /* An event of a vCPU that is not there. */
    kit_qmp_do(s.qmp, "x-device-del-force", DEL_CPU2);
    g_assert_false(device_tree_load(tree, saved->data, saved->len, &error));
    g_assert_nonnull(strstr(error->message, "'events' of vCPU 2 is 0x2"));
    kit_slots_done(&s);
}

static void test_any_state(void)
{
    KitSlots s;

    fixture_init(&s);
    kit_qmp_do(s.qmp, "device_add", ADD_CPU2);
    kit_slots_load_any_state(&s);
    kit_slots_eject(&s, s.kind->slot);
    kit_slots_assert_deleted(&s);
    kit_slots_done(&s);
}

/* The n-th call of the hypervisor fails, for n = 1 until the vCPU is there. */
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

        g_assert_cmpuint(n_vcpus(&s), ==, 2);
        g_assert_cmphex(kit_slots_flags(&s, 2), ==, 0);
        kit_slots_out(&s, SELECT, 4, 0);
        after = kit_slots_save(&s);
        g_assert_cmpmem(before->data, before->len, after->data, after->len);
    }
    g_assert_cmpuint(n, ==, 3);
    g_assert_cmpuint(n_vcpus(&s), ==, 3);
    kit_qmp_do(s.qmp, "cont", NULL);
    kit_slots_done(&s);
}

/* Threads and descriptors are as before, however often. */
static void test_comes_and_goes(void)
{
    KitSlots s;

    fixture_init(&s);
    kit_slots_come_and_go(&s, 100);
    g_assert_cmpuint(n_vcpus(&s), ==, 2);
    kit_slots_done(&s);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    g_test_add_func("/cpuhp/a-vcpu-comes", test_a_vcpu_comes);
    g_test_add_func("/cpuhp/views-show-it", test_views_show_it);
    g_test_add_func("/cpuhp/the-chosen-one-goes", test_the_chosen_one_goes);
    g_test_add_func("/cpuhp/the-guest-lets-go", test_the_guest_lets_go);
    g_test_add_func("/cpuhp/a-guest-that-boots-is-reminded",
                    test_a_guest_that_boots_is_reminded);
    g_test_add_func("/cpuhp/what-is-ejected-is-not-there",
                    test_what_is_ejected_is_not_there);
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
    g_test_add_func("/cpuhp/its-sleep-loses-nothing", test_its_sleep_loses_nothing);
    g_test_add_func("/cpuhp/a-reset-carries-out", test_a_reset_carries_out);
    g_test_add_func("/cpuhp/its-state-is-saved", test_its_state_is_saved);
    g_test_add_func("/cpuhp/any-state", test_any_state);
    g_test_add_func("/cpuhp/an-add-that-fails-leaves-nothing",
                    test_an_add_that_fails_leaves_nothing);
    g_test_add_func("/cpuhp/comes-and-goes", test_comes_and_goes);
    return g_test_run();
}
