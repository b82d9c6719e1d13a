/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that an image names: its backing file and its data file.
 *
 * A name is a path, relative to the image's folder; the format is the one that the image
 * names beside it, never one that is guessed from what is in the file.  Who writes into a
 * disk could choose otherwise what its host opens.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "berth/error.h"

#include "qcow2-image.h"

/* The file that the image is in: what names are relative to.  NULL: there is none. */
static const char *path_of(const BlockNode *node)
{
    while (node) {
        const BlockNode *storage = block_node_storage(node);

        if (!storage && node->options->driver == BLOCKDEV_DRIVER_FILE)
            return node->options->u.file.filename;
        if (!storage && node->options->driver == BLOCKDEV_DRIVER_HOST_DEVICE)
            return node->options->u.host_device.filename;
        node = storage;
    }
    return NULL;
}

void qcow2_backing_find_path(Qcow2 *q)
{
    const char *path = path_of(q->file);

    q->path = path ? realpath(path, NULL) : NULL;
}

/* "nbd:", "json:" and their kin: as far as the first slash, a colon. */
static bool has_protocol(const char *name)
{
    return name[strcspn(name, ":/")] == ':';
}

/* The path that @name stands for in the image. */
static char *resolve(const Qcow2 *q, const char *name, GError **error)
{
    const char *path = path_of(q->file);
    g_autofree char *folder = NULL;

    if (g_str_has_prefix(name, "file:"))
        name += strlen("file:");
    if (has_protocol(name)) {
        error_set(error, "the image names '%s': only files are supported", name);
        return NULL;
    }
    if (g_str_has_prefix(name, "/dev/fdset/")) {
        error_set(error, "the image names '%s', which only options can", name);
        return NULL;
    }
    if (g_path_is_absolute(name))
        return g_strdup(name);
    if (!path || g_str_has_prefix(path, "/dev/fdset/")) {
        error_set(error, "the image names '%s', and has no path itself to which that "
                  "would be relative", name);
        return NULL;
    }
    if (!strchr(path, '/'))
        return g_strdup(name);
    folder = g_path_get_dirname(path);
    return g_build_filename(folder, name, NULL);
}

char *qcow2_backing_path(Qcow2 *q)
{
    g_autofree char *path = resolve(q, q->backing_name, NULL);

    return path ? g_utf8_make_valid(path, -1) : NULL;
}

/* Options of a node for the file at @path. */
static BlockdevOptions *file_options(const char *path)
{
    struct stat st;
    bool is_device = stat(path, &st) == 0 && S_ISBLK(st.st_mode);
    const char *text = is_device ? "{'driver': 'host_device', 'filename': ''}"
                                 : "{'driver': 'file', 'filename': ''}";
    BlockdevOptions *options = qapi_parse_json(QAPI_TYPE_BLOCKDEV_OPTIONS, text, NULL);
    BlockdevOptionsFile *file = is_device ? &options->u.host_device : &options->u.file;

    g_free(file->filename);
    file->filename = g_strdup(path);
    return options;
}

static BlockdevOptions *image_options(const char *format, const char *path)
{
    bool is_raw = strcmp(format, "raw") == 0;
    const char *text = is_raw ? "{'driver': 'raw', 'file': 'x'}"
                              : "{'driver': 'qcow2', 'file': 'x'}";
    BlockdevOptions *options = qapi_parse_json(QAPI_TYPE_BLOCKDEV_OPTIONS, text, NULL);
    BlockdevRef *file = is_raw ? options->u.raw.file : options->u.qcow2.file;

    g_free(file->u.reference);
    file->type = QAPI_KIND_OBJECT;
    file->u.definition = file_options(path);
    return options;
}

/* Whether the file is one of those above, whose chain would have no end. */
static bool is_above(const BlockNode *node, const char *path)
{
    g_autofree char *canonical = NULL;
    char *real = realpath(path, NULL);
    bool found = false;

    canonical = g_strdup(real);
    free(real);
    while (canonical && node && !found) {
        const BlockNode *parent = NULL;

        if (node->options->driver == BLOCKDEV_DRIVER_QCOW2)
            found = g_strcmp0(CONTAINER_OF(node, Qcow2, node)->path, canonical) == 0;
        LIST_FOREACH(at, &node->parents) {
            parent = CONTAINER_OF(at, BlockLink, child_node)->parent;
        }
        node = parent;
    }
    return found;
}

