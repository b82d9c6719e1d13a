/* SPDX-License-Identifier: Apache-2.0 */
/* What clients read and write under the paths of the object tree, and of the machine. */
#include <string.h>

#include "berth/error.h"
#include "berth/qmp.h"
#include "berth/vm-fake.h"

#include "qmp-commands.h"

#include "machine-bench.h"

typedef struct Rig {
    MachineBench bench;
    QmpContext ctx;
} Rig;

static char *const argv[] = {
    "berth", "-machine", "q35,dump-guest-core=off", "-nodefaults", "-m", "64", "-smp",
    "2,maxcpus=4,sockets=2,cores=2", "-kernel", "tests/fuzz/seeds/kernel/elf64",
    "-append", "quiet", "-object", "iothread,id=io1",
    "-object", "throttle-group,id=lim,limits.iops-total=100",
    "-object", "secret,id=s,data=hidden", "-device", "pcie-root-port,id=port,chassis=3",
    "-global", "ICH9-LPC.disable_s4=1",
};

static void rig_init(Rig *rig)
{
    g_autoptr(GError) error = NULL;

    machine_bench_init(&rig->bench, argv, G_N_ELEMENTS(argv), &error);
    g_assert_no_error(error);
    machine_bench_make(&rig->bench, vm_fake_new(), &error);
    g_assert_no_error(error);
    rig->ctx = (QmpContext) {
        .machine = rig->bench.machine,
        .objects = rig->bench.machine->objects,
        .tree = &rig->bench.machine->tree,
    };
}

static void rig_done(Rig *rig)
{
    machine_bench_done(&rig->bench);
}

/* The value as JSON; NULL with @error. */
static char *get(Rig *rig, const char *path, const char *property, GError **error)
{
    QomGetArgs args = { .path = (char *)path, .property = (char *)property };
    g_autoptr(JsonValue) value = qmp_qom_get(&rig->ctx, &args, error);

    return value ? json_to_text(value) : NULL;
}

static bool set(Rig *rig, const char *path, const char *property, const char *json,
                GError **error)
{
    g_autoptr(JsonValue) value = json_parse_text(json, strlen(json), NULL);
    QomSetArgs args = {
        .path = (char *)path, .property = (char *)property, .value = value,
    };

    return qmp_qom_set(&rig->ctx, &args, error);
}

static void test_values_are_those_in_use(void)
{
    static const struct {
        const char *path;
        const char *property;
        const char *value;
    } cases[] = {
        { "/machine", "type", "\"pc-q35-berth-1.0-machine\"" },
        { "/machine", "dump-guest-core", "false" },
        { "/machine", "mem-merge", "true" },
        { "/machine", "acpi", "\"on\"" },
        { "/machine", "kernel-irqchip", "\"on\"" },
        { "/machine", "append", "\"quiet\"" },
        { "/machine", "initrd", "\"\"" },
        { "/machine", "memory-backend", "\"pc.ram\"" },
        { "/machine", "usb", "false" },
        { "/machine", "i8042", "true" },
        { "/machine", "peripheral", "\"/machine/peripheral\"" },
        { "/", "machine", "\"/machine\"" },
        { "/machine/lpc", "disable_s4", "1" },
        { "/machine/lpc", "type", "\"ICH9-LPC\"" },
        { "/machine/peripheral/port", "chassis", "3" },
        { "/machine/peripheral/port", "realized", "true" },
        { "/machine/peripheral/port", "parent_bus", "\"pcie.0\"" },
        { "/objects/pc.ram", "dump", "false" },
        { "/objects/pc.ram", "size", "67108864" },
        { "/objects/io1", "poll-max-ns", "32768" },
        { "/objects/io1", "thread-pool-max", "64" },
        { "/objects/s", "format", "\"raw\"" },
        { "/machine/unattached/device[1]", "core-id", "1" },
    };
    Rig rig;

    rig_init(&rig);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;
        g_autofree char *value = get(&rig, cases[i].path, cases[i].property, &error);

        g_assert_no_error(error);
        g_assert_cmpstr(value, ==, cases[i].value);
    }
    rig_done(&rig);
}

