/* SPDX-License-Identifier: Apache-2.0 */
/*
 * device-list-properties: what can be said of a kind of device in "-device", and of one
 * of the board in "-global".
 */
#include "berth/device.h"
#include "berth/error.h"
#include "berth/qmp-introspect.h"
#include "berth/qmp.h"
#include "qmp-commands.h"

ObjectPropertyInfoList *qmp_device_list_properties(QmpContext *ctx,
                                                   const DeviceListPropertiesArgs *args,
                                                   GError **error)
{
    int driver = DeviceDriver_parse(args->typename);
    int onboard = OnboardDriver_parse(args->typename);

    if (onboard >= 0)
        return qmp_introspect_branch(QAPI_TYPE_ONBOARD_DEVICE, onboard, false);
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
                                 device_kinds[driver].class->bus == BUS_PCI);
}
