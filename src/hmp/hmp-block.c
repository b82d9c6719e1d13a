/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks and block nodes.
 */
#include <string.h>

#include "berth/drive-options.h"
#include "berth/error.h"
#include "berth/keyval.h"

#include "qmp-commands.h"

#include "hmp-call.h"

/* What a disk is called here: its drive's name, else its device's. */
static const char *disk_name(const char *device, const char *qdev)
{
    return device && *device ? device : qdev ? qdev : "";
}

static void show_image(HmpCall *call, const ImageInfo *image)
{
    hmp_printf(call, "image: %s\nfile format: %s\nvirtual size: %" PRId64 " bytes\n",
               image->filename, image->format, image->virtual_size);
    if (image->has_actual_size)
        hmp_printf(call, "disk size: %" PRId64 " bytes\n", image->actual_size);
    if (image->has_cluster_size)
        hmp_printf(call, "cluster_size: %" PRId64 "\n", image->cluster_size);
    if (image->has_dirty_flag && image->dirty_flag)
        hmp_printf(call, "cleanly shut down: no\n");
    if (image->backing_filename)
        hmp_printf(call, "backing file: %s\n", image->backing_filename);
    if (image->backing_filename_format)
        hmp_printf(call, "backing file format: %s\n", image->backing_filename_format);
}

static void show_node(HmpCall *call, const BlockDeviceInfo *node)
{
    hmp_printf(call, "    Cache mode:       %s%s%s\n",
               node->cache->writeback ? "writeback" : "writethrough",
               node->cache->direct ? ", direct" : "",
               node->cache->no_flush ? ", ignore flushes" : "");
    if (node->backing_file)
        hmp_printf(call, "    Backing file:     %s (chain depth: %" PRId64 ")\n",
                   node->backing_file, node->backing_file_depth);
    if (node->detect_zeroes != BLOCKDEV_DETECT_ZEROES_OPTIONS_OFF)
        hmp_printf(call, "    Detect zeroes:    %s\n",
                   BlockdevDetectZeroesOptions_str(node->detect_zeroes));
    if (!hmp_flag(call, "verbose"))
        return;
    hmp_printf(call, "\nImages:\n");
    for (const ImageInfo *image = node->image; image; image = image->backing_image)
        show_image(call, image);
}

static void show_file(HmpCall *call, const BlockDeviceInfo *node)
{
    hmp_printf(call, "%s (%s%s)\n", node->file, node->drv, node->ro ? ", read-only" : "");
}

static void show_disk(HmpCall *call, const BlockInfo *disk)
{
    const BlockDeviceInfo *node = disk->inserted;

    if (*disk->device)
        hmp_printf(call, "%s", disk->device);
    if (node && node->node_name)
        hmp_printf(call, *disk->device ? " (%s)" : "%s", node->node_name);
    else if (!*disk->device)
        hmp_printf(call, "%s", disk_name(NULL, disk->qdev));
    hmp_printf(call, ": ");
    if (node)
        show_file(call, node);
    else
        hmp_printf(call, "[not inserted]\n");
    if (disk->qdev)
        hmp_printf(call, "    Attached to:      %s\n", disk->qdev);
    if (disk->has_io_status && disk->io_status != BLOCK_DEVICE_IO_STATUS_OK)
        hmp_printf(call, "    I/O status:       %s\n",
                   BlockDeviceIoStatus_str(disk->io_status));
    if (disk->removable)
        hmp_printf(call, "    Removable device: %slocked, tray %s\n",
                   disk->locked ? "" : "not ", disk->tray_open ? "open" : "closed");
    if (node)
        show_node(call, node);
}

static bool is_meant(const char *wanted, const char *name)
{
    return name && strcmp(wanted, name) == 0;
}

/* The disks, or the one called @name, by drive, device or node. */
static void show_disks(HmpCall *call, const BlockInfoList *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++) {
        const BlockInfo *disk = list->items[i];

        if (name && !is_meant(name, disk->device) && !is_meant(name, disk->qdev) &&
            !(disk->inserted && is_meant(name, disk->inserted->node_name)))
            continue;
        hmp_printf(call, call->out->len > 0 ? "\n" : "");
        show_disk(call, disk);
    }
}

static void show_nodes(HmpCall *call, const BlockDeviceInfoList *list, const char *name)
{
    for (size_t i = 0; i < list->n; i++) {
        const BlockDeviceInfo *node = list->items[i];

        if (name && !is_meant(name, node->node_name))
            continue;
        hmp_printf(call, call->out->len > 0 ? "\n%s: " : "%s: ", node->node_name);
        show_file(call, node);
        show_node(call, node);
    }
}

