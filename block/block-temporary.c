/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An overlay in a file without a name: what is written to it is gone with the node.
 */
#include <errno.h>
#include <unistd.h>

#include "berth/error.h"

#include "block-change.h"
#include "block-create.h"

static BlockNode *add(BlockGraph *graph, const JsonValue *json, GError **error)
{
    BlockdevOptions *options =
        qapi_parse(QAPI_TYPE_BLOCKDEV_OPTIONS, json, QAPI_INPUT_JSON, error);
    BlockNode *node = options ? block_graph_add(graph, options, error) : NULL;

    qapi_free_BlockdevOptions(options);
    return node;
}

static bool make_image(BlockNode *file, uint64_t size, GError **error)
{
    g_autoptr(JsonValue) json = json_new_object();
    BlockCreate create = { .file = file };
    JobStep step;

    json_set(json, "driver", json_new_string("qcow2"));
    json_set(json, "file", json_new_string(block_node_name(file)));
    json_set(json, "size", json_new_uint(size));
    create.options =
        qapi_parse(QAPI_TYPE_BLOCKDEV_CREATE_OPTIONS, json, QAPI_INPUT_JSON, error);
    do {
        step = qcow2_create_step(&create, &create.options->u.qcow2);
    } while (step == JOB_STEP_MORE);
    qapi_free_BlockdevCreateOptions(create.options);
    g_free(create.state);
    if (create.job.error)
        g_propagate_error(error, create.job.error);
    return step == JOB_STEP_DONE;
}

static BlockNode *add_file(BlockGraph *graph, const char *path, GError **error)
{
    g_autoptr(JsonValue) json = json_new_object();

    json_set(json, "driver", json_new_string("file"));
    json_set(json, "filename", json_new_string(path));
    json_set(json, "discard", json_new_string("unmap"));
    return add(graph, json, error);
}

/* Nothing has to outlive the host, so nothing is flushed. */
static BlockNode *add_overlay(BlockNode *file, const BlockNode *node, GError **error)
{
    g_autoptr(JsonValue) json = json_new_object();
    JsonValue *cache = json_new_object();

    json_set(cache, "no-flush", json_new_bool(true));
    json_set(json, "driver", json_new_string("qcow2"));
    json_set(json, "file", json_new_string(block_node_name(file)));
    json_set(json, "backing", json_new_string(node->name));
    json_set(json, "discard", json_new_string("unmap"));
    json_set(json, "detect-zeroes",
             json_new_string(BlockdevDetectZeroesOptions_str(
                 node->options->detect_zeroes)));
    json_set(json, "cache", cache);
    return add(node->graph, json, error);
}

static void disown(BlockNode *node)
{
    node->is_owned = false;
    block_close(node, NULL, NULL);
}

static char *new_path(GError **error)
{
    const char *folder = g_getenv("TMPDIR");
    char *path = g_build_filename(folder ? folder : "/var/tmp", "berth-XXXXXX", NULL);
    int fd = g_mkstemp(path);

    if (fd >= 0) {
        close(fd);
        return path;
    }
    error_set_errno(error, errno, "cannot make '%s'", path);
    g_free(path);
    return NULL;
}

BlockNode *block_temporary_new(BlockGraph *graph, BlockNode *node, GError **error)
{
    g_autofree char *path = new_path(error);
    BlockNode *file = path ? add_file(graph, path, error) : NULL;
    BlockNode *overlay = NULL;

    if (path)
        unlink(path);
    if (file && make_image(file, ALIGN_UP(block_node_size(node), (uint64_t)512), error))
        overlay = add_overlay(file, node, error);
    if (file)
        disown(file);
    disown(node);
    return overlay;
}
