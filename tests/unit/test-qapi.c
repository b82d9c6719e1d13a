/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "berth/error.h"
#include "berth/qapi-tables.h"
#include "qapi-types.h"

typedef struct FaultCase {
    QapiTypeId type;
    const char *text;           /* JSON when it begins with a brace, else key=value */
    const char *message;
} FaultCase;

static const FaultCase faults[] = {
    /* Containers. */
    { QAPI_TYPE_GETFD_ARGS, "{}", "Parameter 'fdname' is missing" },
    { QAPI_TYPE_GETFD_ARGS, "{'fdname': 'a', 'x': 1}", "Parameter 'x' is unexpected" },
    { QAPI_TYPE_GETFD_ARGS, "{'fdname': 1}",
      "Invalid parameter type for 'fdname', expected: string" },
    { QAPI_TYPE_QMP_CAPABILITIES_ARGS, "{'enable': 'oob'}",
      "Invalid parameter type for 'enable', expected: array" },
    { QAPI_TYPE_QMP_CAPABILITIES_ARGS, "{'enable': ['oob', 'x']}",
      "Parameter 'enable[1]' does not accept value 'x'" },
    { QAPI_TYPE_VERSION_INFO, "{'qemu': {'major': 1, 'minor': 2, 'micro': 'x'}}",
      "Invalid parameter type for 'qemu.micro', expected: integer" },
    { QAPI_TYPE_VERSION_INFO, "{'qemu': {'major': 1, 'minor': 2, 'micro': 3, 'y': 4}}",
      "Parameter 'qemu.y' is unexpected" },
    { QAPI_TYPE_PCI_INFO, "{'bus': 0, 'devices': [{'bus': 0, 'slot': []}]}",
      "Invalid parameter type for 'devices[0].slot', expected: integer" },
    { QAPI_TYPE_PCI_INFO, "{'bus': 0, 'devices': [5]}",
      "Invalid parameter type for 'devices[0]', expected: object" },
    /* Unions. */
    { QAPI_TYPE_OBJECT_OPTIONS, "{'id': 'x'}", "Parameter 'qom-type' is missing" },
    { QAPI_TYPE_OBJECT_OPTIONS, "{'id': 'x', 'qom-type': 'foo'}",
      "Parameter 'qom-type' does not accept value 'foo'" },
    { QAPI_TYPE_OBJECT_OPTIONS, "{'id': 'x', 'qom-type': 'iothread', 'size': 1}",
      "Parameter 'size' is unexpected" },
    { QAPI_TYPE_OBJECT_OPTIONS, "{'id': 'x', 'qom-type': 'memory-backend-ram'}",
      "Parameter 'size' is missing" },
    /* Scalars. */
    { QAPI_TYPE_ISA_SERIAL_PROPS, "{'index': 4}",
      "Parameter 'index' expects a value from 0 to 3" },
    { QAPI_TYPE_ISA_SERIAL_PROPS, "{'iobase': 65536}",
      "Parameter 'iobase' expects a value from 0 to 65535" },
    { QAPI_TYPE_ISA_SERIAL_PROPS, "{'irq': -1}",
      "Parameter 'irq' expects a value from 0 to 15" },
    { QAPI_TYPE_ISA_SERIAL_PROPS, "{'irq': 1.5}",
      "Invalid parameter type for 'irq', expected: integer" },
    { QAPI_TYPE_ISA_SERIAL_PROPS, "{'irq': '4'}",
      "Invalid parameter type for 'irq', expected: integer" },
    { QAPI_TYPE_REMOVE_FD_ARGS, "{'fdset-id': 18446744073709551615}",
      "Parameter 'fdset-id' expects a value from -9223372036854775808 to "
      "9223372036854775807" },
    { QAPI_TYPE_MEMORY_BACKEND_PROPS, "{'size': 4096, 'share': 'on'}",
      "Invalid parameter type for 'share', expected: boolean" },
    { QAPI_TYPE_MEMORY_BACKEND_PROPS, "{'size': 0}",
      "Parameter 'size' expects a value from 1 to 18446744073709551615" },
    { QAPI_TYPE_DEVICE_ADD_ARGS, "{'driver': 'isa-serial', 'addr': true}",
      "Invalid parameter type for 'addr', expected: PciAddr" },
    { QAPI_TYPE_DEVICE_ADD_ARGS, "{'driver': 'isa-serial', 'addr': 1.5}",
      "Invalid parameter type for 'addr', expected: PciAddr" },
    /* Texts of the command line. */
    { QAPI_TYPE_SMP_OPTIONS, "cpus=zz", "Parameter 'cpus' expects integer" },
    { QAPI_TYPE_SMP_OPTIONS, "cpus=", "Parameter 'cpus' expects integer" },
    { QAPI_TYPE_SMP_OPTIONS, "cpus= 1", "Parameter 'cpus' expects integer" },
    { QAPI_TYPE_SMP_OPTIONS, "cpus=9223372036854775808",
      "Parameter 'cpus' expects a value from -9223372036854775808 to "
      "9223372036854775807" },
    { QAPI_TYPE_SMP_OPTIONS, "foo=1", "Parameter 'foo' is unexpected" },
    { QAPI_TYPE_MSG_OPTIONS, "timestamp=maybe",
     "Parameter 'timestamp' expects 'on' or 'off'" },
    { QAPI_TYPE_MSG_OPTIONS, "notimestamp",
      "Parameter 'notimestamp' is unexpected; did you mean 'timestamp'?" },
    { QAPI_TYPE_MEMORY_OPTIONS, "slots=-1",
      "Parameter 'slots' expects a value from 0 to 18446744073709551615" },
    { QAPI_TYPE_MEMORY_OPTIONS, "size=1.5x",
      "Parameter 'size' expects a size: a number below 2^64 with an optional suffix "
      "B, K, M, G, T, P or E" },
    { QAPI_TYPE_DEVICE_ADD_ARGS, "driver=isa-serial,chardev.x=1",
      "Invalid parameter type for 'chardev', expected: string" },
    { QAPI_TYPE_MEMDEV, "size=1,merge=on,dump=on,prealloc=on,share=on,host-nodes.0=1,"
      "host-nodes.1=y", "Parameter 'host-nodes.1' expects integer" },
};

