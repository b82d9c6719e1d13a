/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Drives: what is between a disk device and the node that is its medium, and stays when
 * the medium changes: counts, error policy, and what clients know the disk by.
 *
 * A drive whose device has not yet said what it needs of the medium holds the node with a
 * use that wants nothing and permits everything.
 */
#include <errno.h>
#include <string.h>

#include "berth/error.h"
#include "berth/qapi.h"
#include "berth/thread.h"

#include "block-change.h"
#include "block-throttle.h"

static char *describe(void *opaque)
{
    const BlockDrive *drive = opaque;

    if (drive->ops)
        return drive->ops->use.describe(drive->opaque);
    return g_strdup_printf("drive '%s'", drive->name);
}

static void on_resized(void *opaque)
{
    const BlockDrive *drive = opaque;

    if (drive->ops && drive->ops->use.resized)
        drive->ops->use.resized(drive->opaque);
}

static const BlockUseOps use_ops = { .describe = describe, .resized = on_resized };

static BlockDrive *drive_new(BlockGraph *graph, const char *name)
{
    BlockDrive *drive = g_new0(BlockDrive, 1);

    drive->graph = graph;
    drive->name = g_strdup(name);
    drive->on_read_error = BLOCKDEV_ON_ERROR_AUTO;
    drive->on_write_error = BLOCKDEV_ON_ERROR_AUTO;
    list_append(&graph->drives, &drive->graph_node);
    return drive;
}

/* What -drive made goes with the last use of it. */
static void let_go(BlockUse *use)
{
    BlockNode *node;

    if (!use)
        return;
    node = block_node_ref(block_use_node(use));
    block_use_free(use);
    block_close(node, NULL, NULL);
}

void block_drive_free(BlockDrive *drive)
{
    if (drive->watcher)
        *drive->watcher = NULL;
    let_go(drive->use);
    drive->use = NULL;
    block_throttle_free(drive);
    block_account_clear(&drive->account);
    list_remove(&drive->graph_node);
    g_free(drive->name);
    g_free(drive->qdev);
    g_free(drive->path);
    g_free(drive);
}

BlockDrive *block_drive_named(BlockGraph *graph, const char *name)
{
    LIST_FOREACH(at, &graph->drives) {
        BlockDrive *drive = CONTAINER_OF(at, BlockDrive, graph_node);

        if (*name && strcmp(drive->name, name) == 0)
            return drive;
    }
    return NULL;
}

/* The named drive, or one of the node's; NULL with @error. */
static BlockDrive *find_or_make(BlockGraph *graph, const char *name, GError **error)
{
    BlockDrive *drive = name ? block_drive_named(graph, name) : NULL;
    BlockNode *node;

    if (drive && !drive->ops)
        return drive;
    if (drive) {
        g_autofree char *who = describe(drive);

        error_set(error, "drive '%s' is in use: by %s", name, who);
        return NULL;
    }
    node = name ? block_graph_find(graph, name) : NULL;
    if (name && !node) {
        error_set(error, "there is no drive and no block node '%s'", name);
        return NULL;
    }
    drive = drive_new(graph, "");
    if (!node || block_drive_insert(drive, node, 0, BLOCK_PERM_ALL, error))
        return drive;
    block_drive_free(drive);
    return NULL;
}

/* A use holds the node from now on, not its name. */
static void disown(BlockNode *node)
{
    node->is_owned = false;
    block_close(node, NULL, NULL);
}

BlockDrive *block_drive_new(BlockGraph *graph, const BlockDriveOptions *options,
                            BlockNode *node, GError **error)
{
    BlockDrive *drive = NULL;

    assert_main();
    if (options->on_read_error == BLOCKDEV_ON_ERROR_ENOSPC) {
        error_set(error, "parameter 'rerror': 'enospc' is of writes only");
    } else if (block_drive_named(graph, options->name) ||
               block_graph_find(graph, options->name)) {
        error_set(error, "parameter 'id': there is a drive or a block node '%s' already",
                  options->name);
    } else {
        drive = drive_new(graph, options->name);
        drive->on_read_error = options->on_read_error;
        drive->on_write_error = options->on_write_error;
        drive->write_through = options->write_through;
        if (node && !block_drive_insert(drive, node, 0, BLOCK_PERM_ALL, error))
            block_drive_free(g_steal_pointer(&drive));
    }
    if (node)
        disown(node);
    if (drive && options->throttling &&
        !block_drive_set_throttle(drive, options->throttling, error)) {
        block_drive_detach(drive, true);
        return NULL;
    }
    return drive;
}

