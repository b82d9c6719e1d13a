/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Other options for a file that is open: it is opened once more, and the new descriptor
 * takes the place of the old one, with its locks.
 */
#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "berth/error.h"
#include "berth/log.h"

#include "block-reopen.h"
#include "file-private.h"

static const char *const options[] = { "aio", "aio-max-batch", NULL };

static bool needs_fd(const BlockReopen *reopen)
{
    return reopen->node->options->cache->direct != file_of(reopen->node)->is_direct ||
        reopen->read_only != reopen->was_read_only;
}

/* A set of descriptors is main's. */
static bool open_set(BlockReopen *reopen, GError **error)
{
    const File *file = file_of(reopen->node);
    bool is_direct = reopen->node->options->cache->direct;

    reopen->fd = block_graph_open_file(reopen->node->graph, file->path,
                                       file_open_flags(reopen->read_only, is_direct),
                                       error);
    if (reopen->fd >= 0 || reopen->read_only || !reopen->node->options->auto_read_only)
        return reopen->fd >= 0;
    g_clear_error(error);
    reopen->read_only = true;
    return !needs_fd(reopen) || open_set(reopen, error);
}

static bool prepare(BlockReopen *reopen, GError **error)
{
    const File *file = file_of(reopen->node);

    if (file->options->aio == BLOCKDEV_AIO_OPTIONS_NATIVE &&
        !reopen->node->options->cache->direct) {
        error_set(error, "parameter 'aio': 'native' needs cache.direct=on");
        return false;
    }
    return !file_names_fdset(file->path) || !needs_fd(reopen) ||
        open_set(reopen, error);
}

static bool open_again(BlockReopen *reopen, GError **error)
{
    const File *file = file_of(reopen->node);
    bool is_direct = reopen->node->options->cache->direct;

    if (reopen->fd < 0 && needs_fd(reopen))
        reopen->fd = file_open_path(file->path,
                                    file_open_flags(reopen->read_only, is_direct));
    if (reopen->fd >= 0 || !needs_fd(reopen))
        return true;
    if (!reopen->read_only && reopen->node->options->auto_read_only &&
        file_is_read_only_error(errno)) {
        reopen->read_only = true;
        return open_again(reopen, error);
    }
    error_set_errno(error, errno, "cannot open '%s'%s", file->path,
                    errno == EINVAL && is_direct
                        ? " (its file system may not know cache.direct=on)" : "");
    return false;
}

/* The name may be another file's by now. */
static bool check_same(const BlockReopen *reopen, GError **error)
{
    const File *file = file_of(reopen->node);
    struct stat ours, other;

    if (fstat(file->fd, &ours) < 0 || fstat(reopen->fd, &other) < 0) {
        error_set_errno(error, errno, "cannot stat '%s'", file->path);
        return false;
    }
    if (ours.st_dev == other.st_dev && ours.st_ino == other.st_ino)
        return true;
    if (S_ISBLK(ours.st_mode) && S_ISBLK(other.st_mode) && ours.st_rdev == other.st_rdev)
        return true;
    error_set(error, "'%s' is not the file any more that the node has open", file->path);
    return false;
}

/* What was written is safe before it is only read, and before others are asked for it. */
static bool apply(BlockReopen *reopen, GError **error)
{
    const File *file = file_of(reopen->node);
    BlockLimits *limits;

    if (!open_again(reopen, error))
        return false;
    if (!reopen->was_read_only && reopen->fd >= 0 && !file->no_flush &&
        block_io_flush(reopen->node) < 0) {
        error_set(error, "cannot flush '%s'", file->path);
        return false;
    }
    if (reopen->fd < 0)
        return true;
    limits = g_memdup2(block_node_limits(reopen->node), sizeof(*limits));
    reopen->state = limits;
    file_find_alignment(reopen->fd, reopen->node->options->cache->direct, limits);
    return check_same(reopen, error);
}

/* reopen->state are the limits with the descriptor that is not in use. */
static void swap(BlockReopen *reopen)
{
    File *file = file_of(reopen->node);
    BlockLimits *other = reopen->state, limits = file->node.limits;
    int fd = file->fd, ret;

    ret = file_lock_move(file, reopen->fd);
    if (ret < 0)
        log_warn("node '%s': cannot lock '%s' again: %s", block_node_name(&file->node),
                 file->path, error_text(-ret));
    file->fd = reopen->fd;
    reopen->fd = fd;
    file->node.limits = *other;
    *other = limits;
}

static void take_options(File *file)
{
    const BlockdevOptions *node_options = file->node.options;

    file->is_direct = node_options->cache->direct;
    file->no_flush = node_options->cache->no_flush;
    file->is_native = file->options->aio == BLOCKDEV_AIO_OPTIONS_NATIVE;
    file_now_forget(file);
}

static void enter(BlockReopen *reopen)
{
    if (reopen->fd >= 0)
        swap(reopen);
    take_options(file_of(reopen->node));
}

static void file_reopen_close(BlockReopen *reopen)
{
    base_close_fd(&reopen->fd);
    g_clear_pointer(&reopen->state, g_free);
}

/* leave() is enter() the other way round. */
const BlockReopenOps file_reopen_ops = {
    .options = options,
    .prepare = prepare,
    .apply = apply,
    .enter = enter,
    .leave = enter,
    .close = file_reopen_close,
};
