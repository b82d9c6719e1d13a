/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Trays and media.  What a command does is a row of steps:
 *
 *     open the file -> open the tray -> wait for quiet -> remove -> insert -> close tray
 *
 * of which each command has some.  A file that cannot be opened leaves the old medium
 * where it is.  A drive that goes meanwhile ends the command.
 */
#include <sys/stat.h>

#include "berth/block-quiesce.h"
#include "berth/error.h"

#include "block-change.h"
#include "block-drive-private.h"
#include "block-open.h"
#include "qmp-commands.h"

typedef struct Medium {
    BlockTask task;
    QmpReply *reply;
    void (*succeed)(QmpReply *reply);
    BlockDrive *drive;          /* NULL: it is gone */
    bool forces;
    bool opens_tray;
    bool removes;
    bool closes_tray;
    char *filename;             /* of a node to be opened, or NULL */
    bool is_host_device;
    BlockdevDriver format;
    bool read_only;
    BlockOpen *open;
    BlockNode *node;            /* to be inserted, held; or NULL */
    BlockQuiesce *quiesce;
    GError *error;
} Medium;

static void end(Medium *medium)
{
    block_quiesce_end(medium->quiesce);
    block_open_free(medium->open);
    if (medium->drive)
        medium->drive->watcher = NULL;
    if (medium->node)
        block_close(medium->node, NULL, NULL);
    block_task_end(&medium->task);
    if (medium->error)
        qmp_reply_fail(medium->reply, medium->error);
    else
        medium->succeed(medium->reply);
    g_free(medium->filename);
    g_free(medium);
}

static void on_cancel(BlockTask *task)
{
    Medium *medium = CONTAINER_OF(task, Medium, task);

    g_clear_error(&medium->error);
    error_set(&medium->error, "the machine ends");
    end(medium);
}

static const char *name_of(const BlockDrive *drive)
{
    return *drive->name ? drive->name : drive->qdev;
}

static bool is_tray_open(const BlockDrive *drive)
{
    BlockDriveState state = { .has_tray = false };

    if (drive->ops)
        drive->ops->query(drive->opaque, &state);
    return !state.has_tray || state.tray_open;
}

static bool move_tray(BlockDrive *drive, bool open, bool forces, GError **error)
{
    BlockDriveState state = { .has_tray = false };

    if (drive->ops)
        drive->ops->query(drive->opaque, &state);
    if (!state.has_tray || state.tray_open == open)
        return true;
    if (drive->ops->move_tray(drive->opaque, open, forces))
        return true;
    error_set(error, "the guest keeps the tray of '%s' shut; it was asked to open it "
              "(DEVICE_TRAY_MOVED tells), and 'force' opens it all the same",
              name_of(drive));
    return false;
}

static bool check_open(const BlockDrive *drive, GError **error)
{
    if (is_tray_open(drive))
        return true;
    error_set(error, "the tray of '%s' is not open", name_of(drive));
    return false;
}

static bool insert(BlockDrive *drive, BlockNode *node, GError **error)
{
    if (!check_open(drive, error))
        return false;
    if (drive->use) {
        error_set(error, "there is a medium in '%s' already", name_of(drive));
        return false;
    }
    if (drive->ops)
        return drive->ops->insert(drive->opaque, node, error);
    return block_drive_insert(drive, node, 0, BLOCK_PERM_ALL, error);
}

static bool check_drive(Medium *medium)
{
    if (medium->drive)
        return true;
    error_set(&medium->error, "the drive is gone");
    return false;
}

/* What comes after the old medium, if any, is out. */
static void finish(Medium *medium)
{
    BlockDrive *drive = medium->drive;

    if (medium->node && !insert(drive, medium->node, &medium->error))
        return end(medium);
    if (medium->closes_tray)
        move_tray(drive, false, false, &medium->error);
    end(medium);
}

static void on_quiet(void *opaque)
{
    Medium *medium = opaque;
    BlockDrive *drive = medium->drive;

    if (!check_drive(medium) || !check_open(drive, &medium->error))
        return end(medium);
    if (drive->ops)
        drive->ops->remove(drive->opaque);
    else
        block_drive_eject(drive);
    finish(medium);
}

/* The node is open; now the drive. */
static void begin(Medium *medium)
{
    BlockDrive *drive = medium->drive;
    BlockNode *old;

    if (!check_drive(medium) ||
        (medium->opens_tray && !move_tray(drive, true, medium->forces, &medium->error)) ||
        (medium->removes && !check_open(drive, &medium->error)))
        return end(medium);
    old = block_drive_node(drive);
    if (!medium->removes || !old)
        return finish(medium);
    if (!block_hold_check(old, &medium->error))
        return end(medium);
    medium->quiesce = block_quiesce_begin(old, on_quiet, medium);
}

static void on_open(void *opaque)
{
    Medium *medium = opaque;

    block_open_run(medium->open, &medium->error);
}

static void on_opened(void *opaque)
{
    Medium *medium = opaque;

    if (medium->error)
        return end(medium);
    medium->node = block_open_finish(medium->open);
    medium->node->is_owned = false;
    block_open_free(g_steal_pointer(&medium->open));
    begin(medium);
}

/* A worker: what kind of file it is may take as long as opening it. */
static void on_look(void *opaque)
{
    Medium *medium = opaque;
    struct stat st;

    medium->is_host_device =
        stat(medium->filename, &st) == 0 && S_ISBLK(st.st_mode);
}

