/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a virtio device is to the transport that carries it.
 */
#pragma once

#include "berth/virtio.h"

/* Main. */

/*
 * Makes the device of @class for @dev, offering @features too.  NULL with @error of the
 * class's realize().
 */
VirtioDevice *virtio_device_new(const VirtioClass *class,
                                const VirtioTransport *transport, Device *dev,
                                uint64_t features, GError **error);
/* Resets and unrealizes it; it does not drain.  Accepts NULL. */
void virtio_device_free(VirtioDevice *vdev);

/* Guest memory has come; false with @error when the host does not take that. */
bool virtio_memory_added(VirtioDevice *vdev, GError **error);
/* Whether virtio_restart() has not stopped it yet. */
bool virtio_is_restarting(VirtioDevice *vdev);

/* Registers; dev->lock is held. */

/* 32 bits of the features offered, and of those accepted; 0 beyond the first two. */
uint32_t virtio_get_offered(const VirtioDevice *vdev, uint32_t select);
uint32_t virtio_get_features(const VirtioDevice *vdev, uint32_t select);
void virtio_set_features(VirtioDevice *vdev, uint32_t select, uint32_t value);
/*
 * virtio_settle() must follow, without the lock, and before the register is read again.
 */
void virtio_set_status(VirtioDevice *vdev, uint8_t value);
/* The registers of @vq may still change. */
bool virtio_queue_is_open(const Virtqueue *vq);
void virtio_queue_set_size(Virtqueue *vq, uint16_t size);
void virtio_queue_enable(Virtqueue *vq);
/* Reads device configuration space; bytes beyond it are all ones. */
void virtio_read_config(VirtioDevice *vdev, uint64_t offset, void *data, size_t size);
/* Writes to it; what is beyond it is ignored. */
void virtio_write_config(VirtioDevice *vdev, uint64_t offset, const void *data,
                         size_t size);
