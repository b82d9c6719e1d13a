/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots: overlays that are put above nodes, or snapshots within their images, several
 * of them at one moment.
 *
 *     take the nodes -> make the overlays, one by one -> wait for quiet -> flush, take
 *     those within -> put the overlays
 *
 * All of it or nothing: what fails leaves graph and images as they were; a file that was
 * made stays.
 */
#include <fcntl.h>
#include <sys/stat.h>

#include "berth/error.h"
#include "berth/log.h"

#include "block-create.h"
#include "block-drive-private.h"
#include "block-info.h"
#include "block-overlay.h"
#include "qmp-commands.h"

typedef struct Action {
    BlockOverlay put;
    BlockNode *overlay;         /* held */
    BlockdevSnapshotSync *sync; /* NULL: the overlay is there */
    char *internal;             /* the name of one within the image, or NULL */
    bool is_taken;              /* it is there */
} Action;

typedef struct Snapshots {
    BlockTask task;
    QmpReply *reply;
    void (*succeed)(QmpReply *reply);
    GArray *actions;            /* of Action */
    BlockHold hold;
    guint at;                   /* the action whose overlay is made */
    BlockOpen *open;            /* its overlay, or for a while its file alone */
    BlockCreate *file;          /* what is to be made, or NULL */
    BlockCreate *image;
    bool is_host_device;
    BlockQuiesce *quiesce;
    GError *error;
} Snapshots;

static Action *action_at(const Snapshots *snapshots, guint i)
{
    return &g_array_index(snapshots->actions, Action, i);
}

static void free_create(BlockCreate *create)
{
    if (!create)
        return;
    qapi_free_BlockdevCreateOptions(create->options);
    base_close_fd(&create->fd);
    g_free(create->state);
    g_free(create);
}

static void stop_making(Snapshots *snapshots)
{
    block_open_free(g_steal_pointer(&snapshots->open));
    free_create(g_steal_pointer(&snapshots->file));
    free_create(g_steal_pointer(&snapshots->image));
}

static void end(Snapshots *snapshots)
{
    stop_making(snapshots);
    block_quiesce_end(snapshots->quiesce);
    block_hold_end(&snapshots->hold);
    for (guint i = 0; i < snapshots->actions->len; i++) {
        Action *action = action_at(snapshots, i);

        if (action->overlay)
            block_close(action->overlay, NULL, NULL);
        qapi_free_BlockdevSnapshotSync(action->sync);
        g_free(action->internal);
    }
    block_task_end(&snapshots->task);
    if (snapshots->error)
        qmp_reply_fail(snapshots->reply, snapshots->error);
    else
        snapshots->succeed(snapshots->reply);
    g_array_unref(snapshots->actions);
    g_free(snapshots);
}

static void on_cancel(BlockTask *task)
{
    Snapshots *snapshots = CONTAINER_OF(task, Snapshots, task);

    g_clear_error(&snapshots->error);
    error_set(&snapshots->error, "the machine ends");
    end(snapshots);
}

/* Nothing is under way, and what was is on stable storage. */
static void put_all(Snapshots *snapshots)
{
    GError **error = &snapshots->error;
    guint n = 0;

    while (n < snapshots->actions->len &&
           (action_at(snapshots, n)->internal ||
            block_overlay_put(&action_at(snapshots, n)->put, error)))
        n++;
    if (n == snapshots->actions->len &&
        block_perm_update(snapshots->task.graph, error) &&
        block_quiesce_rebuild(snapshots->quiesce, error)) {
        for (guint i = 0; i < n; i++) {
            if (!action_at(snapshots, i)->internal)
                block_overlay_keep(&action_at(snapshots, i)->put);
        }
        return;
    }
    while (n-- > 0) {
        if (!action_at(snapshots, n)->internal)
            block_overlay_undo(&action_at(snapshots, n)->put);
    }
    block_perm_update(snapshots->task.graph, NULL);
}

