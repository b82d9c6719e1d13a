/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtio-mem devices as operators see them: how much memory one is to have, and has.
 * Main only.
 */
#pragma once

#include "berth/device.h"

bool virtio_mem_is(const Device *dev);
/* The bytes that the guest has plugged. */
uint64_t virtio_mem_size(Device *dev);
/* Asks the guest to have @size bytes plugged; false with @error for what cannot be. */
bool virtio_mem_size_request(Device *dev, uint64_t size, GError **error);