static void *parse(QapiTypeId type, const char *text, GError **error)
{
    return *text == '{' ? qapi_parse_json(type, text, error)
                        : qapi_parse_keyval(type, text, NULL, error);
}

static void test_faults_name_member_and_reason(void)
{
    for (size_t i = 0; i < G_N_ELEMENTS(faults); i++) {
        g_autoptr(GError) error = NULL;

        if (parse(faults[i].type, faults[i].text, &error))
            g_error("'%s' was accepted", faults[i].text);
        g_assert_cmpstr(error->message, ==, faults[i].message);
    }
}

static void test_union_from_json(void)
{
    g_autoptr(DeviceAddArgs) args =
        qapi_parse_json(QAPI_TYPE_DEVICE_ADD_ARGS,
                        "{'driver': 'virtio-rng-pci', 'id': 'r', 'addr': 8,"
                        " 'max-bytes': 1024}", NULL);

    g_assert_nonnull(args);
    g_assert_cmpint(args->driver, ==, DEVICE_DRIVER_VIRTIO_RNG_PCI);
    g_assert_cmpstr(args->id, ==, "r");
    g_assert_null(args->bus);
    g_assert_cmpint(args->addr->type, ==, QAPI_KIND_INT);
    g_assert_cmpint(args->addr->u.n, ==, 8);
    g_assert_true(args->u.virtio_rng_pci.has_max_bytes);
    g_assert_cmpuint(args->u.virtio_rng_pci.max_bytes, ==, 1024);
    g_assert_null(args->u.virtio_rng_pci.rng);
}

static void test_defaults_are_filled_in(void)
{
    g_autoptr(ObjectOptions) object =
        qapi_parse_json(QAPI_TYPE_OBJECT_OPTIONS, "{'qom-type': 'rng-random', 'id': 'x'}",
                        NULL);
    g_autoptr(VirtioRngProps) rng = qapi_parse_json(QAPI_TYPE_VIRTIO_RNG_PROPS, "{}",
                                                    NULL);

    g_assert_cmpstr(object->u.rng_random.filename, ==, "/dev/urandom");
    g_assert_true(rng->has_period);
    g_assert_cmpuint(rng->period, ==, 65536);
    g_assert_true(rng->has_event_idx && rng->event_idx);
    g_assert_true(rng->has_disable_legacy);
    g_assert_cmpint(rng->disable_legacy, ==, ON_OFF_AUTO_AUTO);
    g_assert_false(rng->has_max_bytes);
}

