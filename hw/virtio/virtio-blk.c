/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disk (virtio 1.3, section 5.2): properties, features, configuration, its queues'
 * loops.  Requests are in virtio-blk-req.c.
 *
 * Left out: SCSI commands, zones, secure erase.
 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <string.h>

#include "berth/error.h"

#include "virtio-blk.h"

#define MAX_QUEUES 1024u
#define SEGMENTS_WITHOUT_ADJUST 126u
#define SIZE_MAX_BYTES 0x7ffff000u
#define MAX_QUEUE_SIZE 1024u

#define FEATURE(bit) (1ull << (bit))

static uint32_t sectors(uint64_t bytes)
{
    return (uint32_t)(bytes / VIRTIO_BLK_SECTOR);
}

static uint32_t discard_granularity(const VirtioBlk *blk)
{
    return blk->props->has_discard_granularity ? (uint32_t)blk->props->discard_granularity
                                               : blk->block_size;
}

static uint64_t physical_block_size(const VirtioBlk *blk)
{
    return blk->props->has_physical_block_size ? blk->props->physical_block_size
                                               : blk->block_size;
}

static uint32_t max_segments(const VirtioBlk *blk)
{
    return blk->props->seg_max_adjust ? blk->props->queue_size - 2u
                                      : MIN(SEGMENTS_WITHOUT_ADJUST,
                                            blk->props->queue_size - 2u);
}

static void virtio_blk_read_config(VirtioDevice *vdev, void *bytes)
{
    const VirtioBlk *blk = virtio_blk_of(vdev);
    const VirtioBlkProps *props = blk->props;
    uint64_t size = block_node_size(block_use_node(blk->use));
    struct virtio_blk_config config = {
        .capacity = GUINT64_TO_LE(size / VIRTIO_BLK_SECTOR),
        .size_max = GUINT32_TO_LE(SIZE_MAX_BYTES),
        .seg_max = GUINT32_TO_LE(max_segments(blk)),
        .blk_size = GUINT32_TO_LE(blk->block_size),
        .physical_block_exp =
            (uint8_t)__builtin_ctzll(physical_block_size(blk) / blk->block_size),
        .min_io_size = GUINT16_TO_LE((uint16_t)(props->min_io_size / blk->block_size)),
        .opt_io_size = GUINT32_TO_LE((uint32_t)(props->opt_io_size / blk->block_size)),
        .wce = __atomic_load_n(&blk->write_cache, __ATOMIC_RELAXED),
        .num_queues = GUINT16_TO_LE((uint16_t)vdev->n_queues),
        .max_discard_sectors = GUINT32_TO_LE(props->max_discard_sectors),
        .max_discard_seg = GUINT32_TO_LE(1),
        .discard_sector_alignment = GUINT32_TO_LE(sectors(discard_granularity(blk))),
        .max_write_zeroes_sectors = GUINT32_TO_LE(props->max_write_zeroes_sectors),
        .max_write_zeroes_seg = GUINT32_TO_LE(1),
        .write_zeroes_may_unmap = 1,
    };

    memcpy(bytes, &config, MIN(sizeof(config), vdev->class->config_size));
}

static void virtio_blk_write_config(VirtioDevice *vdev, uint64_t offset, const void *data,
                                    size_t size)
{
    VirtioBlk *blk = virtio_blk_of(vdev);

    if (offset != offsetof(struct virtio_blk_config, wce) || size != 1 ||
        !virtio_has_feature(vdev, VIRTIO_BLK_F_CONFIG_WCE)) {
        device_guest_error(vdev->dev, "%zu bytes of configuration written at %" PRIu64,
                           size, offset);
        return;
    }
    __atomic_store_n(&blk->write_cache, *(const uint8_t *)data != 0, __ATOMIC_RELAXED);
}

static bool wants_write_cache(const VirtioBlk *blk)
{
    if (blk->props->write_cache == ON_OFF_AUTO_AUTO)
        return block_drive_is_write_back(blk->drive);
    return blk->props->write_cache == ON_OFF_AUTO_ON;
}

static void hurry(const VirtioBlk *blk, bool on)
{
    for (uint32_t i = 0; i < blk->vdev.n_queues; i++)
        block_channel_hurry(blk->channels[i], on);
}

