/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The device tree: names, order, failures that leave nothing behind, state of all
 * devices.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/vmstate.h"

#include "kit-board.h"

typedef struct Probe {
    Device dev;
    uint32_t value;
} Probe;

/* What the probes were asked to do, a letter each. */
static GString *calls;

static bool probe_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    g_string_append_c(calls, 'r');
    return true;
}

static void probe_unrealize(Device *dev)
{
    g_string_append_c(calls, 'u');
}

static void probe_reset(Device *dev)
{
    g_string_append_c(calls, dev->path[strlen(dev->path) - 1]);
}

static void probe_pause(Device *dev)
{
    g_string_append_c(calls, 'p');
}

static void probe_resume(Device *dev)
{
    g_string_append_c(calls, 'c');
}

static bool refusing_realize(Device *dev, const DeviceAddArgs *args, GError **error)
{
    error_set(error, "refused");
    return false;
}

static const VMStateField probe_fields[] = {
    VMSTATE_U32(Probe, value),
    VMSTATE_END
};

static const VMStateDesc probe_vmstate = {
    .name = "probe", .version = 1, .min_version = 1, .fields = probe_fields,
};

static const DeviceClass probe_class = {
    .name = "probe",
    .bus = BUS_ISA,
    .instance_size = sizeof(Probe),
    .vmstate = &probe_vmstate,
    .realize = probe_realize,
    .unrealize = probe_unrealize,
    .reset = probe_reset,
    .pause = probe_pause,
    .resume = probe_resume,
};

static const DeviceClass refusing_class = {
    .name = "refusing",
    .bus = BUS_ISA,
    .instance_size = sizeof(Device),
    .realize = refusing_realize,
};

static Probe *add_probe(KitBoard *kit, const char *name)
{
    Device *dev = device_add_onboard(&kit->tree, &probe_class, name, NULL, NULL);

    g_assert_nonnull(dev);
    return CONTAINER_OF(dev, Probe, dev);
}

static void test_every_driver_has_a_class(void)
{
    for (int i = 0; i < DEVICE_DRIVER__MAX; i++) {
        g_test_message("%s", DeviceDriver_str(i));
        g_assert_nonnull(device_kinds[i].class);
        g_assert_nonnull(device_kinds[i].class->realize);
    }
}

static void test_paths_and_names(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    Device *named = kit_add(kit, "{'driver': 'virtio-rng-pci', 'id': 'rng0'}");
    Device *first = kit_add(kit, "{'driver': 'virtio-rng-pci'}");
    Device *second = kit_add(kit, "{'driver': 'virtio-rng-pci'}");

    g_assert_cmpstr(named->path, ==, "/machine/peripheral/rng0");
    g_assert_cmpstr(first->path, ==, "/machine/peripheral-anon/device[0]");
    g_assert_cmpstr(second->path, ==, "/machine/peripheral-anon/device[1]");
    g_assert_true(device_find(&kit->tree, "rng0") == named);
    g_assert_true(device_find(&kit->tree, named->path) == named);
    g_assert_true(device_find(&kit->tree, second->path) == second);
    g_assert_null(device_find(&kit->tree, "device[1]"));
    g_assert_null(device_find(&kit->tree, "/machine/peripheral"));
    g_assert_nonnull(device_find(&kit->tree, "/machine/q35/mch"));
}

static void test_failed_add_leaves_the_tree_as_before(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    g_autofree char *before = kit_dump(kit);
    g_autofree char *after = NULL;
    g_autoptr(GError) error = NULL;

    g_assert_null(device_add_onboard(&kit->tree, &refusing_class, "x", NULL, &error));

    g_assert_cmpstr(error->message, ==, "refused");
    after = kit_dump(kit);
    g_assert_cmpstr(before, ==, after);
}

/* The n-th descriptor is refused, for n = 1 until the device can be added. */
static void test_failure_at_any_descriptor_leaves_nothing(void)
{
    g_autoptr(KitBoard) kit = kit_board_new_threaded();
    g_autofree char *before = NULL;
    Device *dev = NULL;
    int n = 0;

    kit_add_object(kit, "{'qom-type': 'rng-random', 'id': 'source'}");
    before = kit_dump(kit);
    for (; !dev && n < 20; n++) {
        g_autofree char *after = NULL;
        g_autoptr(GError) error = NULL;

        kit_limit_fds(n);
        dev = kit_try_add(kit, "{'driver': 'virtio-rng-pci', 'id': 'rng',"
                          " 'rng': 'source'}", &error);
        kit_limit_fds(-1);
        if (dev)
            break;
        g_assert_nonnull(strstr(error->message, "Too many open files"));
        after = kit_dump(kit);
        g_assert_cmpstr(before, ==, after);
    }

    g_assert_nonnull(dev);
    g_assert_cmpint(n, >=, 3);
}

