/* SPDX-License-Identifier: Apache-2.0 */
/* Objects, and the commands about them and about PCI. */
#include <sys/mman.h>
#include <unistd.h>

#include "berth/error.h"
#include "berth/iothread.h"
#include "berth/memory-backend.h"
#include "berth/poller.h"
#include "berth/qmp.h"
#include "berth/worker.h"
#include "qmp-commands.h"

#include "kit-board.h"

static bool try_add(ObjectSet *set, const char *json, GError **error)
{
    g_autoptr(ObjectOptions) options = NULL;

    options = qapi_parse_json(QAPI_TYPE_OBJECT_OPTIONS, json, error);
    return options && object_add(set, options, error);
}

static void assert_refused(ObjectSet *set, const char *json, const char *words)
{
    g_autoptr(GError) error = NULL;

    g_assert_false(try_add(set, json, &error));
    if (!strstr(error->message, words))
        g_error("'%s' is not in: %s", words, error->message);
}

static void test_every_type_has_a_class(void)
{
    for (int i = 0; i < OBJECT_TYPE__MAX; i++) {
        g_assert_nonnull(object_classes[i]);
        g_assert_cmpstr(object_classes[i]->name, ==, ObjectType_str(i));
    }
}

static const char *const faulty_backends[][2] = {
    { "ram', 'host-nodes': [0]", "'host-nodes' expects a 'policy'" },
    { "ram', 'policy': 'bind'", "'policy': 'bind' expects 'host-nodes'" },
    { "ram', 'host-nodes': [], 'policy': 'interleave'", "'interleave' expects" },
    { "ram', 'host-nodes': [0, 128], 'policy': 'bind'", "nodes below 128" },
    { "ram', 'host-nodes': [65535], 'policy': 'bind'", "nodes below 128" },
    { "ram', 'prealloc-threads': 0", "'prealloc-threads'" },
    { "file', 'prealloc': true", "'mem-path' is missing" },
    { "file', 'mem-path': '/dev/null'", "not a file" },
    { "file', 'mem-path': '/tmp', 'rom': 'on'", "'rom' expects 'readonly'" },
    { "file', 'mem-path': '/tmp', 'readonly': true", "'readonly' expects 'rom'" },
    { "file', 'mem-path': '/tmp', 'readonly': true, 'rom': 'off', 'share': true",
      "'readonly' expects 'share'" },
    { "file', 'mem-path': '/tmp', 'thp': 'on'", "'thp'" },
};

static void test_faulty_objects_are_refused(void)
{
    g_autoptr(ObjectSet) set = object_set_new();

    g_assert_true(try_add(set, "{'qom-type': 'rng-builtin', 'id': 'one'}", NULL));
    assert_refused(set, "{'qom-type': 'rng-builtin', 'id': 'one'}", "'one' already");
    assert_refused(set, "{'qom-type': 'rng-builtin', 'id': ''}", "'id' expects");
    assert_refused(set, "{'qom-type': 'rng-builtin', 'id': 'a/b'}", "'id' expects");
    assert_refused(set, "{'qom-type': 'rng-random', 'id': 'x',"
                   " 'filename': 'absent/file'}",
                   "'filename': cannot open 'absent/file'");
    assert_refused(set, "{'qom-type': 'memory-backend-memfd', 'id': 'x', 'size': 4096,"
                   " 'hugetlbsize': 2097152}", "'hugetlbsize'");
    assert_refused(set, "{'qom-type': 'memory-backend-memfd', 'id': 'x', 'size': 4096,"
                   " 'hugetlb': true, 'thp': 'on'}", "'thp'");
    for (size_t i = 0; i < G_N_ELEMENTS(faulty_backends); i++) {
        g_autofree char *json = g_strdup_printf(
            "{'qom-type': 'memory-backend-%s, 'id': 'x', 'size': 4096}",
            faulty_backends[i][0]);

        assert_refused(set, json, faulty_backends[i][1]);
    }
    g_assert_true(list_first(object_set_list(set)) ==
                  &object_find(set, "one")->node);
    g_assert_null(object_find(set, "x"));
}