/* A driver that cannot flush gets writes that need none. */
static bool virtio_blk_start(VirtioDevice *vdev, GError **error)
{
    VirtioBlk *blk = virtio_blk_of(vdev);

    if (!virtio_has_feature(vdev, VIRTIO_BLK_F_CONFIG_WCE))
        __atomic_store_n(&blk->write_cache, virtio_has_feature(vdev, VIRTIO_BLK_F_FLUSH),
                         __ATOMIC_RELAXED);
    hurry(blk, false);
    return true;
}

static void virtio_blk_stop(VirtioDevice *vdev)
{
    hurry(virtio_blk_of(vdev), true);
}

static void virtio_blk_reset(VirtioDevice *vdev)
{
    VirtioBlk *blk = virtio_blk_of(vdev);

    __atomic_store_n(&blk->write_cache, wants_write_cache(blk), __ATOMIC_RELAXED);
}

static char *describe(void *opaque)
{
    VirtioBlk *blk = opaque;

    return g_strdup_printf("device '%s'", device_name(blk->vdev.dev));
}

static void on_resized(void *opaque)
{
    virtio_config_changed(&((VirtioBlk *)opaque)->vdev);
}

static void on_query(void *opaque, BlockDriveState *ret_state)
{
    VirtioBlk *blk = opaque;

    ret_state->write_back = __atomic_load_n(&blk->write_cache, __ATOMIC_RELAXED);
}

static const BlockDriveOps drive_ops = {
    .use = { .describe = describe, .resized = on_resized },
    .query = on_query,
};

static void on_ready(void *opaque)
{
    virtqueue_schedule(opaque);
}

static const BlockChannelOps channel_ops = { .ready = on_ready };

static bool check_props(const VirtioBlk *blk, GError **error)
{
    const VirtioBlkProps *props = blk->props;

    if (props->scsi || props->cyls > 0 || props->heads > 0 || props->secs > 0) {
        error_set(error, props->scsi
                  ? "parameter 'scsi': SCSI commands are for virtio-scsi-pci"
                  : "parameters 'cyls', 'heads' and 'secs': the disk has no geometry");
        return false;
    }
    if (props->serial && strlen(props->serial) > VIRTIO_BLK_SERIAL) {
        error_set(error, "parameter 'serial' expects up to %u characters",
                  VIRTIO_BLK_SERIAL);
        return false;
    }
    if ((props->queue_size & (props->queue_size - 1)) != 0) {
        error_set(error, "parameter 'queue-size' expects a power of two");
        return false;
    }
    return block_drive_check_sizes(&(BlockDriveSizes) {
        blk->block_size, physical_block_size(blk), props->min_io_size,
        props->opt_io_size, discard_granularity(blk),
    }, error);
}

static bool attach_drive(VirtioBlk *blk, GError **error)
{
    const Device *dev = blk->vdev.dev;
    const BlockDriveDevice device = {
        .qdev = blk->qom_path,
        .path = dev->path,
        .on_read_error = blk->props->rerror,
        .on_write_error = blk->props->werror,
        .ops = &drive_ops,
        .opaque = blk,
    };

    blk->drive =
        block_drive_attach(dev->board->blocks, blk->props->drive, &device, error);
    return blk->drive != NULL;
}

static bool take_node(VirtioBlk *blk, GError **error)
{
    BlockNode *node = block_drive_node(blk->drive);
    uint8_t wants = BLOCK_PERM_CONSISTENT_READ;
    uint8_t permits = BLOCK_PERM_CONSISTENT_READ | BLOCK_PERM_WRITE_UNCHANGED |
                      BLOCK_PERM_RESIZE;

    blk->is_read_only = block_node_is_read_only(node);
    if (!blk->is_read_only)
        wants |= BLOCK_PERM_WRITE;
    if (blk->props->share_rw)
        permits |= BLOCK_PERM_WRITE;
    if (!block_drive_insert(blk->drive, node, wants, permits, error)) {
        g_prefix_error(error, "parameter 'drive': ");
        return false;
    }
    blk->use = block_drive_use(blk->drive);
    return true;
}

static Loop *virtio_blk_queue_loop(VirtioDevice *vdev, uint32_t index)
{
    return virtio_blk_of(vdev)->loops.of_queue[index];
}

static bool make_channels(VirtioBlk *blk, GError **error)
{
    VirtioDevice *vdev = &blk->vdev;

    blk->channels = g_new0(BlockChannel *, vdev->n_queues);
    for (uint32_t i = 0; i < vdev->n_queues; i++) {
        Loop *loop = virtio_blk_queue_loop(vdev, i);

        blk->channels[i] = block_channel_new(blk->use, loop, blk->props->queue_size,
                                             &channel_ops, &vdev->queues[i], error);
        if (!blk->channels[i])
            return false;
    }
    return true;
}

