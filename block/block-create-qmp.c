/* SPDX-License-Identifier: Apache-2.0 */
/*
 * blockdev-create: a node is opened if it was defined inside, taken for the job, made
 * quiet, and then written to.
 */
#include <fcntl.h>

#include "berth/error.h"

#include "block-create.h"
#include "qmp-commands.h"

static BlockCreate *to_create(Job *job)
{
    return CONTAINER_OF(job, BlockCreate, job);
}

static char *describe(void *opaque)
{
    const BlockCreate *create = opaque;

    return g_strdup_printf("job '%s'", create->job.id);
}

static const BlockUseOps use_ops = { .describe = describe };

static JobStep work(BlockCreate *create)
{
    const BlockdevCreateOptions *options = create->options;

    switch (options->driver) {
    case BLOCKDEV_CREATE_DRIVER_FILE:
        return file_create_step(create, &options->u.file);
    case BLOCKDEV_CREATE_DRIVER_QCOW2:
        return qcow2_create_step(create, &options->u.qcow2);
    case BLOCKDEV_CREATE_DRIVER_RAW:
        return block_node_resize(create->file, options->u.raw.size,
                                 options->u.raw.preallocation, &create->job.error)
            ? JOB_STEP_DONE : JOB_STEP_FAILED;
    }
    g_assert_not_reached();
}

static JobStep create_step(Job *job)
{
    BlockCreate *create = to_create(job);

    if (create->stage == BLOCK_CREATE_WORK)
        return work(create);
    create->stage = BLOCK_CREATE_TAKE;
    if ((!create->open || block_open_run(create->open, &job->error)) &&
        (!create->open_data || block_open_run(create->open_data, &job->error)))
        return JOB_STEP_MORE;
    return JOB_STEP_FAILED;
}

static void on_quiet(void *opaque)
{
    job_go_on(opaque);
}

/* Puts the node into the graph if it is new, and takes hold of it. */
static BlockUse *take_node(BlockCreate *create, BlockOpen **open, BlockNode **node,
                           GError **error)
{
    if (*open) {
        *node = block_open_finish(*open);
        block_open_free(g_steal_pointer(open));
        (*node)->is_owned = false;
    }
    return block_use_new(*node, BLOCK_PERM_WRITE | BLOCK_PERM_RESIZE, BLOCK_PERM_ALL,
                         &use_ops, create, error);
}

static bool take(BlockCreate *create, GError **error)
{
    bool has_data = create->open_data || create->data;

    if (create->data && create->data == create->file) {
        error_set(error, "parameter 'data-file': node '%s' is to store the image",
                  create->file->name);
        return false;
    }

    create->use = take_node(create, &create->open, &create->file, error);
    if (!create->use)
        return false;
    if (has_data)
        create->use_data = take_node(create, &create->open_data, &create->data, error);
    if ((has_data && !create->use_data) ||
        !block_hold_add(&create->hold, create->file, "blockdev-create", error) ||
        (has_data && !block_hold_add(&create->hold, create->data, "blockdev-create",
                                     error)))
        return false;
    create->stage = BLOCK_CREATE_QUIET;
    create->quiesce =
        block_quiesce_begin_all((BlockNode *const *)create->hold.nodes->pdata,
                                create->hold.nodes->len, on_quiet, &create->job);
    return true;
}

static bool create_may_step(Job *job)
{
    BlockCreate *create = to_create(job);

    if (create->stage == BLOCK_CREATE_TAKE && !take(create, &job->error))
        return false;
    if (create->stage == BLOCK_CREATE_QUIET && block_quiesce_is_quiet(create->quiesce))
        create->stage = BLOCK_CREATE_WORK;
    return create->stage == BLOCK_CREATE_OPEN || create->stage == BLOCK_CREATE_WORK;
}

static void create_end(Job *job)
{
    BlockCreate *create = to_create(job);

    if (create->hold.nodes)
        block_hold_tell_sizes(&create->hold);
    block_quiesce_end(g_steal_pointer(&create->quiesce));
    block_use_free(g_steal_pointer(&create->use));
    block_use_free(g_steal_pointer(&create->use_data));
    block_hold_end(&create->hold);
    block_open_free(g_steal_pointer(&create->open));
    block_open_free(g_steal_pointer(&create->open_data));
    if (create->file)
        block_close(g_steal_pointer(&create->file), NULL, NULL);
    if (create->data)
        block_close(g_steal_pointer(&create->data), NULL, NULL);
    base_close_fd(&create->fd);
}

static void create_free(Job *job)
{
    BlockCreate *create = to_create(job);

    qapi_free_BlockdevCreateOptions(create->options);
    g_free(create->state);
    g_free(create);
}

static const JobClass create_class = {
    .type = JOB_TYPE_CREATE,
    .may_step = create_may_step,
    .step = create_step,
    .end = create_end,
    .free = create_free,
};

/* The node below, or what is to become one. */
static bool find_node(BlockGraph *graph, const BlockdevRef *ref, BlockOpen **ret_open,
                      BlockNode **ret_node, GError **error)
{
    BlockNode *node;

    if (ref->type == QAPI_KIND_OBJECT) {
        *ret_open = block_open_new(graph, ref->u.definition, error);
        return *ret_open != NULL;
    }
    node = block_graph_find(graph, ref->u.reference);
    if (!node) {
        error_set(error, "there is no block node '%s'", ref->u.reference);
        return false;
    }
    *ret_node = block_node_ref(node);
    return true;
}

static bool find_file(BlockCreate *create, BlockGraph *graph, const BlockdevRef *file,
                      const BlockdevRef *data, GError **error)
{
    if (!find_node(graph, file, &create->open, &create->file, error) ||
        (data && !find_node(graph, data, &create->open_data, &create->data, error)))
        return false;
    create->stage = create->open || create->open_data ? BLOCK_CREATE_OPEN
                                                      : BLOCK_CREATE_TAKE;
    return true;
}

/* A set of descriptors is main's. */
static bool open_fdset(BlockCreate *create, BlockGraph *graph, const char *path,
                       GError **error)
{
    create->stage = BLOCK_CREATE_WORK;
    if (!g_str_has_prefix(path, "/dev/fdset/"))
        return true;
    create->fd = block_graph_open_file(graph, path, O_RDWR | O_CLOEXEC, error);
    return create->fd >= 0;
}

static bool prepare(BlockCreate *create, BlockGraph *graph, GError **error)
{
    const BlockdevCreateOptions *options = create->options;

    switch (options->driver) {
    case BLOCKDEV_CREATE_DRIVER_FILE:
        return open_fdset(create, graph, options->u.file.filename, error);
    case BLOCKDEV_CREATE_DRIVER_QCOW2:
        return find_file(create, graph, options->u.qcow2.file,
                         options->u.qcow2.data_file, error);
    case BLOCKDEV_CREATE_DRIVER_RAW:
        return find_file(create, graph, options->u.raw.file, NULL, error);
    }
    g_assert_not_reached();
}

bool qmp_blockdev_create(QmpContext *ctx, const BlockdevCreateArgs *args, GError **error)
{
    BlockCreate *create = g_new0(BlockCreate, 1);

    create->fd = -1;
    create->options = qapi_clone_BlockdevCreateOptions(args->options);
    if (!job_init(&create->job, &create_class, ctx->blocks, args->job_id, error)) {
        create_free(&create->job);
        return false;
    }
    create->job.auto_dismiss = false;
    prepare(create, ctx->blocks, &create->job.error);
    job_start(&create->job);
    return true;
}