static void test_what_is_not_there_is_told_apart(void)
{
    g_autoptr(GError) error = NULL;
    Rig rig;

    rig_init(&rig);
    g_assert_null(get(&rig, "/machine/peripheral/nothing", "type", &error));
    g_assert_true(g_error_matches(error, BERTH_ERROR, BERTH_ERROR_DEVICE_NOT_FOUND));
    g_clear_error(&error);
    g_assert_null(get(&rig, "/machine", "wheels", &error));
    g_assert_true(g_error_matches(error, BERTH_ERROR, BERTH_ERROR_GENERIC));
    g_clear_error(&error);
    g_assert_null(get(&rig, "/objects/s", "data", &error));
    g_assert_true(g_error_matches(error, BERTH_ERROR, BERTH_ERROR_GENERIC));
    rig_done(&rig);
}

static void test_a_property_takes_the_value_that_it_has(void)
{
    g_autoptr(GError) error = NULL;
    Rig rig;

    rig_init(&rig);
    g_assert_true(set(&rig, "/objects/pc.ram", "size", "67108864", &error));
    g_assert_true(set(&rig, "/machine", "acpi", "\"on\"", &error));
    g_assert_false(set(&rig, "/objects/pc.ram", "size", "32768", &error));
    g_assert_nonnull(strstr(error->message, "size"));
    g_clear_error(&error);
    g_assert_false(set(&rig, "/objects/io1", "poll-max-ns", "\"0\"", &error));
    g_clear_error(&error);
    g_assert_false(set(&rig, "/objects/nothing", "size", "1", &error));
    g_assert_true(g_error_matches(error, BERTH_ERROR, BERTH_ERROR_DEVICE_NOT_FOUND));
    rig_done(&rig);
}

static void test_an_iothread_is_tuned(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *value = NULL;
    Rig rig;

    rig_init(&rig);
    g_assert_true(set(&rig, "/objects/io1", "poll-max-ns", "50000", &error));
    value = get(&rig, "/objects/io1", "poll-max-ns", &error);
    g_assert_cmpstr(value, ==, "50000");
    g_assert_false(set(&rig, "/objects/io1", "thread-pool-min", "65", &error));
    g_assert_nonnull(strstr(error->message, "thread-pool-min"));
    rig_done(&rig);
}

/* The end of its path names it, and what is not given stays. */
static void test_limits_are_changed_as_libvirt_does(void)
{
    g_autoptr(GError) error = NULL;
    g_autofree char *value = NULL;
    Rig rig;

    rig_init(&rig);
    g_assert_true(set(&rig, "lim", "limits", "{\"bps-read\": 4096}", &error));
    value = get(&rig, "lim", "limits", &error);
    g_assert_nonnull(strstr(value, "\"bps-read\": 4096"));
    g_assert_nonnull(strstr(value, "\"iops-total\": 100"));
    g_assert_false(set(&rig, "/objects/lim", "limits", "{\"bps-total\": 1}", &error));
    g_assert_nonnull(strstr(error->message, "exclude"));
    rig_done(&rig);
}

/* qom-list, qom-list-get and qom-get agree, everywhere. */
static void check_path(Rig *rig, const char *path, unsigned depth)
{
    QomListArgs list_args = { .path = (char *)path };
    char *items[] = { (char *)path };
    StrList paths = { .n = 1, .items = items };
    QomListGetArgs get_args = { .paths = &paths };
    g_autoptr(ObjectPropertyInfoList) list = qmp_qom_list(&rig->ctx, &list_args, NULL);
    g_autoptr(ObjectPropertiesValuesList) all =
        qmp_qom_list_get(&rig->ctx, &get_args, NULL);
    const ObjectPropertyValueList *values = all->items[0]->properties;

    g_assert_cmpuint(list->n, ==, values->n);
    for (size_t i = 0; i < list->n; i++) {
        g_autofree char *value = get(rig, path, list->items[i]->name, NULL);
        g_autofree char *listed =
            values->items[i]->value ? json_to_text(values->items[i]->value) : NULL;

        g_assert_cmpstr(list->items[i]->name, ==, values->items[i]->name);
        g_assert_cmpstr(list->items[i]->type, ==, values->items[i]->type);
        g_assert_cmpstr(value, ==, listed);
        if (depth && g_str_has_prefix(list->items[i]->type, "child<"))
            check_path(rig, json_as_string(values->items[i]->value), depth - 1);
    }
}