static void test_object_in_use_stays(void)
{
    g_autoptr(ObjectSet) set = object_set_new();
    g_autoptr(GError) error = NULL;
    Object *object;

    try_add(set, "{'qom-type': 'rng-builtin', 'id': 'one'}", NULL);
    object = object_hold(set, "one", OBJECT_FAMILY_RNG, NULL);
    g_assert_false(object_del(set, "one", &error));
    g_assert_cmpstr(error->message, ==, "object 'one' is in use");
    object_release(object);
    g_assert_true(object_del(set, "one", NULL));
    g_clear_error(&error);
    g_assert_false(object_del(set, "one", &error));
    g_assert_true(g_error_matches(error, BERTH_ERROR, BERTH_ERROR_GENERIC));
}

static void test_memory_backends(void)
{
    g_autoptr(ObjectSet) set = object_set_new();
    RamBlock *ram;

    g_assert_true(try_add(set, "{'qom-type': 'memory-backend-ram', 'id': 'a',"
                          " 'size': 65536}", NULL));
    g_assert_true(try_add(set, "{'qom-type': 'memory-backend-memfd', 'id': 'b',"
                          " 'size': 65536}", NULL));
    g_assert_true(try_add(set, "{'qom-type': 'memory-backend-memfd', 'id': 'c',"
                          " 'size': 65536, 'share': false}", NULL));

    ram = memory_backend_ram(object_find(set, "a"));
    g_assert_cmpuint(ram->size, ==, 65536);
    g_assert_false(ram->shared);
    g_assert_cmpint(ram->fd, ==, -1);
    ram = memory_backend_ram(object_find(set, "b"));
    g_assert_true(ram->shared);
    g_assert_cmpint(ram->fd, >=, 0);
    g_assert_false(memory_backend_ram(object_find(set, "c"))->shared);
    g_assert_null(object_iothread(object_find(set, "a")));
}

static void test_query_iothreads_and_memdev(void)
{
    g_autoptr(ObjectSet) set = object_set_new();
    QmpContext ctx = { .objects = set };
    g_autoptr(IOThreadInfoList) iothreads = NULL;
    g_autoptr(MemdevList) memdevs = NULL;

    try_add(set, "{'qom-type': 'iothread', 'id': 'io1'}", NULL);
    try_add(set, "{'qom-type': 'main-loop', 'id': 'm'}", NULL);
    try_add(set, "{'qom-type': 'memory-backend-ram', 'id': 'ram', 'size': 8192,"
            " 'merge': false}", NULL);
    if (access("/sys/devices/system/node/node0", F_OK) == 0)
        try_add(set, "{'qom-type': 'memory-backend-ram', 'id': 'bound', 'size': 8192,"
                " 'host-nodes': [0], 'policy': 'preferred'}", NULL);
    iothreads = qmp_query_iothreads(&ctx, NULL);
    memdevs = qmp_query_memdev(&ctx, NULL);

    g_assert_cmpuint(iothreads->n, ==, 1);
    g_assert_cmpstr(iothreads->items[0]->id, ==, "io1");
    g_assert_cmpint(iothreads->items[0]->thread_id, !=, getpid());
    g_assert_cmpint(iothreads->items[0]->thread_id, >, 0);
    g_assert_cmpint(iothreads->items[0]->poll_max_ns, ==, 32768);
    g_assert_cmpint(iothreads->items[0]->poll_grow, ==, 0);
    g_assert_cmpuint(memdevs->n, >=, 1);
    g_assert_cmpuint(memdevs->items[0]->host_nodes->n, ==, 0);
    g_assert_cmpint(memdevs->items[0]->policy, ==, HOST_MEM_POLICY_DEFAULT);
    if (memdevs->n > 1) {
        g_assert_cmpuint(memdevs->items[1]->host_nodes->n, ==, 1);
        g_assert_cmpint(memdevs->items[1]->policy, ==, HOST_MEM_POLICY_PREFERRED);
    }
    g_assert_cmpstr(memdevs->items[0]->id, ==, "ram");
    g_assert_cmpuint(memdevs->items[0]->size, ==, 8192);
    g_assert_false(memdevs->items[0]->merge);
    g_assert_true(memdevs->items[0]->dump);
}