static void on_flush(void *opaque)
{
    Snapshots *snapshots = opaque;
    int ret = 0;

    for (guint i = 0; ret == 0 && i < snapshots->actions->len; i++) {
        BlockNode *node = action_at(snapshots, i)->put.node;

        ret = node->read_only ? 0 : block_io_flush(node);
        if (ret < 0)
            error_set_errno(&snapshots->error, -ret, "cannot flush '%s'", node->name);
    }
    for (guint i = 0; !snapshots->error && i < snapshots->actions->len; i++) {
        Action *action = action_at(snapshots, i);
        BlockNode *node = action->put.node;

        if (action->internal)
            action->is_taken = node->driver->snapshot_create(node, action->internal,
                                                             &snapshots->error);
    }
}

/* Those that were taken within images go again. */
static void on_undo(void *opaque)
{
    Snapshots *snapshots = opaque;

    for (guint i = 0; i < snapshots->actions->len; i++) {
        const Action *action = action_at(snapshots, i);
        BlockNode *node = action->put.node;
        g_autoptr(GError) error = NULL;

        if (!action->is_taken)
            continue;
        qapi_free_SnapshotInfo(node->driver->snapshot_delete(node, NULL, action->internal,
                                                             &error));
        if (error)
            log_warn("node '%s': snapshot '%s' stays: %s", node->name, action->internal,
                     error->message);
    }
}

static void on_undone(void *opaque)
{
    end(opaque);
}

static void on_flushed(void *opaque)
{
    Snapshots *snapshots = opaque;

    if (!snapshots->error)
        put_all(snapshots);
    if (snapshots->error)
        block_task_run(&snapshots->task, on_undo, on_undone, snapshots);
    else
        end(snapshots);
}

static void on_quiet(void *opaque)
{
    Snapshots *snapshots = opaque;

    block_task_run(&snapshots->task, on_flush, on_flushed, snapshots);
}

static void make_quiet(Snapshots *snapshots)
{
    g_autoptr(GPtrArray) nodes = g_ptr_array_new();

    for (guint i = 0; i < snapshots->actions->len; i++)
        g_ptr_array_add(nodes, action_at(snapshots, i)->put.node);
    if (nodes->len == 0)
        return end(snapshots);
    snapshots->quiesce = block_quiesce_begin_all((BlockNode *const *)nodes->pdata,
                                                 nodes->len, on_quiet, snapshots);
}

static void make_next(Snapshots *snapshots);

static void on_open(void *opaque)
{
    Snapshots *snapshots = opaque;

    block_open_run(snapshots->open, &snapshots->error);
}

static void on_opened(void *opaque)
{
    Snapshots *snapshots = opaque;
    Action *action = action_at(snapshots, snapshots->at);
    BlockNode *overlay;

    if (snapshots->error)
        return end(snapshots);
    overlay = block_open_finish(snapshots->open);
    overlay->is_owned = false;
    action->overlay = overlay;
    action->put.overlay = overlay;
    stop_making(snapshots);
    if (!block_overlay_check(overlay, &snapshots->error) ||
        !block_hold_add(&snapshots->hold, overlay, "a snapshot", &snapshots->error))
        return end(snapshots);
    snapshots->at++;
    make_next(snapshots);
}

static JsonValue *file_json(const Snapshots *snapshots, const Action *action)
{
    JsonValue *json = json_new_object();

    json_set(json, "driver",
             json_new_string(snapshots->is_host_device ? "host_device" : "file"));
    json_set(json, "filename", json_new_string(action->sync->snapshot_file));
    return json;
}

