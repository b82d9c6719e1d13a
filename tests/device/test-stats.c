/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query-stats and query-stats-schemas on a whole machine of the fake hypervisor.
 */
#include <string.h>

#include "berth/monitor.h"
#include "berth/vm-fake.h"
#include "qmp-commands.h"

#include "stats-image.h"

#include "machine-bench.h"
#include "sanitized.h"

typedef struct Rig {
    MachineBench bench;
    GPtrArray *monitors;
    QmpContext ctx;
} Rig;

/* Its hypervisor counts. */
static Vm *counting_vm(void)
{
    static const StatsImageStat stats[] = {
        { "remote_tlb_flush", 0, 0, 1, 0 },
        { "enabled", STATS_IMAGE_FLAGS(1, 4, 0), 0, 1, 0 },
        { "sizes", STATS_IMAGE_FLAGS(3, 1, 1), 10, 2, 8 },
    };
    g_autoptr(GByteArray) of_vcpu = stats_image_of_vcpu();
    g_autoptr(GByteArray) of_vm = stats_image_new(stats, G_N_ELEMENTS(stats));
    Vm *vm = vm_fake_new();

    vm_fake_set_stats(vm, false, of_vm->data, of_vm->len);
    vm_fake_set_stats(vm, true, of_vcpu->data, of_vcpu->len);
    return vm;
}

/* Takes @vm. */
static void rig_init_with(Rig *rig, const char *vcpus, Vm *vm)
{
    char *argv[] = { "berth", "-nodefaults", "-S", "-smp", (char *)vcpus,
                     "-device", "virtio-rng-pci,id=rng0" };
    g_autoptr(GError) error = NULL;

    machine_bench_init(&rig->bench, argv, G_N_ELEMENTS(argv), &error);
    g_assert_no_error(error);
    machine_bench_make(&rig->bench, vm, &error);
    g_assert_no_error(error);
    rig->monitors = g_ptr_array_new();
    rig->ctx = (QmpContext) {
        .machine = rig->bench.machine, .tree = &rig->bench.machine->tree,
        .monitors = rig->monitors,
    };
}

static void rig_init(Rig *rig, const char *vcpus)
{
    rig_init_with(rig, vcpus, counting_vm());
}

static void rig_done(Rig *rig)
{
    g_ptr_array_unref(rig->monitors);
    machine_bench_done(&rig->bench);
}

static StatsResultList *ask(Rig *rig, const char *json)
{
    g_autoptr(GError) error = NULL;
    g_autoptr(StatsFilter) filter = qapi_parse_json(QAPI_TYPE_STATS_FILTER, json, &error);
    StatsResultList *results;

    g_assert_no_error(error);
    results = qmp_query_stats(&rig->ctx, filter, &error);
    g_assert_no_error(error);
    return results;
}

/* The answer as a client gets it. */
static char *ask_text(Rig *rig, const char *json)
{
    g_autoptr(StatsResultList) results = ask(rig, json);
    g_autoptr(JsonValue) value = qapi_emit(QAPI_TYPE_STATS_RESULT_LIST, results);

    return json_to_text(value);
}

static void test_machine_has_one_list(void)
{
    g_autofree char *text = NULL;
    Rig rig;

    rig_init(&rig, "2");
    text = ask_text(&rig, "{\"target\":\"vm\"}");

    g_assert_cmpstr(text, ==,
                    "[{\"provider\": \"kvm\", \"stats\": ["
                    "{\"name\": \"remote_tlb_flush\", \"value\": 100}, "
                    "{\"name\": \"enabled\", \"value\": true}, "
                    "{\"name\": \"sizes\", \"value\": [102, 103]}]}]");
    rig_done(&rig);
}

static void test_each_vcpu_has_one_list(void)
{
    g_autoptr(StatsResultList) results = NULL;
    Rig rig;

    rig_init(&rig, "3");
    results = ask(&rig, "{\"target\":\"vcpu\"}");

    g_assert_cmpuint(results->n, ==, 3);
    for (size_t i = 0; i < results->n; i++) {
        g_autofree char *path = machine_vcpu_path(rig.bench.machine, i);

        g_assert_cmpstr(results->items[i]->qom_path, ==, path);
        g_assert_cmpint(results->items[i]->provider, ==, STATS_PROVIDER_KVM);
        g_assert_cmpuint(results->items[i]->stats->n, ==, 45);
    }
    rig_done(&rig);
}