static bool change(ObjectSet *set, const char *id, const char *property, int64_t value,
                   GError **error)
{
    g_autoptr(JsonValue) json = json_new_int(value);

    return object_change(object_find(set, id), property, json, error);
}

/* A poller that counts how often its loop looks at it. */
typedef struct Looks {
    Poller poller;
    unsigned n;                 /* atomic */
    WorkerPool *pool;
    LoopMessage nothing;
} Looks;

static bool count_look(void *opaque)
{
    __atomic_add_fetch(&((Looks *)opaque)->n, 1, __ATOMIC_RELAXED);
    return false;
}

static bool arm_nothing(void *opaque)
{
    return false;
}

static void on_nothing(void *opaque)
{
}

static void add_looks(void *opaque)
{
    Looks *looks = opaque;

    looks->poller.ready = count_look;
    looks->poller.arm = arm_nothing;
    looks->poller.opaque = looks;
    poller_add(looks->poller.loop, &looks->poller);
    looks->pool = worker_pool_of(looks->poller.loop);
    loop_message_init(&looks->nothing, on_nothing, NULL);
}

static void remove_looks(void *opaque)
{
    poller_remove(&((Looks *)opaque)->poller);
}

/* How often it looks while it is woken every millisecond. */
static unsigned looks_of(Looks *looks, unsigned n_wakes)
{
    unsigned before = __atomic_load_n(&looks->n, __ATOMIC_RELAXED);

    for (unsigned i = 0; i < n_wakes; i++) {
        loop_post(looks->poller.loop, &looks->nothing);
        g_usleep(1000);
    }
    return __atomic_load_n(&looks->n, __ATOMIC_RELAXED) - before;
}

static void test_iothread_is_tuned_while_it_runs(void)
{
    g_autoptr(ObjectSet) set = object_set_new();
    QmpContext ctx = { .objects = set };
    g_autoptr(IOThreadInfoList) info = NULL;
    unsigned without, with;
    Looks looks = { 0 };

    g_assert_true(try_add(set, "{'qom-type': 'iothread', 'id': 'io', 'poll-max-ns': 0,"
                          " 'thread-pool-min': 2}", NULL));
    looks.poller.loop = iothread_loop(object_iothread(object_find(set, "io")));
    loop_call_sync(looks.poller.loop, add_looks, &looks);
    g_assert_cmpuint(worker_pool_n_threads(looks.pool), ==, 2);
    without = looks_of(&looks, 50);

    g_assert_true(change(set, "io", "poll-max-ns", 200 * NS_PER_MS, NULL));
    g_assert_true(change(set, "io", "poll-grow", 1000000, NULL));
    g_assert_true(change(set, "io", "aio-max-batch", 7, NULL));
    g_assert_true(change(set, "io", "thread-pool-min", 5, NULL));
    with = looks_of(&looks, 50);

    g_assert_cmpuint(with, >, 10 * without);
    g_assert_cmpuint(worker_pool_n_threads(looks.pool), ==, 5);
    info = qmp_query_iothreads(&ctx, NULL);
    g_assert_cmpint(info->items[0]->poll_max_ns, ==, 200 * NS_PER_MS);
    g_assert_cmpint(info->items[0]->poll_grow, ==, 1000000);
    g_assert_cmpint(info->items[0]->aio_max_batch, ==, 7);
    loop_call_sync(looks.poller.loop, remove_looks, &looks);
}

