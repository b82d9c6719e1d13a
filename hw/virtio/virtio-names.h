/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bits of virtio devices by the names that the specification's headers have.
 */
#pragma once

#include "berth/virtio.h"
#include "qapi-types.h"

/* The caller's. */
VirtioDeviceStatus *virtio_names_status(uint8_t status);
/* @features of a device of kind @id (VIRTIO_ID_*); the caller's. */
VirtioDeviceFeatures *virtio_names_features(uint16_t id, uint64_t features);
