/* SPDX-License-Identifier: Apache-2.0 */
/* Objects, and the commands about them and about PCI. */
#include <sys/mman.h>
#include <unistd.h>

#include "berth/error.h"
#include "berth/iothread.h"
#include "berth/memory-backend.h"
#include "berth/qmp.h"
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
    try_add(set, "{'qom-type': 'memory-backend-ram', 'id': 'ram', 'size': 8192,"
            " 'merge': false}", NULL);
    iothreads = qmp_query_iothreads(&ctx, NULL);
    memdevs = qmp_query_memdev(&ctx, NULL);

    g_assert_cmpuint(iothreads->n, ==, 1);
    g_assert_cmpstr(iothreads->items[0]->id, ==, "io1");
    g_assert_cmpint(iothreads->items[0]->thread_id, !=, getpid());
    g_assert_cmpint(iothreads->items[0]->thread_id, >, 0);
    g_assert_cmpuint(memdevs->n, ==, 1);
    g_assert_cmpstr(memdevs->items[0]->id, ==, "ram");
    g_assert_cmpuint(memdevs->items[0]->size, ==, 8192);
    g_assert_false(memdevs->items[0]->merge);
    g_assert_true(memdevs->items[0]->dump);
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
    g_autoptr(ObjectPropertyInfoList) onboard = NULL;
    g_autoptr(GError) error = NULL;

    pci = qmp_device_list_properties(NULL, &args, NULL);
    args.typename = (char *)"isa-serial";
    isa = qmp_device_list_properties(NULL, &args, NULL);
    args.typename = (char *)"ICH9-LPC";
    onboard = qmp_device_list_properties(NULL, &args, NULL);
    args.typename = (char *)"virtio-gpu";

    g_assert_null(qmp_device_list_properties(NULL, &args, &error));
    g_assert_true(g_error_matches(error, BERTH_ERROR, BERTH_ERROR_DEVICE_NOT_FOUND));
    g_assert_cmpstr(error->message, ==, "Device 'virtio-gpu' not found");
    g_assert_true(has_property(pci, "max-bytes"));
    g_assert_true(has_property(pci, "addr"));
    g_assert_true(has_property(isa, "chardev"));
    g_assert_false(has_property(isa, "addr"));
    g_assert_true(has_property(onboard, "disable_s3"));
    g_assert_true(has_property(onboard, "disable_s4"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/object/classes", test_every_type_has_a_class);
    g_test_add_func("/object/faulty", test_faulty_objects_are_refused);
    g_test_add_func("/object/in-use", test_object_in_use_stays);
    g_test_add_func("/object/memory", test_memory_backends);
    g_test_add_func("/object/queries", test_query_iothreads_and_memdev);
    g_test_add_func("/object/defaults", test_defaults_are_for_what_is_not_said);
    g_test_add_func("/object/query-pci", test_query_pci);
    g_test_add_func("/object/list-properties", test_device_list_properties);
    return g_test_run();
}
