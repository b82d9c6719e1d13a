/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Globals are kept as JSON, an object of properties for each driver; they are merged into
 * a device's arguments before those are parsed.
 */
#include <string.h>

#include "berth/cpu-query.h"
#include "berth/device.h"
#include "berth/error.h"
#include "berth/keyval.h"
#include "berth/log.h"
#include "berth/machine.h"
#include "berth/qapi-tables.h"
#include "berth/qmp.h"

#include "berth/device-globals.h"

/* The longest piece of the operator's text that an error repeats. */
#define ECHO_MAX 64

struct DeviceGlobals {
    GHashTable *drivers;        /* of JsonValue: an object of properties */
    GPtrArray *warnings;        /* of text, that nobody was told yet */
};

DeviceGlobals *device_globals_new(void)
{
    DeviceGlobals *globals = g_new0(DeviceGlobals, 1);

    globals->drivers = g_hash_table_new_full(g_str_hash, g_str_equal, g_free,
                                             (GDestroyNotify)json_unref);
    globals->warnings = g_ptr_array_new_with_free_func(g_free);
    return globals;
}

void device_globals_free(DeviceGlobals *globals)
{
    if (!globals)
        return;
    g_hash_table_unref(globals->drivers);
    g_ptr_array_unref(globals->warnings);
    g_free(globals);
}

/* What only says which device it is and where it goes is no property. */
static bool is_identity(const char *property)
{
    return strcmp(property, "driver") == 0 || strcmp(property, "id") == 0 ||
           strcmp(property, "bus") == 0;
}

/* Looks @property up in what the schema says of @driver; NULL when it is not there. */
static const QapiMember *find_property(const char *driver, const char *property,
                                       bool *ret_driver_exists)
{
    int added = DeviceDriver_parse(driver);
    int onboard = OnboardDriver_parse(driver);
    const QapiType *args = &qapi_types[QAPI_TYPE_DEVICE_ADD_ARGS];
    const QapiMember *member = NULL;

    *ret_driver_exists = added >= 0 || onboard >= 0;
    if (added >= 0) {
        member = qapi_type_find(qapi_type_branch(args, (unsigned)added), property);
        if (!member && device_kinds[added].class->bus == BUS_PCI &&
            !is_identity(property))
            member = qapi_type_find(args, property);
    } else if (onboard >= 0) {
        member = qapi_type_find(
            qapi_type_branch(&qapi_types[QAPI_TYPE_ONBOARD_DEVICE], (unsigned)onboard),
            property);
    }
    return member;
}

static bool add(DeviceGlobals *globals, const char *driver, const char *property,
                const char *value, GError **error)
{
    g_autoptr(JsonValue) text = json_new_string(value);
    g_autoptr(JsonValue) json = NULL;
    bool driver_exists;
    const QapiMember *member = find_property(driver, property, &driver_exists);
    JsonValue *properties;

    if (!driver_exists) {
        error_set(error, "there is no device '%.*s'", ECHO_MAX, driver);
        return false;
    }
    if (!member) {
        error_set(error, "device '%s' has no property '%.*s'", driver, ECHO_MAX,
                  property);
        return false;
    }
    json = qapi_parse_member(member, text, QAPI_INPUT_TEXT, error);
    if (!json)
        return false;
    properties = g_hash_table_lookup(globals->drivers, driver);
    if (!properties) {
        properties = json_new_object();
        g_hash_table_insert(globals->drivers, g_strdup(driver), properties);
    }
    json_set(properties, property, g_steal_pointer(&json));
    return true;
}

bool device_globals_add_pairs(DeviceGlobals *globals, const JsonValue *pairs,
                              GError **error)
{
    g_autoptr(GlobalOptions) options =
        qapi_parse(QAPI_TYPE_GLOBAL_OPTIONS, pairs, QAPI_INPUT_TEXT, error);

    return options &&
           add(globals, options->driver, options->property, options->value, error);
}

bool device_globals_add(DeviceGlobals *globals, const char *text, GError **error)
{
    size_t driver_length = strcspn(text, ".=,");
    const char *value = strchr(text, '=');
    g_autofree char *driver = g_strndup(text, driver_length);
    g_autofree char *property = NULL;

    if (text[driver_length] != '.' || !value) {
        g_autoptr(JsonValue) pairs = keyval_parse(text, NULL, NULL, error);

        return pairs && device_globals_add_pairs(globals, pairs, error);
    }
    property = g_strndup(text + driver_length + 1,
                         (gsize)(value - (text + driver_length + 1)));
    return add(globals, driver, property, value + 1, error);
}