static void offer_features(VirtioBlk *blk)
{
    VirtioDevice *vdev = &blk->vdev;
    const VirtioBlkProps *props = blk->props;

    vdev->offered |= FEATURE(VIRTIO_BLK_F_SIZE_MAX) | FEATURE(VIRTIO_BLK_F_SEG_MAX) |
                     FEATURE(VIRTIO_BLK_F_BLK_SIZE) | FEATURE(VIRTIO_BLK_F_TOPOLOGY) |
                     FEATURE(VIRTIO_BLK_F_FLUSH);
    if (vdev->n_queues > 1)
        vdev->offered |= FEATURE(VIRTIO_BLK_F_MQ);
    if (blk->is_read_only) {
        vdev->offered |= FEATURE(VIRTIO_BLK_F_RO);
        return;
    }
    if (props->config_wce)
        vdev->offered |= FEATURE(VIRTIO_BLK_F_CONFIG_WCE);
    if (props->discard)
        vdev->offered |= FEATURE(VIRTIO_BLK_F_DISCARD);
    if (props->write_zeroes)
        vdev->offered |= FEATURE(VIRTIO_BLK_F_WRITE_ZEROES);
}

static void virtio_blk_unrealize(VirtioDevice *vdev)
{
    VirtioBlk *blk = virtio_blk_of(vdev);

    for (uint32_t i = 0; blk->channels && i < vdev->n_queues; i++)
        block_channel_free(blk->channels[i]);
    block_drive_detach(blk->drive, vdev->dev->state == DEVICE_STATE_LEAVING);
    virtio_loops_done(&blk->loops);
    g_free(blk->channels);
    g_free(blk->qom_path);
}

static bool virtio_blk_realize(VirtioDevice *vdev, const DeviceAddArgs *args,
                               GError **error)
{
    VirtioBlk *blk = virtio_blk_of(vdev);
    bool is_made = false;
    uint32_t n_queues;

    blk->props = &args->u.virtio_blk_pci;
    blk->block_size = (uint32_t)blk->props->logical_block_size;
    blk->qom_path = g_strconcat(vdev->dev->path, "/virtio-backend", NULL);
    if (blk->props->serial)
        memcpy(blk->serial, blk->props->serial,
               MIN(strlen(blk->props->serial), sizeof(blk->serial)));
    n_queues = blk->props->has_num_queues
        ? blk->props->num_queues : CLAMP(vdev->dev->board->n_cpus, 1, MAX_QUEUES);
    if (check_props(blk, error) && attach_drive(blk, error) && take_node(blk, error)) {
        blk->write_cache = wants_write_cache(blk);
        virtio_make_queues(vdev, n_queues, blk->props->queue_size);
        is_made = virtio_loops_init(&blk->loops, vdev, n_queues, blk->props->iothread,
                                    blk->props->iothread_vq_mapping, error) &&
            make_channels(blk, error);
    }
    if (is_made) {
        offer_features(blk);
        return true;
    }
    virtio_blk_unrealize(vdev);
    return false;
}

static const VMStateField virtio_blk_fields[] = {
    VMSTATE_BOOL(VirtioBlk, write_cache),
    VMSTATE_END
};

static const VMStateDesc virtio_blk_vmstate = {
    .name = "virtio-blk", .version = 1, .min_version = 1, .fields = virtio_blk_fields,
};

const VirtioClass virtio_blk_class = {
    .name = "virtio-blk",
    .description = "disk",
    .id = VIRTIO_ID_BLOCK,
    .n_queues = MAX_QUEUES,
    .queue_size = MAX_QUEUE_SIZE,
    .config_size = offsetof(struct virtio_blk_config, write_zeroes_may_unmap) + 4,
    .instance_size = sizeof(VirtioBlk),
    .req_size = sizeof(VirtioBlkReq),
    .pci_class = 0x010000,
    .vmstate = &virtio_blk_vmstate,
    .realize = virtio_blk_realize,
    .unrealize = virtio_blk_unrealize,
    .start = virtio_blk_start,
    .stop = virtio_blk_stop,
    .reset = virtio_blk_reset,
    .queue_loop = virtio_blk_queue_loop,
    .read_config = virtio_blk_read_config,
    .write_config = virtio_blk_write_config,
    .handle_queue = virtio_blk_req_handle_queue,
};