/* The overlay is used as the node below it was. */
static BlockdevOptions *overlay_options(const Snapshots *snapshots, const Action *action,
                                        GError **error)
{
    const BlockdevOptions *below = action->put.node->options;
    g_autoptr(JsonValue) json = json_new_object();
    BlockdevDriver format = action->sync->has_format ? action->sync->format
                                                     : BLOCKDEV_DRIVER_QCOW2;

    json_set(json, "driver", json_new_string(BlockdevDriver_str(format)));
    if (action->sync->snapshot_node_name)
        json_set(json, "node-name", json_new_string(action->sync->snapshot_node_name));
    json_set(json, "read-only", json_new_bool(action->put.node->read_only));
    json_set(json, "discard",
             json_new_string(BlockdevDiscardOptions_str(below->discard)));
    json_set(json, "detect-zeroes",
             json_new_string(BlockdevDetectZeroesOptions_str(below->detect_zeroes)));
    json_set(json, "cache", qapi_emit(QAPI_TYPE_BLOCKDEV_CACHE_OPTIONS, below->cache));
    json_set(json, "file", file_json(snapshots, action));
    json_set(json, "backing", json_new_null());
    return qapi_parse(QAPI_TYPE_BLOCKDEV_OPTIONS, json, QAPI_INPUT_JSON, error);
}

/* The file is there, and has an image. */
static void open_overlay(Snapshots *snapshots)
{
    const Action *action = action_at(snapshots, snapshots->at);
    BlockdevOptions *options = overlay_options(snapshots, action, &snapshots->error);

    if (options)
        snapshots->open =
            block_open_new(snapshots->task.graph, options, &snapshots->error);
    qapi_free_BlockdevOptions(options);
    if (snapshots->open)
        block_task_run(&snapshots->task, on_open, on_opened, snapshots);
    else
        end(snapshots);
}

static bool run_steps(Snapshots *snapshots, BlockCreate *create)
{
    const BlockdevCreateOptions *options = create->options;
    JobStep step;

    do {
        step = options->driver == BLOCKDEV_CREATE_DRIVER_FILE
            ? file_create_step(create, &options->u.file)
            : qcow2_create_step(create, &options->u.qcow2);
    } while (step == JOB_STEP_MORE);
    snapshots->error = g_steal_pointer(&create->job.error);
    return step == JOB_STEP_DONE;
}

/* A worker: the file of an image, and the image in it. */
static void on_make(void *opaque)
{
    Snapshots *snapshots = opaque;
    const Action *action = action_at(snapshots, snapshots->at);
    struct stat st;

    snapshots->is_host_device =
        stat(action->sync->snapshot_file, &st) == 0 && S_ISBLK(st.st_mode);
    if (!snapshots->file || !run_steps(snapshots, snapshots->file))
        return;
    base_close_fd(&snapshots->file->fd);
    if (!block_open_run(snapshots->open, &snapshots->error))
        return;
    snapshots->image->file = block_open_top(snapshots->open);
    run_steps(snapshots, snapshots->image);
}

static void on_made(void *opaque)
{
    Snapshots *snapshots = opaque;

    stop_making(snapshots);
    if (snapshots->error)
        end(snapshots);
    else
        open_overlay(snapshots);
}

static BlockCreate *new_create(const JsonValue *json, GError **error)
{
    BlockdevCreateOptions *options =
        qapi_parse(QAPI_TYPE_BLOCKDEV_CREATE_OPTIONS, json, QAPI_INPUT_JSON, error);
    BlockCreate *create = options ? g_new0(BlockCreate, 1) : NULL;

    if (create) {
        create->options = options;
        create->fd = -1;
    }
    return create;
}

static BlockCreate *new_file(const Action *action, BlockGraph *graph, GError **error)
{
    const char *path = action->sync->snapshot_file;
    g_autoptr(JsonValue) json = json_new_object();
    BlockCreate *create;

    json_set(json, "driver", json_new_string("file"));
    json_set(json, "filename", json_new_string(path));
    json_set(json, "size", json_new_int(0));
    create = new_create(json, error);
    if (!create || !g_str_has_prefix(path, "/dev/fdset/"))
        return create;
    create->fd = block_graph_open_file(graph, path, O_RDWR | O_CLOEXEC, error);
    if (create->fd >= 0)
        return create;
    free_create(create);
    return NULL;
}