const JsonValue *device_globals_find(const DeviceGlobals *globals, const char *driver,
                                     const char *property)
{
    const JsonValue *properties = g_hash_table_lookup(globals->drivers, driver);

    return properties ? json_member(properties, property) : NULL;
}

/* @json with the members of @properties (may be NULL) that it does not have. */
static JsonValue *with_defaults(const JsonValue *json, const JsonValue *properties)
{
    JsonValue *merged = json_new_object();
    JsonIter iter = { 0 };
    const char *key;
    JsonValue *value;

    while (json_next(json, &iter, &key, &value))
        json_set(merged, key, json_ref(value));
    iter = (JsonIter) { 0 };
    while (properties && json_next(properties, &iter, &key, &value)) {
        if (!json_member(merged, key))
            json_set(merged, key, json_ref(value));
    }
    return merged;
}

static const char *driver_of(const JsonValue *json)
{
    const JsonValue *driver =
        json_kind(json) == JSON_OBJECT ? json_member(json, "driver") : NULL;

    return driver && json_kind(driver) == JSON_STRING ? json_as_string(driver) : NULL;
}

/* "host-x86_64-cpu" is a vCPU of model "host"; NULL when it is no name of that kind. */
static JsonValue *name_vcpu(const JsonValue *json)
{
    const char *name = driver_of(json);
    g_autofree char *model = name ? cpu_query_model_of(name) : NULL;
    JsonValue *named;

    if (!model || json_member(json, "model"))
        return NULL;
    named = with_defaults(json, NULL);
    json_set(named, "driver", json_new_string(DeviceDriver_str(DEVICE_DRIVER_VCPU)));
    json_set(named, "model", json_new_string(model));
    return named;
}

/* A name that promises more than the device has. */
static void note_difference(const DeviceGlobals *globals, const char *name)
{
    const char *difference =
        qapi_difference(qapi_enum_row(QAPI_TYPE_DEVICE_DRIVER, name));

    if (difference)
        g_ptr_array_add(globals->warnings,
                        g_strdup_printf("device '%s': %s", name, difference));
}

DeviceAddArgs *device_globals_parse(const DeviceGlobals *globals, const JsonValue *json,
                                    QapiInput input, GError **error)
{
    const char *name = driver_of(json);
    int driver = name ? DeviceDriver_parse(name) : -1;
    g_autoptr(JsonValue) vcpu = name_vcpu(json);
    g_autoptr(JsonValue) merged = NULL;
    g_autoptr(JsonValue) whole = NULL;

    if (vcpu)
        return qapi_parse(QAPI_TYPE_DEVICE_ADD_ARGS, vcpu, input, error);
    if (driver < 0)
        return qapi_parse(QAPI_TYPE_DEVICE_ADD_ARGS, json, input, error);
    note_difference(globals, name);
    /* Of the name that was used before those of the driver. */
    merged = with_defaults(json, g_hash_table_lookup(globals->drivers, name));
    whole = with_defaults(merged, g_hash_table_lookup(globals->drivers,
                                                      DeviceDriver_str(driver)));
    return qapi_parse(QAPI_TYPE_DEVICE_ADD_ARGS, whole, input, error);
}

void device_globals_warn(const DeviceGlobals *globals)
{
    for (guint i = 0; i < globals->warnings->len; i++)
        log_warn("%s", (char *)g_ptr_array_index(globals->warnings, i));
    g_ptr_array_set_size(globals->warnings, 0);
}

void *device_globals_parse_request(QmpContext *ctx, QapiTypeId type,
                                   const JsonValue *json, GError **error)
{
    const DeviceGlobals *globals;
    DeviceAddArgs *args;

    if (type != QAPI_TYPE_DEVICE_ADD_ARGS)
        return qapi_parse(type, json, QAPI_INPUT_JSON, error);
    if (!ctx->machine)
        return qapi_parse(type, json, QAPI_INPUT_TEXT, error);
    globals = ctx->machine->cmdline->globals;
    args = device_globals_parse(globals, json, QAPI_INPUT_TEXT, error);
    device_globals_warn(globals);
    return args;
}

OnboardDevice *device_globals_onboard(const DeviceGlobals *globals, OnboardDriver driver,
                                      GError **error)
{
    const char *name = OnboardDriver_str(driver);
    g_autoptr(JsonValue) json = json_new_object();
    g_autoptr(JsonValue) merged = NULL;

    json_set(json, "driver", json_new_string(name));
    merged = with_defaults(json, g_hash_table_lookup(globals->drivers, name));
    return qapi_parse(QAPI_TYPE_ONBOARD_DEVICE, merged, QAPI_INPUT_JSON, error);
}