static void test_views_of_a_path_agree(void)
{
    Rig rig;

    rig_init(&rig);
    check_path(&rig, "/", 4);
    rig_done(&rig);
}

static void test_places_for_vcpus_are_the_topology(void)
{
    g_autoptr(HotpluggableCPUList) cpus = NULL;
    g_autoptr(CpuInfoFastList) present = NULL;
    Rig rig;

    rig_init(&rig);
    cpus = qmp_query_hotpluggable_cpus(&rig.ctx, NULL);
    present = qmp_query_cpus_fast(&rig.ctx, NULL);

    g_assert_cmpuint(cpus->n, ==, 4);
    for (size_t i = 0; i < cpus->n; i++) {
        const HotpluggableCPU *cpu = cpus->items[3 - i];

        g_assert_cmpint(cpu->props->socket_id, ==, (int)i / 2);
        g_assert_cmpint(cpu->props->core_id, ==, (int)i % 2);
        g_assert_false(cpu->props->has_die_id);
        g_assert_cmpstr(cpu->qom_path, ==,
                        i < present->n ? present->items[i]->qom_path : NULL);
        g_assert_true(g_str_has_suffix(cpu->type, "-x86_64-cpu"));
    }
    rig_done(&rig);
}

static void test_type_of_processor_lists_its_place(void)
{
    QomListPropertiesArgs args = { .typename = (char *)"host-x86_64-cpu" };
    g_autoptr(ObjectPropertyInfoList) list = qmp_qom_list_properties(NULL, &args, NULL);
    unsigned places = 0, models = 0;

    for (size_t i = 0; i < list->n; i++) {
        places += strcmp(list->items[i]->name, "core-id") == 0;
        models += strcmp(list->items[i]->name, "model") == 0;
    }
    g_assert_cmpuint(places, ==, 1);
    g_assert_cmpuint(models, ==, 1);
}

static void test_migration_capabilities_are_kept(void)
{
    MigrationCapabilityStatus status = {
        .capability = MIGRATION_CAPABILITY_EVENTS, .state = true,
    };
    MigrationCapabilityStatus *items[] = { &status };
    MigrationCapabilityStatusList list = { .n = 1, .items = items };
    MigrateSetCapabilitiesArgs args = { .capabilities = &list };
    g_autoptr(MigrationCapabilityStatusList) before = NULL;
    g_autoptr(MigrationCapabilityStatusList) after = NULL;
    Rig rig;

    rig_init(&rig);
    before = qmp_query_migrate_capabilities(&rig.ctx, NULL);
    g_assert_true(qmp_migrate_set_capabilities(&rig.ctx, &args, NULL));
    after = qmp_query_migrate_capabilities(&rig.ctx, NULL);

    g_assert_false(before->items[0]->state);
    g_assert_true(after->items[0]->state);
    rig_done(&rig);
}

int main(int argc, char **argv_)
{
    g_test_init(&argc, &argv_, NULL);
    thread_set_role(THREAD_MAIN);
    g_test_add_func("/qom/values-are-those-in-use", test_values_are_those_in_use);
    g_test_add_func("/qom/what-is-not-there-is-told-apart",
                    test_what_is_not_there_is_told_apart);
    g_test_add_func("/qom/a-property-takes-the-value-that-it-has",
                    test_a_property_takes_the_value_that_it_has);
    g_test_add_func("/qom/an-iothread-is-tuned", test_an_iothread_is_tuned);
    g_test_add_func("/qom/limits-are-changed-as-libvirt-does",
                    test_limits_are_changed_as_libvirt_does);
    g_test_add_func("/qom/views-of-a-path-agree", test_views_of_a_path_agree);
    g_test_add_func("/qom/places-for-vcpus-are-the-topology",
                    test_places_for_vcpus_are_the_topology);
    g_test_add_func("/qom/migration-capabilities-are-kept",
                    test_migration_capabilities_are_kept);
    g_test_add_func("/qom/type-of-processor", test_type_of_processor_lists_its_place);
    return g_test_run();
}