bool qcow2_backing_open(Qcow2 *q, GError **error)
{
    g_autoptr(BlockdevOptions) options = NULL;
    g_autofree char *path = NULL;

    if (!q->backing_name || q->options->backing)
        return true;
    if (!q->backing_format) {
        error_set(error, "the image has the backing file '%s' and does not say of which "
                  "format: parameter 'backing' can", q->backing_name);
        return false;
    }
    if (strcmp(q->backing_format, "raw") != 0 &&
        strcmp(q->backing_format, "qcow2") != 0) {
        error_set(error, "the format '%s' of backing file '%s' is not supported",
                  q->backing_format, q->backing_name);
        return false;
    }
    path = resolve(q, q->backing_name, error);
    if (!path)
        return false;
    if (is_above(&q->node, path)) {
        error_set(error, "the chain of backing files has a loop: '%s' is in it twice",
                  path);
        return false;
    }
    options = image_options(q->backing_format, path);
    return block_open_later(&q->node, BLOCK_ROLE_BACKING, options, error);
}

/* Whether the image's own file is at @path: data would lie over its tables. */
static bool is_own_file(const Qcow2 *q, const char *path)
{
    struct stat own, other;

    return q->path && stat(q->path, &own) == 0 && stat(path, &other) == 0 &&
        own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

bool qcow2_backing_open_data(Qcow2 *q, GError **error)
{
    g_autoptr(BlockdevOptions) options = NULL;
    g_autofree char *path = NULL;

    q->data = block_node_child(&q->node, BLOCK_ROLE_DATA);
    if (!q->layout.is_external) {
        if (q->data)
            error_set(error, "parameter 'data-file': the image has its data itself");
        return !q->data;
    }
    if (q->data)
        return true;
    if (!q->data_file_name) {
        error_set(error, "the image's data is in another file: parameter 'data-file' is "
                  "missing");
        return false;
    }
    path = resolve(q, q->data_file_name, error);
    if (!path)
        return false;
    if (is_own_file(q, path)) {
        error_set(error, "the image names itself, '%s', as its data file", path);
        return false;
    }
    options = file_options(path);
    if (!block_open_below(&q->node, BLOCK_ROLE_DATA, options, error))
        return false;
    q->data = block_node_child(&q->node, BLOCK_ROLE_DATA);
    return true;
}

static void swap_names(Qcow2 *q, char **name, char **format)
{
    char *old_name = q->backing_name, *old_format = q->backing_format;

    lock_take(&q->queues_lock);
    q->backing_name = *name;
    q->backing_format = *format;
    lock_drop(&q->queues_lock);
    *name = old_name;
    *format = old_format;
}

static bool check_change(const Qcow2 *q, const char *name, const char *format,
                         GError **error)
{
    if (name && strlen(name) > QCOW2_MAX_BACKING_NAME)
        error_set(error, "the name has more than %u bytes", QCOW2_MAX_BACKING_NAME);
    else if (name && !format)
        error_set(error, "the format of the backing file is not known");
    else if (name && q->layout.is_raw)
        error_set(error, "an image with a raw data file cannot have a backing file");
    else if (__atomic_load_n(&q->is_corrupt, __ATOMIC_RELAXED))
        error_set(error, "the image is corrupt");
    else
        return true;
    return false;
}

bool qcow2_backing_change(BlockNode *node, const char *name, const char *format,
                          GError **error)
{
    Qcow2 *q = qcow2_of(node);
    char *new_name = g_strdup(name), *new_format;
    bool ok;

    lock_take_long(&q->lock);
    new_format = name ? g_strdup(format ? format : q->backing_format) : NULL;
    ok = check_change(q, name, new_format, error);
    if (ok) {
        swap_names(q, &new_name, &new_format);
        ok = qcow2_header_write_extensions(q, error);
        if (!ok)
            swap_names(q, &new_name, &new_format);
    }
    lock_drop_long(&q->lock);
    g_free(new_name);
    g_free(new_format);
    return ok;
}
