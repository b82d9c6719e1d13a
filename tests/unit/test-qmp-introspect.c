/* SPDX-License-Identifier: Apache-2.0 */
/*
 * query-qmp-schema against its golden file, and against itself.  After a change of the
 * schema: make reference, then read the difference of tests/data/qmp-schema.json.
 */
#include <string.h>

#include "berth/qapi-option.h"
#include "berth/qapi-tables.h"
#include "berth/qmp-introspect.h"

#define GOLDEN "tests/data/qmp-schema.json"

static char *introspection_text(void)
{
    g_autoptr(SchemaInfoList) list = qmp_introspect();
    GString *text = g_string_new(NULL);
    JsonWriter writer;

    json_writer_init(&writer, text, true);
    qapi_write(QAPI_TYPE_SCHEMA_INFO_LIST, list, &writer);
    g_string_append_c(text, '\n');
    return g_string_free(text, FALSE);
}

static void test_schema_is_the_golden_one(void)
{
    g_autofree char *text = introspection_text();
    g_autofree char *golden = NULL;

    if (g_getenv("BERTH_UPDATE_GOLDEN"))
        g_assert_true(g_file_set_contents(GOLDEN, text, -1, NULL));
    g_assert_true(g_file_get_contents(GOLDEN, &golden, NULL, NULL));

    if (strcmp(text, golden) != 0)
        g_error("the interface is not what " GOLDEN " has: make reference, and read it");
}

static bool is_described(const SchemaInfoList *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++) {
        const SchemaInfo *info = list->items[i];

        if (strcmp(info->name, name) == 0 &&
            info->meta_type != SCHEMA_META_TYPE_COMMAND &&
            info->meta_type != SCHEMA_META_TYPE_EVENT)
            return true;
    }
    return false;
}

static void check_object(const SchemaInfoList *list, const SchemaInfoObject *object)
{
    for (size_t i = 0; i < object->members->n; i++)
        g_assert_true(is_described(list, object->members->items[i]->type));
    for (size_t i = 0; object->variants && i < object->variants->n; i++)
        g_assert_true(is_described(list, object->variants->items[i]->type));
}

static void check_references(const SchemaInfoList *list, const SchemaInfo *info)
{
    switch (info->meta_type) {
    case SCHEMA_META_TYPE_COMMAND:
        g_assert_true(is_described(list, info->u.command.arg_type));
        g_assert_true(is_described(list, info->u.command.ret_type));
        break;
    case SCHEMA_META_TYPE_EVENT:
        g_assert_true(is_described(list, info->u.event.arg_type));
        break;
    case SCHEMA_META_TYPE_ARRAY:
        g_assert_true(is_described(list, info->u.array.element_type));
        break;
    case SCHEMA_META_TYPE_OBJECT:
        check_object(list, &info->u.object);
        break;
    case SCHEMA_META_TYPE_ALTERNATE:
        for (size_t i = 0; i < info->u.alternate.members->n; i++)
            g_assert_true(is_described(list, info->u.alternate.members->items[i]->type));
        break;
    case SCHEMA_META_TYPE_ENUM:
    case SCHEMA_META_TYPE_BUILTIN:
        break;
    }
}

static void test_every_reference_leads_somewhere(void)
{
    g_autoptr(SchemaInfoList) list = qmp_introspect();

    for (size_t i = 0; i < list->n; i++)
        check_references(list, list->items[i]);
}

static void test_names_are_unique(void)
{
    g_autoptr(SchemaInfoList) list = qmp_introspect();
    g_autoptr(GHashTable) names = g_hash_table_new(g_str_hash, g_str_equal);

    for (size_t i = 0; i < list->n; i++)
        g_assert_true(g_hash_table_add(names, list->items[i]->name));
}

static const ObjectPropertyInfo *find(const ObjectPropertyInfoList *list,
                                      const char *name)
{
    for (size_t i = 0; i < list->n; i++) {
        if (strcmp(list->items[i]->name, name) == 0)
            return list->items[i];
    }
    return NULL;
}