/* By whose name the overlay finds the node. */
static char *backing_file(const BlockNode *node, GError **error)
{
    g_autofree char *name = block_info_filename(node);

    if (!g_str_has_prefix(name, "json:") && !g_str_has_prefix(name, "/dev/fdset/"))
        return g_canonicalize_filename(name, NULL);
    error_set(error, "node '%s' is more than a file, which an image could name: make the "
              "overlay, and use blockdev-snapshot", node->name);
    return NULL;
}

static BlockCreate *new_image(const Action *action, GError **error)
{
    BlockNode *node = action->put.node;
    g_autoptr(JsonValue) json = json_new_object();
    g_autofree char *name = backing_file(node, error);

    if (!name)
        return NULL;
    json_set(json, "driver", json_new_string("qcow2"));
    json_set(json, "file", json_new_string("x"));
    json_set(json, "size", json_new_uint(block_node_size(node)));
    json_set(json, "backing-file", json_new_string(name));
    json_set(json, "backing-fmt",
             json_new_string(BlockdevDriver_str(node->options->driver)));
    return new_create(json, error);
}

static bool prepare_image(Snapshots *snapshots, const Action *action, GError **error)
{
    BlockGraph *graph = snapshots->task.graph;
    g_autoptr(JsonValue) json = file_json(snapshots, action);
    BlockdevOptions *options;

    if (action->sync->has_format && action->sync->format != BLOCKDEV_DRIVER_QCOW2) {
        error_set(error, "parameter 'format': a '%s' has no backing",
                  BlockdevDriver_str(action->sync->format));
        return false;
    }
    if (action->sync->mode == NEW_IMAGE_MODE_EXISTING)
        return true;
    snapshots->image = new_image(action, error);
    if (snapshots->image)
        snapshots->file = new_file(action, graph, error);
    if (!snapshots->file)
        return false;
    options = qapi_parse(QAPI_TYPE_BLOCKDEV_OPTIONS, json, QAPI_INPUT_JSON, error);
    snapshots->open = block_open_new(graph, options, error);
    qapi_free_BlockdevOptions(options);
    return snapshots->open != NULL;
}

/* The overlay of the next action that has none. */
static void make_next(Snapshots *snapshots)
{
    while (snapshots->at < snapshots->actions->len &&
           !action_at(snapshots, snapshots->at)->sync)
        snapshots->at++;
    snapshots->is_host_device = false;
    if (snapshots->at == snapshots->actions->len)
        make_quiet(snapshots);
    else if (prepare_image(snapshots, action_at(snapshots, snapshots->at),
                           &snapshots->error))
        block_task_run(&snapshots->task, on_make, on_made, snapshots);
    else
        end(snapshots);
}

static Snapshots *snapshots_new(QmpContext *ctx, QmpReply *reply,
                                void (*succeed)(QmpReply *reply))
{
    Snapshots *snapshots = g_new0(Snapshots, 1);

    snapshots->reply = reply;
    snapshots->succeed = succeed;
    snapshots->actions = g_array_new(FALSE, TRUE, sizeof(Action));
    block_task_begin(&snapshots->task, ctx->blocks, on_cancel);
    return snapshots;
}

/* Takes @node for an action of its own. */
static Action *add_action(Snapshots *snapshots, BlockNode *node, GError **error)
{
    Action action = { .put = { .node = node } };

    for (guint i = 0; i < snapshots->actions->len; i++) {
        if (action_at(snapshots, i)->put.node != node)
            continue;
        error_set(error, "node '%s' is in two actions", node->name);
        return NULL;
    }
    if (!block_hold_add(&snapshots->hold, node, "a snapshot", error))
        return NULL;
    g_array_append_val(snapshots->actions, action);
    return action_at(snapshots, snapshots->actions->len - 1);
}

