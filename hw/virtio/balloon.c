/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The balloon as operators see it.
 */
#include <linux/virtio_balloon.h>

#include "berth/balloon.h"
#include "berth/error.h"

#include "virtio-balloon.h"

#define STAT_OOM_KILLS 10       /* Linux 6.12 */

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
    uint64_t all = board_ram(dev->board);
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

void balloon_want_stats(Device *dev, uint32_t seconds)
{
    balloon_stats_want(to_balloon(dev), seconds);
}

static uint64_t left(const Device *dev, uint32_t pages)
{
    uint64_t all = dev->board->ram_size;

    return all - MIN((uint64_t)pages * BALLOON_PAGE, all);
}

void balloon_sample(Device *dev, BalloonSample *ret_sample)
{
    const VirtioBalloon *balloon = to_balloon(dev);
    uint8_t status;

    lock_take(&dev->lock);
    status = balloon->vdev.status;
    *ret_sample = (BalloonSample) {
        .has_driver = status & VIRTIO_CONFIG_S_DRIVER_OK &&
                      !(status & VIRTIO_CONFIG_S_NEEDS_RESET),
        .target = left(dev, balloon->num_pages),
        .actual = left(dev, balloon->actual),
        .n_answers = balloon->n_answers,
        .told_actual = left(dev, balloon->told_actual),
        .available = balloon->stats[VIRTIO_BALLOON_S_AVAIL],
        .free = balloon->stats[VIRTIO_BALLOON_S_MEMFREE],
        .swap_in = balloon->stats[VIRTIO_BALLOON_S_SWAP_IN],
        .major_faults = balloon->stats[VIRTIO_BALLOON_S_MAJFLT],
        .oom_kills = balloon->stats[STAT_OOM_KILLS],
    };
    lock_drop(&dev->lock);
}