static BlockdevOptions *options_of(const Medium *medium, GError **error)
{
    g_autoptr(JsonValue) json = json_new_object();
    JsonValue *file = json_new_object();

    json_set(file, "driver",
             json_new_string(medium->is_host_device ? "host_device" : "file"));
    json_set(file, "filename", json_new_string(medium->filename));
    json_set(json, "driver", json_new_string(BlockdevDriver_str(medium->format)));
    json_set(json, "read-only", json_new_bool(medium->read_only));
    json_set(json, "file", file);
    return qapi_parse(QAPI_TYPE_BLOCKDEV_OPTIONS, json, QAPI_INPUT_JSON, error);
}

static void on_looked(void *opaque)
{
    Medium *medium = opaque;
    BlockdevOptions *options = options_of(medium, &medium->error);

    if (options)
        medium->open = block_open_new(medium->task.graph, options, &medium->error);
    qapi_free_BlockdevOptions(options);
    if (medium->open)
        block_task_run(&medium->task, on_open, on_opened, medium);
    else
        end(medium);
}

static BlockDrive *find(BlockGraph *graph, const char *device, const char *id,
                        GError **error)
{
    const char *name = device ? device : id;
    BlockDrive *drive = name ? block_drive_find(graph, name) : NULL;

    if (!device == !id)
        error_set(error, "one of the parameters 'device' and 'id' is needed");
    else if (!drive)
        error_set_class(error, BERTH_ERROR_DEVICE_NOT_FOUND, "there is no disk '%s'",
                        name);
    else if (drive->ops && !drive->removable)
        error_set(error, "the medium of '%s' cannot be taken out", name);
    else if (drive->watcher)
        error_set(error, "drive '%s' is busy: its medium is being changed", name);
    else
        return drive;
    return NULL;
}

/* Of which the caller says what is to be done; on an error it only ends. */
static Medium *medium_new(QmpContext *ctx, const char *device, const char *id,
                          QmpReply *reply, void (*succeed)(QmpReply *reply))
{
    Medium *medium = g_new0(Medium, 1);

    medium->reply = reply;
    medium->succeed = succeed;
    block_task_begin(&medium->task, ctx->blocks, on_cancel);
    medium->drive = find(ctx->blocks, device, id, &medium->error);
    if (medium->drive)
        medium->drive->watcher = &medium->drive;
    return medium;
}

static void start(Medium *medium)
{
    if (medium->error)
        end(medium);
    else if (medium->filename)
        block_task_run(&medium->task, on_look, on_looked, medium);
    else
        begin(medium);
}

bool qmp_blockdev_open_tray(QmpContext *ctx, const BlockdevOpenTrayArgs *args,
                            GError **error)
{
    BlockDrive *drive = find(ctx->blocks, args->device, args->id, error);

    /* One that the guest keeps shut it was asked to open. */
    if (drive)
        move_tray(drive, true, args->force, NULL);
    return drive != NULL;
}

bool qmp_blockdev_close_tray(QmpContext *ctx, const BlockdevCloseTrayArgs *args,
                             GError **error)
{
    BlockDrive *drive = find(ctx->blocks, args->device, args->id, error);

    return drive && move_tray(drive, false, false, error);
}

void qmp_blockdev_remove_medium(QmpContext *ctx, const BlockdevRemoveMediumArgs *args,
                                QmpReply *reply)
{
    Medium *medium =
        medium_new(ctx, NULL, args->id, reply, qmp_return_blockdev_remove_medium);

    medium->removes = true;
    start(medium);
}

void qmp_blockdev_insert_medium(QmpContext *ctx, const BlockdevInsertMediumArgs *args,
                                QmpReply *reply)
{
    Medium *medium =
        medium_new(ctx, NULL, args->id, reply, qmp_return_blockdev_insert_medium);
    BlockNode *node = block_graph_find(ctx->blocks, args->node_name);

    if (!medium->error && !node)
        error_set(&medium->error, "there is no block node '%s'", args->node_name);
    if (!medium->error && block_graph_check_unused(node, &medium->error))
        medium->node = block_node_ref(node);
    start(medium);
}

void qmp_blockdev_change_medium(QmpContext *ctx, const BlockdevChangeMediumArgs *args,
                                QmpReply *reply)
{
    Medium *medium = medium_new(ctx, args->device, args->id, reply,
                                qmp_return_blockdev_change_medium);
    const BlockNode *old = medium->drive ? block_drive_node(medium->drive) : NULL;

    if (!medium->error && !args->has_format)
        error_set(&medium->error, "parameter 'format' is missing: the format of an image "
                  "is never guessed");
    medium->opens_tray = true;
    medium->forces = args->force;
    medium->removes = true;
    medium->closes_tray = true;
    medium->filename = g_strdup(args->filename);
    medium->format = args->format;
    medium->read_only = args->read_only_mode == BLOCKDEV_CHANGE_READ_ONLY_MODE_RETAIN
        ? !old || old->read_only
        : args->read_only_mode == BLOCKDEV_CHANGE_READ_ONLY_MODE_READ_ONLY;
    start(medium);
}

void qmp_eject(QmpContext *ctx, const EjectArgs *args, QmpReply *reply)
{
    Medium *medium = medium_new(ctx, args->device, args->id, reply, qmp_return_eject);

    medium->opens_tray = true;
    medium->forces = args->force;
    medium->removes = true;
    start(medium);
}
