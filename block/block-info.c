/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Descriptions of nodes and drives, in the shapes that management tools read.
 */
#include "block-info.h"
#include "block-throttle.h"

static char *as_json(const BlockNode *node)
{
    g_autoptr(JsonValue) json = qapi_emit(QAPI_TYPE_BLOCKDEV_OPTIONS, node->options);
    g_autofree char *text = json_to_text(json);

    return g_strconcat("json:", text, NULL);
}

char *block_info_filename(const BlockNode *node)
{
    const BlockNode *storage = block_node_storage(node);
    char *filename = node->driver->filename ? node->driver->filename(node) : NULL;

    if (filename)
        return filename;
    if (!storage || (node->driver->is_filter && !node->is_transparent))
        return as_json(node);
    return block_info_filename(storage);
}

/* What the node's own files take, the images behind it left out. */
static bool find_actual_size(BlockNode *node, int64_t *ret_size)
{
    g_autoptr(ImageInfo) info = g_new0(ImageInfo, 1);
    int64_t sum = 0;
    bool has_any = false;

    if (node->driver->describe)
        node->driver->describe(node, info);
    if (info->has_actual_size) {
        *ret_size = info->actual_size;
        return true;
    }
    LIST_FOREACH(at, &node->children) {
        const BlockLink *link = CONTAINER_OF(at, BlockLink, parent_node);
        int64_t size;

        if (link->role == BLOCK_ROLE_BACKING)
            continue;
        if (!find_actual_size(link->child, &size))
            return false;
        sum += size;
        has_any = true;
    }
    *ret_size = sum;
    return has_any;
}

ImageInfo *block_info_image(BlockNode *node, bool flat)
{
    BlockNode *backing = block_node_child(node, BLOCK_ROLE_BACKING);
    ImageInfo *info = g_new0(ImageInfo, 1);

    info->filename = block_info_filename(node);
    info->format = g_strdup(node->driver->name);
    info->virtual_size = (int64_t)block_node_size(node);
    info->has_dirty_flag = true;
    if (node->driver->describe)
        node->driver->describe(node, info);
    if (!info->has_actual_size)
        info->has_actual_size = find_actual_size(node, &info->actual_size);
    if (backing && !flat)
        info->backing_image = block_info_image(backing, false);
    return info;
}

static BlockdevChildList *list_children(const BlockNode *node)
{
    static const char *const names[] = {
        [BLOCK_ROLE_USE] = "",
        [BLOCK_ROLE_FILTERED] = "file",
        [BLOCK_ROLE_STORAGE] = "file",
        [BLOCK_ROLE_DATA] = "data-file",
        [BLOCK_ROLE_BACKING] = "backing",
    };
    BlockdevChildList *list = BlockdevChildList_new();

    LIST_FOREACH(at, &node->children) {
        const BlockLink *link = CONTAINER_OF(at, BlockLink, parent_node);
        BlockdevChild *child = g_new0(BlockdevChild, 1);

        child->child = g_strdup(names[link->role]);
        child->node_name = g_strdup(link->child->name);
        BlockdevChildList_append(list, child);
    }
    return list;
}

static void describe_backing(const BlockNode *node, BlockDeviceInfo *info)
{
    const BlockNode *backing = block_node_child(node, BLOCK_ROLE_BACKING);

    if (backing)
        info->backing_file = block_info_filename(backing);
    for (; backing; backing = block_node_child(backing, BLOCK_ROLE_BACKING))
        info->backing_file_depth++;
}

static void query_device(const BlockDrive *drive, BlockDriveState *ret_state)
{
    *ret_state = (BlockDriveState) { .write_back = true };
    if (drive && drive->ops)
        drive->ops->query(drive->opaque, ret_state);
}

static void describe_limits(const BlockDrive *drive, BlockDeviceInfo *info)
{
    const ThrottleLimit *bps, *iops;
    ThrottleConfig config;

    config = throttle_group_config(drive->throttle->group);
    bps = &config.limits[THROTTLE_BPS_TOTAL];
    iops = &config.limits[THROTTLE_IOPS_TOTAL];
    info->bps = bps[0].rate;
    info->bps_rd = bps[1].rate;
    info->bps_wr = bps[2].rate;
    info->iops = iops[0].rate;
    info->iops_rd = iops[1].rate;
    info->iops_wr = iops[2].rate;
    info->has_bps_max = info->has_bps_max_length = bps[0].max > 0;
    info->bps_max = bps[0].max;
    info->bps_max_length = bps[0].length;
    info->has_bps_rd_max = info->has_bps_rd_max_length = bps[1].max > 0;
    info->bps_rd_max = bps[1].max;
    info->bps_rd_max_length = bps[1].length;
    info->has_bps_wr_max = info->has_bps_wr_max_length = bps[2].max > 0;
    info->bps_wr_max = bps[2].max;
    info->bps_wr_max_length = bps[2].length;
    info->has_iops_max = info->has_iops_max_length = iops[0].max > 0;
    info->iops_max = iops[0].max;
    info->iops_max_length = iops[0].length;
    info->has_iops_rd_max = info->has_iops_rd_max_length = iops[1].max > 0;
    info->iops_rd_max = iops[1].max;
    info->iops_rd_max_length = iops[1].length;
    info->has_iops_wr_max = info->has_iops_wr_max_length = iops[2].max > 0;
    info->iops_wr_max = iops[2].max;
    info->iops_wr_max_length = iops[2].length;
    info->has_iops_size = config.iops_size > 0;
    info->iops_size = config.iops_size;
    info->group = g_strdup(throttle_group_name(drive->throttle->group));
}

BlockDeviceInfo *block_info_node(BlockNode *node, const BlockDrive *drive, bool flat)
{
    BlockDeviceInfo *info = g_new0(BlockDeviceInfo, 1);
    BlockDriveState state;

    query_device(drive, &state);
    info->file = block_info_filename(node);
    info->node_name = g_strdup(node->name);
    info->ro = node->read_only;
    info->drv = g_strdup(node->driver->name);
    info->active = true;
    info->detect_zeroes = node->options->detect_zeroes;
    info->image = block_info_image(node, flat);
    info->cache = g_new0(BlockdevCacheInfo, 1);
    info->cache->writeback = state.write_back;
    info->cache->direct = node->options->cache->direct;
    info->cache->no_flush = node->options->cache->no_flush;
    info->write_threshold = (int64_t)node->write_threshold;
    info->children = list_children(node);
    describe_backing(node, info);
    if (drive && drive->throttle)
        describe_limits(drive, info);
    return info;
}

BlockInfo *block_info_drive(const BlockDrive *drive)
{
    BlockNode *node = block_drive_node(drive);
    BlockInfo *info = g_new0(BlockInfo, 1);
    BlockDriveState state;

    query_device(drive, &state);
    info->device = g_strdup(drive->name);
    info->qdev = g_strdup(drive->qdev);
    info->type = g_strdup("unknown");
    info->removable = drive->removable;
    info->locked = state.locked;
    info->has_tray_open = state.has_tray;
    info->tray_open = state.tray_open;
    info->has_io_status = drive->ops && block_drive_may_stop(drive);
    info->io_status = __atomic_load_n(&drive->io_status, __ATOMIC_RELAXED);
    if (node)
        info->inserted = block_info_node(node, drive, false);
    return info;
}