static void test_settings_that_are_refused(void)
{
    static const struct {
        const char *id;
        const char *property;
        int64_t value;
    } cases[] = {
        { "io", "poll-max-ns", -1 },
        { "io", "poll-grow", -1 },
        { "io", "poll-shrink", INT64_MIN },
        { "io", "aio-max-batch", -1 },
        { "io", "thread-pool-min", 65 },
        { "io", "thread-pool-max", 0 },
        { "io", "thread-pool-max", 5000 },
        { "io", "wheels", 4 },
        { "io", "id", 1 },
        { "m", "thread-pool-min", 65 },
        { "r", "max-bytes", 1 },
    };
    g_autoptr(ObjectSet) set = object_set_new();
    QmpContext ctx = { .objects = set };
    g_autoptr(IOThreadInfoList) info = NULL;

    try_add(set, "{'qom-type': 'iothread', 'id': 'io'}", NULL);
    try_add(set, "{'qom-type': 'main-loop', 'id': 'm'}", NULL);
    try_add(set, "{'qom-type': 'rng-builtin', 'id': 'r'}", NULL);
    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(GError) error = NULL;

        g_assert_false(change(set, cases[i].id, cases[i].property, cases[i].value,
                              &error));
        g_assert_nonnull(strstr(error->message, cases[i].property));
    }
    assert_refused(set, "{'qom-type': 'main-loop', 'id': 'other'}", "'m'");
    assert_refused(set, "{'qom-type': 'iothread', 'id': 'x', 'thread-pool-min': 9,"
                   " 'thread-pool-max': 8}", "'thread-pool-min'");
    info = qmp_query_iothreads(&ctx, NULL);
    g_assert_cmpuint(info->n, ==, 1);
    g_assert_cmpint(info->items[0]->poll_max_ns, ==, 32768);
}

static void get_pool(void *opaque)
{
    Looks *looks = opaque;

    looks->pool = worker_pool_of(looks->poller.loop);
}

/* Of the thread of queues without an iothread, made before or after it. */
static void test_main_loop_tunes_the_queue_thread(void)
{
    g_autoptr(KitBoard) kit = kit_board_new_threaded();
    Looks looks = { 0 };

    kit_add_object(kit, "{'qom-type': 'main-loop', 'id': 'm', 'thread-pool-min': 3}");
    looks.poller.loop = device_tree_queue_loop(&kit->tree, NULL);
    loop_call_sync(looks.poller.loop, get_pool, &looks);
    g_assert_cmpuint(worker_pool_n_threads(looks.pool), ==, 3);
    g_assert_true(change(kit->objects, "m", "thread-pool-min", 4, NULL));
    g_assert_cmpuint(worker_pool_n_threads(looks.pool), ==, 4);

    g_assert_true(object_del(kit->objects, "m", NULL));
    g_assert_cmpuint(looks.pool->min_threads, ==, 0);
    kit_add_object(kit, "{'qom-type': 'main-loop', 'id': 'n', 'thread-pool-min': 5}");
    g_assert_cmpuint(worker_pool_n_threads(looks.pool), ==, 5);
}

static void test_defaults_are_for_what_is_not_said(void)
{
    const ObjectDefaults defaults = { .no_dump = true, .no_merge = true };
    g_autoptr(ObjectSet) set = object_set_new();
    const MemoryBackendProps *props;

    object_set_defaults(set, &defaults);
    try_add(set, "{'qom-type': 'memory-backend-memfd', 'id': 'a', 'size': 8192}", NULL);
    try_add(set, "{'qom-type': 'memory-backend-ram', 'id': 'b', 'size': 8192,"
            " 'dump': true}", NULL);

    props = memory_backend_props(object_find(set, "a"));
    g_assert_false(props->dump);
    g_assert_false(props->merge);
    g_assert_false(props->prealloc);
    props = &object_find(set, "b")->options->u.memory_backend_ram;
    g_assert_true(props->dump);
    g_assert_true(props->has_merge);
    g_assert_false(props->merge);
}

static void test_query_pci(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    QmpContext ctx = { .tree = &kit->tree };
    g_autoptr(PciInfoList) list = NULL;
    PciDeviceInfo *mch, *port, *rng;

    kit_add(kit, "{'driver': 'pcie-root-port', 'id': 'pci.1', 'addr': '1'}");
    kit_add(kit, "{'driver': 'virtio-rng-pci', 'id': 'rng0', 'bus': 'pci.1'}");
    kit_start(kit);

    list = qmp_query_pci(&ctx, NULL);

    g_assert_cmpuint(list->n, ==, 1);
    g_assert_cmpuint(list->items[0]->devices->n, ==, 2);
    mch = list->items[0]->devices->items[0];
    g_assert_cmpstr(mch->class_info->desc, ==, "Host bridge");
    g_assert_cmpint(mch->id->device, ==, 0x29c0);
    g_assert_false(mch->has_irq);
    port = list->items[0]->devices->items[1];
    g_assert_cmpint(port->slot, ==, 1);
    g_assert_cmpstr(port->qdev_id, ==, "pci.1");
    g_assert_cmpint(port->pci_bridge->bus->secondary, ==, 1);
    g_assert_cmpuint(port->pci_bridge->devices->n, ==, 1);
    rng = port->pci_bridge->devices->items[0];
    g_assert_cmpint(rng->bus, ==, 1);
    g_assert_cmpint(rng->irq, ==, 17);
    g_assert_cmpuint(rng->regions->n, ==, 2);
    g_assert_cmpint(rng->regions->items[1]->bar, ==, 4);
    g_assert_cmpint(rng->regions->items[1]->size, ==, 16384);
    g_assert_true(rng->regions->items[1]->mem_type_64);
    g_assert_cmpint(rng->regions->items[1]->address, >=,
                    port->pci_bridge->bus->prefetchable_range->base);
}