static void test_names_and_paths_select(void)
{
    g_autofree char *text = NULL, *nothing = NULL, *nobody = NULL;
    Rig rig;

    rig_init(&rig, "3");
    text = ask_text(&rig, "{\"target\":\"vcpu\",\"vcpus\":[\"/machine/unattached/"
                    "device[1]\",\"/nowhere\"],\"providers\":[{\"provider\":\"kvm\","
                    "\"names\":[\"vcpu_statistic_44\",\"none\"]}]}");
    nothing = ask_text(&rig, "{\"target\":\"vcpu\",\"providers\":[{\"provider\":\"kvm\","
                       "\"names\":[]}]}");
    nobody = ask_text(&rig, "{\"target\":\"vcpu\",\"vcpus\":[]}");

    g_assert_cmpstr(text, ==,
                    "[{\"provider\": \"kvm\", \"qom-path\": "
                    "\"/machine/unattached/device[1]\", \"stats\": "
                    "[{\"name\": \"vcpu_statistic_44\", \"value\": 237}]}]");
    g_assert_cmpstr(nothing, ==, "[]");
    g_assert_cmpstr(nobody, ==, "[]");
    rig_done(&rig);
}

static void test_own_counters_are_asked_for_by_name(void)
{
    g_autoptr(StatsResultList) vcpus = NULL, both = NULL, queues = NULL, kvm = NULL;
    g_autofree char *monitors = NULL;
    Rig rig;

    rig_init(&rig, "2");
    vcpus = ask(&rig, "{\"target\":\"vcpu\",\"providers\":[{\"provider\":\"berth\"}]}");
    both = ask(&rig, "{\"target\":\"vcpu\",\"providers\":[{\"provider\":\"berth\"},"
               "{\"provider\":\"kvm\"},{\"provider\":\"kvm\"}]}");
    queues = ask(&rig, "{\"target\":\"virtqueue\"}");
    kvm = ask(&rig, "{\"target\":\"virtqueue\",\"providers\":[{\"provider\":\"kvm\"}]}");
    monitors = ask_text(&rig, "{\"target\":\"monitor\"}");

    g_assert_cmpuint(vcpus->n, ==, 2);
    g_assert_cmpstr(vcpus->items[0]->stats->items[0]->name, ==, "user_exits");
    g_assert_cmpuint(both->n, ==, 4);
    g_assert_cmpuint(queues->n, ==, 1);
    g_assert_cmpstr(queues->items[0]->qom_path, ==, "/machine/peripheral/rng0");
    g_assert_true(queues->items[0]->has_queue);
    g_assert_cmpstr(queues->items[0]->stats->items[2]->name, ==, "requests");
    g_assert_cmpuint(kvm->n, ==, 0);
    g_assert_cmpstr(monitors, ==, "[]");
    rig_done(&rig);
}

static void test_schemas_tell_units(void)
{
    static const QueryStatsSchemasArgs all = { 0 };
    static const QueryStatsSchemasArgs own = {
        .has_provider = true, .provider = STATS_PROVIDER_BERTH,
    };
    g_autoptr(StatsSchemaList) schemas = NULL, owns = NULL;
    g_autoptr(JsonValue) value = NULL;
    g_autofree char *text = NULL;
    Rig rig;

    rig_init(&rig, "1");
    schemas = qmp_query_stats_schemas(&rig.ctx, &all, NULL);
    owns = qmp_query_stats_schemas(&rig.ctx, &own, NULL);
    value = qapi_emit(QAPI_TYPE_STATS_SCHEMA, schemas->items[0]);
    text = json_to_text(value);

    g_assert_cmpuint(schemas->n, ==, 7);
    g_assert_cmpuint(owns->n, ==, 5);
    g_assert_cmpstr(text, ==,
                    "{\"provider\": \"kvm\", \"target\": \"vm\", \"stats\": ["
                    "{\"name\": \"remote_tlb_flush\", \"type\": \"cumulative\", "
                    "\"exponent\": 0}, {\"name\": \"enabled\", \"type\": \"instant\", "
                    "\"unit\": \"boolean\", \"exponent\": 0}, {\"name\": \"sizes\", "
                    "\"type\": \"linear-histogram\", \"unit\": \"bytes\", \"base\": 2, "
                    "\"exponent\": 10, \"bucket-size\": 8}]}");
    rig_done(&rig);
}

/* libvirt has one table of all, and none when a name comes twice. */
static void test_names_are_unique_over_all_schemas(void)
{
    static const QueryStatsSchemasArgs all = { 0 };
    g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);
    g_autoptr(StatsSchemaList) schemas = NULL;
    Rig rig;

    rig_init(&rig, "1");
    schemas = qmp_query_stats_schemas(&rig.ctx, &all, NULL);
    for (size_t i = 0; i < schemas->n; i++) {
        const StatsSchemaValueList *stats = schemas->items[i]->stats;

        for (size_t j = 0; j < stats->n; j++)
            g_assert_true(g_hash_table_add(names, stats->items[j]->name));
    }
    g_assert_cmpuint(g_hash_table_size(names), >, 30);
    rig_done(&rig);
}