static bool check_power_of_two(const char *name, uint64_t value, GError **error)
{
    if ((value & (value - 1)) == 0)
        return true;
    error_set(error, "parameter '%s' expects a power of two", name);
    return false;
}

static bool check_multiple(const char *name, uint64_t value, uint64_t of, GError **error)
{
    if (value % of == 0)
        return true;
    error_set(error, "parameter '%s' expects a multiple of the logical block size, "
              "%" PRIu64, name, of);
    return false;
}

bool block_drive_check_sizes(const BlockDriveSizes *sizes, GError **error)
{
    uint64_t block = sizes->logical_block;

    return check_power_of_two("logical_block_size", block, error) &&
        check_power_of_two("physical_block_size", sizes->physical_block, error) &&
        check_multiple("physical_block_size", sizes->physical_block, block, error) &&
        check_multiple("min_io_size", sizes->min_io, block, error) &&
        check_multiple("opt_io_size", sizes->opt_io, block, error) &&
        check_multiple("discard_granularity", sizes->discard_granularity, block, error);
}

static BlockdevOnError choose(BlockdevOnError property, BlockdevOnError option,
                              BlockdevOnError otherwise)
{
    if (property != BLOCKDEV_ON_ERROR_AUTO)
        return property;
    return option != BLOCKDEV_ON_ERROR_AUTO ? option : otherwise;
}

BlockDrive *block_drive_attach(BlockGraph *graph, const char *name,
                               const BlockDriveDevice *device, GError **error)
{
    BlockDrive *drive;

    assert_main();
    if (device->on_read_error == BLOCKDEV_ON_ERROR_ENOSPC) {
        error_set(error, "parameter 'rerror': 'enospc' is of writes only");
        return NULL;
    }
    drive = find_or_make(graph, name, error);
    if (!drive) {
        g_prefix_error(error, "parameter 'drive': ");
        return NULL;
    }
    drive->qdev = g_strdup(device->qdev);
    drive->path = g_strdup(device->path);
    drive->removable = device->removable;
    drive->on_read_error = choose(device->on_read_error, drive->on_read_error,
                                  BLOCKDEV_ON_ERROR_REPORT);
    drive->on_write_error = choose(device->on_write_error, drive->on_write_error,
                                   BLOCKDEV_ON_ERROR_ENOSPC);
    drive->ops = device->ops;
    drive->opaque = device->opaque;
    return drive;
}

void block_drive_detach(BlockDrive *drive, bool was_there)
{
    if (!drive)
        return;
    assert_main();
    if (was_there || !*drive->name) {
        block_drive_free(drive);
        return;
    }
    drive->ops = NULL;
    g_clear_pointer(&drive->qdev, g_free);
    g_clear_pointer(&drive->path, g_free);
}

bool block_drive_del(BlockGraph *graph, const char *name, GError **error)
{
    BlockDrive *drive = block_drive_named(graph, name);

    if (!drive) {
        error_set_class(error, BERTH_ERROR_DEVICE_NOT_FOUND, "Device '%s' not found",
                        name);
        return false;
    }
    if (drive->ops) {
        error_set(error, "drive '%s' is in use by '%s', with which it goes (device_del)",
                  name, drive->qdev);
        return false;
    }
    block_drive_detach(drive, true);
    return true;
}

bool block_drive_insert(BlockDrive *drive, BlockNode *node, uint8_t wants,
                        uint8_t permits, GError **error)
{
    BlockUse *use = block_use_new(node, wants, permits, &use_ops, drive, error);

    if (!use)
        return false;
    use->account = &drive->account;
    use->throttle = drive->throttle;
    let_go(drive->use);
    drive->use = use;
    return true;
}