static bool has_property(const ObjectPropertyInfoList *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(list->items[i]->name, name) == 0)
            return true;
    }
    return false;
}

static void test_device_list_properties(void)
{
    DeviceListPropertiesArgs args = { .typename = (char *)"virtio-rng-pci" };
    g_autoptr(ObjectPropertyInfoList) pci = NULL;
    g_autoptr(ObjectPropertyInfoList) isa = NULL;
    g_autoptr(ObjectPropertyInfoList) cpu = NULL;
    g_autoptr(ObjectPropertyInfoList) memory = NULL;
    g_autoptr(ObjectPropertyInfoList) onboard = NULL;
    g_autoptr(GError) error = NULL;

    pci = qmp_device_list_properties(NULL, &args, NULL);
    args.typename = (char *)"isa-serial";
    isa = qmp_device_list_properties(NULL, &args, NULL);
    args.typename = (char *)"ICH9-LPC";
    onboard = qmp_device_list_properties(NULL, &args, NULL);
    args.typename = (char *)"Nehalem-x86_64-cpu";
    cpu = qmp_device_list_properties(NULL, &args, NULL);
    args.typename = (char *)"pc-dimm";
    memory = qmp_device_list_properties(NULL, &args, NULL);
    args.typename = (char *)"Nosuch-x86_64-cpu";
    g_assert_null(qmp_device_list_properties(NULL, &args, NULL));
    args.typename = (char *)"virtio-gpu";

    g_assert_null(qmp_device_list_properties(NULL, &args, &error));
    g_assert_true(g_error_matches(error, BERTH_ERROR, BERTH_ERROR_DEVICE_NOT_FOUND));
    g_assert_cmpstr(error->message, ==, "Device 'virtio-gpu' not found");
    g_assert_true(has_property(cpu, "core-id"));
    g_assert_true(has_property(pci, "max-bytes"));
    g_assert_true(has_property(pci, "addr"));
    g_assert_true(has_property(isa, "chardev"));
    g_assert_false(has_property(isa, "addr"));
    g_assert_true(has_property(cpu, "x-unplug-timeout"));
    g_assert_false(has_property(cpu, "addr"));
    g_assert_true(has_property(memory, "memdev"));
    g_assert_true(has_property(memory, "addr"));
    g_assert_false(has_property(memory, "romfile"));
    g_assert_true(has_property(onboard, "disable_s3"));
    g_assert_true(has_property(onboard, "disable_s4"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    thread_set_role(THREAD_MAIN);
    g_test_add_func("/object/classes", test_every_type_has_a_class);
    g_test_add_func("/object/faulty", test_faulty_objects_are_refused);
    g_test_add_func("/object/in-use", test_object_in_use_stays);
    g_test_add_func("/object/memory", test_memory_backends);
    g_test_add_func("/object/queries", test_query_iothreads_and_memdev);
    g_test_add_func("/object/iothread-is-tuned", test_iothread_is_tuned_while_it_runs);
    g_test_add_func("/object/settings-that-are-refused", test_settings_that_are_refused);
    g_test_add_func("/object/main-loop", test_main_loop_tunes_the_queue_thread);
    g_test_add_func("/object/defaults", test_defaults_are_for_what_is_not_said);
    g_test_add_func("/object/query-pci", test_query_pci);
    g_test_add_func("/object/list-properties", test_device_list_properties);
    return g_test_run();
}