static void test_union_from_text(void)
{
    g_autoptr(DeviceAddArgs) args =
        qapi_parse_keyval(QAPI_TYPE_DEVICE_ADD_ARGS,
                          "virtio-rng-pci,addr=1e.1,max-bytes=1k,ioeventfd=off,packed",
                          "driver", NULL);

    g_assert_nonnull(args);
    g_assert_cmpint(args->addr->type, ==, QAPI_KIND_STR);
    g_assert_cmpstr(args->addr->u.s, ==, "1e.1");
    g_assert_cmpuint(args->u.virtio_rng_pci.max_bytes, ==, 1024);
    g_assert_false(args->u.virtio_rng_pci.ioeventfd);
    g_assert_true(args->u.virtio_rng_pci.packed);
}

typedef struct SizeCase {
    const char *text;
    uint64_t size;
} SizeCase;

static void test_sizes_have_units_and_mib_without(void)
{
    static const SizeCase cases[] = {
        { "size=1", MIB }, { "size=1b", 1 }, { "size=0x10", 16 * MIB }, { "size=512K",
                                                                         512 * KIB },
        { "size=2G", 2 * GIB }, { "size=1.5g", 3 * GIB / 2 }, { "size=0", 0 },
        { "size=15E", 15ull << 60 }, { "size=18446744073709551615B", UINT64_MAX },
        { "size=.5G", 1 }, { "size=16E", 1 }, { "size=18446744073709551616B", 1 },
        { "size=1e3", 1 }, { "size=-1", 1 }, { "size=1MM", 1 }, { "size=", 1 },
    };

    for (size_t i = 0; i < G_N_ELEMENTS(cases); i++) {
        g_autoptr(MemoryOptions) memory =
            qapi_parse_keyval(QAPI_TYPE_MEMORY_OPTIONS, cases[i].text, NULL, NULL);

        /* A size of 1 stands for a text that is refused; "1b" alone is one byte. */
        if (cases[i].size == 1 && i != 1)
            g_assert_null(memory);
        else
            g_assert_cmpuint(memory->size, ==, cases[i].size);
    }
}

static void test_booleans_have_the_words_of_qemu(void)
{
    static const char *const on[] = { "on", "yes", "true", "y" };
    static const char *const off[] = { "off", "no", "false", "n" };

    for (size_t i = 0; i < G_N_ELEMENTS(on); i++) {
        g_autofree char *yes = g_strdup_printf("timestamp=%s", on[i]);
        g_autofree char *no = g_strdup_printf("timestamp=%s", off[i]);
        g_autoptr(MsgOptions) first =
            qapi_parse_keyval(QAPI_TYPE_MSG_OPTIONS, yes, NULL, NULL);
        g_autoptr(MsgOptions) second =
            qapi_parse_keyval(QAPI_TYPE_MSG_OPTIONS, no, NULL, NULL);

        g_assert_true(first->timestamp);
        g_assert_false(second->timestamp);
    }
}

static const char pci_text[] =
    "{\"bus\": 0, \"devices\": [{\"bus\": 0, \"slot\": 1, \"function\": 2, "
    "\"class_info\": {\"desc\": \"d\", \"class\": 1540}, "
    "\"id\": {\"device\": 1, \"vendor\": 2}, \"irq_pin\": 0, \"qdev_id\": \"\", "
    "\"regions\": [{\"bar\": 0, \"type\": \"memory\", \"address\": -1, \"size\": 4096, "
    "\"prefetch\": true}]}]}";

static void test_what_was_parsed_is_written_again(void)
{
    g_autoptr(PciInfo) info = qapi_parse_json(QAPI_TYPE_PCI_INFO, pci_text, NULL);
    g_autoptr(JsonValue) json = qapi_emit(QAPI_TYPE_PCI_INFO, info);
    g_autofree char *text = json_to_text(json);

    g_assert_cmpstr(text, ==, pci_text);
}

static void test_a_clone_is_equal_and_independent(void)
{
    g_autoptr(PciInfo) info = qapi_parse_json(QAPI_TYPE_PCI_INFO, pci_text, NULL);
    g_autoptr(PciInfo) clone = qapi_clone_PciInfo(info);

    g_assert_true(qapi_equal(QAPI_TYPE_PCI_INFO, info, clone));
    clone->devices->items[0]->regions->items[0]->size = 1;
    g_assert_false(qapi_equal(QAPI_TYPE_PCI_INFO, info, clone));
    g_assert_cmpint(info->devices->items[0]->regions->items[0]->size, ==, 4096);
}