static void test_host_without_statistics_has_none(void)
{
    static const QueryStatsSchemasArgs kvm = {
        .has_provider = true, .provider = STATS_PROVIDER_KVM,
    };
    g_autoptr(StatsSchemaList) schemas = NULL;
    g_autofree char *of_vm = NULL, *of_vcpus = NULL;
    Rig rig;

    rig_init_with(&rig, "2", vm_fake_new());
    of_vm = ask_text(&rig, "{\"target\":\"vm\"}");
    of_vcpus = ask_text(&rig, "{\"target\":\"vcpu\"}");
    schemas = qmp_query_stats_schemas(&rig.ctx, &kvm, NULL);

    g_assert_cmpstr(of_vm, ==, "[]");
    g_assert_cmpstr(of_vcpus, ==, "[]");
    g_assert_cmpuint(schemas->n, ==, 0);
    rig_done(&rig);
}

static void test_broken_statistics_are_an_error(void)
{
    static const StatsFilter filter = { .target = STATS_TARGET_VCPU };
    g_autoptr(GError) error = NULL;
    Rig rig;

    rig_init(&rig, "2");
    vm_fake_set_stats(rig.bench.machine->vm, true, "short", 5);

    g_assert_null(qmp_query_stats(&rig.ctx, &filter, &error));
    g_assert_nonnull(strstr(error->message, "statistics"));
    rig_done(&rig);
}

/* vCPUs that run, and are asked for their descriptors once. */
static void test_running_vcpus_are_disturbed_once(void)
{
    g_autoptr(StatsResultList) first = NULL, second = NULL;
    Rig rig;

    rig_init(&rig, "4");
    for (unsigned i = 0; i < 4; i++)
        vcpu_resume(rig.bench.machine->vcpus[i]);
    first = ask(&rig, "{\"target\":\"vcpu\"}");
    /* What is opened later would have this. */
    vm_fake_set_stats(rig.bench.machine->vm, true, "short", 5);
    second = ask(&rig, "{\"target\":\"vcpu\"}");

    g_assert_cmpuint(first->n, ==, 4);
    g_assert_cmpuint(second->n, ==, 4);
    rig_done(&rig);
}

/*
 * The best of some rounds: what the machine's other work costs is no fault of it.  Three
 * times what docs/promises.md has, for machines are slower than that one.
 */
static void test_statistics_of_64_vcpus_take_under_15_ms(void)
{
    int64_t best = INT64_MAX;
    Rig rig;

    rig_init(&rig, "64");
    for (unsigned i = 0; i < 20; i++) {
        int64_t start = g_get_monotonic_time();
        g_autoptr(StatsResultList) results = ask(&rig, "{\"target\":\"vcpu\"}");
        g_autoptr(GString) line = g_string_new(NULL);
        JsonWriter writer;

        json_writer_init(&writer, line, false);
        qapi_write(QAPI_TYPE_STATS_RESULT_LIST, results, &writer);
        best = MIN(best, g_get_monotonic_time() - start);
        g_assert_cmpuint(line->len, >, 64 * 45 * 30);
    }
    g_test_message("%" PRId64 " us", best);
    if (!SANITIZED)
        g_assert_cmpint(best, <, 15000);
    rig_done(&rig);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    g_test_add_func("/stats/machine-has-one-list", test_machine_has_one_list);
    g_test_add_func("/stats/each-vcpu-has-one-list", test_each_vcpu_has_one_list);
    g_test_add_func("/stats/names-and-paths-select", test_names_and_paths_select);
    g_test_add_func("/stats/own-counters-are-asked-for-by-name",
                    test_own_counters_are_asked_for_by_name);
    g_test_add_func("/stats/schemas-tell-units", test_schemas_tell_units);
    g_test_add_func("/stats/names-are-unique-over-all-schemas",
                    test_names_are_unique_over_all_schemas);
    g_test_add_func("/stats/host-without-statistics-has-none",
                    test_host_without_statistics_has_none);
    g_test_add_func("/stats/broken-statistics-are-an-error",
                    test_broken_statistics_are_an_error);
    g_test_add_func("/stats/running-vcpus-are-disturbed-once",
                    test_running_vcpus_are_disturbed_once);
    g_test_add_func("/stats/statistics-of-64-vcpus-take-under-15-ms",
                    test_statistics_of_64_vcpus_take_under_15_ms);
    return g_test_run();
}
