/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The balloon as operators see it.
 */
#include "berth/balloon.h"
#include "berth/error.h"

#include "virtio-balloon.h"

static VirtioBalloon *to_balloon(Device *dev)
{
    return virtio_balloon_of(virtio_pci_device(dev));
}

bool balloon_is(const Device *dev)
{
    return virtio_balloon_is(dev);
}

Device *balloon_find(DeviceTree *tree, GError **error)
{
    VirtioBalloon *balloon = virtio_balloon_find(tree);

    if (balloon)
        return balloon->vdev.dev;
    error_set_class(error, BERTH_ERROR_DEVICE_NOT_ACTIVE,
                    "No balloon device has been activated");
    return NULL;
}

void balloon_set_target(Device *dev, uint64_t bytes)
{
    VirtioBalloon *balloon = to_balloon(dev);
    uint64_t all = dev->board->ram_size;
    uint64_t pages = (all - MIN(bytes, all)) / BALLOON_PAGE;

    lock_take(&dev->lock);
    balloon->num_pages = (uint32_t)MIN(pages, UINT32_MAX);
    lock_drop(&dev->lock);
    virtio_config_changed(&balloon->vdev);
}

uint64_t balloon_actual(Device *dev)
{
    return virtio_balloon_actual(to_balloon(dev));
}

void balloon_counts(Device *dev, BalloonCounts *ret_counts)
{
    const BalloonBatch *batch = &to_balloon(dev)->batch;

    *ret_counts = (BalloonCounts) {
        .discarded = __atomic_load_n(&batch->discarded, __ATOMIC_RELAXED),
        .failed = __atomic_load_n(&batch->failed, __ATOMIC_RELAXED),
        .partial = __atomic_load_n(&batch->partial, __ATOMIC_RELAXED),
    };
}

JsonValue *balloon_stats(Device *dev)
{
    return balloon_stats_query(to_balloon(dev));
}

void balloon_set_interval(Device *dev, uint32_t seconds)
{
    balloon_stats_set_interval(to_balloon(dev), seconds);
}