static bool add_snapshot(Snapshots *snapshots, const BlockdevSnapshot *args,
                         GError **error)
{
    BlockGraph *graph = snapshots->task.graph;
    bool is_drive = block_drive_find(graph, args->node);
    BlockNode *node = block_graph_named(graph, is_drive ? args->node : NULL,
                                        is_drive ? NULL : args->node, error);
    BlockNode *overlay = node ? block_graph_named(graph, NULL, args->overlay, error)
                              : NULL;
    Action *action = NULL;

    if (overlay == node && node)
        error_set(error, "node '%s' cannot be above itself", node->name);
    else if (overlay && block_overlay_check(overlay, error))
        action = add_action(snapshots, node, error);
    if (!action || !block_hold_add(&snapshots->hold, overlay, "a snapshot", error))
        return false;
    action->overlay = block_node_ref(overlay);
    action->put.overlay = overlay;
    return true;
}

static bool add_sync(Snapshots *snapshots, const BlockdevSnapshotSync *args,
                     GError **error)
{
    BlockNode *node =
        block_graph_named(snapshots->task.graph, args->device, args->node_name, error);
    Action *action = node ? add_action(snapshots, node, error) : NULL;

    if (action)
        action->sync = qapi_clone_BlockdevSnapshotSync(args);
    return action != NULL;
}

static bool add_internal(Snapshots *snapshots, const BlockdevSnapshotInternal *args,
                         GError **error)
{
    BlockNode *node =
        block_graph_with_snapshots(snapshots->task.graph, args->device, error);
    Action *action;

    if (node && !*args->name)
        error_set(error, "parameter 'name' is empty");
    else if (node && (action = add_action(snapshots, node, error)))
        action->internal = g_strdup(args->name);
    return !*error;
}

static void start(Snapshots *snapshots)
{
    if (snapshots->error)
        end(snapshots);
    else
        make_next(snapshots);
}

void qmp_blockdev_snapshot(QmpContext *ctx, const BlockdevSnapshot *args, QmpReply *reply)
{
    Snapshots *snapshots = snapshots_new(ctx, reply, qmp_return_blockdev_snapshot);

    add_snapshot(snapshots, args, &snapshots->error);
    start(snapshots);
}

void qmp_blockdev_snapshot_sync(QmpContext *ctx, const BlockdevSnapshotSync *args,
                                QmpReply *reply)
{
    Snapshots *snapshots = snapshots_new(ctx, reply, qmp_return_blockdev_snapshot_sync);

    add_sync(snapshots, args, &snapshots->error);
    start(snapshots);
}

void qmp_blockdev_snapshot_internal_sync(QmpContext *ctx,
                                         const BlockdevSnapshotInternal *args,
                                         QmpReply *reply)
{
    Snapshots *snapshots =
        snapshots_new(ctx, reply, qmp_return_blockdev_snapshot_internal_sync);

    add_internal(snapshots, args, &snapshots->error);
    start(snapshots);
}

static bool add(Snapshots *snapshots, const TransactionAction *action, GError **error)
{
    switch (action->type) {
    case TRANSACTION_ACTION_KIND_ABORT:
        error_set(error, "the transaction has an 'abort'");
        return false;
    case TRANSACTION_ACTION_KIND_BLOCKDEV_SNAPSHOT:
        return add_snapshot(snapshots, action->u.blockdev_snapshot.data, error);
    case TRANSACTION_ACTION_KIND_BLOCKDEV_SNAPSHOT_INTERNAL_SYNC:
        return add_internal(snapshots, action->u.blockdev_snapshot_internal_sync.data,
                            error);
    case TRANSACTION_ACTION_KIND_BLOCKDEV_SNAPSHOT_SYNC:
        return add_sync(snapshots, action->u.blockdev_snapshot_sync.data, error);
    }
    g_assert_not_reached();
}

void qmp_transaction(QmpContext *ctx, const TransactionArgs *args, QmpReply *reply)
{
    Snapshots *snapshots = snapshots_new(ctx, reply, qmp_return_transaction);

    for (size_t i = 0; !snapshots->error && i < args->actions->n; i++)
        add(snapshots, args->actions->items[i], &snapshots->error);
    start(snapshots);
}
