/* SPDX-License-Identifier: Apache-2.0 */
#include "berth/error.h"
#include "berth/qapi.h"

#include "block-throttle.h"
#include "qmp-commands.h"

bool qmp_block_set_io_throttle(QmpContext *ctx, const BlockSetIoThrottleArgs *args,
                               GError **error)
{
    g_autoptr(JsonValue) json = qapi_emit(QAPI_TYPE_BLOCK_SET_IO_THROTTLE_ARGS, args);
    const char *id = args->id ? args->id : args->device;
    ThrottleConfig config;
    BlockDrive *drive;

    if (!args->id == !args->device) {
        error_set(error, "expected is one of the parameters 'id' and 'device'");
        return false;
    }
    drive = block_drive_find(ctx->blocks, id);
    if (!drive) {
        error_set_class(error, BERTH_ERROR_DEVICE_NOT_FOUND, "Device '%s' not found", id);
        return false;
    }
    if (!block_drive_node(drive)) {
        error_set(error, "device '%s' has no medium", id);
        return false;
    }
    if (args->group && !*args->group) {
        error_set(error, "parameter 'group' expects a name");
        return false;
    }
    throttle_config_init(&config);
    throttle_config_read(&config, json, THROTTLE_SPELLING_IOTUNE);
    return block_throttle_set(drive, args->group, id, &config, error);
}