void block_drive_eject(BlockDrive *drive)
{
    let_go(g_steal_pointer(&drive->use));
}

BlockUse *block_drive_use(const BlockDrive *drive)
{
    return drive->use;
}

BlockNode *block_drive_node(const BlockDrive *drive)
{
    return drive->use ? block_use_node(drive->use) : NULL;
}

bool block_drive_is_write_back(const BlockDrive *drive)
{
    return !drive->write_through;
}

bool block_drive_set_throttle(BlockDrive *drive, const DriveThrottling *throttling,
                              GError **error)
{
    g_autoptr(JsonValue) json = qapi_emit(QAPI_TYPE_DRIVE_THROTTLING, throttling);
    ThrottleConfig config;

    throttle_config_init(&config);
    throttle_config_read(&config, json, THROTTLE_SPELLING_LIMITS);
    if (throttling->group && !throttle_config_has_limits(&config)) {
        error_set(error, "parameter 'throttling.group' needs a limit");
        return false;
    }
    return block_throttle_set(drive, throttling->group, drive->name, &config, error);
}

const char *block_drive_name(const BlockDrive *drive)
{
    return drive->name;
}

/* The device's id is the end of its path; what a transport carries has a path below. */
static bool is_device(const BlockDrive *drive, const char *id)
{
    static const char peripheral[] = "/machine/peripheral/";

    if (!drive->path)
        return false;
    if (strcmp(drive->qdev, id) == 0 || strcmp(drive->path, id) == 0)
        return true;
    return g_str_has_prefix(drive->path, peripheral) &&
        strcmp(drive->path + strlen(peripheral), id) == 0;
}

BlockDrive *block_drive_find(BlockGraph *graph, const char *id)
{
    BlockDrive *named = block_drive_named(graph, id);

    if (named)
        return named;
    LIST_FOREACH(at, &graph->drives) {
        BlockDrive *drive = CONTAINER_OF(at, BlockDrive, graph_node);

        if (is_device(drive, id))
            return drive;
    }
    return NULL;
}

void block_drive_reset_errors(BlockGraph *graph)
{
    LIST_FOREACH(at, &graph->drives) {
        BlockDrive *drive = CONTAINER_OF(at, BlockDrive, graph_node);

        __atomic_store_n(&drive->io_status, BLOCK_DEVICE_IO_STATUS_OK, __ATOMIC_RELAXED);
    }
}

bool block_drive_may_stop(const BlockDrive *drive)
{
    return drive->on_read_error == BLOCKDEV_ON_ERROR_STOP ||
        drive->on_write_error == BLOCKDEV_ON_ERROR_STOP ||
        drive->on_write_error == BLOCKDEV_ON_ERROR_ENOSPC;
}

/* The first failure since the machine went on is the one that is told. */
static void remember(BlockDrive *drive, int errnum)
{
    int ok = BLOCK_DEVICE_IO_STATUS_OK;
    int status = errnum == ENOSPC ? BLOCK_DEVICE_IO_STATUS_NOSPACE
                                  : BLOCK_DEVICE_IO_STATUS_FAILED;

    __atomic_compare_exchange_n(&drive->io_status, &ok, status, false, __ATOMIC_RELAXED,
                                __ATOMIC_RELAXED);
}

BlockErrorAction block_drive_on_error(BlockDrive *drive, bool is_write, int errnum)
{
    switch (is_write ? drive->on_write_error : drive->on_read_error) {
    case BLOCKDEV_ON_ERROR_IGNORE:
        return BLOCK_ERROR_ACTION_IGNORE;
    case BLOCKDEV_ON_ERROR_ENOSPC:
        if (errnum != ENOSPC)
            return BLOCK_ERROR_ACTION_REPORT;
        break;
    case BLOCKDEV_ON_ERROR_STOP:
        break;
    case BLOCKDEV_ON_ERROR_REPORT:
    case BLOCKDEV_ON_ERROR_AUTO:
        return BLOCK_ERROR_ACTION_REPORT;
    }
    remember(drive, errnum);
    return BLOCK_ERROR_ACTION_STOP;
}
