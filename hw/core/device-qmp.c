/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Devices over QMP: device_add and device_del, and what can be said of a kind of device
 * in "-device", and of one of the board in "-global".
 */
#include <string.h>

#include "berth/device-qmp.h"
#include "berth/device.h"
#include "berth/error.h"
#include "berth/hotplug.h"
#include "berth/qapi-tables.h"
#include "berth/qmp-introspect.h"
#include "berth/qmp.h"
#include "qmp-commands.h"

static DeviceTree *tree_of(QmpContext *ctx, GError **error)
{
    if (!ctx->tree || !ctx->tree->board || !ctx->tree->board->vm) {
        error_set(error, "this machine has no devices");
        return NULL;
    }
    return ctx->tree;
}

static Device *find_device(QmpContext *ctx, const char *id, GError **error)
{
    Device *dev = ctx->tree ? device_find(ctx->tree, id) : NULL;

    if (!dev)
        error_set_class(error, BERTH_ERROR_DEVICE_NOT_FOUND, "Device '%.128s' not found",
                        id);
    return dev;
}

bool qmp_device_add(QmpContext *ctx, const DeviceAddArgs *args, GError **error)
{
    DeviceTree *tree = tree_of(ctx, error);

    return tree && hotplug_add(tree, args, error);
}

bool qmp_device_del(QmpContext *ctx, const DeviceIdArgs *args, GError **error)
{
    Device *dev = find_device(ctx, args->id, error);

    return dev && hotplug_remove(dev, error);
}

bool qmp_x_device_del_force(QmpContext *ctx, const DeviceIdArgs *args, GError **error)
{
    Device *dev = find_device(ctx, args->id, error);

    return dev && hotplug_force(dev, error);
}

UnplugInfoList *qmp_x_query_unplug(QmpContext *ctx, GError **error)
{
    return ctx->tree ? hotplug_query(ctx->tree) : UnplugInfoList_new();
}

const char *const *device_qmp_base_members(DeviceDriver driver)
{
    static const char *const of_memory[] = { "addr", "x-unplug-timeout", NULL };

    switch (device_kinds[driver].class->bus) {
    case BUS_PCI:
        return qmp_introspect_all;
    case BUS_MEMORY:
        return of_memory;
    case BUS_CPU:
        return &of_memory[1];
    default:
        return NULL;
    }
}

ObjectPropertyInfoList *qmp_device_list_properties(QmpContext *ctx,
                                                   const DeviceListPropertiesArgs *args,
                                                   GError **error)
{
    int driver = device_driver_of(args->typename);
    int onboard = OnboardDriver_parse(args->typename);

    if (onboard >= 0)
        return qmp_introspect_branch(QAPI_TYPE_ONBOARD_DEVICE, onboard, NULL);
    if (driver < 0 && ObjectType_parse(args->typename) >= 0) {
        error_set(error, "Parameter 'typename' expects a device type, not '%s'",
                  args->typename);
        return NULL;
    }
    if (driver < 0) {
        error_set_class(error, BERTH_ERROR_DEVICE_NOT_FOUND, "Device '%s' not found",
                        args->typename);
        return NULL;
    }
    return qmp_introspect_branch(QAPI_TYPE_DEVICE_ADD_ARGS, driver,
                                 device_qmp_base_members((DeviceDriver)driver));
}

/* The short name of device @driver. */
static void write_alias(GString *out, const char *driver)
{
    const QapiType *type = &qapi_types[QAPI_TYPE_DEVICE_DRIVER];
    const QapiMember *aliases =
        qapi_type_members(type) + type->n_members + type->n_refused;

    for (unsigned i = 0; i < type->n_aliases; i++) {
        if (strcmp(qapi_text(aliases[i].doc), driver) == 0 &&
            !g_str_has_suffix(qapi_text(aliases[i].name), "transitional")) {
            g_string_append_printf(out, ", alias \"%s\"", qapi_text(aliases[i].name));
            return;
        }
    }
}

void device_qmp_describe_drivers(GString *out)
{
    for (int i = 0; i < DEVICE_DRIVER__MAX; i++) {
        const DeviceClass *class = device_kinds[i].class;
        const char *description = device_description(i);

        g_string_append_printf(out, "name \"%s\"", DeviceDriver_str(i));
        if (class->bus != BUS_NONE)
            g_string_append_printf(out, ", bus %s", bus_kind_str(class->bus));
        write_alias(out, DeviceDriver_str(i));
        if (description)
            g_string_append_printf(out, ", desc \"%s\"", description);
        g_string_append_c(out, '\n');
    }
}