static void test_source_is_released_when_the_add_fails(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();

    kit_add_object(kit, "{'qom-type': 'rng-builtin', 'id': 'source'}");
    kit_assert_refused(kit, "{'driver': 'virtio-rng-pci', 'rng': 'source', 'addr': '0'}",
                       "in use");
    kit_add_object(kit, "{'qom-type': 'memory-backend-ram', 'id': 'ram', 'size': 4096}");
    kit_assert_refused(kit, "{'driver': 'virtio-rng-pci', 'rng': 'ram'}",
                       "parameter 'rng': object 'ram' is a 'memory-backend-ram'");
}

static void test_isa_devices_take_no_pci_parameters(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();

    kit_assert_refused(kit, "{'driver': 'isa-debug-exit', 'addr': '3'}", "'addr'");
    kit_assert_refused(kit, "{'driver': 'isa-debug-exit', 'multifunction': true}",
                       "'multifunction'");
    kit_assert_refused(kit, "{'driver': 'isa-debug-exit', 'bus': 'pcie.0'}",
                       "'pcie.0' is of kind PCI, a 'isa-debug-exit' needs ISA");
}

static void test_order_of_calls(void)
{
    KitBoard *kit = kit_board_new();

    g_string_truncate(calls, 0);
    add_probe(kit, "1");
    add_probe(kit, "2");
    device_tree_reset(&kit->tree);
    device_tree_resume(&kit->tree);
    device_tree_resume(&kit->tree);
    add_probe(kit, "3");
    device_tree_pause(&kit->tree);
    device_tree_pause(&kit->tree);
    device_tree_reset(&kit->tree);
    device_tree_resume(&kit->tree);
    device_remove(device_find(&kit->tree, "/machine/2"));
    kit_board_free(kit);

    g_assert_cmpstr(calls->str, ==, "rr" "12" "cc" "rc" "ppp" "123" "ccc" "pu" "pp" "uu");
}

static void test_hotplugged_means_after_the_start(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    Probe *early = add_probe(kit, "1");
    Probe *late;

    device_tree_resume(&kit->tree);
    late = add_probe(kit, "2");

    g_assert_false(early->dev.hotplugged);
    g_assert_true(late->dev.hotplugged);
}

static void test_state_of_all_devices(void)
{
    g_autoptr(KitBoard) from = kit_board_new();
    g_autoptr(KitBoard) to = kit_board_new();
    g_autoptr(GByteArray) saved = NULL;
    g_autoptr(GError) error = NULL;
    Probe *one, *two;

    add_probe(from, "1")->value = 11;
    add_probe(from, "2")->value = 22;
    two = add_probe(to, "2");
    one = add_probe(to, "1");
    saved = kit_save(from);

    g_assert_true(device_tree_load(&to->tree, saved->data, saved->len, &error));

    g_assert_no_error(error);
    g_assert_cmpuint(one->value, ==, 11);
    g_assert_cmpuint(two->value, ==, 22);
}

static void assert_load_fails(KitBoard *from, KitBoard *to, const char *words)
{
    g_autoptr(GByteArray) saved = kit_save(from);
    g_autoptr(GError) error = NULL;

    g_assert_false(device_tree_load(&to->tree, saved->data, saved->len, &error));
    if (!strstr(error->message, words))
        g_error("'%s' is not in: %s", words, error->message);
}

static void test_state_of_other_devices_is_refused(void)
{
    g_autoptr(KitBoard) from = kit_board_new();
    g_autoptr(KitBoard) to = kit_board_new();

    add_probe(from, "1");
    assert_load_fails(from, to, "'/machine/1' is not expected: there is no such device");
    assert_load_fails(to, from, "'/machine/1' is missing");
}

static void test_state_that_is_there_twice(void)
{
    g_autoptr(KitBoard) kit = kit_board_new();
    g_autoptr(GByteArray) saved = kit_save(kit);
    g_autoptr(GByteArray) twice = g_byte_array_new();
    g_autoptr(GError) error = NULL;

    g_byte_array_append(twice, saved->data, saved->len - 2);
    g_byte_array_append(twice, saved->data, saved->len);

    g_assert_false(device_tree_load(&kit->tree, twice->data, twice->len, &error));
    g_assert_nonnull(strstr(error->message, "(again)"));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    calls = g_string_new(NULL);
    g_test_add_func("/device/classes", test_every_driver_has_a_class);
    g_test_add_func("/device/paths", test_paths_and_names);
    g_test_add_func("/device/failed-add", test_failed_add_leaves_the_tree_as_before);
    g_test_add_func("/device/no-descriptors",
                    test_failure_at_any_descriptor_leaves_nothing);
    g_test_add_func("/device/source", test_source_is_released_when_the_add_fails);
    g_test_add_func("/device/isa", test_isa_devices_take_no_pci_parameters);
    g_test_add_func("/device/order", test_order_of_calls);
    g_test_add_func("/device/hotplugged", test_hotplugged_means_after_the_start);
    g_test_add_func("/device/state", test_state_of_all_devices);
    g_test_add_func("/device/state-other", test_state_of_other_devices_is_refused);
    g_test_add_func("/device/state-twice", test_state_that_is_there_twice);
    return g_test_run();
}
