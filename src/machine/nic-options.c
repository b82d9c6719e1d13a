/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys of -nic, sorted.
 */
#include <string.h>

#include "berth/error.h"
#include "berth/nic-options.h"
#include "berth/qapi-option.h"

/* Keys of the device, and what they are there; NULL: the same. */
static const struct {
    const char *key;
    const char *property;
} device_keys[] = {
    { "mac", NULL }, { "macaddr", "mac" }, { "addr", NULL }, { "vectors", NULL },
    { "id", NULL },
};

static const char *const models[] = { "virtio-net-pci", "virtio", "virtio-net" };

static bool check_model(const JsonValue *pairs, GError **error)
{
    const JsonValue *value = json_member(pairs, "model");
    const char *model = value ? json_as_string(value) : models[0];

    for (size_t i = 0; i < G_N_ELEMENTS(models); i++) {
        if (g_strcmp0(model, models[i]) == 0)
            return true;
    }
    error_set(error, "parameter 'model': there is no '%s', only %s", model ? model : "",
              models[0]);
    return false;
}

static bool has_netdev(const GPtrArray *netdevs, const char *id)
{
    for (guint i = 0; i < netdevs->len; i++) {
        if (strcmp(((const Netdev *)g_ptr_array_index(netdevs, i))->id, id) == 0)
            return true;
    }
    return false;
}

/* "nic0", or the next that is free. */
static char *choose_id(const GPtrArray *netdevs)
{
    for (unsigned i = 0;; i++) {
        char *id = g_strdup_printf("nic%u", i);

        if (!has_netdev(netdevs, id))
            return id;
        g_free(id);
    }
}

static const char *device_property(const char *key)
{
    for (size_t i = 0; i < G_N_ELEMENTS(device_keys); i++) {
        if (strcmp(key, device_keys[i].key) == 0)
            return device_keys[i].property ? device_keys[i].property : key;
    }
    return NULL;
}

static void sort(const JsonValue *pairs, JsonValue *netdev, JsonValue *device)
{
    JsonIter iter = { 0 };
    const char *key;
    JsonValue *value;

    while (json_next(pairs, &iter, &key, &value)) {
        const char *property = device_property(key);

        if (property)
            json_set(device, property, json_ref(value));
        else if (strcmp(key, "model") != 0)
            json_set(netdev, key, json_ref(value));
    }
}

bool nic_options_parse(const char *text, const GPtrArray *netdevs,
                       const DeviceGlobals *globals, NicOptions *ret_options,
                       GError **error)
{
    bool is_help = false;
    g_autoptr(JsonValue) pairs = qapi_option_read(qapi_option_find("-netdev"), text,
                                                  &is_help, error);
    g_autoptr(JsonValue) backend = json_new_object(), nic = json_new_object();
    g_autofree char *id = choose_id(netdevs);
    g_autoptr(DeviceAddArgs) device = NULL;
    g_autoptr(Netdev) netdev = NULL;

    if (is_help)
        error_set(error, "-netdev help and -device help tell what there is");
    if (is_help || !pairs || !check_model(pairs, error))
        return false;
    sort(pairs, backend, nic);
    json_set(backend, "id", json_new_string(id));
    json_set(nic, "driver",
             json_new_string(DeviceDriver_str(DEVICE_DRIVER_VIRTIO_NET_PCI)));
    json_set(nic, "netdev", json_new_string(id));
    netdev = qapi_parse(QAPI_TYPE_NETDEV, backend, QAPI_INPUT_TEXT, error);
    device = netdev ? device_globals_parse(globals, nic, QAPI_INPUT_TEXT, error) : NULL;
    if (!device)
        return false;
    ret_options->netdev = g_steal_pointer(&netdev);
    ret_options->device = g_steal_pointer(&device);
    return true;
}
