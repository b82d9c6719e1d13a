/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The explicit list: which driver a value of BlockdevDriver is.
 */
#include "berth/block-driver.h"

const BlockDriver *const block_drivers[BLOCKDEV_DRIVER__MAX] = {
    [BLOCKDEV_DRIVER_FILE] = &file_driver,
    [BLOCKDEV_DRIVER_HOST_DEVICE] = &file_driver_host_device,
    [BLOCKDEV_DRIVER_INJECT] = &inject_driver,
    [BLOCKDEV_DRIVER_NULL_CO] = &null_co_driver,
    [BLOCKDEV_DRIVER_QCOW2] = &qcow2_driver,
    [BLOCKDEV_DRIVER_RAW] = &raw_driver,
    [BLOCKDEV_DRIVER_THROTTLE] = &throttle_driver,
};