static void test_properties_of_a_device(void)
{
    g_autoptr(ObjectPropertyInfoList) all =
        qmp_introspect_branch(QAPI_TYPE_DEVICE_ADD_ARGS, DEVICE_DRIVER_VIRTIO_RNG_PCI,
                              qmp_introspect_all);
    g_autoptr(ObjectPropertyInfoList) own =
        qmp_introspect_branch(QAPI_TYPE_DEVICE_ADD_ARGS, DEVICE_DRIVER_VIRTIO_RNG_PCI,
                              NULL);
    const ObjectPropertyInfo *period = find(all, "period");
    int64_t value = 0;

    g_assert_nonnull(period);
    g_assert_cmpstr(period->type, ==, "uint32");
    g_assert_true(json_as_int(period->default_value, &value));
    g_assert_cmpint(value, ==, 65536);
    g_assert_null(find(all, "max-bytes")->default_value);
    g_assert_nonnull(find(all, "acpi-index"));
    g_assert_null(find(own, "acpi-index"));
    g_assert_null(find(all, "driver"));
    g_assert_null(find(all, "id"));
    g_assert_null(find(all, "bus"));
}

static void test_help_has_a_line_for_each_property(void)
{
    GString *out = g_string_new(NULL);

    g_assert_true(qapi_option_help_branch(QAPI_TYPE_OBJECT_OPTIONS, "rng-random", NULL,
                                          out));
    g_assert_cmpstr(out->str, ==,
                    "rng-random options:\n"
                    "  filename=<str>         - the file to read (default: "
                    "\"/dev/urandom\")\n");
    g_assert_false(qapi_option_help_branch(QAPI_TYPE_OBJECT_OPTIONS, "x", NULL, out));
    g_string_free(out, TRUE);
}

static void test_help_names_every_option(void)
{
    GString *out = g_string_new(NULL);

    qapi_option_help(out);

    g_assert_nonnull(strstr(out->str, "\n-smp [cpus=]int[,maxcpus=int]"));
    g_assert_nonnull(strstr(out->str, "\n-device [driver=]driver[,id=str]"));
    g_assert_nonnull(strstr(out->str, "\n-S              do not start the vCPUs\n"));
    for (unsigned i = 0; i < cmdline_n_options; i++) {
        g_autofree char *name = g_strdup_printf("-%s",
                                                qapi_text(cmdline_options[i].name));

        g_assert_nonnull(strstr(out->str, name));
        g_assert_true(qapi_option_find(name) == &cmdline_options[i]);
    }
    g_string_free(out, TRUE);
}

static void test_options_are_found_by_their_names_only(void)
{
    g_assert_nonnull(qapi_option_find("--smp"));
    g_assert_true(qapi_option_find("-M") == qapi_option_find("-machine"));
    g_assert_null(qapi_option_find("smp"));
    g_assert_null(qapi_option_find("-"));
    g_assert_null(qapi_option_find("--"));
    g_assert_null(qapi_option_find("---smp"));
    g_assert_null(qapi_option_find("-sm"));
}

static void test_options_are_read_as_pairs_or_json(void)
{
    const CmdlineOption *device = qapi_option_find("-device");
    const CmdlineOption *smp = qapi_option_find("-smp");
    bool help;
    g_autoptr(JsonValue) pairs = qapi_option_read(device, "isa-serial,index=1", &help,
                                                  NULL);
    g_autoptr(JsonValue) json =
        qapi_option_read(device, "{\"driver\": \"isa-serial\", \"index\": 1}", &help,
                         NULL);
    g_autoptr(JsonValue) not_json = qapi_option_read(smp, "{\"cpus\": 1}", &help, NULL);
    g_autoptr(DeviceAddArgs) a =
        qapi_parse(device->type, pairs, QAPI_INPUT_TEXT, NULL);
    g_autoptr(DeviceAddArgs) b =
        qapi_parse(device->type, json, QAPI_INPUT_TEXT, NULL);

    g_assert_true(qapi_equal(device->type, a, b));
    g_assert_cmpuint(a->u.isa_serial.index, ==, 1);
    g_assert_null(qapi_parse(smp->type, not_json, QAPI_INPUT_TEXT, NULL));
    g_assert_null(qapi_option_read(device, "{", &help, NULL));
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
    g_test_add_func("/qmp-introspect/golden", test_schema_is_the_golden_one);
    g_test_add_func("/qmp-introspect/references", test_every_reference_leads_somewhere);
    g_test_add_func("/qmp-introspect/unique", test_names_are_unique);
    g_test_add_func("/qmp-introspect/properties", test_properties_of_a_device);
    g_test_add_func("/qapi-option/help-branch", test_help_has_a_line_for_each_property);
    g_test_add_func("/qapi-option/help", test_help_names_every_option);
    g_test_add_func("/qapi-option/find", test_options_are_found_by_their_names_only);
    g_test_add_func("/qapi-option/read", test_options_are_read_as_pairs_or_json);
    return g_test_run();
}