static void test_unions_are_cloned_with_their_branch(void)
{
    g_autoptr(DeviceAddArgs) args =
        qapi_parse_keyval(QAPI_TYPE_DEVICE_ADD_ARGS, "isa-serial,chardev=c,addr=5",
                          "driver",
                          NULL);
    g_autoptr(DeviceAddArgs) clone = qapi_clone_DeviceAddArgs(args);

    g_assert_true(qapi_equal(QAPI_TYPE_DEVICE_ADD_ARGS, args, clone));
    g_assert_cmpstr(clone->u.isa_serial.chardev, ==, "c");
    g_assert_true(clone->u.isa_serial.chardev != args->u.isa_serial.chardev);
    clone->u.isa_serial.chardev[0] = 'd';
    g_assert_false(qapi_equal(QAPI_TYPE_DEVICE_ADD_ARGS, args, clone));
}

static void test_lists_grow(void)
{
    g_autoptr(StrList) list = StrList_new();

    for (unsigned i = 0; i < 100; i++)
        StrList_append(list, g_strdup_printf("%u", i));

    g_assert_cmpuint(list->n, ==, 100);
    g_assert_cmpstr(list->items[99], ==, "99");
    g_assert_cmpstr(list->items[64], ==, "64");
}

static void test_enums_have_names(void)
{
    g_assert_cmpstr(RunState_str(RUN_STATE_GUEST_PANICKED), ==, "guest-panicked");
    g_assert_cmpint(RunState_parse("paused"), ==, RUN_STATE_PAUSED);
    g_assert_cmpint(RunState_parse("Paused"), ==, -1);
    g_assert_null(RunState_str((RunState)RUN_STATE__MAX));
}

static void test_aliases_are_values(void)
{
    const QapiMember *row;

    g_assert_cmpint(DeviceDriver_parse("virtio-blk"), ==, DEVICE_DRIVER_VIRTIO_BLK_PCI);
    g_assert_cmpstr(DeviceDriver_str(DEVICE_DRIVER_VIRTIO_BLK_PCI), ==, "virtio-blk-pci");
    g_assert_cmpint(DeviceDriver_parse("VGA"), ==, -1);
    g_assert_null(qapi_enum_row(QAPI_TYPE_DEVICE_DRIVER, "VGA"));
    g_assert_null(qapi_enum_refusal(QAPI_TYPE_DEVICE_DRIVER, "virtio-blk"));
    g_assert_nonnull(qapi_enum_refusal(QAPI_TYPE_DEVICE_DRIVER, "VGA"));

    row = qapi_enum_row(QAPI_TYPE_DEVICE_DRIVER, "virtio-blk-pci-transitional");
    g_assert_nonnull(qapi_difference(row));
    row = qapi_enum_row(QAPI_TYPE_DEVICE_DRIVER, "virtio-blk-pci-non-transitional");
    g_assert_null(qapi_difference(row));
    row = qapi_type_find(&qapi_types[QAPI_TYPE_MEMORY_BACKEND_PROPS],
                         "x-use-canonical-path-for-ramblock-id");
    g_assert_nonnull(qapi_difference(row));
    row = qapi_type_find(&qapi_types[QAPI_TYPE_MEMORY_BACKEND_PROPS], "prealloc");
    g_assert_null(qapi_difference(row));
}

static void test_any_keeps_every_value(void)
{
    g_autoptr(QomSetArgs) args =
        qapi_parse_json(QAPI_TYPE_QOM_SET_ARGS,
                        "{'path': '/', 'property': 'p', 'value': null}", NULL);

    g_assert_nonnull(args->value);
    g_assert_cmpint(json_kind(args->value), ==, JSON_NULL);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qapi/faults-name-member", test_faults_name_member_and_reason);
    g_test_add_func("/qapi/union-from-json", test_union_from_json);
    g_test_add_func("/qapi/defaults", test_defaults_are_filled_in);
    g_test_add_func("/qapi/union-from-text", test_union_from_text);
    g_test_add_func("/qapi/sizes", test_sizes_have_units_and_mib_without);
    g_test_add_func("/qapi/booleans", test_booleans_have_the_words_of_qemu);
    g_test_add_func("/qapi/write", test_what_was_parsed_is_written_again);
    g_test_add_func("/qapi/clone", test_a_clone_is_equal_and_independent);
    g_test_add_func("/qapi/clone-union", test_unions_are_cloned_with_their_branch);
    g_test_add_func("/qapi/lists", test_lists_grow);
    g_test_add_func("/qapi/enums", test_enums_have_names);
    g_test_add_func("/qapi/aliases", test_aliases_are_values);
    g_test_add_func("/qapi/any", test_any_keeps_every_value);
    return g_test_run();
}