void hmp_info_block(HmpCall *call)
{
    const char *name = hmp_text(call, "device");
    const QueryNamedBlockNodesArgs args = { .flat = !hmp_flag(call, "verbose") };
    g_autoptr(BlockDeviceInfoList) nodes = NULL;
    g_autoptr(BlockInfoList) disks = NULL;
    GError *error = NULL;

    if (!hmp_flag(call, "nodes")) {
        disks = qmp_query_block(call->ctx, &error);
        if (disks)
            show_disks(call, disks, name);
    }
    if (!error && (hmp_flag(call, "nodes") || (name && call->out->len == 0))) {
        nodes = qmp_query_named_block_nodes(call->ctx, &args, &error);
        if (nodes)
            show_nodes(call, nodes, name);
    }
    if (!error && name && call->out->len == 0)
        error_set(&error, "there is no disk and no block node '%s'", name);
    if (error)
        hmp_fail(call, error);
}

void hmp_info_blockstats(HmpCall *call)
{
    const QueryBlockstatsArgs args = { .query_nodes = false };
    GError *error = NULL;
    g_autoptr(BlockStatsList) list = qmp_query_blockstats(call->ctx, &args, &error);

    if (!list) {
        hmp_fail(call, error);
        return;
    }
    for (size_t i = 0; i < list->n; i++) {
        const BlockDeviceStats *stats = list->items[i]->stats;

        hmp_printf(call, "%s: rd_bytes=%" PRId64 " wr_bytes=%" PRId64
                   " rd_operations=%" PRId64 " wr_operations=%" PRId64
                   " flush_operations=%" PRId64 " wr_total_time_ns=%" PRId64
                   " rd_total_time_ns=%" PRId64 " flush_total_time_ns=%" PRId64
                   " rd_merged=%" PRId64 " wr_merged=%" PRId64,
                   disk_name(list->items[i]->device, list->items[i]->qdev),
                   stats->rd_bytes, stats->wr_bytes, stats->rd_operations,
                   stats->wr_operations, stats->flush_operations,
                   stats->wr_total_time_ns, stats->rd_total_time_ns,
                   stats->flush_total_time_ns, stats->rd_merged, stats->wr_merged);
        if (stats->has_idle_time_ns)
            hmp_printf(call, " idle_time_ns=%" PRId64, stats->idle_time_ns);
        hmp_printf(call, "\n");
    }
}

/* What "file=FILE,if=none,id=ID,..." says; NULL with @error. */
static DriveOptions *read_drive(const char *text, GError **error)
{
    g_autoptr(GPtrArray) others = g_ptr_array_new();
    g_autoptr(JsonValue) pairs = keyval_parse(text, NULL, NULL, error);
    g_autoptr(DriveOptions) options = NULL;

    if (!pairs)
        return NULL;
    if (!json_member(pairs, "id")) {
        error_set(error, "parameter 'id' is missing");
        return NULL;
    }
    options = drive_options_parse(pairs, others, error);
    if (!options)
        return NULL;
    if (options->q_if != DRIVE_INTERFACE_NONE)
        error_set(error, "parameter 'if': only 'none' comes while the machine runs; "
                  "device_add makes the device");
    else if (options->snapshot)
        error_set(error, "parameter 'snapshot': only -drive of the command line has it");
    else
        return g_steal_pointer(&options);
    return NULL;
}

/* Clients look for this word. */
static void on_drive_added(void *opaque, const GError *error)
{
    HmpCall *call = opaque;

    if (error)
        hmp_fail(call, g_error_copy(error));
    else
        hmp_printf(call, "OK\n");
    hmp_call_end_wait(call);
}

void hmp_drive_add(HmpCall *call)
{
    g_autoptr(DriveOptions) options = NULL;
    BlockDriveOptions drive;
    GError *error = NULL;

    options = read_drive(hmp_text(call, "options"), &error);
    if (!options) {
        hmp_fail(call, error);
        return;
    }
    drive = drive_options_drive(options);
    hmp_call_wait(call);
    block_drive_add(call->ctx->blocks, &drive, options->node, on_drive_added, call);
}

void hmp_drive_del(HmpCall *call)
{
    GError *error = NULL;

    if (!block_drive_del(call->ctx->blocks, hmp_text(call, "id"), &error))
        hmp_fail(call, error);
}
